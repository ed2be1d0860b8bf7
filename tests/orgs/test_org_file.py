"""Batch files: what spreadsheets and scripts write is read, and every mistake is named with its row and column."""

from __future__ import annotations

import csv
import io
import json
import string
from collections.abc import Sequence

import pytest
import trees
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.orgs import org_file, org_rows
from ecapipe.orgs.org_file import COLUMNS, LARGEST, OrgFile
from ecapipe.orgs.org_rows import OrgRow
from ecapipe.problems.orgs import malformed_batch_file

UAT = "https://acme--uat.sandbox.my.salesforce.com"
PROD = "https://acme.my.salesforce.com"


def read(text: str | bytes, file: str = "orgs.csv") -> OrgFile:
    return org_file.parse(text.encode() if isinstance(text, str) else text, file, CHOICES)


def rows(text: str | bytes, file: str = "orgs.csv") -> tuple[OrgRow, ...]:
    """The entries of a file without mistakes."""
    found = read(text, file)
    assert found.mistakes == ()
    return found.entries


def mistakes(text: str | bytes) -> list[str]:
    return [str(mistake) for mistake in read(text).mistakes]


def pairs(entries: Sequence[OrgRow]) -> list[tuple[str | None, str | None]]:
    return [(entry.alias, entry.url) for entry in entries]


# --- CSV ----------------------------------------------------------------------------------------------------

