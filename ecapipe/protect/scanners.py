"""Rules that teach secret scanners what a consumer secret looks like; without them they pass these files over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

# No placeholder, such as ``@@NAME@@`` or ``REPLACE_ME``, is made of letters and digits alone.
_VALUE: Final = "[0-9A-Za-z]{15,}"


@dataclass(frozen=True, slots=True)
class _ScannerRule:
    """What stands before and after a consumer secret, as regular expressions."""

    # Go and Python both read them: gitleaks is written in Go, whose expressions have no lookaround.

    id: str
    description: str
    keyword: str
    before: str
    after: str = ""


_RULES: Final = (
    _ScannerRule(
        "salesforce-eca-consumer-secret",
        "Consumer secret of a Salesforce external client app, in its metadata",
        "consumersecret",
        r"<consumerSecret>\s*",
        r"\s*</consumerSecret>",
    ),
    _ScannerRule(
        "ecapipe-client-secret",
        "Consumer secret of a Salesforce external client app, in a variable that ecapipe reads",
        "ecapipe_client_secret",
        r"""ECAPIPE_CLIENT_SECRET\w*["']?\s*[:=]\s*["']?""",
    ),
)


def _gitleaks() -> str:
    # Without useDefault a configuration of its own would switch gitleaks' other rules off.
    lines = [
        "# Made by: ecapipe app protect --rules gitleaks",
        "# Save it as .gitleaks.toml in the root of the repository, or copy the rules to the existing file.",
        "",
        "[extend]",
        "useDefault = true",
    ]
    for rule in _RULES:
        lines += [
            "",
            "[[rules]]",
            f'id = "{rule.id}"',
            f'description = "{rule.description}"',
            f"regex = '''{rule.before}({_VALUE}){rule.after}'''",
            "secretGroup = 1",
            f'keywords = ["{rule.keyword}"]',
        ]
    return "\n".join(lines)


def _detect_secrets() -> str:
    lines = [
        "# Made by: ecapipe app protect --rules detect-secrets",
        "# Save it as detect_secrets_eca.py, then: detect-secrets scan --plugin detect_secrets_eca.py",
        "# detect-secrets reads line by line, so a value on another line than its element is not seen. It drops what",
        "# has no letter, as old consumer secrets do, so the name before the value is part of what is found.",
        "import re",
        "",
        "from detect_secrets.plugins.base import RegexBasedDetector",
        "",
        "",
        "class SalesforceConsumerSecretDetector(RegexBasedDetector):",
        '    secret_type = "Salesforce Consumer Secret"  # pragma: allowlist secret',
        "    denylist = (",
    ]
    for rule in _RULES:
        lines += [f"        # {rule.description}", f"        re.compile(r'''({rule.before}{_VALUE}){rule.after}'''),"]
    return "\n".join([*lines, "    )"])


_TOOLS: Final[Mapping[str, Callable[[], str]]] = {"gitleaks": _gitleaks, "detect-secrets": _detect_secrets}
TOOLS: Final = tuple(_TOOLS)


def rules(tool: str) -> str:
    """The rules for one of `TOOLS`, as the text of a file that the tool reads."""
    return _TOOLS[tool]()
