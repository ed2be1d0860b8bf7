"""Metadata files: which names are recognised, and what is read from the XML or refused."""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest
import trees
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import malformed_xml, wrong_root
from ecapipe.project import metadata
from ecapipe.project.metadata import Element

ROOT = "ExtlClntAppGlobalOauthSettings"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

TYPES = {
    "eca": ("ExternalClientApplication", "externalClientApps"),
    "ecaGlblOauth": ("ExtlClntAppGlobalOauthSettings", "extlClntAppGlobalOauthSets"),
    "ecaOauth": ("ExtlClntAppOauthSettings", "extlClntAppOauthSettings"),
    "ecaOauthPlcy": ("ExtlClntAppOauthConfigurablePolicies", "extlClntAppOauthPolicies"),
    "ecaOauthSecurity": ("ExtlClntAppOauthSecuritySettings", "extlClntAppOauthSecuritySettings"),
    "ecaPlcy": ("ExtlClntAppConfigurablePolicies", "extlClntAppPolicies"),
    "ecaMobile": ("ExtlClntAppMobileSettings", "extlClntAppMobileSettings"),
    "ecaMobilePlcy": ("ExtlClntAppMobileConfigurablePolicies", "extlClntAppMobilePolicies"),
    "ecaNotifications": ("ExtlClntAppNotificationSettings", "extlClntAppNotifSettings"),
    "ecaPush": ("ExtlClntAppPushSettings", "extlClntAppPushSettings"),
    "ecaPushPlcy": ("ExtlClntAppPushConfigurablePolicies", "extlClntAppPushPolicies"),
    "ecaCanvas": ("ExtlClntAppCanvasSettings", "extlClntAppCanvasSettings"),
    "ecaSamlPlcy": ("ExtlClntAppSamlConfigurablePolicies", "extlClntAppSamlConfigurablePolicies"),
    "ecaSmpl": ("ExtlClntAppSampleSettings", "extlClntAppSampleSettings"),
    "ecaSmplPlcy": ("ExtlClntAppSampleConfigurablePolicies", "extlClntAppSamplePolicies"),
    "ecaAttest": ("ExtlClntAppAttestSettings", "extlClntAppAttestSettings"),
    "ecaAttestPlcy": ("ExtlClntAppAttestConfigurablePolicies", "extlClntAppAttestPolicies"),
}
"""Root and folder of every type by suffix, from the registry of the Salesforce CLI."""


def recognised(filename: str, *, metadata_format: bool = False) -> tuple[str, str] | None:
    found = metadata.recognise(filename, metadata_format=metadata_format)
    return (found[0].name, found[1]) if found else None


@pytest.mark.parametrize("suffix", TYPES)
def test_each_type_is_known_by_its_suffix(suffix: str) -> None:
    root, _ = TYPES[suffix]
    assert recognised(f"Billing.{suffix}-meta.xml") == (root, "Billing")
    assert recognised(f"Billing.{suffix}") is None
    assert recognised(f"Billing.{suffix}", metadata_format=True) == (root, "Billing")
    assert recognised(f"Billing.{suffix}-meta.xml", metadata_format=True) == (root, "Billing")


def test_no_type_is_missing_from_the_table() -> None:
    assert {type.suffix: (type.name, type.folder) for type in metadata.TYPES} == TYPES


@pytest.mark.parametrize("suffix", TYPES)
def test_a_suffix_is_matched_case_exactly_and_as_a_whole(suffix: str) -> None:
    for other in (suffix.lower(), suffix.upper(), suffix.capitalize(), f"x{suffix}", f"{suffix}x"):
        assert recognised(f"Billing.{other}-meta.xml") is None or other in TYPES


@pytest.mark.parametrize(
    "filename",
    [
        "Billing.ecaGlblOauth-meta.xml.bak",
        "Billing.ecaGlblOauth-meta.xml.dup",
        "Billing.ecaGlblOauth-meta.xml~",
        "Billing.ecaGlblOauth-meta.xml ",
        "Billing.ecaGlblOauth-meta.XML",
        "Billing.ecaGlblOauth-Meta.xml",
        "Billing.ecaGlblOauth.xml",
        "Billing.ecaGlblOauth",
        "Billing.ecaGlobalOauth-meta.xml",
        "Billing.ecaglbloauth-meta.xml",
        "Billing.ecaGlblOAuth-meta.xml",
        "BillingecaGlblOauth-meta.xml",
        ".ecaGlblOauth-meta.xml",
        "ecaGlblOauth-meta.xml",
        "-meta.xml",
        "",
        "Billing.connectedApp-meta.xml",
        "InvoiceSelector.cls-meta.xml",
        "README.md",
        ".DS_Store",
    ],
)
def test_any_other_name_is_none_of_ours(filename: str) -> None:
    assert recognised(filename) is None


