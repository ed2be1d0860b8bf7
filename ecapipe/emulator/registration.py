"""What an administrator has set up: an org, and the apps that orgs know."""

from __future__ import annotations

from dataclasses import dataclass

from ecapipe.secret import Secret


@dataclass(frozen=True, slots=True)
class EmulatedPair:
    """A consumer key and its secret."""

    key: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class RegisteredApp:
    """An external client app as orgs know it."""

    name: str
    consumer_key: str
    consumer_secret: Secret | None
    callback_urls: tuple[str, ...]
    scopes: tuple[str, ...]
    """OAuth scope names; empty means what a fresh app has."""
    pkce_required: bool = True
    secret_optional: bool = False
    client_credentials: bool = False
    """Enabled in the settings and in the policies."""
    run_as_user: str | None = None
    """Username that a client credentials login runs as."""
    enabled: bool = True
    """False: an administrator has switched the app, or OAuth for it, off."""
    approved: bool = True
    """False: only users whom an administrator approved may use it, and there are none."""
    orgs: tuple[str, ...] | None = None
    """The orgs that have it; None means all."""
    refresh_tokens: bool = True
    """False: the policies let a refresh token expire at once, so none is issued."""
    rotates: bool = False
    """Every refresh brings a new refresh token, and the old one dies."""
    refresh_needs_secret: bool = True
    introspects_all: bool = False
    """It may introspect the tokens of other apps, too."""
    certificate: str | None = None
    """For the JWT bearer flow: PEM, or the base64 between its BEGIN and END lines."""
    pre_authorized: bool = True
    """False: users approve the app themselves, in a web login, before the JWT bearer flow works for them."""
    more_consumers: tuple[EmulatedPair, ...] = ()
    """Further consumers of the app, each as good as the first."""
    staged: EmulatedPair | None = None
    """What an administrator has staged for the next rotation of the first consumer."""
    dpop_required: bool = False
    """Its tokens are bound to keys; others are bound where a request has a proof."""
    used: bool = True
    """False: the orgs have no usage data of it until its first login."""
    packaged: bool = False
    """It was installed with a package, so that its keys are not this org's to rotate."""

    @property
    def allowed(self) -> tuple[str, ...]:
        """The scopes that can be asked for."""
        return self.scopes or ("api",)


@dataclass(frozen=True, slots=True)
class OrgSetup:
    """An org as its administrator has set it up."""

    name: str
    login_host: bool = False
    """It is no My Domain but a host that many orgs share, as login.salesforce.com: it knows no app."""
    secrets_by_rest: bool = True
    """The switch "Allow access to External Client App consumer secrets via REST API"."""
    may_view_secrets: bool = True
    """Its users have the permission "View Client Secret"."""
    newest: int = 68
    """The newest version of its REST API."""
