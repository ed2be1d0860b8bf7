"""External client apps: which files belong together, and what the files say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.problems import project
from ecapipe.project import apps
from ecapipe.project.apps import App

LINK = {"oauthLink": "00D000000000001EAA:888000000000001AAA"}


def only(files: trees.Files, *, namespace: str = "") -> App:
    (app,) = trees.assembled(files, namespace=namespace)
    return app


def names(files: trees.Files, *, namespace: str = "") -> list[str]:
    return [app.name for app in trees.assembled(files, namespace=namespace)]


def settings_only(app: str, **elements: str) -> trees.Files:
    files = trees.app(app, header=None, settings=elements, oauth=None, policies=None)
    assert len(files) == 1
    return files


def test_an_app_is_its_four_files_sorted_by_path() -> None:
    app = only(trees.app("Billing"))
    assert (app.name, app.project) == ("Billing", "/project")
    assert [file.path for file in app.files] == sorted(trees.app("Billing"))
    assert app.settings is not None
    assert app.settings.name == "Billing_glbloauth"
    assert app.settings.path.endswith("/Billing_glbloauth.ecaGlblOauth-meta.xml")


def test_apps_are_sorted_by_name_whatever_the_order_of_files() -> None:
    files = trees.app("Portal") | trees.app("Billing")
    assert names(files) == ["Billing", "Portal"]
    assert trees.assembled(dict(reversed(files.items()))) == trees.assembled(files)


def test_file_names_of_satellites_decide_nothing() -> None:
    settings = trees.xml("ExtlClntAppGlobalOauthSettings", {"externalClientApplication": "Billing", "label": "L"})
    files = trees.app("Billing", settings=None) | trees.app("Portal", settings=None)
    app, other = trees.assembled(files | {"force-app/classes/Portal_glbloauth.ecaGlblOauth-meta.xml": settings})
    assert app.settings is not None
    assert other.settings is None


def test_a_name_that_begins_like_another_is_another_app() -> None:
    files = trees.app("GitHub", settings=None) | trees.app("GitHubActionsCI")
    first, second = trees.assembled(files)
    assert (first.name, second.name) == ("GitHub", "GitHubActionsCI")
    assert first.settings is None
    assert second.settings is not None
    assert len(first.files) == 3


def test_names_that_differ_in_case_are_two_apps() -> None:
    files = trees.app("Billing", settings=None) | settings_only("billing")
    first, second = trees.assembled(files)
    assert (first.name, second.name) == ("Billing", "billing")
    assert first.settings is None


def test_space_around_the_name_is_no_part_of_it() -> None:
    element = {"externalClientApplication": "\n  Billing  "}
    assert names(trees.app("Billing", settings=element)) == ["Billing"]


def test_a_header_alone_is_an_app_and_so_is_a_satellite_alone() -> None:
    header = trees.app("Header", settings=None, oauth=None, policies=None)
    assert names(header | settings_only("Satellite")) == ["Header", "Satellite"]


def test_a_header_goes_by_its_file_name_only() -> None:
    header = {"externalClientApplication": "Other"}
    assert names(trees.app("Billing", header=header, settings=None, oauth=None, policies=None)) == ["Billing"]


def test_a_file_that_names_no_app_belongs_to_none() -> None:
    files = trees.app("Billing", policies={"externalClientApplication": None})
    assert len(only(files).files) == 3


def test_of_two_files_of_a_type_the_first_by_path_counts() -> None:
    one = trees.app("Billing", settings={"label": "one"}, folder="a-app")
    two = trees.app("Billing", settings={"label": "two"}, folder="b-app")
    app = only(two | one)
    assert len(app.files) == 8
    assert app.settings is not None
    assert app.settings.document.text("label") == "one"


@pytest.mark.parametrize(
    ("headers", "namespace", "expected"),
    [
        (("Billing",), "", ["Billing"]),
        (("Billing",), "acme", ["Billing"]),
        (("Billing",), "other", ["Billing"]),
        (("acme__Billing",), "", ["acme__Billing"]),
        (("acme__Billing",), "acme", ["acme__Billing"]),
        (("Billing", "acme__Billing"), "", ["Billing", "acme__Billing"]),
        (("Billing", "acme__Billing"), "other", ["Billing", "acme__Billing"]),
        (("Billing", "acme__Billing"), "acme", ["Billing"]),
        ((), "", ["acme__Billing"]),
        ((), "acme", ["acme__Billing"]),
        (("Other",), "acme", ["Other", "acme__Billing"]),
        (("billing",), "acme", ["acme__Billing", "billing"]),
    ],
)
def test_a_namespaced_element_joins_the_header_it_means(
    headers: tuple[str, ...], namespace: str, expected: list[str]
) -> None:
    files = settings_only("acme__Billing")
    for header in headers:
        files |= trees.app(header, settings=None, oauth=None, policies=None)
    assert names(files, namespace=namespace) == expected
    (owner,) = (app.name for app in trees.assembled(files, namespace=namespace) if app.settings)
    assert owner == ("Billing" if "acme__Billing" not in expected else "acme__Billing")


def test_the_element_without_the_namespace_never_joins_a_namespaced_header() -> None:
    files = settings_only("Billing") | trees.app("acme__Billing", settings=None, oauth=None, policies=None)
    assert names(files, namespace="acme") == ["Billing", "acme__Billing"]


@given(
    st.lists(st.sampled_from(("A", "a", "AB", "n__A", "m__A", "n__m__A")), unique=True), st.sampled_from(("", "n"))
)
def test_every_file_is_in_one_app_in_any_order(members: list[str], namespace: str) -> None:
    files: trees.Files = {}
    for name in members:
        files |= trees.app(name)
    forward = trees.assembled(files, namespace=namespace)
    assert sorted(file.path for app in forward for file in app.files) == sorted(files)
    assert forward == trees.assembled(dict(reversed(files.items())), namespace=namespace)


LINES = ("https://www.example.com/cb", "http://localhost:1717/OauthRedirect", "mobile://done")


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LINES),
        "\r\n".join(LINES),
        "\r".join(LINES),
        "\n" + "\n\n".join(LINES) + "\n",
        "\n        " + "  \n        ".join(LINES) + "\n    ",
        "\n".join((*LINES, LINES[0])),
    ],
)
def test_a_callback_url_is_a_line_as_written(text: str) -> None:
    assert only(trees.app(settings={"callbackUrl": text})).callback_urls == LINES


def test_callback_lines_written_as_character_references_are_lines() -> None:
    path, xml = next(iter(settings_only("Billing", callbackUrl="LINES").items()))
    assert isinstance(xml, str)
    app = only({path: xml.replace("LINES", "https://a&#13;&#10;https://b&#xd;https://c&amp;d=e")})
    assert app.callback_urls == ("https://a", "https://b", "https://c&d=e")


def test_an_app_without_a_callback_has_none() -> None:
    assert only(trees.app(settings={"callbackUrl": None})).callback_urls == ()
    assert only(trees.app(settings=None)).callback_urls == ()


@pytest.mark.parametrize(
    ("state", "distribution"),
    [
        ("Local", "Local"),
        ("Packaged", "Packaged"),
        ("Managed", "Packaged"),
        ("AutoInstalled", "Packaged"),
        ("SomethingNew", None),
        (None, None),
    ],
)
def test_the_distribution_is_local_packaged_or_unknown(state: str | None, distribution: str | None) -> None:
    assert only(trees.app(header={"distributionState": state})).distribution == distribution


def test_without_a_header_the_distribution_is_unknown() -> None:
    assert only(trees.app(header=None)).distribution is None


def test_credentials_are_the_apps_own_where_there_is_a_settings_file() -> None:
    app = only(trees.app(oauth=LINK))
    assert (app.credentials_of(), app.source_org()) == ("own", None)
    assert app.link_org == "00D000000000001EAA"


L, MADE, T = "00D000000000001EAA", "00D000000000002EAA", "00D000000000003EAA"
OWN: list[tuple[str | None, tuple[str, ...], str, str, bool]] = [
    # the org of orgScopedExternalApp, the targets that are known; whose, why, whether the other cause is said too
    (None, (), "own", project.settings_not_retrieved.name, True),
    (L, (), "own", project.settings_not_retrieved.name, True),
    (L[:15], (), "own", project.settings_not_retrieved.name, True),
    (MADE, (), "sourceOrg", project.settings_in_source_org.name, True),
    (None, (L,), "own", project.settings_not_retrieved.name, False),
    (MADE, (L[:15],), "own", project.settings_not_retrieved.name, False),
    (MADE, (T, L), "own", project.settings_not_retrieved.name, False),
    (None, (T,), "sourceOrg", project.settings_in_source_org.name, False),
    (L, (T,), "sourceOrg", project.settings_in_source_org.name, False),
    (MADE, (MADE,), "sourceOrg", project.settings_in_source_org.name, False),
]


@pytest.mark.parametrize("state", ["Local", "Packaged"])
@pytest.mark.parametrize(("scoped", "targets", "whose", "name", "doubtful"), OWN)
def test_a_link_tells_of_a_source_org_only_where_it_leads_away(
    scoped: str | None, targets: tuple[str, ...], whose: str, name: str, doubtful: bool, state: str
) -> None:
    header = {"distributionState": state, "orgScopedExternalApp": scoped and f"{scoped}:Billing"}
    app = only(trees.app(settings=None, oauth=LINK, header=header))
    assert (app.credentials_of(targets), app.source_org(targets)) == (whose, L if whose == "sourceOrg" else None)
    problem = apps.missing_settings(app, "uat", ("THE_KEY", "THE_SECRET"), targets)
    assert problem.name == name
    assert ("not retrieved or is kept out of git" in problem.message) == (whose == "own")
    assert ("likely linked" in problem.message) == (doubtful and whose == "sourceOrg")
    assert ("is linked" in problem.message) == (doubtful == (whose == "own"))
    said = " ".join(problem.actions)
    for way_out in ("sf project retrieve start", "--credentials-dir", "THE_KEY and THE_SECRET"):
        assert way_out in said


@pytest.mark.parametrize("link", [None, ":888000000000001AAA", " : "])
def test_credentials_are_nobodys_without_settings_or_link(link: str | None) -> None:
    app = only(trees.app(settings=None, oauth={"oauthLink": link}))
    assert (app.credentials_of(), app.source_org(), app.link_org) == ("none", None, None)


def test_a_lent_settings_file_stands_in_for_the_apps_own() -> None:
    lender = only(trees.app(settings={"callbackUrl": "https://lent"}))
    app = replace(only(trees.app(settings=None, oauth=LINK)), borrowed_settings=lender.settings)
    assert app.settings is lender.settings
    assert (app.credentials_of(), app.source_org()) == ("sourceOrg", "00D000000000001EAA")
    assert app.callback_urls == ("https://lent",)


def test_a_lent_settings_file_never_stands_before_the_apps_own() -> None:
    lender = only(trees.app(settings={"callbackUrl": "https://lent"}))
    app = replace(only(trees.app(oauth=LINK)), borrowed_settings=lender.settings)
    assert app.callback_urls == (trees.LOOPBACK,)
    assert app.credentials_of() == "own"


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("false", False), (None, False), ("maybe", False)]
)
def test_a_secret_is_needed_unless_the_file_says_otherwise(text: str | None, value: bool) -> None:
    assert only(trees.app(settings={"isConsumerSecretOptional": text})).secret_optional is value


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("false", False), ("0", False), (None, True), ("maybe", True)]
)
def test_pkce_is_required_unless_the_file_says_otherwise(text: str | None, value: bool) -> None:
    assert only(trees.app(settings={"isPkceRequired": text})).pkce_required is value


def test_without_settings_the_defaults_hold() -> None:
    app = only(trees.app(settings=None))
    assert app.pkce_required
    assert not app.secret_optional


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("Api, Basic", ("Api", "Basic")),
        ("Api,Basic", ("Api", "Basic")),
        (" Api ,\n Basic , ", ("Api", "Basic")),
        ("MadeUp", ("MadeUp",)),
        (None, None),
    ],
)
def test_scope_names_are_listed_as_the_file_names_them(text: str | None, scopes: tuple[str, ...] | None) -> None:
    assert only(trees.app(oauth={"commaSeparatedOauthScopes": text})).scope_names == scopes


def test_without_the_oauth_file_the_scopes_are_unknown() -> None:
    assert only(trees.app(oauth=None)).scope_names is None


SAML: trees.Files = {
    "force-app/saml/Billing.ecaSamlPlcy-meta.xml": trees.xml(
        "ExtlClntAppSamlConfigurablePolicies", {"externalClientApplication": "Billing"}
    )
}


def reason(files: trees.Files, org: str | None = None) -> tuple[str, str]:
    problem = apps.missing_settings(only(files), org, ("THE_KEY", "THE_SECRET"))
    return problem.name, " ".join((problem.message, *problem.actions))


def test_a_packaged_app_never_has_settings() -> None:
    assert (
        reason(trees.app(header={"distributionState": "Packaged"}, settings=None))[0]
        == project.settings_not_packaged.name
    )


def test_a_saml_app_needs_none() -> None:
    assert reason(trees.app(settings=None, oauth=None) | SAML)[0] == project.no_oauth_settings.name
    assert reason(trees.app(settings=None) | SAML)[0] == project.settings_not_retrieved.name


def test_any_other_apps_settings_were_not_retrieved() -> None:
    name, said = reason(trees.app(settings=None), "uat")
    assert name == project.settings_not_retrieved.name
    assert "sf project retrieve start --metadata ExtlClntAppGlobalOauthSettings --target-org uat" in said
    assert "--target-org ALIAS" in reason(trees.app(settings=None))[1]


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://localhost:1717/OauthRedirect", "localhost", 1717),
        ("http://LOCALHOST:1717/", "localhost", 1717),
        ("http://localhost", "localhost", None),
        ("http://127.0.0.1:8080/cb", "127.0.0.1", 8080),
        ("http://[::1]:8080/cb", "::1", 8080),
    ],
)
def test_a_loopback_url_can_be_received_here(url: str, host: str, port: int | None) -> None:
    parts = apps.loopback(url)
    assert parts is not None
    assert (parts.hostname, parts.port) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost:1717/OauthRedirect",
        "http://0.0.0.0:1717/",
        "http://192.168.0.2:1717/",
        "http://localhost.evil.test:1717/",
        "http://localhost@evil.test/",
        "http://127.0.0.2/",
        "http://www.example.com",
        "http://localhost:port/",
        "http://localhost:99999/",
        "http://[::1",
        "mobile://localhost/",
        "localhost:1717",
        "",
    ],
)
def test_any_other_url_is_not_loopback(url: str) -> None:
    assert apps.loopback(url) is None


@given(st.text())
def test_any_text_is_loopback_or_not(url: str) -> None:
    parts = apps.loopback(url)
    assert parts is None or parts.hostname in apps.LOOPBACK


def test_an_app_is_a_value() -> None:
    app = only(trees.app())
    assert app == only(trees.app())
    assert replace(app, name="Other") != app
