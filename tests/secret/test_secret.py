"""Secrets: no accidental way out, and none by way of what others repeat."""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import json
import logging
import pickle
import re
import string
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from urllib.parse import quote, quote_plus

import pytest
import trees
from disguises import DISGUISES, readings
from hypothesis import given
from hypothesis import strategies as st

from ecapipe import secret
from ecapipe.secret import REDACTED, Secret, redact, redact_answer

VALUE = trees.secret("Billing")


@dataclass(frozen=True)
class Holder:
    secret: Secret


def test_reveal_is_the_way_out() -> None:
    assert Secret(VALUE).reveal() == VALUE


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        format,
        "{}".format,
        "{:>80}".format,
        "{0!r:.3}".format,
        "%s".__mod__,
        "%r".__mod__,
        lambda shown: f"{shown}",
        lambda shown: f"{shown!s:s}",
        lambda shown: repr([shown, {"a": shown}, Holder(shown)]),
        lambda shown: str(ValueError(shown)),
        lambda shown: "".join(traceback.format_exception(ValueError(shown))),
        lambda shown: logging.LogRecord("n", 10, "p", 1, "%s %r", (shown, shown), None).getMessage(),
    ],
)
def test_whatever_shows_it_shows_that_it_is_redacted(show: object) -> None:
    assert callable(show)
    shown = show(Secret(VALUE))
    assert VALUE not in shown
    assert "[RE" in shown


@pytest.mark.parametrize(
    "take",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        vars,
        len,
        iter,
        bytes,
        lambda taken: taken + "",
        lambda taken: "" + taken,
        lambda taken: "".join([taken]),
        lambda taken: taken[0],
        lambda taken: asdict(Holder(taken)),
        lambda taken: pickle.dumps(Holder(taken)),
    ],
)
def test_whatever_would_take_it_away_fails_without_telling(take: object) -> None:
    assert callable(take)
    with pytest.raises(TypeError) as raised:
        take(Secret(VALUE))
    assert VALUE not in str(raised.value)


def test_secrets_are_compared_only_on_purpose() -> None:
    assert Secret(VALUE) != Secret(VALUE)
    assert Secret(VALUE) != VALUE  # type: ignore[comparison-overlap]  # as it should
    assert Secret(VALUE).same(Secret(VALUE))
    assert not Secret(VALUE).same(Secret(VALUE.lower()))
    assert Secret("é").same(Secret("é"))


def test_an_empty_secret_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no secret"):
        Secret("")


# --- redaction ----------------------------------------------------------------------------------------------


def test_a_text_without_secrets_stays_as_it_is() -> None:
    text = "user hasn't approved this consumer: 00D000000000001EAA, 005000000000001AAA, api id"
    assert redact(text) == redact(text, Secret(VALUE)) == redact(text, None, Secret(VALUE)) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (VALUE, "[REDACTED]"),
        (f"a {VALUE} b", "a [REDACTED] b"),
        (f"{VALUE}{VALUE}", "[REDACTED][REDACTED]"),
        (f"a{VALUE[:8]}b", "a[REDACTED]b"),
        (f"a{VALUE[-8:]}b", "a[REDACTED]b"),
        (f"a{VALUE[20:40]}b", "a[REDACTED]b"),
        (f"a {VALUE[:7]} b", f"a {VALUE[:7]} b"),
        (f"{VALUE[:12]} - {VALUE[40:52]}", "[REDACTED] - [REDACTED]"),
        (f"{VALUE[:12]}-{VALUE[12:24]}", "[REDACTED]"),
        (f"a {VALUE[:5]}:{VALUE[5:9]} b", "a [REDACTED] b"),
    ],
)
def test_a_secret_or_eight_characters_of_it_are_struck_out(text: str, left: str) -> None:
    assert redact(text, Secret(VALUE)) == left


def test_a_secret_shorter_than_eight_characters_is_struck_out_whole() -> None:
    assert redact("pin 4711 is wrong", Secret("4711")) == "pin [REDACTED] is wrong"


def test_several_secrets_are_struck_out() -> None:
    other = trees.secret("Portal")
    assert redact(f"{VALUE} and {other}", Secret(other), None, Secret(VALUE)) == "[REDACTED] and [REDACTED]"


def windows(text: str) -> set[str]:
    return {text[at : at + 8] for at in range(len(text) - 7)}


PLAIN = st.text(string.ascii_letters + string.digits + "+/=._~-!", min_size=16, max_size=90)
AROUND = st.text(" :;\"'<>&?#()äöü\n\x1b", max_size=12)


@given(PLAIN, AROUND, AROUND)
def test_no_eight_characters_of_a_secret_survive_in_plain_or_url_encoded_form(
    value: str, before: str, after: str
) -> None:
    for form in (value, quote(value, safe=""), quote_plus(value), value[4:], value[:-4]):
        left = redact(before + form + after, Secret(value))
        assert REDACTED in left
        assert not {part for part in windows(form) if part in left}
        assert left.startswith(before)
        assert left.endswith(after)


