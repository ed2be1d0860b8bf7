"""Key and secret: where they may come from, what counts as one, and what is said when there is none."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack, get_args

import chains
import pytest
import trees
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st
from profiles import NIGHTLY

from ecapipe.adapters import composition
from ecapipe.adapters.composition import SOURCES
from ecapipe.adapters.environment import Environment
from ecapipe.credentials import placeholders, resolution, sources
from ecapipe.credentials.resolution import SWITCH, Credentials, Resolution
from ecapipe.credentials.sources import Field, Scope, SourceName
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org
from ecapipe.problems.credentials import consumer_key_missing, consumer_secret_missing
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import keyring_failed
from ecapipe.problems.usage import ambiguous_variable, unreadable_file
from ecapipe.project import metadata
from ecapipe.project.apps import App, Replaced
from ecapipe.secret import Secret

KEY, SECRET = trees.key("Billing"), trees.secret("Billing")
UAT = selection.choose("uat=acme--uat.sandbox.my.salesforce.com", {}, ())
UNNAMED = replace(UAT, alias=None)
SITE = selection.choose("acme--uat.my.site.com", {}, ())


def app(name: str = "Billing", **changes: Unpack[trees.Changes]) -> App:
    (found,) = trees.assembled(trees.app(name, **changes))
    return found


def replacing(found: App, **values: Replaced) -> App:
    """The app with what replacements make of its settings file."""
    files = (replace(f, replaced=values) if f.type is metadata.SETTINGS else f for f in found.files)
    return replace(found, files=tuple(files))


def given_as(**values: str) -> Callable[[str], Secret | None]:
    """Variables of the environment, without their prefix: ``ID`` and ``SECRET_BILLING``, for instance."""
    return lambda name: Secret(found) if (found := values.get(name.removeprefix("ECAPIPE_CLIENT_"))) else None


class Person:
    """Answers every question with one text, and remembers what was asked."""

    def __init__(self, answer: str | None = "typed") -> None:
        self.answer, self.asked = answer, list[str]()

    def __call__(self, question: str) -> Secret | None:
        self.asked.append(question)
        return Secret(self.answer) if self.answer else None


def resolved(
    found: App,
    org: Org | None = None,
    *,
    ask: Person | None = None,
    secret_from: tuple[str, ...] = (),
    **values: str,
) -> Resolution:
    chain = chains.chain((found,), (org,) if org else (), given_as(**values), ask, secret_from=secret_from)
    return resolution.resolve(found, org, chain, allowed_flows)


def pair(result: Resolution) -> tuple[str, str | None]:
    assert isinstance(result.outcome, Credentials), result.outcome
    secret = result.outcome.consumer_secret
    return result.outcome.consumer_key, secret.reveal() if secret else None


def missing(result: Resolution) -> Problem:
    assert isinstance(result.outcome, Problem)
    assert result.problem is result.outcome
    return result.outcome


# --- the chain ----------------------------------------------------------------------------------------------


def test_a_retrieved_file_is_enough() -> None:
    result = resolved(app())
    assert pair(result) == (KEY, SECRET)
    assert (result.key.in_file, result.key.source, result.key.causes) == ("present", "file", ())
    assert (result.secret.in_file, result.secret.source, result.secret.causes) == ("present", "file", ())
    assert (result.warning, result.problem) == (None, None)


def test_the_environment_comes_before_everything() -> None:
    placed = replacing(app(), consumerKey=Replaced(Secret("put")), consumerSecret=Replaced(Secret("put")))
    person = Person()
    for found in (app(), placed):
        result = resolved(found, ask=person, ID_BILLING="set", SECRET_BILLING="set")
        assert pair(result) == ("set", "set")
        assert (result.key.source, result.secret.source) == ("environment", "environment")
    assert person.asked == []


def test_a_replacement_comes_before_the_file_and_the_prompt() -> None:
    placed = replacing(app(), consumerKey=Replaced(Secret("put")), consumerSecret=Replaced(Secret("put")))
    person = Person()
    result = resolved(placed, ask=person)
    assert pair(result) == ("put", "put")
    assert (result.key.source, result.secret.source) == ("replacement", "replacement")
    assert person.asked == []


def test_the_prompt_comes_last() -> None:
    person = Person()
    result = resolved(app(settings={"consumerKey": None, "consumerSecret": None}), ask=person)
    assert pair(result) == ("typed", "typed")
    assert (result.key.source, result.secret.source) == ("prompt", "prompt")
    assert person.asked == ["Consumer key of Billing: ", "Consumer secret of Billing: "]


def test_a_key_from_elsewhere_with_the_secret_of_the_file_is_a_warning_that_names_both() -> None:
    placed = replacing(app(), consumerKey=Replaced(Secret("put")))
    for result, source in ((resolved(app(), ID_BILLING="set"), "environment"), (resolved(placed), "replacement")):
        assert pair(result)[1] == SECRET
        assert f"key comes from {source}, the consumer secret from file" in (result.warning or "")


def test_the_key_in_the_file_and_the_secret_elsewhere_is_the_usual_case() -> None:
    result = resolved(app(settings={"consumerSecret": None}), SECRET_BILLING="set")
    assert pair(result) == (KEY, "set")
    assert result.warning is None


def test_a_secret_comes_only_from_the_sources_that_were_named() -> None:
    person = Person()
    result = resolved(app(), ask=person, secret_from=("prompt",), SECRET_BILLING="set")
    assert pair(result) == (KEY, "typed")
    assert missing(resolved(app(), secret_from=("environment",))).kind is consumer_secret_missing


WAYS = {
    "environment": "CLIENT_SECRET_BILLING",
    "prompt": "at the prompt",
    "keyring": "in the keyring",
    "file": "retrieve",
}


@pytest.mark.parametrize("sources", [("environment",), ("keyring", "prompt"), ("file",), ("replacement",), ()])
def test_no_advice_names_a_source_that_is_not_asked(sources: tuple[str, ...]) -> None:
    found = app(settings={"consumerSecret": None})
    chain = chains.chain((found,), secret_from=sources, find_saved=lambda key: None)
    problem = missing(resolution.resolve(found, None, chain, allowed_flows))
    advised = {source for source, words in WAYS.items() if any(words in action for action in problem.actions)}
    assert advised == ({*sources} & {*WAYS} if sources else {*WAYS})
    assert ["Or " in action for action in problem.actions] == [False] + [True] * (len(problem.actions) - 1)
    restricted = bool(sources) and "environment" not in sources
    assert ("without --secret-from" in problem.actions[-1]) == restricted


def test_a_variable_of_an_org_is_the_only_way() -> None:
    row = replace(UAT, secret_env="CI_SECRET")
    problem = missing(resolved(app(settings={"consumerSecret": None}), row))
    (action,) = problem.actions
    assert action.startswith("Set CI_SECRET to the consumer secret")


def test_a_placeholder_in_one_variable_leaves_the_next_to_count() -> None:
    result = resolved(app(), UAT, SECRET_BILLING_UAT="${SECRET}", SECRET_BILLING="real1234")
    assert pair(result)[1] == "real1234"
    assert result.warning == "ECAPIPE_CLIENT_SECRET_BILLING_UAT contains a placeholder."


UNUSABLE = {"": "is empty", "  ": "is empty", "$(NAME)": "contains a placeholder", "0" * 64: "contains a placeholder"}


@pytest.mark.parametrize("text", UNUSABLE)
@pytest.mark.parametrize("field", sources.FIELDS)
@pytest.mark.parametrize("scope", [(None, None), ("Billing", None), ("Billing", UAT)])
@pytest.mark.parametrize("as_file", [False, True])
def test_a_variable_that_holds_no_credential_is_named(
    tmp_path: Path, text: str, field: Field, scope: tuple[str | None, Org | None], as_file: bool
) -> None:
    name = place = sources.variable(field, *scope)
    values = {name: text}
    if as_file:
        path = tmp_path / "file"
        path.write_text(text)
        values, place = {f"{name}_FILE": str(path)}, f"The file specified by {name}_FILE"
    sentence = f"{place} {UNUSABLE[text]}."
    for found in (app(), app(settings={field: None})):
        chain = chains.chain((found,), (UAT,), environment=Environment(values))
        result = resolution.resolve(found, UAT, chain, allowed_flows)
        state = result.key if field == "consumerKey" else result.secret
        assert state.causes == (sentence,)
        if state.in_file == "present":
            assert (result.warning, result.faults) == (sentence, (sentence,))
        else:
            assert sentence in missing(result).message
            assert SWITCH not in missing(result).message


def test_a_path_that_is_set_but_empty_is_named_too() -> None:
    chain = chains.chain((app(),), environment=Environment({"ECAPIPE_CLIENT_SECRET_BILLING_FILE": ""}))
    result = resolution.resolve(app(), None, chain, allowed_flows)
    assert result.warning == "ECAPIPE_CLIENT_SECRET_BILLING_FILE is empty."


def test_the_variable_that_an_org_names_is_said_to_be_empty_rather_than_unset() -> None:
    own = replace(UAT, secret_env="UAT_SECRET")
    for values, sentence in (
        ({}, "specified as secretEnv, is not set"),
        ({"UAT_SECRET": ""}, "UAT_SECRET is empty."),
    ):
        chain = chains.chain((app(),), (own,), environment=Environment(values))
        assert sentence in missing(resolution.resolve(app(), own, chain, allowed_flows)).message


@pytest.mark.parametrize("text", ["changeme", "${SECRET}"])
def test_a_placeholder_counts_as_absent_wherever_it_comes_from(text: str) -> None:
    lacking = app(settings={"consumerSecret": None})
    typed = missing(resolved(lacking, ask=Person(text)))
    assert "The value entered at the prompt contains a placeholder." in typed.message
    _, find = kept_for(KEY, text)
    chain = chains.chain((lacking,), find_saved=find)
    kept = missing(resolution.resolve(lacking, None, chain, allowed_flows))
    assert "The store of saved secrets contains a placeholder." in kept.message


# --- the environment ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "name", "org", "variable"),
    [
        ("consumerKey", None, None, "ECAPIPE_CLIENT_ID"),
        ("consumerSecret", None, None, "ECAPIPE_CLIENT_SECRET"),
        ("consumerKey", "Billing", None, "ECAPIPE_CLIENT_ID_BILLING"),
        ("consumerSecret", "Billing_Sync", None, "ECAPIPE_CLIENT_SECRET_BILLING_SYNC"),
        ("consumerSecret", "acme__Billing", UAT, "ECAPIPE_CLIENT_SECRET_ACME__BILLING_UAT"),
        ("consumerSecret", "Billing", replace(UAT, alias="uat-1 (eu)"), "ECAPIPE_CLIENT_SECRET_BILLING_UAT_1__EU_"),
        ("consumerSecret", "Billing", UNNAMED, "ECAPIPE_CLIENT_SECRET_BILLING_ACME__UAT"),
        ("consumerSecret", "Büro", None, "ECAPIPE_CLIENT_SECRET_B_RO"),
        (
            "consumerKey",
            "Billing",
            selection.choose("http://localhost:8080", {}, ()),
            "ECAPIPE_CLIENT_ID_BILLING_LOCALHOST",
        ),
    ],
)
def test_variables_are_named_after_app_and_org(
    field: Field, name: str | None, org: Org | None, variable: str
) -> None:
    assert sources.variable(field, name, org) == variable


@pytest.mark.parametrize(
    ("values", "secret"),
    [
        ({"SECRET_BILLING_UAT": "org", "SECRET_BILLING": "app", "SECRET": "any"}, "org"),
        ({"SECRET_BILLING": "app", "SECRET": "any"}, "app"),
        ({"SECRET": "any"}, "any"),
        ({"SECRET_UAT": "no", "SECRET_BILLING_PROD": "no", "SECRET_PORTAL": "no", "CLIENT_SECRET": "no"}, SECRET),
    ],
)
def test_the_most_particular_variable_counts(values: dict[str, Any], secret: str) -> None:
    assert pair(resolved(app(), UAT, **values))[1] == secret


def test_a_variable_without_an_app_is_read_only_when_there_is_one_app() -> None:
    both = (app("Billing"), app("Portal"))
    chain = chains.chain(both, (UAT,), given_as(ID="any", SECRET="any"))
    assert pair(resolution.resolve(both[0], UAT, chain, allowed_flows)) == (KEY, SECRET)


def test_a_variable_for_one_org_says_nothing_about_another() -> None:
    prod = selection.choose("prod=acme.my.salesforce.com", {}, ())
    found = app(settings={"consumerSecret": None})
    chain = chains.chain((found,), (UAT, prod), given_as(SECRET_BILLING_UAT="uat's"))
    assert pair(resolution.resolve(found, UAT, chain, allowed_flows))[1] == "uat's"
    assert missing(resolution.resolve(found, prod, chain, allowed_flows)).kind is consumer_secret_missing


TWINS = [
    (("Billing", "BILLING"), (), "SECRET_BILLING", ("Billing", "BILLING")),
    (("A_B", "A-B"), (), "ID_A_B", ("A_B", "A-B")),
    (("A", "A_UAT"), (UAT,), "SECRET_A_UAT", ("A@uat", "A_UAT")),
    (("A",), (UAT, replace(UAT, alias="UAT")), "SECRET_A_UAT", ("A@uat", "A@UAT")),
    (("A",), (UAT, replace(UAT, alias="u.t"), replace(UAT, alias="u-t")), "ID_A_U_T", ("A@u.t", "A@u-t")),
    (("A",), (UNNAMED, SITE), "SECRET_A_ACME__UAT", (f"A@{UNNAMED.name}",)),
]


@pytest.mark.parametrize(("names", "orgs", "variable", "subjects"), TWINS)
def test_two_subjects_of_one_variable_are_refused_by_name(
    names: tuple[str, ...], orgs: tuple[Org, ...], variable: str, subjects: tuple[str, ...]
) -> None:
    apps = [app(name) for name in names]
    problem = problem_of(chains.chain, apps, orgs, given_as(**{variable: "whose"}), None)
    assert problem.kind is ambiguous_variable
    assert problem.exit_code == 2
    for said in (f"ECAPIPE_CLIENT_{variable} ", *(f'"{subject}"' for subject in subjects)):
        assert said in problem.message
    assert "whose" not in problem.message


@pytest.mark.parametrize(("names", "orgs", "variable", "subjects"), TWINS)
def test_two_subjects_of_one_variable_are_no_harm_while_it_is_unset(
    names: tuple[str, ...], orgs: tuple[Org, ...], variable: str, subjects: tuple[str, ...]
) -> None:
    apps = [app(name) for name in names]
    chain = chains.chain(apps, orgs, given_as(SECRET_OTHER="unread"))
    assert all(pair(resolution.resolve(found, org, chain, allowed_flows)) for found in apps for org in (None, *orgs))


def test_one_app_in_two_projects_may_share_its_variable() -> None:
    twins = (app(), replace(app(), project="/other"))
    chain = chains.chain(twins, (), given_as(SECRET_BILLING="shared"))
    assert [pair(resolution.resolve(found, None, chain, allowed_flows))[1] for found in twins] == ["shared", "shared"]


def test_each_variable_may_name_a_file_instead(tmp_path: Path) -> None:
    path = tmp_path / "a secret file"
    path.write_text("\ufeff from-a-file \n", encoding="utf-8")
    found = app(settings={"consumerSecret": None})
    for name in ("ECAPIPE_CLIENT_SECRET", "ECAPIPE_CLIENT_SECRET_BILLING", "ECAPIPE_CLIENT_SECRET_BILLING_UAT"):
        variables = Environment({f"{name}_FILE": str(path)}).credential
        result = resolution.resolve(found, UAT, chains.chain((found,), (UAT,), variables), allowed_flows)
        assert pair(result)[1] == "from-a-file"
        assert result.secret.source == "environment"


def test_a_variable_comes_before_the_file_of_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("from-a-file")
    variables = Environment({"ECAPIPE_CLIENT_SECRET": "itself", "ECAPIPE_CLIENT_SECRET_FILE": str(path)}).credential
    assert pair(resolution.resolve(app(), None, chains.chain((app(),), (), variables), allowed_flows))[1] == "itself"


def test_a_file_two_subjects_would_share_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("whose")
    variables = Environment({"ECAPIPE_CLIENT_SECRET_A_B_FILE": str(path)}).credential
    assert problem_of(chains.chain, (app("A_B"), app("A-B")), (), variables, None).kind is ambiguous_variable


FILE_TWIN = "ECAPIPE_CLIENT_SECRET_MY_FILE"


def test_the_variable_of_an_app_is_no_path_of_another_one() -> None:
    my, my_file = app("My"), app("My_FILE")
    environment = Environment({FILE_TWIN: "a-secret-value"})
    chain = chains.chain((my_file,), environment=environment, known=("My", "My_FILE"))
    assert pair(resolution.resolve(my_file, None, chain, allowed_flows))[1] == "a-secret-value"
    chain = chains.chain((my,), environment=environment, known=("My", "My_FILE"))
    assert pair(resolution.resolve(my, None, chain, allowed_flows))[1] == trees.secret("My")


def test_a_variable_that_may_be_a_secret_or_a_path_is_refused_by_both_names(tmp_path: Path) -> None:
    both, path = (app("My"), app("My_FILE")), str(tmp_path / "secret")
    Path(path).write_text("a-secret-value")
    problem = problem_of(partial(chains.chain, both, environment=Environment({FILE_TWIN: path})))
    assert problem.kind is ambiguous_variable
    for said in (FILE_TWIN, '"My_FILE"', '"My (as the path of a file)"'):
        assert said in problem.message
    # With a value of its own, My asks for no file.
    chain = chains.chain(both, environment=Environment({FILE_TWIN: "its", FILE_TWIN.removesuffix("_FILE"): "my"}))
    assert [pair(resolution.resolve(found, None, chain, allowed_flows))[1] for found in both] == ["my", "its"]


def test_a_secret_put_where_a_path_belongs_is_not_repeated() -> None:
    variables = Environment({"ECAPIPE_CLIENT_SECRET_FILE": SECRET}).credential
    chain = chains.chain((app(),), (), variables)
    problem = resolution.resolve(app(), None, chain, allowed_flows).problem
    assert problem is not None
    assert problem.kind is unreadable_file
    assert "ECAPIPE_CLIENT_SECRET_FILE" in problem.message
    assert SECRET not in repr(problem)


# --- the prompt ---------------------------------------------------------------------------------------------


def test_a_person_is_asked_once_per_app_and_field() -> None:
    prod = selection.choose("prod=acme.my.salesforce.com", {}, ())
    lacking = {"consumerSecret": None}
    both = (app("Billing", settings=lacking), app("Portal", settings=lacking))
    person = Person()
    chain = chains.chain(both, (UAT, prod), given_as(), person)
    for found in both:
        for org in (UAT, prod, UAT):
            assert pair(resolution.resolve(found, org, chain, allowed_flows))[1] == "typed"
    assert person.asked == ["Consumer secret of Billing: ", "Consumer secret of Portal: "]


def test_apps_of_one_name_in_two_projects_are_asked_for_separately() -> None:
    lacking = app(settings={"consumerSecret": None})
    twins = (lacking, replace(lacking, project="/other"))
    person = Person()
    chain = chains.chain(twins, (), given_as(), person)
    assert all(pair(resolution.resolve(found, None, chain, allowed_flows)) for found in twins)
    assert len(person.asked) == 2


def test_a_person_who_answers_nothing_is_not_asked_again() -> None:
    person = Person(None)
    found = app(settings={"consumerSecret": None})
    chain = chains.chain((found,), (), given_as(), person)
    for _ in range(3):
        assert missing(resolution.resolve(found, None, chain, allowed_flows)).kind is consumer_secret_missing
    assert len(person.asked) == 1


def test_nobody_is_asked_for_what_a_quiet_chain_lacks() -> None:
    person = Person()
    found = app(settings={"consumerKey": None, "consumerSecret": None})
    chain = chains.chain((found,), (), given_as(), person)
    assert (
        missing(resolution.resolve(found, None, sources.without_questions(chain), allowed_flows)).kind
        is consumer_key_missing
    )
    assert person.asked == []


# --- public clients -----------------------------------------------------------------------------------------

PUBLIC = {"isConsumerSecretOptional": "true"}


def test_a_public_client_needs_no_secret_and_nobody_is_asked_for_one() -> None:
    person = Person()
    result = resolved(app(settings={**PUBLIC, "consumerSecret": None}), ask=person)
    assert pair(result) == (KEY, None)
    assert (result.secret.in_file, result.secret.source, result.secret.causes) == ("absent", None, ())
    assert result.warning is None
    assert person.asked == []


def test_a_public_client_without_a_key_still_asks_for_the_key() -> None:
    person = Person()
    assert pair(resolved(app(settings={**PUBLIC, "consumerKey": None, "consumerSecret": None}), ask=person))
    assert person.asked == ["Consumer key of Billing: "]


# --- what the file holds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["consumerKey", "consumerSecret"])
@pytest.mark.parametrize(
    ("texts", "held"),
    [
        ("A1.b2_C3", "present"),
        (None, "absent"),
        ("", "absent"),
        ("  ", "absent"),
        ("REPLACE_ME", "placeholder"),
        (("one", "two"), "duplicate"),
        (("one", "one"), "duplicate"),
        (("", ""), "duplicate"),
    ],
)
def test_the_evidence_says_what_stands_in_the_file(
    field: Field, texts: str | tuple[str, ...] | None, held: str
) -> None:
    found = app(settings={field: texts})
    assert sources.in_file(found, field) == held
    result = resolved(found)
    evidence = result.key if field == "consumerKey" else result.secret
    assert evidence.in_file == held
    assert evidence.source == ("file" if held == "present" else None)
    assert bool(evidence.causes) == (held != "present")


def test_an_app_without_a_settings_file_has_neither() -> None:
    found = app(settings=None)
    assert sources.in_file(found, "consumerKey") == sources.in_file(found, "consumerSecret") == "absent"
    assert resolution.line(found, "consumerKey") is None


def test_an_element_that_will_be_replaced_is_a_placeholder_whatever_it_looks_like() -> None:
    found = replacing(app(), consumerSecret=Replaced(None, ("ECA_SECRET",)))
    result = resolved(found)
    assert result.secret.in_file == "placeholder"
    assert "ECA_SECRET" in missing(result).message
    # Of a variable that is for programs another reason is told: it may well have a value.
    home = missing(resolved(replacing(app(), consumerSecret=Replaced(None, ("HOME",), reserved=("HOME",))))).message
    assert home.replace("HOME", "ECA_SECRET") != missing(result).message


# --- what is said -------------------------------------------------------------------------------------------


def test_a_missing_key_is_explained_with_its_way_out() -> None:
    problem = missing(resolved(app(settings={"consumerKey": None})))
    assert problem.kind is consumer_key_missing
    assert problem.category == "credentials"
    assert "first deploy" in problem.message
    assert "ECAPIPE_CLIENT_ID_BILLING" in " ".join(problem.actions)
    assert "sf project retrieve start --metadata ExtlClntAppGlobalOauthSettings" in " ".join(problem.actions)
    assert problem.file == "force-app/main/default/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"


def test_a_missing_secret_names_the_switch_and_the_permission() -> None:
    problem = missing(resolved(app(settings={"consumerSecret": None})))
    assert problem.kind is consumer_secret_missing
    assert '"Allow access to External Client App consumer secrets via Metadata API"' in problem.message
    assert '"View External Client Apps Consumer Secrets in Metadata"' in problem.message
    assert "ECAPIPE_CLIENT_SECRET_BILLING" in " ".join(problem.actions)


def test_a_key_is_missed_before_a_secret() -> None:
    assert missing(resolved(app(settings={"consumerKey": None, "consumerSecret": None}))).kind is consumer_key_missing


@pytest.mark.parametrize("field", ["consumerKey", "consumerSecret"])
@pytest.mark.parametrize(("texts", "said"), [("<your value>", "placeholder"), (("one", "two"), "more than one")])
def test_what_stands_in_its_place_is_named_with_its_line(
    field: Field, texts: str | tuple[str, ...], said: str
) -> None:
    found = app(settings={field: texts})
    problem = missing(resolved(found))
    assert said in problem.message
    assert found.settings is not None
    element = found.settings.document.first(field)
    assert element is not None
    assert problem.line == resolution.line(found, field) == element.line


def test_a_missing_secret_names_the_flows_that_need_none() -> None:
    jwt = app(settings={"consumerSecret": None, "certificate": "TUlJRkFLRQ=="})
    assert "jwt" in missing(resolved(jwt)).message
    assert "jwt" not in missing(resolved(app(settings={"consumerSecret": None}))).message


def test_credentials_show_neither_key_nor_secret() -> None:
    result = resolved(app())
    assert repr(result.outcome) == f"Credentials('Billing', '{KEY[:5]}…{KEY[-4:]}')"
    assert SECRET not in repr(result.outcome)


# --- placeholders -------------------------------------------------------------------------------------------

PLACEHOLDERS = """
    REPLACE_ME replace-me ReplaceMe changeme CHANGE_ME CHANGE-ME AUTO_GENERATED autogenerated REDACTED [REDACTED]
    ***REDACTED*** placeholder PLACEHOLDER_KEY dummy TODO tbd none null N/A na secret xxxxxxxxxxxx XXXX x
    YOUR_CONSUMER_KEY your-consumer-secret <consumerKey> <YOUR.KEY> {{SECRET}} prefix{{SECRET}} ${SECRET}
    ${env:SECRET} $SECRET $(SECRET) {env.SECRET} {SECRET} @@SECRET@@ %SECRET% __SECRET__ *** ---- ..... ____ …
    insert_key_here ENTER-KEY paste.here scrubbed_by_ci key-scrubbed redacted-for-git YourSecretHere YOUR_SECRET_1
    @SECRET@ [MASKED] ****f00d undefined FIXME fix-me SET_ME CHANGE_ME_PLEASE SECRET_GOES_HERE client_secret nil
    op://vault/item/secret vault:secret/data#key arn:aws:secretsmanager:eu:1:secret ENC[AES256_GCM,data:q=,iv:q]
    ENC(q83=) {cipher}q83 $ANSIBLE_VAULT;1.1;AES256 %(secret)s %{SECRET} $[SECRET] $<SECRET> #{SECRET}# ((secret))
    @Microsoft.KeyVault(SecretUri=https://x) changeme123 projects/p/secrets/s/versions/1 secretref:name
    0000000000000000000000000000000000000000000000000000000000000000 ffffffffffffffffffffffffffffffffffffffff
""".split()

CREDENTIALS = [
    KEY,
    SECRET,
    SECRET.lower(),
    "1234567890123456789",
    "3MVG9" + "FAKE" * 19 + "FAK.",
    "3MVG9" + "FAKE" * 18 + ".your.12",
    "3MVG9" + "FAKE" * 18 + "_REPLACE",
    "3MVG9SAMPLE.PROJECT.FAKE.KEY.Billing.Sync.0123456789012345678901234567890123456789012",
    "abcdefghij" * 5,
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx",
    "ends.in.a.dot.",
    "Billing_Sync_key",
    "yourself",
    "reinsertion",
    "secretary",
    "secret1",
    "nonesuch",
    "xyz",
    "x0x0x0x0",
    "p@ssw0rd%41$5",
    "a{b}c",
    "0",
]


@pytest.mark.parametrize("text", [*PLACEHOLDERS, "the key goes here", "put\nit here"])
def test_a_placeholder_is_not_taken_for_a_credential(text: str) -> None:
    assert placeholders.is_placeholder(text)
    assert missing(resolved(app(settings={"consumerSecret": text}))).kind is consumer_secret_missing


@pytest.mark.parametrize("text", CREDENTIALS)
def test_a_credential_is_not_taken_for_a_placeholder(text: str) -> None:
    assert not placeholders.is_placeholder(text)
    assert pair(resolved(app(settings={"consumerSecret": text}))) == (KEY, text)


OF_KEYS = string.ascii_letters + string.digits + "._"
WORDS = ("your", "replace", "insert", "enter", "paste", "placeholder", "redacted", "scrubbed", "__", "..")


@given(st.text(OF_KEYS, min_size=80, max_size=80))
def test_a_key_that_salesforce_made_is_never_a_placeholder(rest: str) -> None:
    assert not placeholders.is_placeholder(f"3MVG9{rest}")


@given(st.sampled_from(WORDS), st.integers(0, 64), st.text("._0", min_size=80, max_size=80))
def test_no_word_makes_a_key_that_salesforce_made_a_placeholder(word: str, at: int, rest: str) -> None:
    assert not placeholders.is_placeholder("3MVG9" + (rest[:at] + word + rest[at:])[:80])


LETTERS_AND_DIGITS = string.ascii_letters + string.digits
GENERATED = {
    "key": ("3MVG9", LETTERS_AND_DIGITS + "._", 80),
    "key of another length": ("3MVG9", LETTERS_AND_DIGITS + "._", 60),
    "hexadecimal": ("", "0123456789ABCDEF", 64),
    "small hexadecimal": ("", "0123456789abcdef", 40),
    "digits": ("", string.digits, 19),
    "base64": ("", LETTERS_AND_DIGITS + "+/", 43),
    "base64url": ("", LETTERS_AND_DIGITS + "-_", 22),
    "base32": ("", string.ascii_uppercase + "234567", 32),
}


@pytest.mark.parametrize("form", GENERATED)
def test_nothing_that_a_machine_made_is_a_placeholder(form: str) -> None:
    start, alphabet, length = GENERATED[form]
    # By chance, as a machine makes them: Hypothesis would look for the regular ones, which no machine makes.
    chance = random.Random(None if NIGHTLY else form)
    for _ in range(100_000 if NIGHTLY else 2_000):
        text = start + "".join(chance.choices(alphabet, k=length))
        assert not placeholders.is_placeholder(text), text


@given(st.text())
def test_any_text_is_a_placeholder_or_not(text: str) -> None:
    assert placeholders.is_placeholder(text) in (True, False)
    assert placeholders.is_placeholder(f"{{{{{text}}}}}")


# --- what is kept -------------------------------------------------------------------------------------------


def kept_for(key: str, secret: str = "kept") -> tuple[list[str], Callable[[str], Secret | None]]:
    """The keys that were looked up, and what looks them up."""
    asked: list[str] = []

    def find(wanted: str) -> Secret | None:
        asked.append(wanted)
        return Secret(secret) if wanted == key else None

    return asked, find


def test_a_kept_secret_serves_the_key_it_was_kept_for_and_no_other() -> None:
    found = app(settings={"consumerSecret": None})
    key = found.settings.document.text("consumerKey") if found.settings else None
    asked, find = kept_for(key or "")
    result = resolution.resolve(
        found, UAT, chains.chain((found,), (UAT,), given_as(), find_saved=find), allowed_flows
    )
    assert pair(result) == (key, "kept")
    assert (result.secret.source, result.warning, asked) == ("keyring", None, [key])
    chain = chains.chain((found,), (UAT,), given_as(ID_BILLING_UAT="another"), find_saved=find)
    assert missing(resolution.resolve(found, UAT, chain, allowed_flows)).kind is consumer_secret_missing


def test_what_comes_before_the_keyring_keeps_it_from_being_asked() -> None:
    asked, find = kept_for("any")
    person = Person()
    for found, values in ((app(), {}), (app(settings={"consumerSecret": None}), {"SECRET_BILLING": "given"})):
        chain = chains.chain((found,), (UAT,), given_as(**values), person, find_saved=find)
        resolution.resolve(found, UAT, chain, allowed_flows)
    assert (asked, person.asked) == ([], [])


def test_a_secret_that_no_flow_needs_is_not_looked_for_in_the_keyring() -> None:
    asked, find = kept_for("any")
    found = app(settings={"consumerSecret": None, "isConsumerSecretOptional": "true"})
    resolution.resolve(found, UAT, chains.chain((found,), (UAT,), given_as(), find_saved=find), allowed_flows)
    assert asked == []


def test_a_keyring_that_fails_is_why_there_is_no_secret() -> None:
    def broken(key: str) -> Secret | None:
        raise EcapipeError(keyring_failed("Keyring", "return an entry", "KeyringLocked"))

    found = app(settings={"consumerSecret": None})
    chain = chains.chain((found,), (UAT,), given_as(), find_saved=broken)
    assert missing(resolution.resolve(found, UAT, chain, allowed_flows)).kind is keyring_failed


def test_results_name_the_sources_that_there_are() -> None:
    assert {source.name for source in SOURCES} == set(get_args(SourceName))


def test_a_secret_that_is_held_is_known_without_a_look() -> None:
    found = app(settings={"consumerSecret": None})
    (keyring,) = [source for source in SOURCES if source.name == "keyring"]

    def resolved_with(found: App, *, held: bool) -> Resolution:
        available = (sources.FILE, replace(keyring, holds=lambda world, key: held))
        world = composition.real_world(Environment({}))
        return resolution.resolve(found, None, sources.chain(available, world, Scope((found,))), allowed_flows)

    known = resolved_with(found, held=True)
    assert (known.secret.source, known.secret.causes) == ("keyring", ())
    assert isinstance(known.outcome, Problem)
    assert resolved_with(found, held=False).secret.source is None
    assert resolved_with(app(), held=True).secret.source == "file"
