"""ecapipe: from a retrieved Salesforce project to a verified token."""

__version__ = "0.2.0"

ADDRESS = ""
"""The public address of the repository; empty until it has one. `.ci/address.py ADDRESS` writes it, here and wherever
else it stands."""