@given(PLAIN, AROUND, AROUND)
def test_no_eight_characters_of_a_secret_survive_in_base64(value: str, before: str, after: str) -> None:
    lead = len(before.encode())
    encoded = base64.b64encode((before + value + after).encode()).decode()
    first, last = -(-lead * 4 // 3), (lead + len(value)) * 4 // 3
    own = encoded[first:last]  # the characters that nothing but the secret makes
    left = redact(f"Basic {encoded}", Secret(value))
    assert REDACTED in left
    assert not {part for part in windows(own) if part in left}


@given(st.text(), st.text(min_size=1))
def test_any_text_can_be_redacted_of_any_secret(text: str, value: str) -> None:
    assert value not in redact(text, Secret(value)) or value in REDACTED
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize("value", [VALUE, "aPrx.FAKE/code+of==Billing", "00D000000000001!AQ&FAKE'of\\"])
def test_a_secret_is_struck_out_in_every_disguise(value: str, disguise: Callable[[str], str]) -> None:
    left = redact(f"got {disguise(value)} in vain", Secret(value))
    assert left.startswith("got ")
    assert left.endswith(" in vain")
    assert REDACTED in left
    own = value.partition("!")[2] or value  # what comes before is the id of the org
    read = readings(left.replace(REDACTED, "\n"))
    assert not {part for part in windows(own.lower()) for text in read if part in text}
    assert len(left) < 130, "and little of its form is left"


@given(PLAIN, st.sampled_from(sorted(DISGUISES)), st.sampled_from(sorted(DISGUISES)), st.text("abc \n<>", max_size=9))
def test_a_disguise_in_another_is_seen_through(value: str, inner: str, outer: str, around: str) -> None:
    # What people escape is escaped again; an encoding stands alone.
    nested = all(re.search("plain|quoted|escaped|entities|wide", name) for name in (inner, outer))
    escaped = DISGUISES[outer](DISGUISES[inner](value)) if nested else DISGUISES[inner](value)
    assert secret.repeats(f"{around}{escaped}{around}", Secret(value))
    assert not {part for part in windows(value.lower()) if part in redact(escaped, Secret(value)).lower()}


@pytest.mark.parametrize(
    "text", ["%41" * 70_000, "eyJ" * 70_000, "&amp;" * 40_000, "\\" * 200_000, VALUE[:7] * 30_000, "&#" * 99_999]
)
def test_a_text_of_any_make_is_redacted_in_time(text: str) -> None:
    began = time.process_time()
    redact(text, Secret(VALUE), Secret(trees.secret("Portal")))
    assert time.process_time() - began < 10, "it takes a second or so, and ran for minutes where time grew faster"


@pytest.mark.parametrize("length", range(8, 20))
def test_a_text_repeats_a_secret_from_eight_characters_on(length: int) -> None:
    for start in range(len(VALUE) - length):
        assert secret.repeats(f"an {VALUE[start : start + length]}", Secret(VALUE))
    assert not secret.repeats(f"an {VALUE[:7]} ada@acme.example {VALUE[8:15]}", None, Secret(VALUE))
    assert not secret.repeats("robot@acme.example", Secret("robot"))


@pytest.mark.parametrize(
    "text",
    [
        "00D000000000001!AQEAQFAKE.session_token",
        "00D000000000001EAA!AQEAQFAKE.session_token",
        "5Aep861FAKE_refresh.token",
        "aPrxFAKE.authorization_code==",
        "eyJhbGciOiJSUzI1NiJ9.eyJGQUtFIjoiRkFLRSJ9.FAKEsignature",
        "eyJhbGciOiJSUzI1NiJ9.eyJGQUtFIjoiRkFLRSJ9",
        VALUE,
        VALUE.lower(),
        trees.key("Billing"),
    ],
)
def test_what_has_the_shape_of_a_secret_is_struck_out_unasked(text: str) -> None:
    assert redact(text) == "[REDACTED]"
    assert redact(f"the value ({text} ) is wrong") == "the value ([REDACTED] ) is wrong"


def test_a_password_in_an_address_is_struck_out_unasked() -> None:
    assert redact("use http://ada:swordfish@proxy.example:3128/x") == f"use http://{REDACTED}@proxy.example:3128/x"
    assert redact(harmless := "https://localhost:8443/@a:b ftp://ada@host") == harmless


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "ENCRYPTED "])
def test_a_private_key_is_struck_out_unasked(kind: str) -> None:
    key = f"-----BEGIN {kind}PRIVATE KEY-----\nFAKE+/\nFAKE==\n"
    assert redact(f"not {key}-----END {kind}PRIVATE KEY-----") == f"not {REDACTED}-----END {kind}PRIVATE KEY-----"
    assert redact(f"not {key[:-9]}") == f"not {REDACTED}"