EXPECTED = [("uat", UAT), ("prod", PROD)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_whatever_separates_cells_and_rows(delimiter: str, end: str) -> None:
    lines = (("alias", "url"), ("uat", UAT), ("prod", PROD))
    assert pairs(rows(end.join(delimiter.join(line) for line in lines))) == EXPECTED
    assert pairs(rows("".join(delimiter.join(line) + end for line in lines))) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_read_in_the_encodings_of_spreadsheets(encoding: str) -> None:
    (entry,) = rows(f"alias,url\r\nMünchen,{PROD}\r\n".encode(encoding))
    assert entry.alias == "München"


def test_quotes_enclose_separators_line_breaks_and_themselves() -> None:
    (entry, last) = rows(f'alias,url,apps\n"a ""b"", c",{PROD},"One,\nTwo; Three"\nlast,{UAT},')
    assert entry.alias == 'a "b", c'
    assert entry.apps == ("One", "Two", "Three")
    assert (last.place.label, last.place.line) == ("row 3", 4)


def test_rows_are_counted_as_a_spreadsheet_shows_them() -> None:
    assert [entry.place.label for entry in rows(f"\nalias,url\n\na,{UAT}\n,\nb,{PROD}")] == ["row 4", "row 6"]
    (entry,) = rows(f"sep=;\r\nalias;url\r\na;{UAT}\r\n")
    assert (entry.place.label, entry.place.line) == ("row 2", 3)


def test_empty_rows_and_columns_are_passed_over() -> None:
    assert pairs(rows(f"alias;url;;\nuat;{UAT};;\n;;;\nprod;{PROD};;\n;;;\n\n;;;\n")) == EXPECTED


@pytest.mark.parametrize(
    "header", ["ALIAS,Url,Org Id", "alias, url ,org_id", '"Alias","URL","ORG-ID"', "aLIAS,url,orgID"]
)
def test_names_of_columns_are_forgiven_case_and_spaces(header: str) -> None:
    (entry,) = rows(f"{header}\nuat,{UAT},00D000000000001EAA")
    assert (entry.alias, entry.url, entry.org_id) == ("uat", UAT, "00D000000000001EAA")


def test_columns_may_come_in_any_order_and_cells_in_space() -> None:
    (entry,) = rows(f"url,flow,alias\n {UAT} ,  web,\u00a0uat\t")
    assert (entry.alias, entry.url, entry.flow) == ("uat", UAT, "web")


FULL = {
    "alias": "uat",
    "url": UAT,
    "apps": "One; Two",
    "sourceDir": "retrieved\\uat",
    "flow": "jwt",
    "username": "ann@acme.test",
    "orgId": "00D000000000001",
    "scopes": "api, openid id",
    "secretEnv": "UAT_SECRET",
    "browser": "firefox",
    "callback": "paste",
}


def test_every_column_is_read() -> None:
    assert set(FULL) == set(COLUMNS)
    text = io.StringIO()
    csv.writer(text).writerows([FULL.keys(), FULL.values()])
    (entry,) = rows(text.getvalue(), "lists/orgs.csv")
    assert entry == OrgRow(
        entry.place,
        "uat",
        UAT,
        ("One", "Two"),
        "lists/retrieved/uat",
        "jwt",
        "ann@acme.test",
        "00D000000000001",
        "api openid id",
        "UAT_SECRET",
        "firefox",
        "paste",
    )
    (same,) = rows(json.dumps([FULL]), "lists/orgs.json")
    assert (same.apps, same.source_dir, same.callback) == (entry.apps, entry.source_dir, entry.callback)


@pytest.mark.parametrize("path", ["/retrieved/uat", "C:\\\\retrieved\\\\uat"])
def test_an_absolute_folder_stays_one(path: str) -> None:
    (entry,) = rows(f"url,sourceDir\n{UAT},{path}", "lists/orgs.csv")
    assert entry.source_dir == path.replace("\\", "/")


def test_a_folder_is_read_from_where_the_file_is() -> None:
    for file, expected in (("orgs.csv", "uat"), ("a/b/orgs.csv", "a/b/uat"), ("/a/orgs.csv", "/a/uat")):
        (entry,) = rows(f"url,sourceDir\n{UAT},uat", file)
        assert entry.source_dir == expected


# --- mistakes -----------------------------------------------------------------------------------------------


def test_all_mistakes_are_told_at_once_with_row_and_column() -> None:
    text = f"alias;url;flow;callbak;orgId\nuat;{UAT};wbe;;\n;;;;12\nprod;{PROD};;;;x\n"
    assert mistakes(text) == [
        'row 1, column callbak: is unknown. Did you mean "callback"?',
        'row 2, column flow: must be one of auto, web, client-credentials, jwt. Did you mean "web"?',
        "row 3, column url: is missing, and so is the alias: one of them is required.",
        "row 3, column orgId: must be an org ID: 00D and 12 or 15 more letters and digits.",
        "row 4, column 6: has a value, but no column name in the header.",
    ]
    problem = problem_of(read(text).require)
    assert (problem.kind, problem.exit_code, problem.file, problem.line) == (malformed_batch_file, 2, "orgs.csv", 1)
    for place in ("row 1, column callbak", "row 2, column flow", "row 3, column url", "row 4, column 6"):
        assert place in problem.message
    assert [str(each) for each in read(text).mistakes] == list(problem.actions[:-1])


def test_of_several_files_each_mistake_names_its_own() -> None:
    files = [
        read(f"alias,url\nuat,{UAT}", "a.csv"),
        read(f"alias,url,flow\nprod,{UAT},device", "b.csv"),
        read('[{"alias": "dev"}]', "c.json"),
        read(b"\xff", "d.csv"),
    ]
    problem = problem_of(OrgFile.joined(files).require)
    assert (problem.file, problem.line) == ("b.csv", 2)
    assert "The org files have 2 errors: row 2 of b.csv, column flow; the file d.csv" in problem.message
    one = problem_of(OrgFile.joined(files[:3]).require)
    assert "The org file has an error: row 2 of b.csv, column flow: must be one of" in one.message
    assert [row.place.label for row in OrgFile.joined(files).entries][::2] == [
        "row 2 of a.csv",
        "entry 1 (line 1) of c.json",
    ]


def test_a_single_mistake_is_the_message() -> None:
    problem = problem_of(read(f"url,flow\n{UAT},device").require)
    assert "row 2, column flow: must be one of auto" in problem.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file: names no org."),
        ("alias,url\n", "the file: names no org."),
        ("[]", "the file: names no org."),
        (f"uat,{UAT}\nprod,{PROD}", "row 1: must list the column names: alias, url, apps,"),
        ("apps,flow\nA,web", "row 1, column url: is missing, and so is the column alias: one of them is required."),
        ("alias,url,URL\n", "row 1, column url: appears twice."),
        ('alias,url\n"a"b,c', "row 2: cannot be read: quotes must enclose a whole cell"),
        ('alias,url\n"a,b', "row 2: cannot be read: quotes"),
        (f"url,username\n{UAT},a\x00b", "row 2, column username: contains invisible characters."),
        (f"url,alias\n{UAT},a\u202eb", "row 2, column alias: contains invisible characters."),
        (f"url,alias\n{UAT},{'a' * 5000}", "row 2, column alias: is longer than 200 characters."),
        (f"url,alias\n{UAT},{'a' * 200_000}", "row 2: has a cell that is too long"),
        (f"url,browser\n{UAT},chrom", 'must be one of chrome, edge, firefox, none. Did you mean "chrome"?'),
        (f"url,callback\n{UAT},pase", 'must be one of auto, listen, paste. Did you mean "paste"?'),
        (f"url,orgId\n{UAT},005000000000001", "row 2, column orgId: must be an org ID"),
        (f"url,secretEnv\n{UAT},MY-SECRET", "row 2, column secretEnv: must be the name of an environment variable"),
        ('{"uat": {}}', "line 1: must start a list of orgs"),
        (f'[{{"url": "{UAT}"}},\n {{"url": "{PROD}",}}]', "line 2: is not valid JSON at column"),
        (f'[{{"url": "{UAT}"}}\n{{}}]', "line 2: must have a comma between two orgs"),
        (f'[{{"url": "{UAT}"}}]\n\n[]', "line 3: must be the end of the file."),
        ("[1,\n[]]", "entry 2 (line 2): must be an object."),
        (f'[{{"url": "{UAT}", "url": "{PROD}"}}]', "entry 1 (line 1), url: appears twice."),
        (f'[{{"url": "{UAT}", "apps": 7}}]', "entry 1 (line 1), apps: must be a string or a list of strings."),
        (f'[{{"url": "{UAT}", "flow": null}}]', "entry 1 (line 1), flow: must be a string."),
        (f'[\n\n{{"url": "{UAT}", "Flow": "web"}}]', 'entry 1 (line 3), Flow: is unknown. Did you mean "flow"?'),
        ("[" * 200_000, "is nested too deeply."),
        ('[{"url": ' + "9" * 5000 + "}]", "contains a number with too many digits."),
        (b"alias,url\nM\xfcnchen,x", 'the file: is not UTF-8 text: save it as "CSV UTF-8".'),
        (b"\xff\xfea", 'the file: is not UTF-8 text: save it as "CSV UTF-8".'),
        (b" " * (LARGEST + 1), "the file: is larger than 4 MiB."),
    ],
)
def test_each_mistake_is_named(text: str | bytes, says: str) -> None:
    assert any(says in mistake for mistake in mistakes(text)), mistakes(text)