@pytest.mark.parametrize(
    ("filename", "member"),
    [
        ("A.B_x.ecaGlblOauth-meta.xml", "A.B_x"),
        ("A.ecaOauth.ecaGlblOauth-meta.xml", "A.ecaOauth"),
        ("A-meta.xml.ecaGlblOauth-meta.xml", "A-meta.xml"),
        ("Ünï Cødé.ecaGlblOauth-meta.xml", "Ünï Cødé"),
        ("..ecaGlblOauth-meta.xml", "."),
    ],
)
def test_the_last_dot_parts_name_and_suffix(filename: str, member: str) -> None:
    assert recognised(filename) == (ROOT, member)


@pytest.mark.parametrize(
    ("filename", "meant"),
    [
        ("Billing.ecaGlobalOauth-meta.xml", "Billing.ecaGlblOauth-meta.xml"),
        ("Billing.ecaGloblOauth-meta.xml", "Billing.ecaGlblOauth-meta.xml"),
        ("Billing.ecaglbloauth-meta.xml", "Billing.ecaGlblOauth-meta.xml"),
        ("A.B.ECAPLCY-meta.xml", "A.B.ecaPlcy-meta.xml"),
        ("Billing.ecaGlblOauth-meta.xml", None),
        ("Billing.ecaGlobalOauth", None),
        ("Billing.ecaOauth.xml", "Billing.ecaOauth-meta.xml"),
        ("Billing.ecaOauth-META.XML", "Billing.ecaOauth-meta.xml"),
        ("Billing.connectedApp-meta.xml", None),
        (".ecaGlobalOauth-meta.xml", None),
        ("README.md", None),
        ("", None),
    ],
)
def test_a_misspelt_suffix_is_nearly_one(filename: str, meant: str | None) -> None:
    assert metadata.correct_suffix(filename) == meant


def test_a_misspelt_suffix_in_metadata_format_is_nearly_one_too() -> None:
    assert metadata.correct_suffix("Billing.ecaGlobalOauth", metadata_format=True) == "Billing.ecaGlblOauth"
    assert metadata.correct_suffix("Billing.ecaGlblOauth", metadata_format=True) is None


COMMENTS = st.lists(st.sampled_from(["-", "--", "a", "\n", "<label>no</label>", "<![CDATA[", ">"])).map("".join)


@given(COMMENTS.filter(lambda text: "-->" not in text and not text.endswith("-")), COMMENTS)
def test_comments_are_read_as_the_salesforce_cli_takes_them(comment: str, kept: str) -> None:
    kept = kept.replace("]]>", "")
    inside = f"<label><![CDATA[<!-- {kept}-- -->]]></label>"
    text = f'<!--{comment}--><{ROOT} xmlns="{trees.NAMESPACE}"><!-- {comment}-->\n{inside}\n</{ROOT}><!--{comment}-->'
    (label,) = metadata.parse(text.encode(), metadata.SETTINGS, "a").elements
    assert (label.text, label.line) == (f"<!-- {kept}-- -->", text[: text.index(inside)].count("\n") + 1)


