"""``app set-secret`` and ``app forget-secret``: a consumer secret that is kept, and where it is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trees
from commandline import Ended, ecapipe, inside, keyring, on_terminal
from fakes.orgs import emulated

SECRET = trees.secret("Robot")


def without_secret(name: str = "Robot", **settings: str | None) -> trees.Files:
    """An app whose settings file lacks the consumer secret."""
    return trees.robot(name, settings={"consumerSecret": None, **settings})


@dataclass(frozen=True)
class Place:
    """A project whose app has lost its secret, its org, and a home where nothing is kept yet."""

    root: Path
    home: Path
    url: str

    def keep(self, *words: str, typed: str = f"{SECRET}\n", **variables: str) -> Ended:
        command = ["app", "set-secret", "Robot", "-d", str(self.root), "--store", "file", *words]
        return ecapipe(*command, at=self.home, typed=typed, **variables)

    def run(self, *words: str, **variables: str) -> Ended:
        command = ["run", "-d", str(self.root), "-o", f"uat={self.url}", "--json", *words]
        return inside(*command, at=self.home, **variables)

    @property
    def written(self) -> str:
        return "".join(path.read_text() for path in self.home.rglob("*.json"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    known = trees.plant(tmp_path_factory.mktemp("org"), trees.project() | trees.robot())
    with emulated(known) as emulator:
        yield emulator.urls["uat"]


@pytest.fixture
def place(tmp_path: Path, url: str) -> Place:
    (tmp_path / "home").mkdir()
    return Place(trees.plant(tmp_path / "project", trees.project() | without_secret()), tmp_path / "home", url)


def source(ended: Ended) -> str | None:
    (app,) = ended.result["apps"]
    found = app["credentials"]["consumerSecret"]["source"]
    assert found is None or isinstance(found, str)
    return found


def test_a_kept_secret_is_used_where_the_file_lacks_it(place: Place) -> None:
    assert place.run().status == 1
    kept = place.keep()
    assert (kept.status, kept.err) == (0, "")
    assert kept.out.splitlines() == [
        f"The consumer secret of Robot (key {trees.key('Robot')[:5]}…{trees.key('Robot')[-4:]}) is stored in "
        f"{place.home}/.local/state/ecapipe/secrets.",
        "The file is not encrypted: anyone who can read your files or a copy can read it.",
        "To remove it: ecapipe app forget-secret Robot",
    ]
    assert SECRET in place.written
    ended = place.run()
    assert (ended.status, source(ended), ended.document["warnings"]) == (0, "keyring", []), (
        "the pair belongs together"
    )
    forgotten = inside("app", "forget-secret", "Robot", at=place.home)
    assert forgotten.status == 0
    assert SECRET not in place.written
    assert place.run().status == 1


def test_other_sources_come_first_and_can_be_left_out(place: Place) -> None:
    place.keep()
    assert source(place.run(ECAPIPE_CLIENT_SECRET_ROBOT=SECRET)) == "environment"
    assert source(place.run("--secret-from", "keyring", ECAPIPE_CLIENT_SECRET_ROBOT="WRONG")) == "keyring"
    without = place.run("--secret-from", "file", "--secret-from", "environment")
    assert (without.status, source(without)) == (1, None)


def test_a_secret_is_only_used_with_the_key_it_was_kept_for(place: Place) -> None:
    place.keep()
    trees.plant(place.root, without_secret(consumerKey=trees.key("Another")))
    ended = place.run()
    assert (ended.status, source(ended)) == (1, None)
    assert ended.result["failures"][0]["name"] == "ConsumerSecretMissing"


def test_checks_and_lists_know_of_it_and_do_not_look(place: Place) -> None:
    def checked() -> list[str]:
        result = inside("app", "check", "-d", str(place.root), "--json", at=place.home).result
        return [finding["rule"] for finding in result["findings"]]

    assert "consumer-secret-missing" in checked()
    place.keep()
    (path,) = place.home.rglob("secrets/*.json")
    path.write_text(path.read_text().replace('"place": "file"', '"place": "keyring"'))
    assert "consumer-secret-missing" not in checked()
    assert "credential-sources-mixed" not in checked()
    listed = inside("app", "list", "-d", str(place.root), "--json", at=place.home)
    assert source(listed) == "keyring"


def test_a_keyring_that_is_not_there_fails_the_app_that_needs_it(place: Place) -> None:
    place.keep()
    (path,) = place.home.rglob("secrets/*.json")
    path.write_text(path.read_text().replace('"place": "file"', '"place": "keyring"'))
    ended = place.run(PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")
    problem = next(stage["problem"] for stage in ended.result["stages"] if stage["stage"] == "check")
    assert (ended.status, problem["name"]) == (1, "KeyringNotFound")


def test_a_keyring_keeps_it_out_of_every_file(place: Place) -> None:
    variables = keyring(place.home.parent / "drawer")
    command = ["app", "set-secret", "Robot", "-d", str(place.root)]
    kept = ecapipe(*command, at=place.home, typed=SECRET, **variables)
    assert (kept.status, "is stored in the keyring (drawer Shared)." in kept.out) == (0, True)
    assert "not encrypted" not in kept.out
    assert SECRET not in place.written
    run = ecapipe("run", "-d", str(place.root), "-o", place.url, "--json", at=place.home, **variables)
    assert (run.status, source(run)) == (0, "keyring")
    assert ecapipe("app", "forget-secret", "Robot", at=place.home, **variables).status == 0
    again = ecapipe("run", "-d", str(place.root), "-o", place.url, "--json", at=place.home, **variables)
    assert again.status == 1


def test_without_a_keyring_the_way_out_is_named_before_anything_is_asked(place: Place) -> None:
    command = ["app", "set-secret", "Robot", "-d", str(place.root)]
    ended = ecapipe(*command, at=place.home, typed=SECRET, PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
    assert (ended.status, "Error (KeyringNotFound)" in ended.err, "--store file" in ended.err) == (1, True, True)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("", "SecretUnusable"),
        ("\n\n", "SecretUnusable"),
        ("${SECRET}", "SecretUnusable"),
        ("changeme", "SecretUnusable"),
        ("two words", "SecretUnusable"),
        ("sécret-made-up", "SecretUnusable"),
        ("esc\x1b[2Jape", "SecretUnusable"),
        (trees.key("Robot"), "SecretUnusable"),
        (f"{SECRET}\n{SECRET}\n", "UsageError"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(place: Place, typed: str, name: str) -> None:
    ended = place.keep(typed=typed)
    assert (ended.status, ended.out) == (2, "")
    assert f"Error ({name}): " in ended.err
    assert SECRET not in ended.err
    assert list(place.home.rglob("secrets/*.json")) == []


def test_a_person_types_it_unseen(place: Place) -> None:
    command = ["app", "set-secret", "Robot", "-d", str(place.root), "--store", "file"]
    with on_terminal(*command, at=place.home) as screen:
        screen.terminal.expect("Consumer secret of Robot")
        screen.terminal.sendline(SECRET)
        ended = screen.end()
    assert (ended.status, "is stored in" in ended.out, SECRET in ended.out) == (0, True, False)
    assert place.run().status == 0


@pytest.mark.parametrize("flag", ["--no-prompt", "--json"])
def test_nobody_is_asked_where_nothing_may_be(place: Place, flag: str) -> None:
    with on_terminal(
        "app", "set-secret", "Robot", "-d", str(place.root), "--store", "file", flag, at=place.home
    ) as it:
        ended = it.end()
    assert ended.status == 2
    assert f"{flag} doesn't prompt" in ended.out


def test_the_app_has_to_be_there_and_to_have_a_key(place: Place) -> None:
    command = ["app", "set-secret", "-d", str(place.root), "--store", "file"]
    mistyped = ecapipe(*command, "Robto", at=place.home, typed=SECRET)
    assert (mistyped.status, 'Did you mean "Robot"?' in mistyped.err) == (2, True)
    trees.plant(place.root, without_secret("Keyless", consumerKey=None))
    keyless = ecapipe(*command, "Keyless", at=place.home, typed=SECRET)
    assert (keyless.status, "Error (ConsumerKeyMissing)" in keyless.err) == (1, True)
    twin = trees.plant(place.home.parent / "twin", trees.project() | without_secret())
    twice = ecapipe(*command, "-d", str(twin), "Robot", at=place.home, typed=SECRET)
    assert (twice.status, "Error (AppInSeveralProjects)" in twice.err) == (2, True)


def test_the_app_may_be_named_with_the_flag_of_all_commands(place: Place) -> None:
    command = ["app", "set-secret", "-d", str(place.root), "--store", "file"]
    assert ecapipe(*command, "--name", "Robot", at=place.home, typed=SECRET).status == 0
    for words in ([], ["-n", "Robot", "-n", "Other"], ["Other", "-n", "Robot"]):
        refused = inside("app", "forget-secret", *words, "--json", at=place.home)
        assert (refused.status, refused.document["name"]) == (2, "UsageError")
    forgotten = inside("app", "forget-secret", "-n", "Robot", "--json", at=place.home)
    assert [each["app"] for each in forgotten.result["secrets"]] == ["Robot"]


def test_a_folder_says_whose_secret_is_to_be_forgotten(place: Place, tmp_path: Path) -> None:
    other = trees.plant(tmp_path / "other", trees.project() | without_secret(consumerKey=trees.key("Other")))
    assert (
        place.keep().status
        == ecapipe(
            "app", "set-secret", "Robot", "-d", str(other), "--store", "file", at=place.home, typed=SECRET
        ).status
        == 0
    )
    forget = ["app", "forget-secret", "Robot", "--json"]
    assert inside(*forget, at=place.home).document["name"] == "SecretsAmbiguous"
    assert inside(*forget, "-d", str(other), at=place.home).status == 0
    assert inside(*forget, "-d", str(other), at=place.home).document["name"] == "SecretNotKept"
    assert inside(*forget, "-d", str(place.root), at=place.home).status == 0


def test_a_secret_that_is_found_elsewhere_first_is_said(place: Place) -> None:
    ended = place.keep(ECAPIPE_CLIENT_SECRET_ROBOT="MADE0UP0SECRET")
    assert (ended.status, "environment also has a consumer secret for Robot" in ended.err) == (0, True)


def test_secrets_of_several_orgs_are_told_apart(place: Place) -> None:
    """The same app name in another org is another app, with another key."""
    place.keep()
    other = {"ECAPIPE_CLIENT_ID_ROBOT_PROD": trees.key("Another"), "ECAPIPE_ALLOWED_HOSTS": "localhost"}
    trees.plant(place.root, trees.project(plugins={"ecapipe": {"orgs": {"prod": {"url": place.url}}}}))
    assert place.keep("-o", "prod", **other).status == 0
    ambiguous = inside("app", "forget-secret", "Robot", at=place.home)
    assert (ambiguous.status, "Error (SecretsAmbiguous)" in ambiguous.err) == (2, True)
    assert "Robot@prod (key 3MVG9" in ambiguous.err
    one = inside("app", "forget-secret", "Robot", "-o", "prod", "--json", at=place.home)
    assert [each["org"] for each in one.result["secrets"]] == ["prod"]
    assert place.run("-n", "Robot").status == 0
    place.keep("-o", "prod", **other)
    every = inside("app", "forget-secret", "Robot", "--all", "--json", at=place.home)
    assert [each["org"] for each in every.result["secrets"]] == [None, "prod"]


def test_nothing_to_forget_says_what_there_is(place: Place) -> None:
    empty = inside("app", "forget-secret", "Robot", at=place.home)
    assert (empty.status, "Error (SecretNotKept)" in empty.err) == (2, True)
    place.keep()
    mistyped = inside("app", "forget-secret", "Robto", at=place.home)
    assert (mistyped.status, 'Did you mean "Robot"?' in mistyped.err) == (2, True)


def test_a_secret_that_others_may_have_read_or_planted_is_not_used(place: Place) -> None:
    place.keep()
    (file,) = place.home.rglob("secrets/*.json")
    for mode in (0o644, 0o620):
        file.chmod(mode)
        ended = place.run()
        assert (ended.status, [each["name"] for each in ended.result["failures"]]) == (1, ["StateFileRefused"])
    file.parent.chmod(0o777)
    file.chmod(0o600)
    ended = place.run()
    assert [each["name"] for each in ended.result["failures"]] == ["StateDirectoryUnusable"]


@pytest.mark.parametrize("content", ["{", '{"version": 3, "members": {"app": "Robot"}}'])
def test_a_record_that_cannot_be_read_is_told_before_the_question_and_can_be_removed(
    place: Place, content: str
) -> None:
    place.keep()
    (file,) = place.home.rglob("secrets/*.json")
    name = "RecordDamaged" if content == "{" else "RecordTooNew"
    for words in (["Robot", "--all"], ["Robot", "-d", str(place.root)], [file.stem]):
        file.write_text(content)
        for refused in (place.keep(), inside("app", "forget-secret", "Robot", at=place.home)):
            assert (refused.status, f"Error ({name})" in refused.err, file.read_text()) == (1, True, content)
        assert f"ecapipe app forget-secret {file.stem}" in refused.err
        gone = inside("app", "forget-secret", *words, at=place.home)
        assert (gone.status, str(file) in gone.err, file.exists()) == (0, True, False), gone


def test_the_emulator_knows_the_kept_secret(place: Place) -> None:
    place.keep()
    ended = inside("run", "-d", str(place.root), "--emulator", "--json", at=place.home)
    assert (ended.status, source(ended)) == (0, "keyring")
