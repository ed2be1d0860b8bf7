"""Orgs: which addresses secrets may be sent to, and which orgs are meant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.orgs import hosts, org_file, selection
from ecapipe.orgs.org import Address, NamedBy, Org, assertion_audience, duplicate_warnings, same_id
from ecapipe.orgs.org_file import OrgFile
from ecapipe.orgs.selection import OrgSelection, SalesforceCliOrgs
from ecapipe.problems import orgs
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import schema_validation_error
from ecapipe.problems.usage import source_dir_not_found, usage_error
from ecapipe.project import sfdx_project
from ecapipe.project.sfdx_project import Project

UAT = "https://acme--uat.sandbox.my.salesforce.com"
PROD = "https://acme.my.salesforce.com"


def at(text: str, *allowed: str) -> Org:
    """The org of a --target-org value, when none is configured."""
    return selection.choose(text, {}, allowed)


def refusal(text: str, *allowed: str) -> str:
    return problem_of(at, text, *allowed).name


# --- hosts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url", "host"),
    [
        (PROD, PROD, "acme.my.salesforce.com"),
        (f"{PROD}/", PROD, "acme.my.salesforce.com"),
        (f"  {PROD}\n", PROD, "acme.my.salesforce.com"),
        ("acme.my.salesforce.com", PROD, "acme.my.salesforce.com"),
        ("HTTPS://ACME.My.Salesforce.COM", PROD, "acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com.", PROD, "acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com:443", PROD, "acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com:8443", f"{PROD}:8443", "acme.my.salesforce.com:8443"),
        (f"{PROD}/secur/frontdoor.jsp", PROD, "acme.my.salesforce.com"),
        (UAT, UAT, "acme--uat.sandbox.my.salesforce.com"),
        (
            "acme.develop.my.salesforce.com",
            "https://acme.develop.my.salesforce.com",
            "acme.develop.my.salesforce.com",
        ),
        ("https://acme.my.site.com/partners/", "https://acme.my.site.com/partners", "acme.my.site.com"),
        ("https://acme.secure.force.com/p", "https://acme.secure.force.com/p", "acme.secure.force.com"),
        ("acme.cloudforce.com", "https://acme.cloudforce.com", "acme.cloudforce.com"),
        ("acme.my.salesforce.mil", "https://acme.my.salesforce.mil", "acme.my.salesforce.mil"),
        ("acme.crmforce.mil", "https://acme.crmforce.mil", "acme.crmforce.mil"),
        ("acme.my.sfcrmproducts.cn", "https://acme.my.sfcrmproducts.cn", "acme.my.sfcrmproducts.cn"),
        ("http://localhost:1717", "http://localhost:1717", "localhost:1717"),
        ("http://localhost:80/", "http://localhost", "localhost"),
        ("http://127.0.0.1:8080/acme", "http://127.0.0.1:8080/acme", "127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080", "[::1]:8080"),
        ("https://localhost:8443", "https://localhost:8443", "localhost:8443"),
        ("https://[::1]", "https://[::1]", "[::1]"),
        ("localhost:8443", "http://localhost:8443", "localhost:8443"),
        ("LOCALHOST", "http://localhost", "localhost"),
        ("[::1]:8443/acme", "http://[::1]:8443/acme", "[::1]:8443"),
    ],
)
def test_an_accepted_address_has_one_form(text: str, url: str, host: str) -> None:
    assert at(text) == Org(Address(url, host, "user"))


@pytest.mark.parametrize("suffix", hosts.SUFFIXES)
def test_each_of_salesforces_domains_is_accepted_with_what_is_below_it(suffix: str) -> None:
    for host in (suffix, f"acme.{suffix}", f"a.b.{suffix}", f"ACME.{suffix.upper()}"):
        assert hosts.is_salesforce_host(host)
        assert at(f"https://{host}").host == host.lower()


@pytest.mark.parametrize("suffix", [suffix for suffix in hosts.SUFFIXES if suffix != "my.salesforce.com"])
def test_what_only_ends_like_one_of_salesforces_domains_is_refused(suffix: str) -> None:
    for host in (f"evil{suffix}", f"evil-{suffix}", f"acme.{suffix}.evil.test", f"acme.{suffix}x", suffix[1:]):
        assert not hosts.is_salesforce_host(host)
        assert refusal(f"https://{host}") == orgs.refused_host.name


def test_the_accepted_domains_are_those_that_are_promised() -> None:
    promised = "my.salesforce.com salesforce.com force.com my.site.com cloudforce.com salesforce.mil crmforce.mil"
    assert set(hosts.SUFFIXES) == {*promised.split(), "my-salesforce.com", "sfcrmproducts.cn"}


@pytest.mark.parametrize(
    "text",
    [
        "https://evilsalesforce.com",
        "https://acme-my.salesforce.com.evil.test",
        "https://salesforce.com.evil.test",
        "https://acme.my.salesforce.com@evil.test",
        "https://acme.my.salesforce.com:443@evil.test",
        "https://someone@acme.my.salesforce.com",
        "https://someone:password@acme.my.salesforce.com",
        "https://@acme.my.salesforce.com",
        "https://evil.test/acme.my.salesforce.com",
        "https://evil.test?acme.my.salesforce.com",
        "https://evil.test#acme.my.salesforce.com",
        "https://evil.test\\@acme.my.salesforce.com",
        "https://evil.test\\.my.salesforce.com",
        "https://acme.my.salesforce.com\\@evil.test",
        "https://acme.my.salesforce.com%2eevil.test",
        "https://evil.test%00.my.salesforce.com",
        "https://ac\nme.my.salesforce.com",
        "https://ac me.my.salesforce.com",
        "https://acme.my.sаlesforce.com",  # a Cyrillic а
        "https://acme.my.ｓalesforce.com",
        "https://evil.test／.my.salesforce.com",
        "https://evil.test。my.salesforce.com",
        "https://ácme.my.salesforce.com",
        "http://acme.my.salesforce.com",
        "ftp://acme.my.salesforce.com",
        "file://localhost/etc/passwd",
        "javascript://acme.my.salesforce.com",
        "//acme.my.salesforce.com",
        "https://",
        "https://.",
        "https://:443",
        "https:///acme.my.salesforce.com",
        "https://[::1",
        "https://[acme.my.salesforce.com]",
        "https://acme.my.salesforce.com:port",
        "https://acme.my.salesforce.com:99999",
        "https://acme.my.salesforce.com:-1",
        f"{PROD}?startURL=/",
        f"{PROD}/#top",
        "http://0.0.0.0:1717",
        "http://127.0.0.2:1717",
        "http://192.168.0.2:1717",
        "http://[::2]:1717",
        "http://localhost.evil.test",
        "https://169.254.169.254",
        "https://example.com",
        "=https://acme.my.salesforce.com",
        "uat=",
        "=",
    ],
)
def test_any_other_address_is_refused(text: str) -> None:
    problem = problem_of(at, text)
    assert problem.kind is orgs.refused_host
    assert problem.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "https://someone:swordfish@acme.my.salesforce.com",
        "https://someone:swordfish@evil.test",
        "https://someone:swordfish@evil.test:99999",
        "https://someone:sword/swordfish@evil.test",
        "https://someone:sword?swordfish@evil.test",
        "someone:swordfish@evil.test",
        "=https://someone:swordfish@evil.test",
        "https://www.example.com/?code=swordfish",
        "https://www.example.com/#access_token=swordfish",
    ],
)
def test_a_refusal_repeats_no_password_and_no_code(text: str) -> None:
    assert "swordfish" not in repr(problem_of(at, text))


@pytest.mark.parametrize(
    ("host", "instead"),
    [
        ("acme.lightning.force.com", "acme.my.salesforce.com"),
        ("ACME.Lightning.Force.com", "acme.my.salesforce.com"),
        ("acme--uat.sandbox.lightning.force.com", "acme--uat.sandbox.my.salesforce.com"),
        ("acme-dev-ed.develop.lightning.force.com", "acme-dev-ed.develop.my.salesforce.com"),
        ("acme.my.salesforce-setup.com", "acme.my.salesforce.com"),
        ("acme--uat.sandbox.my.salesforce-setup.com", "acme--uat.sandbox.my.salesforce.com"),
        ("acme.lightning.crmforce.mil", "acme.my.salesforce.mil"),
    ],
)
def test_a_lightning_host_is_refused_with_the_right_my_domain(host: str, instead: str) -> None:
    problem = problem_of(at, f"https://{host}/lightning/setup/SetupOneHome/home")
    assert problem.kind is orgs.lightning_domain
    assert problem.exit_code == 2
    assert f"https://{instead} " in problem.actions[0]
    assert at(instead).host == instead


NAMES = st.from_regex(r"[a-z0-9]{1,9}(--[a-z0-9]{1,5})?(\.(sandbox|develop|scratch))?", fullmatch=True)


@given(
    name=NAMES,
    pages=st.sampled_from(
        [
            *("{}--c.vf.force.com", "{}.file.force.com", "{}.lightning.force.com", "{}.my.salesforce-setup.com"),
            *("www.{}.my.salesforce.com", "api.{}.my.salesforce.com"),
        ]
    ),
    allowed=st.booleans(),
)
def test_a_host_of_pages_or_files_is_refused_with_the_my_domain(name: str, pages: str, allowed: bool) -> None:
    label, dot, rest = name.partition(".")
    host = pages.replace("{}--c", f"{label}--c{dot}{rest}").replace("{}", name)
    problem = problem_of(at, f"https://{host}/x", *([host] if allowed else []))
    assert problem.kind in (orgs.refused_host, orgs.lightning_domain)
    assert f"https://{name}.my.salesforce.com " in problem.actions[0]


@pytest.mark.parametrize(
    "host",
    [
        *(
            "api.salesforce.com",
            "eu.api.salesforce.com",
            "www.salesforce.com",
            "www.force.com",
            "vf.force.com",
            "file.force.com",
        ),
        *("lightning.force.com", "WWW.Salesforce.com", "acme.vf.crmforce.mil", "acme.file.crmforce.mil"),
        *(".my.salesforce.com", "acme..my.salesforce.com", "acme.my.salesforce.com..", "..force.com"),
        *("acme.my.salesforce.com:0", "acme.my.salesforce.com:00", "localhost:0", "acme.my-salesforce.com:0"),
    ],
)
def test_no_org_is_at_a_host_without_a_login_a_label_or_a_port(host: str) -> None:
    assert refusal(f"https://{host}") == refusal(host) == orgs.refused_host.name


def escape(text: str, depth: int, upper: bool) -> str:
    for _ in range(depth):
        text = "".join(f"%{ord(letter):02X}" if letter not in "/" else letter for letter in text)
    return text.upper() if upper else text


@given(
    host=st.sampled_from(["acme.my.site.com", "acme.secure.force.com", "acme.force.com", "acme.cloudforce.com"]),
    before=st.sampled_from(["/", "/p", "/p/..", "/s", "//"]),
    split=st.integers(0, 8),
    depth=st.integers(0, 3),
    upper=st.booleans(),
    slash=st.sampled_from(["/", "%2f", "%252F"]),
)
def test_no_spelling_leads_to_services_of_a_site(
    host: str, before: str, split: int, depth: int, upper: bool, slash: str
) -> None:
    word = "services"
    path = f"{before}{slash}{word[:split]}{escape(word[split:], depth, upper)}/apexrest/x"
    assert refusal(f"https://{host}{path}") == orgs.refused_host.name
    assert at(f"https://acme.my.salesforce.com{path}").url == PROD, "the path of a My Domain is dropped"


@pytest.mark.parametrize("page", ["", "/", "/s", "/s/", "/s/login", "/s/login/", "/s/a/s/b"])
@pytest.mark.parametrize("site", ["", "/p", "/p/sales", "/ss"])
def test_the_page_of_a_site_stands_for_the_site(site: str, page: str) -> None:
    assert at(f"https://acme.my.site.com{site}{page}").url == f"https://acme.my.site.com{site}"


@pytest.mark.parametrize(
    ("host", "allowed", "accepted"),
    [
        ("login.acme.test", ("login.acme.test",), True),
        ("LOGIN.acme.test", ("login.ACME.test",), True),
        ("login.acme.test:8443", ("login.acme.test",), True),
        ("login.acme.test", ("other.test", "login.acme.test"), True),
        ("login.acme.test", ("acme.test",), False),
        ("a.login.acme.test", ("login.acme.test",), False),
        ("login.acme.test.evil.test", ("login.acme.test",), False),
        ("login.acme.test", (".acme.test",), False),
        ("login.acme.test", ("*.acme.test",), False),
        ("login.acme.test", ("*",), False),
        ("login.acme.test", ("",), False),
        ("login.acme.test", (), False),
    ],
)
def test_a_host_of_ones_own_is_allowed_exactly(host: str, allowed: tuple[str, ...], accepted: bool) -> None:
    if accepted:
        assert at(f"https://{host}", *allowed).host == host.lower()
    else:
        assert refusal(f"https://{host}", *allowed) == orgs.refused_host.name


def test_an_allowed_host_is_still_https_only() -> None:
    assert refusal("http://login.acme.test", "login.acme.test") == orgs.refused_host.name


@pytest.mark.parametrize("host", ["login.salesforce.com", "test.salesforce.com"])
def test_a_login_host_of_all_orgs_is_accepted_with_a_warning(host: str) -> None:
    warning = at(f"https://{host}").warning
    assert warning is not None
    assert host in warning
    assert "My Domain" in warning


def test_a_my_domain_is_accepted_without_a_warning() -> None:
    assert at(PROD).warning is None


PIECES = (
    *("acme.my.salesforce.com", "salesforce.com", "a.lightning.force.com", "evil.test", "localhost", "443"),
    *("https://", "http://", *"@:/\\?#.%=[] "),
)


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_any_text_is_an_accepted_org_or_a_usage_error(text: str) -> None:
    refused = 2
    try:
        found = at(text)
    except EcapipeError as error:
        refused = error.problem.exit_code
    else:
        scheme, _, rest = found.url.partition("://")
        host = rest.partition("/")[0].partition(":")[0]
        salesforces = f".{host}".endswith(tuple(f".{suffix}" for suffix in hosts.SUFFIXES))
        assert (salesforces and scheme == "https") or host in ("localhost", "127.0.0.1", "[")
    assert refused == 2


# --- names --------------------------------------------------------------------------------------------------


def test_an_org_is_called_by_its_alias_or_else_its_host() -> None:
    assert at(UAT).name == "acme--uat.sandbox.my.salesforce.com"
    assert at(f"uat={UAT}").name == "uat"


def test_variables_call_an_org_by_its_alias_or_else_its_first_label() -> None:
    assert at(UAT).variable_name == "acme--uat"
    assert at("https://acme.my.salesforce.com:8443").variable_name == "acme"
    assert at("http://localhost:1717").variable_name == "localhost"
    assert at(f"uat={UAT}").variable_name == "uat"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("00D000000000001EAA", "00D000000000001EAA", True),
        ("00D000000000001EAA", "00D000000000001", True),
        ("00D000000000001", "00D000000000001EAA", True),
        ("00D000000000001EAA", "00D000000000002EAA", False),
        ("00D00000000000aEAA", "00D00000000000AEAA", False),
    ],
)
def test_an_id_is_the_same_with_and_without_its_last_three_characters(one: str, other: str, same: bool) -> None:
    assert same_id(one, other) is same


# --- --target-org -------------------------------------------------------------------------------------------

KNOWN = {"uat": {"url": UAT, "orgId": "00D000000000001EAA", "username": "ann@acme.test", "scopes": "api"}}


def test_an_alias_means_the_org_that_is_configured() -> None:
    found = selection.choose("uat", KNOWN, ())
    host = "acme--uat.sandbox.my.salesforce.com"
    assert found == Org(Address(UAT, host, "user"), "uat", "00D000000000001EAA", "ann@acme.test", "api")


def test_an_alias_with_a_url_means_that_url() -> None:
    assert selection.choose(f"uat={PROD}", KNOWN, ()) == Org(Address(PROD, "acme.my.salesforce.com", "user"), "uat")
    assert selection.choose("uat=acme.my.salesforce.com", {}, ()) == selection.choose(f"uat={PROD}", {}, ())


def test_the_url_of_an_alias_is_judged_like_any_other() -> None:
    assert refusal("uat=https://evil.test") == orgs.refused_host.name
    assert refusal("uat=https://acme.lightning.force.com") == orgs.lightning_domain.name
    assert at("uat=https://login.acme.test", "login.acme.test").alias == "uat"


@pytest.mark.parametrize("text", ["prod", "UAT", "uat ", "", "my org"])
def test_an_alias_is_matched_exactly(text: str) -> None:
    problem = problem_of(selection.choose, text, KNOWN, ())
    assert problem.kind is orgs.named_org_not_found_error
    assert problem.exit_code == 2


def test_a_mistyped_alias_is_recognised() -> None:
    assert 'Did you mean "uat"?' in problem_of(selection.choose, "uta", KNOWN, ()).actions


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({}, "url is missing"),
        ({"url": ""}, "url is missing"),
        ({"url": 7}, "url must be a string"),
        ({"url": UAT, "orgId": None}, "orgId must be a string"),
        ({"url": UAT, "clientSecret": "x"}, "clientSecret is unknown"),
    ],
)
def test_a_configured_org_of_the_wrong_shape_is_named(members: dict[str, object], says: str) -> None:
    problem = problem_of(selection.choose, "uat", {"uat": members}, ())
    assert problem.kind is schema_validation_error
    assert f"plugins.ecapipe.orgs.uat.{says}" in problem.message


def test_a_configured_org_is_judged_like_any_other() -> None:
    known = {"uat": {"url": "https://evil.test"}}
    assert problem_of(selection.choose, "uat", known, ()).kind is orgs.refused_host
    assert selection.choose("uat", known, ("evil.test",)).host == "evil.test"


# --- which orgs ---------------------------------------------------------------------------------------------


def projects(*, login_url: str | None = None, **urls: str) -> tuple[Project, ...]:
    configured = {alias: {"url": url} for alias, url in urls.items()}
    members = {"packageDirectories": [{"path": "force-app"}], "plugins": {"ecapipe": {"orgs": configured}}}
    return (sfdx_project.parse(json.dumps({**members, "sfdcLoginUrl": login_url}), "/p"),)


def selected(which: OrgSelection, searched: tuple[Project, ...] = ()) -> list[str]:
    return [org.name for org in selection.select(which, searched)]


def test_named_orgs_come_before_everything_in_their_order() -> None:
    which = OrgSelection(names=("prod", "uat", "acme.cloudforce.com"), default="other")
    assert selected(which, projects(uat=UAT, prod=PROD)) == ["prod", "uat", "acme.cloudforce.com"]


def test_an_org_named_twice_is_one_target() -> None:
    assert selected(OrgSelection(names=("uat", "uat", PROD, PROD + "/")), projects(uat=UAT)) == [
        "uat",
        "acme.my.salesforce.com",
    ]


def test_the_default_comes_next() -> None:
    assert selected(OrgSelection(default="prod"), projects(uat=UAT, prod=PROD)) == ["prod"]
    assert selected(OrgSelection(default=PROD), projects(uat=UAT)) == ["acme.my.salesforce.com"]


def test_the_only_configured_org_comes_next() -> None:
    assert selected(OrgSelection(), projects(uat=UAT, login_url=PROD)) == ["uat"]


@pytest.mark.parametrize("url", [PROD, UAT, "https://acme.my.salesforce.mil", "https://acme.my.sfcrmproducts.cn"])
def test_the_login_url_of_the_project_comes_last(url: str) -> None:
    (found,) = selection.select(OrgSelection(), projects(login_url=url))
    assert found.url == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://login.salesforce.com",
        "https://test.salesforce.com",
        "https://login.my.salesforce.com",
        "https://test.my.salesforce.com",
        "https://evil.test",
        "acme.my.salesforce.com",
        "https://[broken",
        "https://evil.test/.my.salesforce.com",
    ],
)
def test_a_login_url_that_is_no_my_domain_chooses_nothing(url: str | None) -> None:
    assert problem_of(selection.select, OrgSelection(), projects(login_url=url)).kind is orgs.no_org_chosen


def test_of_several_configured_orgs_none_is_guessed() -> None:
    problem = problem_of(selection.select, OrgSelection(), projects(uat=UAT, prod=PROD, login_url=PROD))
    assert problem.kind is orgs.no_org_chosen
    assert problem.exit_code == 2
    assert "prod, uat" in problem.message


def test_of_several_login_urls_none_is_guessed() -> None:
    searched = projects(login_url=PROD) + projects(login_url=UAT)
    assert problem_of(selection.select, OrgSelection(), searched).kind is orgs.no_org_chosen
    assert len(selection.select(OrgSelection(), projects(login_url=PROD) * 2)) == 1


def test_an_org_given_outright_comes_before_names() -> None:
    given = Org(Address("http://localhost:1", "localhost:1", "user"), "emulator")
    assert selection.select(OrgSelection(names=("uat",), given=given), projects(uat=UAT)) == (given,)


def test_the_expected_user_is_expected_in_every_org() -> None:
    which = OrgSelection(names=("uat", "prod"), username="ann@acme.test")
    assert {org.username for org in selection.select(which, projects(uat=UAT, prod=PROD))} == {"ann@acme.test"}


def test_hosts_are_allowed_by_the_user_never_by_the_project() -> None:
    searched = projects(mine="https://login.acme.test")
    assert problem_of(selection.select, OrgSelection(), searched).kind is orgs.refused_host
    assert selected(OrgSelection(allowed=("login.acme.test",)), searched) == ["mine"]
    assert selected(replace(OrgSelection(names=("mine",)), allowed=("login.acme.test",)), searched) == ["mine"]


# --- several at once ----------------------------------------------------------------------------------------


def configured(**members: Mapping[str, object]) -> tuple[Project, ...]:
    plugin = {"ecapipe": {"orgs": members}}
    return (sfdx_project.parse(json.dumps({"packageDirectories": [{"path": "force-app"}], "plugins": plugin}), "/p"),)


def listed(text: str) -> OrgFile:
    return org_file.parse(text.encode(), "orgs.csv", CHOICES)


def test_names_the_file_and_every_configured_org_add_up() -> None:
    which = OrgSelection(names=("prod",), batch=listed(f"alias,url\nuat,{UAT}"), every=True)
    other = "https://other.my.salesforce.com"
    assert selected(which, projects(prod=PROD, other=other)) == ["prod", "uat", "other"]
    assert selected(OrgSelection(every=True), projects(prod=PROD, other=other)) == ["prod", "other"]


def test_nothing_configured_is_nothing_chosen_by_all_orgs() -> None:
    assert problem_of(selection.select, OrgSelection(every=True), projects(login_url=PROD)).kind is orgs.no_org_chosen


@pytest.mark.parametrize("name", ["uat", UAT, f"uat={UAT}", "acme--uat.sandbox.my.salesforce.com"])
def test_an_org_that_is_asked_for_in_two_ways_is_one(name: str) -> None:
    which = OrgSelection(names=(name,), batch=listed(f"alias,url,username\nuat,{UAT},ann@acme.test"), every=True)
    (found,) = selection.select(which, projects(uat=UAT))
    assert (found.name, found.username) == ("uat", "ann@acme.test")


def test_a_row_without_a_url_takes_what_the_project_says_of_its_alias() -> None:
    searched = configured(uat={"url": UAT, "orgId": "00D000000000001EAA", "flow": "web", "apps": ["One", "Two"]})
    (found,) = selection.select(
        OrgSelection(batch=listed("alias,flow,secretEnv\nuat,jwt,X")), searched, flows=CHOICES
    )
    assert (found.url, found.org_id, found.flow) == (UAT, "00D000000000001EAA", "jwt")
    assert (found.apps, found.secret_env) == (("One", "Two"), "X")


def test_a_row_with_a_url_stands_on_its_own() -> None:
    searched = configured(uat={"url": PROD, "orgId": "00D000000000001EAA"})
    (found,) = selection.select(OrgSelection(batch=listed(f"alias,url\nuat,{UAT}")), searched)
    assert found == Org(Address(UAT, "acme--uat.sandbox.my.salesforce.com", "user"), "uat")


def test_all_mistakes_of_a_file_are_told_at_once_whoever_finds_them() -> None:
    text = f"alias,url,flow,apps\na,https://evil.test,,\nb,{UAT},wbe,\nc,{UAT},,Billing_Sink\nuta,,,\n"

    def apps_in(_: str | None) -> frozenset[str]:
        return frozenset({"Billing_Sync"})

    problem = problem_of(selection.select, OrgSelection(batch=listed(text)), projects(uat=UAT), None, apps_in)
    assert (problem.kind, problem.exit_code, problem.line) == (orgs.malformed_batch_file, 2, 2)
    for place in ("row 2, column url", "row 3, column flow", "row 4, column apps", "row 5, column alias"):
        assert place in problem.message
    said = " ".join(problem.actions)
    assert 'Did you mean "Billing_Sync"?' in said
    assert 'Did you mean "uat"?' in said
    assert "does not belong to Salesforce" in said


def test_a_tree_that_cannot_be_used_is_a_mistake_of_its_row() -> None:
    def apps_in(source_dir: str | None) -> frozenset[str]:
        raise EcapipeError(source_dir_not_found(source_dir or "", "sourceDir"))

    which = OrgSelection(batch=listed(f"alias,url,sourceDir\na,{UAT},gone\n"))
    problem = problem_of(selection.select, which, (), None, apps_in)
    assert 'row 2, column sourceDir: cannot be used: The path "gone"' in problem.message


def test_an_alias_with_the_shape_of_a_secret_is_not_repeated() -> None:
    alias = "AB12" * 16
    problem = problem_of(selection.select, OrgSelection(every=True), configured(**{alias: {"url": UAT}}))
    assert "plugins.ecapipe.orgs.[REDACTED] looks like a secret" in problem.message
    assert alias not in repr(problem)


def test_all_mistakes_of_configured_orgs_are_told_at_once() -> None:
    searched = configured(
        a={"url": UAT, "flow": "wbe"}, b={"orgId": "12", "alias": "c"}, c={"url": "https://evil.test"}
    )
    problem = problem_of(selection.select, OrgSelection(every=True), searched)
    assert (problem.kind, problem.exit_code) == (schema_validation_error, 2)
    for place in ("a.flow must", "b.orgId must", "b.alias is not", "b.url is missing", "c.url cannot be used"):
        assert f"plugins.ecapipe.orgs.{place}" in problem.message
    assert selected(OrgSelection(names=("d=acme.cloudforce.com",)), searched) == ["d"]


@pytest.mark.parametrize("folder", ["../elsewhere", "/etc", "C:\\orgs", "a/../../b"])
def test_the_tree_of_a_configured_org_lies_within_the_project(folder: str) -> None:
    problem = problem_of(selection.choose, "uat", {"uat": {"url": UAT, "sourceDir": folder}}, ())
    assert "plugins.ecapipe.orgs.uat.sourceDir must be a path inside the project" in problem.message


def test_the_tree_of_a_configured_org_is_relative_to_the_project() -> None:
    (found,) = selection.select(OrgSelection(), configured(uat={"url": UAT, "sourceDir": "retrieved/uat/"}))
    assert found.source_dir == "/p/retrieved/uat"


def test_rows_of_one_org_may_share_out_its_apps() -> None:
    text = f"alias,url,apps,secretEnv\nuat,{UAT},One,A\nuat,{UAT},Two,B\n"
    assert [org.secret_env for org in selection.select(OrgSelection(batch=listed(text)), ())] == ["A", "B"]


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (f"uat,{UAT},One,B", "row 3, column alias: configures uat for apps that row 2 already configures."),
        (f"uat,{UAT},,B", "row 3, column alias: configures uat for apps that row 2 already configures."),
        (f"uat,{PROD},Two,B", 'row 3, column alias: the name "uat" is already used for another org in row 2.'),
    ],
)
def test_no_app_in_an_org_is_described_in_two_ways(second: str, says: str) -> None:
    which = OrgSelection(batch=listed(f"alias,url,apps,secretEnv\nuat,{UAT},One,A\n{second}\n"))
    assert says in problem_of(selection.select, which, ()).message


def test_the_same_row_twice_is_one() -> None:
    assert selected(OrgSelection(batch=listed(f"alias,url\nuat,{UAT}\nuat,{UAT}/\n"))) == ["uat"]


def test_two_orgs_are_not_called_the_same() -> None:
    for names in ((f"uat={UAT}", f"uat={PROD}"), ("https://acme.my.site.com/a", "https://acme.my.site.com/b")):
        problem = problem_of(selection.select, OrgSelection(names=names), ())
        assert (problem.kind, problem.exit_code) == (orgs.org_name_ambiguous, 2)


# --- orgs that the Salesforce CLI knows ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Login:
    aliases: tuple[str, ...]
    username: str
    org_id: str = "00D000000000007EAA"
    instance_url: str = UAT
    named_by: NamedBy = "salesforceCli"


class Cli:
    """A Salesforce CLI that counts how often it is asked."""

    def __init__(self, *logins: Login, default: str | None = None, by: NamedBy = "salesforceCli") -> None:
        self.logins, self.default, self.by, self.asked = logins, default, by, 0

    @property
    def elsewhere(self) -> SalesforceCliOrgs:
        return SalesforceCliOrgs(self.tell, lambda: (self.default, self.by) if self.default else None)

    def tell(self) -> Sequence[Login]:
        self.asked += 1
        return self.logins


def test_an_alias_of_the_salesforce_cli_brings_its_org_id() -> None:
    cli = Cli(Login(("dev", "acme.dev"), "ann@acme.test"))
    for name in ("dev", "acme.dev"):
        (found,) = selection.select(OrgSelection(names=(name,)), (), cli.elsewhere)
        assert found == Org(Address(UAT, "acme--uat.sandbox.my.salesforce.com", "user"), name, "00D000000000007EAA")


def test_a_username_of_the_salesforce_cli_is_expected_to_sign_in() -> None:
    cli = Cli(Login(("dev",), "ann@acme.test"), Login((), "bob@acme.test"))
    (ann,) = selection.select(OrgSelection(names=("ann@acme.test",)), (), cli.elsewhere)
    assert (ann.alias, ann.username, ann.org_id) == ("dev", "ann@acme.test", "00D000000000007EAA")
    (bob,) = selection.select(OrgSelection(names=("bob@acme.test",)), (), cli.elsewhere)
    assert (bob.alias, bob.username) == (None, "bob@acme.test")


def test_the_salesforce_cli_is_asked_only_for_names_that_nobody_else_knows() -> None:
    cli = Cli(Login(("uat", "dev"), "ann@acme.test"), default="dev")
    for which in (
        OrgSelection(names=("uat", f"x={PROD}", PROD)),
        OrgSelection(default="uat"),
        OrgSelection(every=True),
    ):
        selection.select(which, projects(uat=UAT), cli.elsewhere)
    selection.select(OrgSelection(batch=listed(f"alias,url\ndev,{PROD}")), projects(uat=UAT), cli.elsewhere)
    assert cli.asked == 0
    selection.select(OrgSelection(batch=listed("alias\ndev")), (), cli.elsewhere)
    assert cli.asked == 1


def test_its_target_org_comes_after_the_variable_and_before_the_only_configured_org() -> None:
    cli = Cli(Login(("dev",), "ann@acme.test"), default="dev")
    for which, expected in (
        (OrgSelection(), "dev"),
        (OrgSelection(default="uat"), "uat"),
        (OrgSelection(names=("uat",)), "uat"),
    ):
        assert [org.name for org in selection.select(which, projects(uat=UAT), cli.elsewhere)] == [expected]


def test_a_mistyped_name_is_recognised_among_all_that_are_known() -> None:
    cli = Cli(Login(("integration",), "ann@acme.test"))
    for name, meant in (("intergation", "integration"), ("anne@acme.test", "ann@acme.test"), ("uta", "uat")):
        problem = problem_of(selection.select, OrgSelection(names=(name,)), projects(uat=UAT), cli.elsewhere)
        assert (problem.kind, problem.exit_code) == (orgs.named_org_not_found_error, 2)
        assert f'Did you mean "{meant}"?' in problem.actions


def test_a_salesforce_cli_that_cannot_be_asked_is_said_beside_the_name() -> None:
    def tell() -> Sequence[Login]:
        raise EcapipeError(usage_error("No sf here.", "ecapipe run"))

    problem = problem_of(selection.select, OrgSelection(names=("dev",)), (), SalesforceCliOrgs(tell))
    assert problem.kind is orgs.named_org_not_found_error
    assert "The Salesforce CLI could not be queried: No sf here." in problem.message


def test_a_salesforce_cli_that_fails_is_asked_once_however_many_rows_there_are() -> None:
    asked = []

    def tell() -> Sequence[Login]:
        asked.append(True)
        raise EcapipeError(usage_error("No sf here.", "ecapipe run"))

    which = OrgSelection(batch=listed("alias\na\nb\nc\n"))
    problem = problem_of(selection.select, which, (), SalesforceCliOrgs(tell))
    assert "row 4, column alias" in problem.message
    assert " ".join(problem.actions).count("No sf here.") == 1
    assert problem.actions[0].endswith("The same: row 3, column alias; row 4, column alias.")
    assert len(asked) == 1


def test_an_org_of_the_salesforce_cli_is_judged_like_any_other() -> None:
    cli = Cli(Login(("dev",), "ann@acme.test", instance_url="https://evil.test"))
    assert problem_of(selection.select, OrgSelection(names=("dev",)), (), cli.elsewhere).kind is orgs.refused_host


@given(st.from_regex(r"[a-z0-9_]{1,8}([.-][a-z0-9_]{1,8}){0,3}", fullmatch=True), st.integers(1, 65535))
def test_every_host_of_an_address_can_be_allowed(host: str, port: int) -> None:
    for name in (host, f"{host}:{port}", host.upper(), "::1", f"[::1]:{port}"):
        assert hosts.require_hosts([name], "--allow-host") == (name,)
    for name in ("*", f"*.{host}", f"https://{host}", f"{host}/", f"{host}.", f"{host}:0", f".{host}", f"{host}:*"):
        assert problem_of(hosts.require_hosts, [name], "--allow-host").kind is orgs.invalid_allowed_host


# --- whose word an address is -------------------------------------------------------------------------------

SITE = "https://acme.my.site.com/partners"
STRANGE = [
    *(SITE, "https://evil.my.site.com", "https://evil.my.salesforce-sites.com", "https://evil.secure.force.com/p"),
    *("https://evil.force.com", "https://evil.cloudforce.com", "https://na139.salesforce.com", "evil.crmforce.mil"),
    *("http://localhost:1717", "https://localhost:8443", "http://127.0.0.1:1717", "http://[::1]:1717"),
    *("https://login.acme.test", "https://evil-my.salesforce.com", "https://salesforce.com"),
]
SALESFORCES = [
    *(PROD, UAT, "acme.my-salesforce.com", "acme.my.salesforce.mil", "acme.my.sfcrmproducts.cn"),
    *("https://login.salesforce.com", "https://test.salesforce.com", f"{PROD}:8443"),
]


def by_the_tree(url: str) -> dict[str, tuple[OrgSelection, tuple[Project, ...], SalesforceCliOrgs]]:
    """The ways in which files of a tree can name the address of an org."""
    files = SalesforceCliOrgs(file=lambda file: "tree")
    return {
        "an alias of the project": (OrgSelection(names=("prod",)), projects(prod=url), SalesforceCliOrgs()),
        "its alias as the default": (OrgSelection(default="prod"), projects(prod=url), SalesforceCliOrgs()),
        "its only org": (OrgSelection(), projects(prod=url), SalesforceCliOrgs()),
        "all its orgs": (OrgSelection(every=True), projects(prod=url), SalesforceCliOrgs()),
        "the url in its file": (OrgSelection(batch=listed(f"alias,url\nprod,{url}")), (), files),
        "the bare url in its file": (OrgSelection(batch=listed(f"url\n{url}")), (), files),
        "an alias of its file": (OrgSelection(names=("prod",), batch=listed(f"alias,url\nprod,{url}")), (), files),
        "an address as alias in its file": (OrgSelection(batch=listed(f"alias\nprod={url}")), (), files),
        "a row that takes it from the project": (
            OrgSelection(batch=listed("alias\nprod")),
            projects(prod=url),
            files,
        ),
        "the same in a file of the user": (
            *(OrgSelection(batch=listed("alias\nprod")), projects(prod=url)),
            SalesforceCliOrgs(file=lambda file: "user"),
        ),
        "its target-org": (OrgSelection(), (), Cli(default=url, by="tree").elsewhere),
        "its target-org with an alias": (OrgSelection(), (), Cli(default=f"prod={url}", by="tree").elsewhere),
        "its target-org, the alias of the project": (
            OrgSelection(),
            projects(prod=url),
            Cli(default="prod").elsewhere,
        ),
    }


def by_the_user(url: str) -> dict[str, tuple[OrgSelection, tuple[Project, ...], SalesforceCliOrgs]]:
    """The ways in which a user can."""
    files = SalesforceCliOrgs(file=lambda file: "user")
    return {
        "the address": (OrgSelection(names=(url,)), (), SalesforceCliOrgs()),
        "an alias with the address": (OrgSelection(names=(f"prod={url}",)), projects(prod=UAT), SalesforceCliOrgs()),
        "the variable": (OrgSelection(default=url), projects(prod=UAT), SalesforceCliOrgs()),
        "a file of the user": (OrgSelection(batch=listed(f"alias,url\nprod,{url}")), projects(prod=UAT), files),
        "an address as alias there": (OrgSelection(batch=listed(f"alias\nprod={url}")), (), files),
        "the address, and the project as well": (
            OrgSelection(names=("prod", url)),
            projects(prod=url),
            SalesforceCliOrgs(),
        ),
        "the project, and a file as well": (
            *(OrgSelection(names=("other",), batch=listed(f"alias,url\nprod,{url}")), projects(other=url)),
            files,
        ),
    }


WAYS_OF_A_TREE, WAYS_OF_A_USER = tuple(by_the_tree("")), tuple(by_the_user(""))


@pytest.mark.parametrize("url", STRANGE)
@pytest.mark.parametrize("way", WAYS_OF_A_TREE)
def test_a_tree_alone_names_no_address_but_where_salesforce_alone_answers(way: str, url: str) -> None:
    problem = problem_of(selection.select, *by_the_tree(url)[way])
    assert problem.exit_code == 2
    assert problem.kind in (orgs.refused_host, orgs.malformed_batch_file)
    assert " is refused: " in problem.message


def test_the_way_out_is_to_name_the_host_oneself() -> None:
    problem = problem_of(selection.choose, "prod", {"prod": {"url": SITE}}, ())
    assert (
        f'"{SITE}" is refused: it is not a My Domain of Salesforce, and only files in the repository of the project '
        "specify it" in problem.message
    )
    assert ["--allow-host HOST" in problem.actions[0], "--target-org ALIAS=URL" in problem.actions[1]] == [True, True]
    searched = configured(a={"url": SITE}, b={"url": "http://localhost:1717"})
    assert "--allow-host HOST" in problem_of(selection.select, OrgSelection(every=True), searched).message


@pytest.mark.parametrize("url", SALESFORCES)
@pytest.mark.parametrize("way", WAYS_OF_A_TREE)
def test_a_tree_names_my_domains_and_the_login_hosts(way: str, url: str) -> None:
    (org,) = selection.select(*by_the_tree(url)[way])
    assert org.address.named_by == "tree"


@pytest.mark.parametrize("url", [*SALESFORCES, SITE, "http://localhost:1717", "http://[::1]:1717"])
@pytest.mark.parametrize("way", WAYS_OF_A_USER)
def test_what_the_user_names_is_the_users_whoever_names_it_too(way: str, url: str) -> None:
    found = selection.select(*by_the_user(url)[way])
    assert {(org.url, org.address.named_by) for org in found} == {(at(url).url, "user")}


@pytest.mark.parametrize(
    ("url", "allowed", "accepted"),
    [
        (SITE, "acme.my.site.com", True),
        (SITE, "ACME.my.site.com:443", True),
        (SITE, "acme.my.site.com:8443", False),
        (SITE, "my.site.com", False),
        (SITE, "evil.my.site.com", False),
        ("http://localhost:1717", "localhost", True),
        ("http://localhost:1717", "localhost:1717", True),
        ("http://localhost:1717", "localhost:1718", False),
        ("http://localhost", "localhost:80", True),
        ("http://localhost:1717", "127.0.0.1", False),
        ("http://[::1]:1717", "::1", True),
        ("http://[::1]:1717", "[::1]", True),
        ("http://[::1]:1717", "[::1]:1717", True),
        ("https://login.acme.test:8443", "login.acme.test", True),
        ("https://login.acme.test:8443", "login.acme.test:8443", True),
        ("https://login.acme.test:8443", "login.acme.test:443", False),
    ],
)
@pytest.mark.parametrize("way", WAYS_OF_A_TREE)
def test_a_host_that_the_user_allows_makes_the_word_of_a_tree_usable(
    way: str, url: str, allowed: str, accepted: bool
) -> None:
    which, searched, elsewhere = by_the_tree(url)[way]
    which = replace(which, allowed=("other.test", allowed))
    if accepted:
        (org,) = selection.select(which, searched, elsewhere)
        assert (org.url, org.address.named_by) == (url, "tree"), "the host is the user's word, the address is not"
    else:
        assert problem_of(selection.select, which, searched, elsewhere).kind in (
            orgs.refused_host,
            orgs.malformed_batch_file,
        )


@pytest.mark.parametrize("name", [PROD, "acme.my.salesforce.com", f"prod={PROD}", SITE, "https://acme.my.site.com"])
def test_no_tree_gives_an_address_of_the_user_another_meaning(name: str) -> None:
    evil = "https://evil.my.salesforce.com"
    for url in (evil, "https://login.salesforce.com"):
        problem = problem_of(selection.select, OrgSelection(names=(name,)), configured(**{name: {"url": url}}))
        assert (problem.kind, "is named like the address of another org" in problem.message) == (
            schema_validation_error,
            True,
        )
    rows = OrgSelection(names=(name,), batch=listed(f"alias,url\n{name},{evil}"))
    assert (
        problem_of(selection.select, rows, (), SalesforceCliOrgs(file=lambda file: "tree")).kind
        is orgs.malformed_batch_file
    )
    (org,) = selection.select(rows, (), SalesforceCliOrgs(file=lambda file: "user"))
    assert (org.url, org.address.named_by) == (evil, "user")


@pytest.mark.parametrize("name", ["acme.my.salesforce.com", "ann@acme.com", "localhost", "prod"])
def test_no_tree_calls_an_org_by_several_aliases_or_gives_such_a_name_to_its_default_org(name: str) -> None:
    elsewhere = SalesforceCliOrgs(default=lambda: (f"{name}=evil.my.salesforce.com", "tree"))
    several = problem_of(selection.choose, f"x,{name}", {f"x,{name}": {"url": PROD}}, ())
    assert "contains a comma" in several.message
    if name == "prod":
        (org,) = selection.select(OrgSelection(), (), elsewhere)
        assert (org.alias, org.paired_by) == (name, "tree")
    else:
        problem = problem_of(selection.select, OrgSelection(), (), elsewhere)
        assert (problem.kind, "it is named like " in problem.message) == (orgs.refused_host, True)


@pytest.mark.parametrize(
    "name",
    [
        "http://acme.my.salesforce.com",
        "acme.lightning.force.com",
        "acme.my.salesforce-setup.com",
        "acme.my.salesforce.com?",
        "https://ann@acme.my.salesforce.com",
        "https://acme.my.site.com/services",
        "acme.my.salesforce.com:443x",
        "acme%2emy.salesforce.com",
        "acme_1.my.salesforce.com",
        "ann@acme.com",
        "prod=",
        "v1:prod",
        "localhost",
        "acme.my.salesforce.com",
    ],
)
def test_no_tree_gives_a_meaning_to_what_is_an_address_or_a_username(name: str) -> None:
    evil = {name: {"url": "https://evil.my.salesforce.com"}}
    for problem in (
        problem_of(selection.select, OrgSelection(names=(name,)), configured(**evil)),
        problem_of(selection.choose, name, evil, ()),
    ):
        assert problem.kind is schema_validation_error
        assert " is named like " in problem.message


@pytest.mark.parametrize(
    "name", ["acme.prod", "v1.2", "EU prod", "prod", "acme.my.salesforce.com", f"https://{PROD[8:]}/"]
)
def test_a_tree_may_call_an_org_by_a_name_with_a_dot_or_by_its_own_address(name: str) -> None:
    known = {name: {"url": PROD, "username": "ann@acme.test"}}
    (org,) = selection.select(OrgSelection(every=True), configured(**known))
    assert selection.choose(name, known, ()) == org
    assert (org.url, org.username) == (PROD, "ann@acme.test")


@pytest.mark.parametrize("url", ["https://acme.my.salesforce.com/", "acme.my.salesforce.com", f"{PROD}:443"])
@pytest.mark.parametrize("name", [PROD, "acme.my.salesforce.com", "ACME.my.salesforce.com", f"x={PROD}"])
def test_a_configured_org_is_known_by_its_url_too(name: str, url: str) -> None:
    id, other = "00D000000000001EAA", "00D000000000002EAA"
    known = {"a": {"url": url, "orgId": id, "username": "ann@acme.test", "secretEnv": "S"}, "b": {"url": UAT}}
    for org in (
        selection.choose(name, known, ()),
        *selection.select(OrgSelection(names=(name,)), configured(**known)),
    ):
        assert (org.url, org.org_id, org.username, org.secret_env) == (PROD, id, None, None)
        assert org.alias in (None, "x")
    known["c"] = {"url": PROD, "orgId": id[:15]}
    assert selection.choose(name, known, ()).org_id, "the same id"
    known["c"] = {"url": PROD, "orgId": other}
    assert selection.choose(name, known, ()).org_id is None, "two ids"
    assert selection.choose(UAT, known, ()).org_id is None


def test_a_tree_pairs_its_alias_with_an_address_whoever_gave_that() -> None:
    tree = configured(prod={"url": PROD})
    for which in (
        OrgSelection(names=(PROD,), every=True),
        OrgSelection(names=("prod", PROD)),
        OrgSelection(names=("prod", f"x={PROD}")),
    ):
        org = next(org for org in selection.select(which, tree) if org.alias == "prod")
        assert (org.address.named_by, org.paired_by) == ("user", "tree")
    for which in (
        OrgSelection(names=(f"prod={PROD}",), every=True),
        OrgSelection(batch=listed(f"alias,url\nprod,{PROD}")),
    ):
        (org,) = selection.select(which, tree, SalesforceCliOrgs(file=lambda file: "user"))
        assert (org.address.named_by, org.paired_by) == ("user", "user")
    (org,) = selection.select(
        OrgSelection(batch=listed("alias\nprod")), tree, SalesforceCliOrgs(file=lambda file: "user")
    )
    assert org.paired_by == "tree"


def test_a_default_that_is_not_used_gives_no_address() -> None:
    (org,) = selection.select(OrgSelection(every=True, default=PROD), configured(prod={"url": PROD}))
    assert (org.address.named_by, org.paired_by) == ("tree", "tree")
    (org,) = selection.select(OrgSelection(default=PROD), configured(prod={"url": PROD}))
    assert (org.address.named_by, org.paired_by) == ("user", "user")


def test_another_address_at_a_host_that_the_user_named_is_not_the_users() -> None:
    which = OrgSelection(names=(SITE, "prod"))
    assert [org.url for org in selection.select(which, projects(prod=SITE))] == [SITE]
    assert (
        problem_of(selection.select, which, projects(prod="https://acme.my.site.com/other")).kind is orgs.refused_host
    )


def test_no_login_url_of_a_tree_but_a_my_domain_is_an_org() -> None:
    for url in [*STRANGE, "https://login.salesforce.com"]:
        assert problem_of(selection.select, OrgSelection(), projects(login_url=url)).kind is orgs.no_org_chosen
    (org,) = selection.select(OrgSelection(), projects(login_url=PROD))
    assert org.address.named_by == "tree"


@pytest.mark.parametrize("url", [UAT, SITE])
def test_an_org_of_the_salesforce_cli_is_neither_the_trees_nor_the_users(url: str) -> None:
    cli = Cli(Login(("dev",), "ann@acme.test", instance_url=url), default="dev", by="tree")
    for which in (OrgSelection(names=("dev",)), OrgSelection(), OrgSelection(batch=listed("alias\ndev"))):
        (org,) = selection.select(which, (), cli.elsewhere)
        assert (org.url, org.org_id, org.address.named_by) == (url, "00D000000000007EAA", "salesforceCli")
    # An alias names an org; only a username, or the row itself, says who is to sign in there.
    for rows, user in (("alias\ndev", None), ("alias,username\ndev,bob@acme.test", "bob@acme.test"),
                       ("alias\nann@acme.test", "ann@acme.test")):  # fmt: skip
        (org,) = selection.select(OrgSelection(batch=listed(rows)), (), cli.elsewhere)
        assert org.username == user


@pytest.mark.parametrize(
    "host", ["https://acme.my.site.com", "https://acme.secure.force.com", "http://localhost:1717"]
)
@pytest.mark.parametrize(
    "path",
    [
        *("/services", "/services/", "/services/apexrest/x", "/SERVICES/apexrest/x", "/p/Services/apexrest/x"),
        *("//services/x", "/p/../services/x", "/services;x=1/apexrest/x", "/servicesx", "/%73ervices/apexrest/x"),
        *("/p%2fservices/x", "/serv%69ces/x", "/%2573ervices/x", "/p\\services/x", "/ser\tvices/x"),
    ],
)
def test_no_org_is_below_a_path_where_code_of_a_site_may_answer(host: str, path: str) -> None:
    for allowed in ((), (host.partition("//")[2], "localhost")):
        assert refusal(f"{host}{path}", *allowed) == orgs.refused_host.name
        told = problem_of(selection.choose, "prod", {"prod": {"url": f"{host}{path}"}}, allowed)
        assert told.name == (orgs.refused_host.name if path.isprintable() else schema_validation_error.name)
    cli = Cli(Login(("dev",), "ann@acme.test", instance_url=f"{host}{path}"))
    assert problem_of(selection.select, OrgSelection(names=("dev",)), (), cli.elsewhere).kind is orgs.refused_host


def test_a_page_of_a_my_domain_that_somebody_copied_is_still_its_org() -> None:
    assert at(f"{PROD}/services/oauth2/authorize").url == PROD


@pytest.mark.parametrize(
    "host", ["$(touch x).my.site.com", "a;b.force.com", "a`b`.my.salesforce.com", "a'.force.com"]
)
def test_no_host_has_a_name_that_a_shell_would_read(host: str) -> None:
    assert refusal(f"https://{host}") == orgs.refused_host.name


# --- the same org twice -------------------------------------------------------------------------------------

ORG_ID = "00D000000000001"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"alias,url\na,{UAT}\nb,{UAT}\nc,{PROD}", [f"a, b are the same org: {UAT}."]),
        (f"alias,url,orgId\na,{UAT},{ORG_ID}EAA\nb,{PROD},{ORG_ID}", [f"a, b are the same org: {ORG_ID}."]),
        (f"alias,url,orgId\na,{UAT},{ORG_ID}EAA\nb,{UAT},{ORG_ID}", [f"a, b are the same org: {ORG_ID}."]),
        (f"alias,url,username\na,{UAT},x@y.test\nb,{UAT},", [f"a, b are the same org: {UAT}."]),
        (f"alias,url,username\na,{UAT},x@y.test\nb,{UAT},z@y.test", []),
        (f"alias,url,apps\na,{UAT},One\na,{UAT},Two", []),
        (f"alias,url\na,{UAT}\nb,{PROD}", []),
    ],
)
def test_one_org_under_several_names_is_told(text: str, says: list[str]) -> None:
    assert duplicate_warnings(selection.select(OrgSelection(batch=listed(text)), ())) == says


def test_many_names_of_one_org_are_told_in_one_sentence() -> None:
    text = "alias,url\n" + "".join(f"org{number},{UAT}\n" for number in range(200))
    (sentence,) = duplicate_warnings(selection.select(OrgSelection(batch=listed(text)), ()))
    assert "org9 and 190 more are the same org" in sentence


@pytest.mark.parametrize(
    ("host", "audience"),
    [
        ("acme.my.salesforce.com", "https://login.salesforce.com"),
        ("acme-dev-ed.develop.my.salesforce.com", "https://login.salesforce.com"),
        ("acme.trailblaze.my.salesforce.com", "https://login.salesforce.com"),
        ("na139.salesforce.com", "https://login.salesforce.com"),
        ("login.salesforce.com", "https://login.salesforce.com"),
        ("sandbox.my.salesforce.com", "https://login.salesforce.com"),
        ("acme--uat.sandbox.my.salesforce.com", "https://test.salesforce.com"),
        ("acme--uat.my.salesforce.com", "https://test.salesforce.com"),
        ("acme--uat.cs42.my.salesforce.com", "https://test.salesforce.com"),
        ("cs42.salesforce.com", "https://test.salesforce.com"),
        ("curious-bear-1234.scratch.my.salesforce.com", "https://test.salesforce.com"),
        ("test.salesforce.com", "https://test.salesforce.com"),
        ("acme.my.site.com/partners", "https://acme.my.site.com/partners"),
        ("acme.my.salesforce.mil", "https://acme.my.salesforce.mil"),
        ("acme.my.sfcrmproducts.cn", "https://acme.my.sfcrmproducts.cn"),
        ("https://login.corp.example:8443", "https://login.corp.example:8443"),
        ("http://localhost:7717", "http://localhost:7717"),
    ],
)
def test_the_audience_of_an_assertion_is_the_login_host_of_the_kind_of_org(host: str, audience: str) -> None:
    assert assertion_audience(at(host, "login.corp.example")) == audience


# --- whatever is written ------------------------------------------------------------------------------------

CELLS = st.sampled_from(
    ["", "uat", "prod", UAT, PROD, "evil.test", "A", "A,B", "web", "none", "x/y", ORG_ID, "a@b.test"]
)
ROWS = st.lists(st.dictionaries(st.sampled_from([*org_file.COLUMNS, "other"]), CELLS), max_size=6)


@given(
    ROWS, st.dictionaries(st.sampled_from(["uat", "prod"]), st.dictionaries(st.sampled_from(org_file.COLUMNS), CELLS))
)
def test_whatever_is_written_is_orgs_or_a_problem_with_a_way_out(
    rows: list[dict[str, str]], members: dict[str, dict[str, object]]
) -> None:
    cli = Cli(Login(("uat",), "a@b.test"))
    which = OrgSelection(batch=org_file.parse(json.dumps(rows).encode(), "orgs.json", CHOICES), every=True)
    found: tuple[Org, ...] = ()
    problem = None
    try:
        found = selection.select(which, configured(**members), cli.elsewhere, lambda _: frozenset({"A", "B"}))
    except EcapipeError as error:
        problem = error.problem
    subjects = [(org.name, app) for org in found for app in org.apps or ("A", "B")]
    assert len(subjects) == len(set(subjects)), "an app in an org is one login"
    assert all(org.host.endswith("salesforce.com") for org in found)
    if problem:
        assert problem.kind in (
            orgs.malformed_batch_file,
            schema_validation_error,
            orgs.org_name_ambiguous,
            orgs.refused_host,
        )
        assert problem.actions
    else:
        assert found


@pytest.mark.parametrize(("text", "helps"), [("https://id.example", True), ("http://dev.my.salesforce.com", False)])
def test_allowing_a_host_is_advised_only_where_it_helps(text: str, helps: bool) -> None:
    with pytest.raises(EcapipeError) as raised:
        selection.choose(text, {}, ())
    assert any("--allow-host" in action for action in raised.value.problem.actions) is helps
