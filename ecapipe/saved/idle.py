"""How long a refresh token lives that nobody uses: by the kind of org, whatever the policies of the app say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from ecapipe.oauth.flows import registry
from ecapipe.problems.problem import command
from ecapipe.saved.records import SavedLogin


@dataclass(frozen=True, slots=True)
class IdleLimit:
    """The days after which an unused refresh token ends, and the day since which that holds."""

    days: int
    since: date


SANDBOX: Final = IdleLimit(30, date(2026, 10, 21))
OTHER: Final = IdleLimit(30, date(2026, 11, 4))
"""Production, scratch and Developer orgs. Salesforce Help, eca_limit_idle_refresh_token_ttl, and the release notes of
Winter '27, which do not say which apps are spared."""

WARNED: Final = timedelta(days=7)
"""How long before its end a login is warned of."""


def limit(host: str) -> IdleLimit:
    """The limit in the org at `host`."""
    return SANDBOX if ".sandbox." in host or host.startswith("test.") else OTHER


def last_used(login: SavedLogin) -> str:
    """When the refresh token was used last, as far as this machine knows, or came: UTC, as ISO 8601."""
    return login.refreshed_at or login.saved_at


def expiry(login: SavedLogin) -> date | None:
    """The day by which the refresh token has to be used again; None without one, or without a time in the record."""
    flow = registry.find(login.flow)
    if not (login.refreshable and flow and flow.refreshes):
        return None
    idle = limit(login.org.host)
    try:
        used = datetime.fromisoformat(last_used(login)).date()
        # No token was idle before the limit came.
        return max(used + timedelta(days=idle.days), idle.since)
    except (ValueError, OverflowError):  # anybody may have edited the record
        return None


def warning(login: SavedLogin, now: str) -> str | None:
    """A sentence on a refresh token that is about to end, or has; `now` is UTC, as ISO 8601."""
    day = expiry(login)
    today = datetime.fromisoformat(now).date()
    if day is None or day - today > WARNED:
        return None
    if day < today:
        return (
            f"{login.subject}: its refresh token may have expired on {day}, unused. To log in again: {login.command}"
        )
    refresh = command("ecapipe login refresh", name=login.app, target_org=login.org.name)
    return f"{login.subject}: its refresh token expires if it is unused by {day}. To use it: {refresh}"