@pytest.mark.parametrize("beginning", ["<!--", "<![CDATA[", "<!-- --"])
def test_comments_without_an_end_take_no_longer(beginning: str) -> None:
    text = beginning * (metadata.LARGEST // len(beginning))
    assert problem_of(metadata.parse, text.encode(), metadata.SETTINGS, "a").kind is malformed_xml


@given(st.text())
def test_a_recognised_name_is_the_member_and_the_ending(text: str) -> None:
    filename = f"{text}.ecaGlblOauth-meta.xml"
    assert recognised(filename) == ((ROOT, text) if text else None)


def settings(inner: str, *, start: str = '<?xml version="1.0" encoding="UTF-8"?>\n') -> str:
    return f'{start}<{ROOT} xmlns="{metadata.NAMESPACE}">{inner}</{ROOT}>'


def read(data: bytes | str) -> metadata.Document:
    return metadata.parse(data.encode() if isinstance(data, str) else data, metadata.SETTINGS, "the/file")


def text_of(data: bytes | str) -> str | None:
    (element,) = read(data).elements
    assert element.name == "consumerKey"
    return element.text


def test_a_retrieved_file_reads_element_by_element_with_lines() -> None:
    document = read(trees.xml(ROOT, {"callbackUrl": "https://a", "consumerKey": "k", "label": "L"}))
    assert document.elements == (
        Element("callbackUrl", "https://a", 3),
        Element("consumerKey", "k", 4),
        Element("label", "L", 5),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + settings("<consumerKey>kéy</consumerKey>").encode(),
        settings("<consumerKey>kéy</consumerKey>", start="").encode(),
        settings("<consumerKey>kéy</consumerKey>", start='<?xml version="1.0" encoding="UTF-16"?>').encode("utf-16"),
        settings("<consumerKey>kéy</consumerKey>", start="").encode("utf-16"),
        ("\ufeff" + settings("<consumerKey>kéy</consumerKey>", start="")).encode("utf-16-be"),
        settings("<consumerKey>kéy</consumerKey>", start='<?xml version="1.0" encoding="ISO-8859-1"?>').encode(
            "latin-1"
        ),
        settings("<consumerKey>k&#233;y</consumerKey>"),
        settings("<consumerKey><![CDATA[kéy]]></consumerKey>"),
        settings("<consumerKey>k<![CDATA[é]]>y</consumerKey>"),
        settings("<consumerKey>k<!-- a comment -->éy</consumerKey>"),
        settings("<consumerKey>k<?a processing instruction?>éy</consumerKey>"),
        settings("<!-- before --><consumerKey>kéy</consumerKey><!-- after -->"),
        settings("<consumerKey>\n        kéy\n    </consumerKey>"),
        settings("<consumerKey>\t kéy \r\n</consumerKey>"),
        settings('<consumerKey a="b">kéy</consumerKey>'),
        settings(f'<consumerKey xmlns:xsi="{XSI}" xsi:type="xsd:string">kéy</consumerKey>'),
        settings(f'<consumerKey xmlns:xsi="{XSI}" xsi:nil="false">kéy</consumerKey>'),
        settings(f'<consumerKey xmlns="{metadata.NAMESPACE}">kéy</consumerKey>'),
        f"<!-- licence -->\n<{ROOT}><consumerKey>kéy</consumerKey></{ROOT}>\n<!-- end -->",
        f'<m:{ROOT} xmlns:m="{metadata.NAMESPACE}"><m:consumerKey>kéy</m:consumerKey></m:{ROOT}>',
        settings("loose text<consumerKey>kéy</consumerKey>more of it"),
    ],
)
def test_a_text_is_the_same_however_xml_may_write_it(data: bytes | str) -> None:
    assert text_of(data) == "kéy"


@pytest.mark.parametrize(
    "element",
    [
        "<consumerKey/>",
        "<consumerKey></consumerKey>",
        "<consumerKey>  \n\t </consumerKey>",
        "<consumerKey><![CDATA[ ]]></consumerKey>",
        "<consumerKey><!-- nothing --></consumerKey>",
        f'<consumerKey xmlns:xsi="{XSI}" xsi:nil="true"/>',
        f'<consumerKey xmlns:xsi="{XSI}" xsi:nil="1"/>',
        f'<consumerKey xmlns:xsi="{XSI}" xsi:nil="true">all the same</consumerKey>',
        '<consumerKey a="b"/>',
        "<consumerKey><part>nested</part></consumerKey>",
        "<consumerKey>text<part/></consumerKey>",
    ],
)
def test_what_holds_no_text_has_none(element: str) -> None:
    assert text_of(settings(element)) is None


def test_nested_elements_are_no_elements_of_the_file() -> None:
    document = read(settings("<idTokenConfig><consumerKey>inner</consumerKey></idTokenConfig><label>L</label>"))
    assert [(element.name, element.text) for element in document.elements] == [
        ("idTokenConfig", None),
        ("label", "L"),
    ]


def test_elements_of_another_namespace_are_not_salesforces() -> None:
    document = read(settings('<o:consumerKey xmlns:o="urn:other">key</o:consumerKey>'))
    assert document.first("consumerKey") is None


def test_a_line_break_is_one_character() -> None:
    document = read(settings("<callbackUrl>https://a\r\nhttps://b</callbackUrl>\r\n"))
    assert document.text("callbackUrl") == "https://a\nhttps://b"


def test_duplicates_are_all_there_each_with_its_own_line() -> None:
    document = read(settings("\n<consumerKey>one</consumerKey>\n<label/>\n\n<consumerKey\n>two</consumerKey>\n"))
    assert document.all("consumerKey") == (Element("consumerKey", "one", 3), Element("consumerKey", "two", 6))
    assert document.first("consumerKey") == Element("consumerKey", "one", 3)
    assert document.text("consumerKey") == "one"


