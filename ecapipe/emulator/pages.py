"""The pages of an org: plain HTML that needs neither scripts nor a mouse."""

from __future__ import annotations

import re
from html import escape

from starlette.responses import HTMLResponse

from ecapipe import page
from ecapipe.emulator.org import Authorization, EmulatedOrg, EmulatedUser

_STYLE = """
.card label { display: block; margin-top: 1rem; }
.card input, .card button { width: 100%; }
.card button { margin-top: 1rem; }
.card .quiet { border-color: var(--accent); }
[role=alert] { color: var(--bad); }
"""
_SCHEME = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*:")


def login(org: EmulatedOrg, handle: str, pending: Authorization, username: str, complaint: str = "") -> HTMLResponse:
    """The login page, with the username filled in where it is known."""
    alert = ""
    if complaint:
        alert = f'<p role="alert">{escape(complaint)}</p>'
    # The first of the two fields that is still empty.
    focus = [" autofocus", ""]
    if username:
        focus.reverse()
    form_action = "'self'"
    # Somebody whom the org does not approve for the app is sent to the callback right away.
    if not pending.app.approved:
        form_action = _callback_action(pending)
    return _page(
        f"Log in to {org.name}",
        f"""<p>to continue to <strong>{escape(pending.app.name)}</strong></p>{alert}
<form method="post" action="/login">
<input type="hidden" name="id" value="{handle}">
<label for="username">Username</label>
<input id="username" name="username" value="{escape(username)}" autocomplete="username" required{focus[0]}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required{focus[1]}>
<button>Log In</button>
</form>""",
        form_action=form_action,
    )


def approval(org: EmulatedOrg, handle: str, pending: Authorization, user: EmulatedUser) -> HTMLResponse:
    """The page on which a person allows or denies the scopes that an app requests."""
    scopes = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in pending.scopes)
    return _page(
        "Allow Access?",
        f"""<p><strong>{escape(pending.app.name)}</strong> is asking to act in org
<strong>{escape(org.name)}</strong> as {escape(user.username)}, with these scopes:</p>
<ul>{scopes}</ul>
<form method="post" action="/approve">
<input type="hidden" name="id" value="{handle}">
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny" class="quiet">Deny</button>
</form>""",
        form_action=_callback_action(pending),
    )


def error(error: str, description: str, status: int = 400) -> HTMLResponse:
    """An OAuth error on a page, for requests whose callback can't be trusted with it."""
    return _page(
        "We can't do that",
        f"""<p><code id="error">{escape(error)}</code></p>
<p id="error_description">{escape(description)}</p>""",
        status=status,
    )


def maintenance(status: int) -> HTMLResponse:
    """What Salesforce shows while an org cannot be reached."""
    return _page("Data Not Available", "<p>This org is under maintenance. Try again later.</p>", status=status)


def _callback_action(pending: Authorization) -> str:
    """The ``form-action`` of a form that ends at the callback."""
    # Chromium applies it to every redirect that follows the form, so the callback has to pass, and with it whatever
    # the app's own site redirects to: hence its scheme, and not its host.
    return " ".join(("'self'", *_SCHEME.findall(pending.redirect_uri)))


def _page(title: str, body: str, *, status: int = 200, form_action: str = "'none'") -> HTMLResponse:
    # No script and no frame: what an app's name or an address slips in stays text, and no foreign page frames Allow.
    headers = {
        "Content-Security-Policy": page.policy(_STYLE, form_action=form_action),
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }
    card = f"""<main class="card">
<h1>{escape(title)}</h1>
{body}
<footer>Local emulator of ecapipe. Nothing you enter here reaches Salesforce.</footer>
</main>"""
    return HTMLResponse(page.html(f"{title} - ecapipe emulator", card, _STYLE), status, headers)