@pytest.mark.parametrize("column", ["consumerSecret", "Client Secret", "password", "access_token", "privateKey"])
def test_a_column_for_secrets_is_answered_with_the_way_that_there_is(column: str) -> None:
    (mistake,) = mistakes(f"url,{column}\n{UAT},swordfish")
    assert "set secretEnv to the name of the variable" in mistake


@pytest.mark.parametrize("value", ["0123456789ABCDEF" * 4, "ABCDEF0123456789" * 4, "sword fish", "a=swordfish"])
def test_what_may_be_a_secret_itself_is_not_repeated(value: str) -> None:
    problem = problem_of(read(f"url,secretEnv\n{UAT},{value}").require)
    assert value not in repr(problem)


@pytest.mark.parametrize(
    "value", [trees.secret("One"), "00D000000000001!AQFAKE.token", "5Aep861FAKE.token", trees.key("One")]
)
@pytest.mark.parametrize("column", [each for each in COLUMNS if each != "sourceDir"])
def test_what_has_the_shape_of_a_secret_is_taken_for_nothing_else(column: str, value: str) -> None:
    entry = {"alias": "uat", "url": UAT, column: value}
    problem = problem_of(read(json.dumps([entry])).require)
    assert f", {column}: looks like a secret" in problem.message
    assert value not in repr(problem)