@pytest.mark.parametrize(
    "text",
    [
        "00D000000000001EAA",
        "00DaPrx00000001EAA",
        "5Aep",
        "aPr",
        "eyJ",
        "SurveyJourneyScheduler",
        "KeyJWTBearerFlow",
        "heyJohnathan-Smith@acme.example",
        "DisneyJapan.Marketing.Portal",
        "3MVG9",
        "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA",
        hashlib.sha1(b"a commit", usedforsecurity=False).hexdigest(),
        f"{VALUE}0",
        VALUE[:-1],
    ],
)
def test_what_only_resembles_one_stays(text: str) -> None:
    assert redact(text) == text


# --- masks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("3MVG9abcdefghijklmnop.XYZ1", "3MVG9…XYZ1"),
        ("12345678901234", "12345…1234"),
        ("1234567890123", "[REDACTED]"),
        ("short", "[REDACTED]"),
        ("", "[REDACTED]"),
    ],
)
def test_a_key_shows_its_first_five_and_last_four_characters(key: str, shown: str) -> None:
    assert secret.mask(key) == shown


@given(st.text())
def test_a_mask_never_shows_more_than_nine_characters(key: str) -> None:
    assert secret.mask(key) in (REDACTED, f"{key[:5]}…{key[-4:]}")
    assert len(secret.mask(key)) <= 10


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_what_is_withheld_is_struck_out_of_an_answer_in_every_disguise(disguise: Callable[[str], str]) -> None:
    for number in range(40):
        secret.withhold(Secret(f"{number} of those that an org gave {number}"))
    secret.withhold(Secret("MADEUP+of/the=last$org"))
    left = redact_answer(f"got {disguise('MADEUP+of/the=last$org')} in vain")
    assert REDACTED in left
    assert not {part for part in windows("madeup+of/the=last$org") for text in readings(left) if part in text}


ENCODINGS: list[Callable[[bytes], bytes]] = [
    *(base64.b64encode, base64.urlsafe_b64encode, base64.b16encode),
    *(lambda data: data[::-1], lambda data: gzip.compress(data, mtime=0)),
]


@given(
    st.lists(st.sampled_from(ENCODINGS), min_size=1, max_size=3), st.sampled_from([VALUE, "aPrxFAKE.code/of+it=="])
)
def test_an_encoding_within_another_is_struck_out_of_an_answer(
    inner: list[Callable[[bytes], bytes]], value: str
) -> None:
    data = value.encode()
    for encode in inner:
        data = encode(data)
    encoded = base64.b64encode(data).decode()
    left = redact_answer(f"got {encoded} in vain", Secret(value)).replace(REDACTED, "\n")
    assert len(max(left.split(), key=len)) < 32, left


@pytest.mark.parametrize(
    "text",
    [
        "user hasn't approved this consumer, see https://acme--uat.sandbox.my.salesforce.com/setup",
        "INSUFFICIENT_ACCESS_OR_READONLY: insufficient access rights on cross-reference id: 0053000000ABCDEAAA",
        "The requested resource /services/data/v65.0/apps/oauth/credentials/0xI000000000001EAA does not exist",
        "ErrorId: 1234567890-12345 (-1234567890), request 8f14e45f-ceea-467f-a0e6-1234567890ab",
    ],
)
def test_what_orgs_say_to_help_stays(text: str) -> None:
    assert redact_answer(text, Secret(VALUE)) == text


def test_what_is_withheld_is_struck_out_of_every_text() -> None:
    known = [trees.secret(f"withheld {number}") for number in range(150)]
    for count, value in enumerate(known, 1):
        secret.withhold(Secret(value))
        text = f"a {value} b\n{known[count // 2]}{known[0]}"
        assert secret.without_known(text) == f"a {REDACTED} b\n{REDACTED}{REDACTED}"
    assert secret.without_known(unknown := trees.secret("not withheld")) == unknown


def test_what_people_have_to_see_is_not_struck_out() -> None:
    """A tree may call anything a secret, also a host that secrets are sent to."""
    value = trees.secret("withheld, and known to all")
    secret.withhold(Secret(value))
    assert secret.without_known(f"to {value}.example") == f"to {REDACTED}.example"
    secret.spare(f"{value}.example")
    assert secret.without_known(f"to {value}.example") == f"to {value}.example"


def test_a_document_without_a_secret_is_one() -> None:
    document = {"a": 1, "of": ['a "message": b', {"message": "x", "n": 1}], "number": 1, "none": None}
    for value in ('"message": "x"', '"n": 1', '1,\n  "of"', '": b'):
        secret.withhold(Secret(f"{value:8}"))
    expected = {**document, "of": [f"a {REDACTED}", {"message": "x", "n": 1}]}
    secret.withhold(Secret('"message": b'))
    assert secret.members_without_known(document) == expected
