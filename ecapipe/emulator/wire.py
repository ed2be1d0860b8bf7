"""Requests to an org as values, and the errors it answers with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from urllib.parse import parse_qsl


class OAuthError(Exception):
    """An OAuth error: its code, and the description in Salesforce's own words where they are known."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


class RestError(Exception):
    """An error of the REST API: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class Parameters:
    """The parameters of a query or a form. One without a value counts as absent (RFC 6749, section 3.1)."""

    def __init__(self, encoded: str) -> None:
        # With blank values, whose names count as repeated, too.
        pairs = parse_qsl(encoded, keep_blank_values=True)
        counts = Counter(name for name, _ in pairs)
        self.names = tuple(name for name, _ in pairs)
        self.repeated = frozenset(name for name, count in counts.items() if count > 1)
        self._values = {name: value for name, value in pairs if value and name not in self.repeated}

    def get(self, name: str) -> str | None:
        """The value, if the parameter was given once."""
        return self._values.get(name)

    def need(self, name: str) -> str:
        """The value; raises OAuthError if it is absent."""
        value = self.get(name)
        if value is None:
            raise OAuthError("invalid_request", f"missing required parameter: {name}")
        return value

    def once(self, *names: str) -> None:
        """Raises OAuthError for a repetition: of one of `names`, or without them of any parameter."""
        for name in self.names:
            if name in self.repeated and (not names or name in names):
                raise OAuthError("invalid_request", f"parameter given more than once: {name}")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `form` is empty unless the body was sent as a form."""

    method: str
    path: str
    query: Parameters
    form: Parameters
    authorization: str
    proofs: tuple[str, ...] = ()
    """What stands in ``DPoP`` headers."""
    body: bytes = b""
    """What was sent, if it was no form."""

    @property
    def access_token(self) -> str | None:
        """The access token of the ``Authorization`` header."""
        scheme, _, token = self.authorization.partition(" ")
        if scheme.lower() not in ("bearer", "dpop"):
            return None
        return token.strip() or None
