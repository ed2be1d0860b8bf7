"""ecapipe: from a retrieved Salesforce project to a verified token."""

__version__ = "0.2.0"