def test_an_element_that_is_absent_is_none() -> None:
    document = read(settings(""))
    assert (document.first("consumerKey"), document.text("consumerKey")) == (None, None)
    assert document.all("consumerKey") == ()


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("true", False, True),
        ("1", False, True),
        ("false", True, False),
        ("0", True, False),
        (" true ", False, True),
        ("TRUE", False, False),
        ("yes", True, True),
        ("", True, True),
        ("", False, False),
    ],
)
def test_a_flag_is_an_xsd_boolean_or_the_default(text: str, default: bool, value: bool) -> None:
    assert read(settings(f"<isPkceRequired>{text}</isPkceRequired>")).flag("isPkceRequired", default) is value
    assert read(settings("")).flag("isPkceRequired", default) is default


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("", 1),
        ("   ", 1),
        ("key", 1),
        ('{"consumerKey": "key"}', 1),
        ("<", 1),
        (f"<{ROOT}>", 1),
        (settings("\n<consumerKey>key\n"), 4),
        (settings("\n<consumerKey>key</consumerkey>"), 3),
        (settings("\n<consumerKey>a & b</consumerKey>"), 3),
        (settings("\n<consumerKey>&undefined;</consumerKey>"), 3),
        (settings("\n<consumerKey>a\0b</consumerKey>"), 3),
        (settings("\n<consumerKey>&#0;</consumerKey>"), 3),
        (settings("\n<consumerKey>\x1b[2J</consumerKey>"), 3),
        (settings("\n<consumerKey>").encode() + b"\xff</consumerKey></" + ROOT.encode() + b">", 3),
        (settings("\n<<<<<<< HEAD\n<consumerKey>key</consumerKey>\n=======\n"), 3),
        (settings("\n<other:consumerKey>key</other:consumerKey>"), 3),
        (settings("\n<consumerKey a='1' a='2'/>"), 3),
        (settings("") + "\n" + settings("", start=""), 3),
        (settings("").encode("utf-16-le"), 1),
        (settings("", start='<?xml version="1.0" encoding="UTF-16"?>'), 1),
    ],
)
def test_what_is_not_well_formed_is_named_with_its_line(data: bytes | str, line: int) -> None:
    problem = problem_of(read, data)
    assert problem.kind is malformed_xml
    assert (problem.file, problem.line) == ("the/file", line)


@pytest.mark.parametrize(
    "doctype",
    [
        f"<!DOCTYPE {ROOT}>",
        f'<!DOCTYPE {ROOT} SYSTEM "file:///etc/passwd">',
        f'<!DOCTYPE {ROOT} PUBLIC "-//X//Y" "http://example.com/x.dtd">',
        f'<!DOCTYPE {ROOT} [<!ENTITY e "value">]>',
        f'<!DOCTYPE {ROOT} [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        f'<!DOCTYPE {ROOT} [<!ENTITY % e "value"> %e;]>',
    ],
)
def test_a_doctype_is_refused_whatever_it_holds(doctype: str) -> None:
    problem = problem_of(read, settings("<consumerKey>&e;</consumerKey>", start=f"\n{doctype}\n"))
    assert (problem.kind, problem.line) == (malformed_xml, 2)
    assert "DOCTYPE" in problem.message


@pytest.mark.parametrize(
    "encoding", ["no-such-encoding", "rot13", "base64", "utf-7", "shift_jis", "cp037", "idna", "undefined"]
)
def test_an_encoding_that_cannot_be_read_is_malformed(encoding: str) -> None:
    data = settings("", start=f'<?xml version="1.0" encoding="{encoding}"?>')
    assert problem_of(read, data).kind is malformed_xml


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("<ConnectedApp/>", "ConnectedApp"),
        (f"<{ROOT.lower()}/>", ROOT.lower()),
        (f"<{ROOT}s/>", f"{ROOT}s"),
        (f'<{ROOT} xmlns="urn:other"/>', f"urn:other:{ROOT}"),
        (f'<o:{ROOT} xmlns:o="urn:other"/>', f"urn:other:{ROOT}"),
        (f'<ExtlClntAppOauthSettings xmlns="{metadata.NAMESPACE}"/>', "ExtlClntAppOauthSettings"),
        (f"<Package><{ROOT}/></Package>", "Package"),
    ],
)
def test_the_root_has_to_be_what_the_suffix_promises(data: str, found: str) -> None:
    problem = problem_of(read, "\n" + data)
    assert (problem.kind, problem.file, problem.line) == (wrong_root, "the/file", 2)
    assert f'"{found}"' in problem.message
    assert f'"{ROOT}"' in problem.message


