"""The org's web site: which request gets which answer."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from ecapipe.emulator import authorize, introspect, pages, rest, token
from ecapipe.emulator.org import EmulatedOrg, EmulatedSession
from ecapipe.emulator.wire import Call, OAuthError

_USER_URLS = {
    "enterprise": "/services/Soap/c/{version}/",
    "metadata": "/services/Soap/m/{version}/",
    "partner": "/services/Soap/u/{version}/",
    "rest": "/services/data/v{version}/",
    "sobjects": "/services/data/v{version}/sobjects/",
    "search": "/services/data/v{version}/search/",
    "query": "/services/data/v{version}/query/",
    "recent": "/services/data/v{version}/recent/",
    "tooling_soap": "/services/Soap/T/{version}/",
    "tooling_rest": "/services/data/v{version}/tooling/",
    "feeds": "/services/data/v{version}/chatter/feeds",
    "groups": "/services/data/v{version}/chatter/groups",
    "feed_items": "/services/data/v{version}/chatter/feed-items",
    "feed_elements": "/services/data/v{version}/chatter/feed-elements",
    "users": "/services/data/v{version}/chatter/users",
    "custom_domain": "",
}


def answer(org: EmulatedOrg, call: Call) -> Response:
    """The response to any request; nothing of it may be cached."""
    try:
        response = _route(org, call)
    except OAuthError as error:
        response = pages.error(error.error, error.description)
    # Codes and tokens must stay in no cache (RFC 6749, section 5.1).
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if call.proofs:
        response.headers["DPoP-Nonce"] = org.proofs.nonce
    return response


def _route(org: EmulatedOrg, call: Call) -> Response:
    method = call.method
    # Answered as GET; the server leaves the body out (RFC 9110, section 9.3.2).
    if method == "HEAD":
        method = "GET"
    match method, call.path:
        case "GET", "/services/oauth2/authorize":
            return _authorize(org, call)
        case "GET", "/login":
            return _login_page(org, call)
        case "GET", "/login":
            return _login_page(org, call)
        case "POST", "/login":
            return _login(org, call)
        case "POST", "/approve":
            return _approve(org, call)
        case _, "/services/oauth2/token":
            return _token(org, call)
        case _, "/services/oauth2/introspect":
            return _introspect(org, call)
        case _, "/services/oauth2/revoke":
            return _revoke(org, call)
        case "GET" | "POST", "/services/oauth2/userinfo":
            return _userinfo(org, call)
        case "GET", "/services/data" | "/services/data/":
            return rest.versions(org)
        case "GET" | "POST" | "PATCH" | "DELETE", path if path.startswith(rest.ROOT) and (
            response := rest.answer(org, call)
        ):
            return response
        case _:
            return _no_such_page()


def _no_such_page() -> Response:
    return pages.error("not_found", "there is no such page here", 404)


def _authorize(org: EmulatedOrg, call: Call) -> Response:
    app, redirect_uri = authorize.identify(org, call.query)
    try:
        pending = authorize.parse(app, redirect_uri, call.query, org.clock())
    except OAuthError as error:
        result = {"error": error.error, "error_description": error.description}
        return _redirect(authorize.callback(redirect_uri, call.query.get("state"), **result))
    # As Salesforce does; whoever follows no redirect learns that the request was accepted.
    return _redirect(f"/login?{urlencode({'id': org.suspend(pending)})}")


def _login_page(org: EmulatedOrg, call: Call) -> Response:
    call.query.once()
    handle = call.query.need("id")
    pending = org.pending(handle)
    return pages.login(org, handle, pending, pending.hint)


def _login(org: EmulatedOrg, call: Call) -> Response:
    call.form.once()
    pending = org.resume(call.form.need("id"))
    username = call.form.get("username") or ""
    user = org.sign_in(username, call.form.get("password") or "")
    if user is None:
        # In Salesforce's words, which do not say whether it was the username or the password.
        complaint = (
            "Error: Please check your username and password. "
            "If you still can't log in, contact your Salesforce administrator."
        )
        return pages.login(org, org.suspend(pending), pending, username, complaint)
    if not pending.app.approved:
        result = {"error": "OAUTH_APP_ACCESS_DENIED", "error_description": token.NOT_APPROVED}
        return _redirect(authorize.callback(pending.redirect_uri, pending.state, **result))
    return pages.approval(org, org.suspend(replace(pending, user=user)), pending, user)


def _approve(org: EmulatedOrg, call: Call) -> Response:
    call.form.once()
    pending = org.resume(call.form.need("id"))
    if pending.user is None:
        raise OAuthError("invalid_request", "no user has logged in yet")
    if call.form.get("decision") == "allow":
        result = {"code": org.code(pending)}
    else:
        result = {"error": "access_denied", "error_description": "end-user denied authorization"}
    return _redirect(authorize.callback(pending.redirect_uri, pending.state, **result))


def _token(org: EmulatedOrg, call: Call) -> Response:
    try:
        _post_only(call)
        return JSONResponse(token.grant(org, call))
    except OAuthError as error:
        return _oauth_error(error)


def _introspect(org: EmulatedOrg, call: Call) -> Response:
    try:
        _post_only(call)
        return JSONResponse(introspect.describe(org, call.form, call.authorization))
    except OAuthError as error:
        return _oauth_error(error)


def _revoke(org: EmulatedOrg, call: Call) -> Response:
    try:
        _post_only(call)
        call.form.once()
        org.proofs.verify(call)
        org.revoke(call.form.need("token"))
    except OAuthError as error:
        return _oauth_error(error)
    return Response()


def _userinfo(org: EmulatedOrg, call: Call) -> Response:
    if call.access_token is None:
        return PlainTextResponse("Missing_OAuth_Token", 403)
    try:
        session = org.admit(call)
    except OAuthError as error:
        return PlainTextResponse(error.error, 401, {"WWW-Authenticate": f'DPoP error="{error.error}", algs="ES256"'})
    if session is None:
        return PlainTextResponse("Bad_OAuth_Token", 403)
    return JSONResponse(_user_info(org, session))


def _user_info(org: EmulatedOrg, session: EmulatedSession) -> dict[str, object]:
    """The UserInfo answer."""
    user = session.user
    name = user.username.partition("@")[0]
    return {
        "sub": org.identity(user),
        "user_id": user.id,
        "organization_id": org.id,
        "preferred_username": user.username,
        "nickname": name,
        "name": f"{name} of {org.name}",
        "email": user.username,
        "email_verified": True,
        "given_name": name,
        "family_name": f"of {org.name}",
        "zoneinfo": "GMT",
        "photos": {"picture": f"{org.url}/profilephoto/005/F", "thumbnail": f"{org.url}/profilephoto/005/T"},
        "profile": f"{org.url}/{user.id}",
        "picture": f"{org.url}/profilephoto/005/F",
        "address": {},
        "is_salesforce_integration_user": user != org.person,
        "urls": {key: org.url + path for key, path in _USER_URLS.items()} | {"profile": f"{org.url}/{user.id}"},
        "active": True,
        "user_type": "STANDARD",
        "language": "en_US",
        "locale": "en_GB",
        "utcOffset": 0,
        "updated_at": "2026-01-05T09:00:00Z",
        "is_app_installed": True,
    }


def _post_only(call: Call) -> None:
    if call.method != "POST":
        raise OAuthError("invalid_request", "must use HTTP POST")


def _oauth_error(error: OAuthError) -> Response:
    return JSONResponse({"error": error.error, "error_description": error.description}, 400)


def _redirect(url: str) -> Response:
    # The address holds a code, which the callback's page must not pass on as Referer.
    return RedirectResponse(url, 302, {"Referrer-Policy": "no-referrer"})
