"""The whole program against oidc-provider, a certified server that did not learn OAuth from us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest
import trees
from billing import proven
from interop import person, provider
from interop.program import Ended, Started, environment, ran, started
from interop.provider import Provider
from loopback import free_port

from ecapipe.oauth import authorize, authorize_probe
from ecapipe.oauth.authorize_probe import ProbeRefusal
from ecapipe.oauth.messages import Response
from ecapipe.orgs import selection

pytestmark = pytest.mark.interop

USER, ROBOT = "someone@example.com", "robot@example.com"
USER_IDS = {USER: "005000000000001AAA", ROBOT: "005000000000002AAA"}
ELSEWHERE = "https://www.example.com"
AUTHORIZE, TOKEN = "/services/oauth2/authorize", "/services/oauth2/token"

Callbacks = Mapping[str, str | None]


@pytest.fixture(scope="module")
def callbacks() -> Callbacks:
    """The apps with their callback URLs. Nightly is for client credentials, Lenient does not require PKCE, Bound
    wants proofs, and Narrow may not ask for all scopes that its files have."""
    here = f"http://localhost:{free_port()}/OauthRedirect"
    return {
        "Listening": here,
        "Pasting": ELSEWHERE,
        "Lenient": ELSEWHERE,
        "Bound": ELSEWHERE,
        "Narrow": ELSEWHERE,
        "Nightly": None,
    }


def an_org(org_id: str, callbacks: Callbacks) -> AbstractContextManager[Provider]:
    clients = [
        provider.client(
            trees.key(app),
            trees.secret(app),
            url,
            bound=app == "Bound",
            scopes=("api",) if app == "Narrow" else provider.SCOPES,
        )
        for app, url in callbacks.items()
    ]
    strict = [trees.key("Listening"), trees.key("Pasting")]
    return provider.running(org_id, USER_IDS, ROBOT, clients, strict)


@pytest.fixture(scope="module")
def org(callbacks: Callbacks) -> Iterator[Provider]:
    with an_org("00D000000000001EAA", callbacks) as running:
        yield running


@pytest.fixture(scope="module")
def other_org(callbacks: Callbacks) -> Iterator[Provider]:
    with an_org("00D000000000002EAA", callbacks) as running:
        yield running


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, callbacks: Callbacks) -> Path:
    files = trees.project(sourceApiVersion="66.0")
    for app, url in callbacks.items():
        night = trees.CLIENT_CREDENTIALS if url is None else {}
        bound = {"isDPopEnabled": "true"} if app == "Bound" else {}
        files |= trees.app(app, settings={"callbackUrl": url, **night, **bound}, policies=night)
    return trees.plant(tmp_path_factory.mktemp("project"), files)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path)


def log_in(
    project: Path, app: str, *orgs: str, env: Mapping[str, str], more: tuple[str, ...] = ()
) -> AbstractContextManager[Started]:
    """A run of one app that prints its link, and takes the answer the way its callback URL says."""
    chosen = [word for org in orgs for word in ("-o", org)]
    way = "listen" if app == "Listening" else "paste"
    return started("run", "-d", project, "-n", app, *chosen, "--browser", "none", "--callback", way, *more, env=env)


def of_query(address: str, name: str) -> str:
    """The one value of a query parameter."""
    (value,) = parse_qs(urlsplit(address).query)[name]
    return value


def without(address: str, *names: str) -> str:
    """A URL without some of its query parameters."""
    parts = urlsplit(address)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in names]
    return urlunsplit(parts._replace(query=urlencode(kept)))


def name_of(ended: Ended) -> str:
    """What the one failure of a failed run is called."""
    assert ended.status == 1, ended
    return str(ended.failure["name"])


def test_a_listening_app_signs_in_and_knows_whom_it_got(org: Provider, project: Path, env: dict[str, str]) -> None:
    with log_in(project, "Listening", f"acme={org.url}", env=env) as run:
        page = person.go_on(person.sign_in(run.link(), USER))
        ended = run.ended()

    assert page.status_code == 200
    assert not page.url.query
    assert ended.status == 0
    assert ended.success == {
        "project": str(project),
        "app": "Listening",
        "org": "acme",
        "username": USER,
        "userId": USER_IDS[USER],
        "orgId": org.org_id,
        "instanceUrl": org.url,
        "scopes": ["api", "id"],
        "flow": "web",
        "token": "forgotten",
    }


def test_a_pasted_address_signs_in(org: Provider, project: Path, env: dict[str, str]) -> None:
    with log_in(project, "Pasting", org.url, env=env) as run:
        run.paste(person.sign_in(run.link(), USER))
        ended = run.ended()

    assert (ended.status, ended.success["username"]) == (0, USER)


def test_a_pasted_code_signs_in(org: Provider, project: Path, env: dict[str, str]) -> None:
    with log_in(project, "Pasting", org.url, env=env) as run:
        run.paste(of_query(person.sign_in(run.link(), USER), "code"))
        ended = run.ended()

    assert (ended.status, ended.success["username"]) == (0, USER)


def test_a_token_that_was_revoked_is_gone_at_the_provider(org: Provider, project: Path, env: dict[str, str]) -> None:
    with log_in(project, "Pasting", org.url, env=env, more=("--revoke",)) as run:
        run.paste(person.sign_in(run.link(), USER))
        ended = run.ended()

    (revocation,) = org.asked("/services/oauth2/revoke")
    assert (ended.success["token"], revocation.status) == ("revoked", 200)


def test_an_openid_scope_changes_nothing(org: Provider, project: Path, env: dict[str, str]) -> None:
    with log_in(project, "Pasting", org.url, env=env, more=("--scopes", "openid api")) as run:
        run.paste(person.sign_in(run.link(), USER))
        ended = run.ended()

    assert (ended.status, ended.success["scopes"]) == (0, ["openid", "api"])


def test_client_credentials_need_nobody(org: Provider, project: Path, env: dict[str, str]) -> None:
    ended = ran("run", "-d", project, "-n", "Nightly", "-o", org.url, env=env)

    assert ended.status == 0
    assert (ended.success["flow"], ended.success["username"]) == ("client-credentials", ROBOT)


def test_a_login_is_bound_to_a_key_from_its_code_to_its_last_request(
    org: Provider, project: Path, env: dict[str, str]
) -> None:
    """The provider wants a nonce in each proof, and to see each proof once."""
    before = len(org.asked(TOKEN))
    saving = ("--save", "--store", "file", "--scopes", "openid api id refresh_token")
    with log_in(project, "Bound", f"acme={org.url}", env=env, more=saving) as run:
        link = run.link()
        run.paste(person.sign_in(link, USER))
        ended = run.ended()
    assert (ended.status, ended.success["token"]) == (0, "saved"), ended
    assert len(of_query(link, "dpop_jkt")) == 43
    shown = ran("login", "display", "--verify", env=env)
    assert (shown.result["verified"], shown.result["login"]["bound"]) == (True, True)
    assert ran("login", "refresh", env=env).status == 0
    assert ran("login", "display", "--verify", env=env).status == 0
    # Each begins without a nonce, and is asked for one.
    assert [each.status for each in org.asked(TOKEN)[before:]] == [400, 200] * 2
    assert ran("login", "logout", env=env).status == 0


def test_a_flag_alone_binds_a_token(org: Provider, project: Path, env: dict[str, str]) -> None:
    # Not farther: the provider's UserInfo takes no token that an app got for itself.
    ended = ran("run", "-d", project, "-n", "Nightly", "-o", org.url, "--until", "token", "--dpop", env=env)
    assert (ended.status, ended.data["warnings"]) == (0, []), "it is no bearer token"
    assert [each.status for each in org.asked(TOKEN)[-2:]] == [400, 200]


@pytest.mark.parametrize("app", ["Pasting", "Lenient"])
def test_every_login_carries_s256_whether_the_app_requires_it_or_not(
    app: str, org: Provider, project: Path, env: dict[str, str]
) -> None:
    with log_in(project, app, org.url, env=env) as run:
        run.paste(person.sign_in(run.link(), USER))
        ended = run.ended()

    assert ended.status == 0
    assert org.asked(AUTHORIZE)[-1].query["code_challenge_method"] == "S256"
    assert len(org.asked(TOKEN)[-1].form["code_verifier"]) == 86


def test_a_required_challenge_that_got_lost_is_refused_before_anyone_signs_in(
    org: Provider, project: Path, env: dict[str, str]
) -> None:
    with log_in(project, "Pasting", org.url, env=env) as run:
        link = without(run.link(), "code_challenge", "code_challenge_method")
        answer = person.sign_in(link, USER)
        run.paste(answer)
        ended = run.ended()

    assert of_query(answer, "error") == "invalid_request"
    assert (ended.status, ended.failure["stage"], ended.failure["oauthError"]) == (1, "authorize", "invalid_request")


def test_a_challenge_that_got_lost_on_the_way_is_a_downgrade_and_yields_no_token(
    org: Provider, project: Path, env: dict[str, str]
) -> None:
    with log_in(project, "Lenient", org.url, env=env) as run:
        run.paste(person.sign_in(without(run.link(), "code_challenge", "code_challenge_method"), USER))
        ended = run.ended()

    assert (ended.status, ended.failure["stage"], ended.failure["oauthError"]) == (1, "token", "invalid_grant")


@pytest.mark.parametrize("app", ["Listening", "Pasting"])
def test_a_person_who_denies_is_reported_as_that(app: str, org: Provider, project: Path, env: dict[str, str]) -> None:
    with log_in(project, app, org.url, env=env) as run:
        address = person.sign_in(run.link(), USER, deny=True)
        if app == "Listening":
            assert "not authorized" in person.go_on(address).text.lower()
        else:
            run.paste(address)
        ended = run.ended()

    assert name_of(ended) == "AccessDenied"


@pytest.mark.parametrize("app", ["Pasting", "Nightly"])
def test_a_wrong_secret_is_named_as_the_cause(app: str, org: Provider, project: Path, env: dict[str, str]) -> None:
    env[f"ECAPIPE_CLIENT_SECRET_{app.upper()}"] = wrong = trees.secret("something else")
    with log_in(project, app, org.url, env=env) as run:
        if app == "Pasting":
            run.paste(person.sign_in(run.link(), USER))
        ended = run.ended()

    assert (name_of(ended), ended.failure["httpStatus"]) == ("InvalidClient", 401)
    assert wrong not in f"{ended.data}{ended.err}"


def test_a_callback_url_that_is_not_registered_stops_in_the_browser(
    org: Provider, tmp_path: Path, env: dict[str, str]
) -> None:
    slash = trees.app("Pasting", settings={"callbackUrl": f"{ELSEWHERE}/"})
    project = trees.plant(tmp_path / "slash", trees.project() | slash)
    with log_in(project, "Pasting", org.url, env=env, more=("--wait", "0.05")) as run:
        with pytest.raises(person.Stopped, match="redirect_uri"):
            person.sign_in(run.link(), USER)
        ended = run.ended()

    assert (ended.status, ended.failure["name"]) == (69, "AuthTimeoutError")


def test_a_code_that_was_used_yields_no_second_token(org: Provider, project: Path, env: dict[str, str]) -> None:
    with log_in(project, "Pasting", org.url, env=env) as run:
        code = of_query(person.sign_in(run.link(), USER), "code")
        run.paste(code)
        assert run.ended().status == 0
    with log_in(project, "Pasting", org.url, env=env) as run:
        run.link()
        run.paste(code)
        ended = run.ended()

    assert (ended.status, ended.failure["stage"], ended.failure["oauthError"]) == (1, "token", "invalid_grant")
    assert code not in f"{ended.data}{ended.err}"


def test_an_answer_of_another_login_changes_nothing(org: Provider, project: Path, env: dict[str, str]) -> None:
    with log_in(project, "Pasting", org.url, env=env) as earlier:
        stale = person.sign_in(earlier.link(), USER)
    with log_in(project, "Pasting", org.url, env=env) as run:
        link = run.link()
        run.paste(stale)
        run.said("belongs to no login that is waiting")
        run.paste(person.sign_in(link, USER))
        ended = run.ended()

    assert ended.status == 0
    assert of_query(stale, "code") not in org.redeemed()


def test_each_code_goes_to_the_org_that_gave_it(
    org: Provider, other_org: Provider, project: Path, env: dict[str, str]
) -> None:
    with log_in(project, "Pasting", f"one={org.url}", f"two={other_org.url}", env=env) as run:
        codes = {}
        for _ in range(2):
            link = run.link()
            address = person.sign_in(link, USER)
            codes[urlsplit(link).netloc] = of_query(address, "code")
            run.paste(address)
        ended = run.ended()

    one, two = codes[urlsplit(org.url).netloc], codes[urlsplit(other_org.url).netloc]
    assert ended.status == 0
    assert [each["orgId"] for each in ended.result["successes"]] == [org.org_id, other_org.org_id]
    assert {one, two} & {*org.redeemed()} == {one}
    assert {one, two} & {*other_org.redeemed()} == {two}


@pytest.mark.parametrize("app", ["Listening", "Pasting"])
def test_a_code_of_another_org_under_our_state_goes_nowhere(
    app: str, org: Provider, other_org: Provider, project: Path, env: dict[str, str]
) -> None:
    with log_in(project, app, org.url, env=env) as run:
        link = run.link()
        mixed_up = person.sign_in(link.replace(org.url, other_org.url, 1), USER)
        rightly = person.sign_in(link, USER)
        if app == "Listening":
            assert "another org" in person.go_on(mixed_up).text
            person.go_on(rightly)
        else:
            run.paste(mixed_up)
            run.said("another org")
            run.paste(rightly)
        ended = run.ended()

    assert of_query(mixed_up, "state") == of_query(rightly, "state")
    assert (ended.status, ended.success["orgId"]) == (0, org.org_id)
    assert of_query(mixed_up, "code") not in org.redeemed() + other_org.redeemed()


@pytest.mark.parametrize(
    ("app", "settings", "refused", "name"),
    [
        ("Pasting", {}, None, None),
        ("Lenient", {}, None, None),
        ("Pasting", {"consumerKey": trees.key("another app")}, "consumerKey", "InvalidClientId"),
        ("Pasting", {"callbackUrl": f"{ELSEWHERE}/"}, "callback", "RedirectUriMismatch"),
        ("Narrow", {}, "scopes", "InvalidScope"),
        ("Pasting", {"consumerSecret": trees.secret("something else")}, "consumerSecret", "InvalidClient"),
    ],
)
def test_a_probe_hears_what_is_wrong_before_anyone_signs_in(
    app: str,
    settings: dict[str, str],
    refused: str | None,
    name: str | None,
    org: Provider,
    tmp_path: Path,
    env: dict[str, str],
) -> None:
    files = trees.project() | trees.app(app, settings={"callbackUrl": ELSEWHERE, **settings})
    ended = ran("app", "probe", "-d", trees.plant(tmp_path / "probed", files), "-o", org.url, env=env)
    (row,) = ended.result["probes"]
    assert (row["refused"], row["problem"]) == (refused, name), row
    assert (ended.status, row["verdict"]) == ((1, "refused") if name else (0, "accepted"))


def test_a_probe_hears_that_a_challenge_is_missing(org: Provider, project: Path, env: dict[str, str]) -> None:
    """No link of ours lacks it, so that the link is asked for by hand."""
    with log_in(project, "Pasting", org.url, env=env) as run:
        answer = httpx.get(without(run.link(), "code_challenge", "code_challenge_method"), trust_env=False)
    login = authorize.build_request(proven(), selection.choose(org.url, {}, ()), ELSEWHERE, "api id", bytes)
    redirect = Response(answer.status_code, "text/html", b"", location=answer.headers["Location"])
    with pytest.raises(ProbeRefusal, match="requires PKCE"):
        authorize_probe.read(redirect, login)