def test_a_long_root_is_not_repeated_at_length() -> None:
    assert len(problem_of(read, f"<{'a' * 100_000}/>").message) < 500


def test_a_file_of_1_mib_is_read_and_one_byte_more_is_not() -> None:
    data = settings("<consumerKey>key</consumerKey>").encode()
    padding = b" " * (1024 * 1024 - len(data))
    assert text_of(data + padding) == "key"
    problem = problem_of(read, data + padding + b" ")
    assert problem.kind is malformed_xml
    assert "1 MiB" in problem.message


def test_64_levels_are_read_and_65_are_not() -> None:
    def nested(levels: int) -> str:
        return settings("<a>" * (levels - 1) + "</a>" * (levels - 1))

    assert len(read(nested(64)).elements) == 1
    problem = problem_of(read, nested(65))
    assert problem.kind is malformed_xml
    assert "64 levels" in problem.message


def test_100_000_levels_are_refused_without_a_stack_overflow() -> None:
    assert problem_of(read, settings("<a>" * 100_000)).kind is malformed_xml


def test_no_error_repeats_what_stands_in_the_file() -> None:
    secret = trees.secret("Billing")
    problem = problem_of(read, settings(f"<consumerSecret>{secret}</consumerSecre>"))
    assert secret[:8] not in problem.message


def parsed(data: bytes) -> metadata.Document | None:
    """The document, or None for the one failure that is allowed."""
    try:
        return read(data)
    except EcapipeError:
        return None


@given(st.binary())
def test_any_bytes_parse_or_are_a_problem(data: bytes) -> None:
    assert parsed(data) is None


WHOLE = trees.xml(ROOT, {"callbackUrl": "https://a\nhttps://b", "consumerKey": "k&<é>", "label": "L"}).encode()


@given(st.integers(0, len(WHOLE)), st.integers(0, 12), st.binary(max_size=12))
def test_a_damaged_file_parses_or_is_a_problem(at: int, gone: int, put: bytes) -> None:
    found = parsed(WHOLE[:at] + put + WHOLE[at + gone :])
    for element in found.elements if found else ():
        assert element.text is None or element.text.strip() == element.text != ""
        assert 1 <= element.line <= WHOLE.count(b"\n") + put.count(b"\n") + put.count(b"\r") + 1


TAGS = "<consumerKey> </consumerKey> <consumerKey/> <a> </a> <![CDATA[ ]]> <!-- --> <?pi ?> < >"
TEXTS = "&amp; &lt; &x; &#65; &#0; & text é"
NIL = f'<b xmlns:xsi="{XSI}" xsi:nil="true"/>'
PIECES = (*TAGS.split(), *TEXTS.split(), "<!DOCTYPE a>", ' xmlns="urn:a"', NIL, " ", "\n", "\0")


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join), st.sampled_from(("utf-8", "utf-16", "latin-1")))
def test_anything_like_xml_parses_or_is_a_problem(inner: str, encoding: str) -> None:
    found = parsed(settings(inner, start="").encode(encoding))
    assert found is None or "<!DOCTYPE a>" not in inner or "<!--" in inner or "<![CDATA[" in inner or "<?pi" in inner


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufffe\uffff")))
def test_a_text_survives_the_way_through_xml(text: str) -> None:
    assert text_of(trees.xml(ROOT, {"consumerKey": text})) == (text.strip() or None)


@pytest.mark.parametrize("content", [trees.xml("ExternalClientApplication", {"label": "one"}), "<ExternalClientApp"])
def test_nothing_of_a_parser_stays_behind(content: str) -> None:
    enabled = gc.isenabled()
    gc.disable()
    try:
        gc.collect()
        for _ in range(10):
            with suppress(EcapipeError):
                metadata.parse(content.encode(), metadata.HEADER, "x")
        assert gc.collect() == 0
    finally:
        if enabled:
            gc.enable()


def test_many_elements_beside_each_other_are_not_deep() -> None:
    inner = "<nested>" + "<item><value>1</value></item>" * 200 + "</nested>"
    text = (
        f"<ExternalClientApplication>{inner}<label>\none</label>{inner}<label>two</label></ExternalClientApplication>"
    )
    document = metadata.parse(text.encode(), metadata.HEADER, "x")
    assert [(each.name, each.text, each.line) for each in document.elements] == [
        ("nested", None, 1), ("label", "one", 1), ("nested", None, 2), ("label", "two", 2),
    ]  # fmt: skip