def test_of_a_first_row_that_is_no_header_nothing_is_repeated() -> None:
    problem = problem_of(read(f"\nuat,{UAT},sword-fish-of-uat\nprod,{PROD},x").require)
    assert problem.message.startswith("The org file has an error: row 2: must list the column names")
    assert "sword" not in repr(problem)


def test_no_more_is_read_than_anybody_means() -> None:
    many = "url\n" + f"{UAT}\n" * 10_001
    assert mistakes(many) == ["row 10002: is one too many: a file can list at most 10000 orgs."]
    wrong = read("url,flow\n" + f"{UAT},x\n" * 9_000)
    assert len(wrong.mistakes) <= 1_001
    assert len(problem_of(wrong.require).actions) <= 101
    assert len(mistakes(json.dumps([{f"x{number}": "" for number in range(50_000)}]))) <= 1_001


# --- whatever comes -----------------------------------------------------------------------------------------

WORD = st.text(string.ascii_letters + string.digits + "_é-.", min_size=1, max_size=12)
ENTRIES = st.fixed_dictionaries(
    {"url": st.sampled_from([UAT, PROD])},
    optional={
        "alias": st.text(string.ascii_letters + ' ,;"\n\tü', min_size=1).filter(
            lambda text: text.strip().isprintable()
        ),
        "apps": st.lists(WORD, unique=True).map(";".join),
        "sourceDir": WORD,
        **{name: st.sampled_from(choices) for name, choices in {**org_rows.CHOICES, "flow": CHOICES}.items()},
        "username": WORD,
        "orgId": st.sampled_from(["00D000000000001", "00Dxx0000001gPLEAY"]),
        "scopes": st.lists(WORD).map(" ".join),
        "secretEnv": st.from_regex(r"[A-Z_]{1,20}", fullmatch=True),
    },
)


@given(
    st.lists(ENTRIES, min_size=1, max_size=5),
    st.permutations(COLUMNS),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\r\n", "\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
def test_what_a_spreadsheet_writes_is_read_as_it_was_meant(
    members: list[dict[str, str]], columns: list[str], delimiter: str, end: str, encoding: str, padded: bool
) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(members)
    table = text.getvalue() + (delimiter * 10 + end) * 3 * padded
    found = rows(table.encode(encoding))
    as_json = rows(json.dumps(members))
    assert len(found) == len(as_json) == len(members)
    for entry, other, meant in zip(found, as_json, members, strict=True):
        assert entry.alias == other.alias == (meant.get("alias", "").strip() or None)
        assert entry.apps == other.apps == tuple(part for part in meant.get("apps", "").split(";") if part)
        assert (entry.flow, entry.scopes) == (other.flow, other.scopes)
        assert entry.url == other.url == meant["url"]


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.lists(st.sampled_from([*'[{}],:;"\n\r\t 1', "url", "alias"])).map(lambda parts: "".join(parts).encode())
)
def test_any_bytes_are_orgs_or_mistakes(data: bytes) -> None:
    found = org_file.parse(data, "orgs.csv", CHOICES)
    assert found.entries or found.mistakes
    for mistake in found.mistakes:
        assert str(mistake).isprintable()
    if found.mistakes:
        assert problem_of(found.require).exit_code == 2
