"""Metadata XML to a flat, typed mapping; the only module that meets xmltodict."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import malformed_xml, wrong_root

if TYPE_CHECKING:
    from pyexpat import XMLParserType

NAMESPACE: Final = "http://soap.sforce.com/2006/04/metadata"
LARGEST: Final = 1024 * 1024
"""Bytes; real files stay below 10 KiB."""
DEEPEST: Final = 64

_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_NIL: Final = "http://www.w3.org/2001/XMLSchema-instance:nil"


@dataclass(frozen=True, slots=True, eq=False)
class Type:
    """A metadata type: the name is the XML root, the suffix marks the file. There is one value of each.

    `since` is its first API version; None for a type that no org but Salesforce's own has.
    """

    name: str
    suffix: str
    folder: str
    since: int | None = 59


HEADER: Final = Type("ExternalClientApplication", "eca", "externalClientApps")
SETTINGS: Final = Type("ExtlClntAppGlobalOauthSettings", "ecaGlblOauth", "extlClntAppGlobalOauthSets")
OAUTH: Final = Type("ExtlClntAppOauthSettings", "ecaOauth", "extlClntAppOauthSettings")
OAUTH_POLICIES: Final = Type("ExtlClntAppOauthConfigurablePolicies", "ecaOauthPlcy", "extlClntAppOauthPolicies")
POLICIES: Final = Type("ExtlClntAppConfigurablePolicies", "ecaPlcy", "extlClntAppPolicies", 60)
PUSH: Final = Type("ExtlClntAppPushSettings", "ecaPush", "extlClntAppPushSettings", 64)
SAML: Final = Type("ExtlClntAppSamlConfigurablePolicies", "ecaSamlPlcy", "extlClntAppSamlConfigurablePolicies", 63)

TYPES: Final = (
    HEADER,
    SETTINGS,
    OAUTH,
    OAUTH_POLICIES,
    Type("ExtlClntAppOauthSecuritySettings", "ecaOauthSecurity", "extlClntAppOauthSecuritySettings", 67),
    POLICIES,
    Type("ExtlClntAppMobileSettings", "ecaMobile", "extlClntAppMobileSettings", 64),
    Type("ExtlClntAppMobileConfigurablePolicies", "ecaMobilePlcy", "extlClntAppMobilePolicies", 64),
    Type("ExtlClntAppNotificationSettings", "ecaNotifications", "extlClntAppNotifSettings", 64),
    PUSH,
    Type("ExtlClntAppPushConfigurablePolicies", "ecaPushPlcy", "extlClntAppPushPolicies", 64),
    Type("ExtlClntAppCanvasSettings", "ecaCanvas", "extlClntAppCanvasSettings", 66),
    SAML,
    Type("ExtlClntAppSampleSettings", "ecaSmpl", "extlClntAppSampleSettings", None),
    Type("ExtlClntAppSampleConfigurablePolicies", "ecaSmplPlcy", "extlClntAppSamplePolicies", None),
    Type("ExtlClntAppAttestSettings", "ecaAttest", "extlClntAppAttestSettings", 68),
    Type("ExtlClntAppAttestConfigurablePolicies", "ecaAttestPlcy", "extlClntAppAttestPolicies", 68),
)
"""Every type that belongs to an external client app (metadata registry of the Salesforce CLI)."""


def types_at(api_version: str) -> tuple[Type, ...]:
    """The types that an org can be asked for in an API version, such as ``66.0``."""
    return tuple(type for type in TYPES if type.since is not None and type.since <= float(api_version))


_BY_SUFFIX: Final = {type.suffix: type for type in TYPES}
# People write the whole words that Salesforce shortens.
_BY_FOLD: Final = {type.suffix.lower(): type for type in TYPES} | {
    "ecaglobaloauth": SETTINGS,
    "ecaglobloauth": SETTINGS,
}
# What has no end is taken as a whole: a search for it from every beginning would take quadratic time.
_COMMENT: Final = re.compile(rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|(<!--.*?-->)|<!--.*\Z", re.DOTALL)
_ENDING: Final = "-meta.xml"
_ENDINGS: Final = (_ENDING, ".xml")
"""The ending of the source format, and what people write for it, in any case."""


def recognise(filename: str, *, metadata_format: bool = False) -> tuple[Type, str] | None:
    """Type and member name of a file name, source format or, if asked for, metadata format; None for any other.

    The suffix is matched case-exactly at the end, as the Salesforce CLI writes it; the folder does not matter.
    """
    name, _, suffix = _stem(filename, metadata_format).rpartition(".")
    type = _BY_SUFFIX.get(suffix)
    if not name or type is None:
        return None
    return type, name


def correct_suffix(filename: str, *, metadata_format: bool = False, in_source: bool = False) -> str | None:
    """The file name that was probably meant, when `filename` misspells a suffix, an ending, or the case of one.

    `in_source`: it lies among files in source format, where it should have their ending, too.
    """
    stem, ending = filename, ""
    for each in _ENDINGS:
        if filename.lower().endswith(each):
            stem, ending = filename[: -len(each)], _ENDING
            break
    name, _, suffix = stem.rpartition(".")
    type = _BY_FOLD.get(suffix.lower())
    if not name or type is None or not (ending or metadata_format or in_source):
        return None
    if in_source:
        ending = _ENDING
    correct = f"{name}.{type.suffix}{ending}"
    return correct if correct != filename else None


def connected_app(filename: str) -> str | None:
    """The member name of a connected app's file, in either format; None for any other."""
    name, _, suffix = _stem(filename, metadata_format=not filename.endswith(_ENDING)).rpartition(".")
    return name if suffix == "connectedApp" and name else None


def _stem(filename: str, metadata_format: bool) -> str:
    """The name without the ending of its format; empty when it has another's."""
    if filename.endswith(_ENDING):
        return filename[: -len(_ENDING)]
    if metadata_format:
        return filename
    return ""


@dataclass(frozen=True, slots=True)
class Element:
    """A child of the root. `text` is None when it is empty, nil, or holds elements instead of text.

    It is not part of the ``repr``: it may be a consumer secret.
    """

    name: str
    text: str | None = field(repr=False)
    line: int


@dataclass(frozen=True, slots=True)
class Document:
    """A metadata file, flat: Salesforce's types nest nothing that these flows need."""

    elements: tuple[Element, ...]
    _named: Mapping[str, Sequence[Element]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        named: dict[str, list[Element]] = {}
        for element in self.elements:
            named.setdefault(element.name, []).append(element)
        object.__setattr__(self, "_named", named)

    def all(self, name: str) -> tuple[Element, ...]:
        return tuple(self._named.get(name, ()))

    @property
    def names(self) -> Set[str]:
        return self._named.keys()

    def first(self, name: str) -> Element | None:
        elements = self._named.get(name)
        if elements is None:
            return None
        return elements[0]

    def text(self, name: str) -> str | None:
        """The text of the first element `name`; None if there is no such element, or no text in it."""
        elements = self._named.get(name)
        if elements is None:
            return None
        return elements[0].text

    def flag(self, name: str, default: bool) -> bool:
        """A boolean element (``xsd:boolean``: true, false, 1, 0); `default` when absent or anything else."""
        return _BOOLEANS.get(self.text(name) or "", default)


def parse(data: bytes, type: Type, path: str) -> Document:
    """Read a metadata file of the given type.

    Raises `EcapipeError`: MalformedXml for what is not well-formed, and for DOCTYPE, entities, more than
    `LARGEST` bytes or `DEEPEST` levels; WrongRoot when the root is not ``type.name``.
    """
    # Imported here: most commands start without a look at a metadata file.
    import xmltodict

    elements: list[Element] = []
    guard = _Guard(type, path, elements)
    if len(data) > LARGEST:
        guard.refuse("it is larger than 1 MiB")
    try:
        xmltodict.parse(guard.watch(data), expat=guard, xml_attribs=False, item_depth=2, item_callback=guard.add)
    except guard.error as error:
        if (readable := _without_comments(data)) != data:
            return parse(readable, type, path)
        if data.find(b"\n<<<<<<< ") >= 0:
            guard.refuse("it holds the markers of an unresolved merge")
        guard.refuse(f"it is not well-formed ({error})")
    except (LookupError, ValueError) as error:
        guard.refuse(f"it cannot be decoded, or defines entities ({error})")
    finally:
        # The guard and its parser hold each other: thousands of them would stay in memory.
        vars(guard).clear()
    return Document(tuple(elements))


def _without_comments(data: bytes) -> bytes:
    """The file without its comments, line by line: XML allows no ``--`` in one, but the Salesforce CLI does."""
    return _COMMENT.sub(lambda match: b" " + re.sub(rb"[^\r\n]", b"", match[1]) if match[1] else match[0], data)


class _Guard:
    """Stands where xmltodict expects the expat module: sees lines, depth, root and DOCTYPE before it does.

    xmltodict tells no lines, and neither limits the depth nor refuses a DOCTYPE by itself.
    """

    def __init__(self, type: Type, path: str, elements: list[Element]) -> None:
        import pyexpat

        self.error = pyexpat.ExpatError
        self._type, self._path, self._elements = type, path, elements
        self._depth, self._start = 0, 0
        self._start_element: Callable[[str, list[str]], None]
        self._end_element: Callable[[str], None]
        self._parser = pyexpat.ParserCreate(None, ":")
        self._parser.StartDoctypeDeclHandler = lambda *_: self.refuse("it has a DOCTYPE")

    def ParserCreate(self, encoding: str | None, separator: str | None) -> XMLParserType:
        """What xmltodict calls; the encoding is left to the file's own declaration, and namespaces to `_enter`."""
        return self._parser

    def watch(self, data: bytes) -> Generator[bytes, None, None]:
        """What xmltodict reads, once its handlers are in place: ours go before them."""
        # Typed as Any because xmltodict asks for attributes as a list, which the stubs of expat do not know.
        parser: Any = self._parser
        self._start_element, self._end_element = parser.StartElementHandler, parser.EndElementHandler
        parser.StartElementHandler = self._enter
        parser.StartNamespaceDeclHandler = None
        yield data

    def add(self, path: Sequence[tuple[str, Mapping[str, object] | None]], item: object) -> bool:
        """What xmltodict calls at the end of every child of the root; an item with children is no string."""
        name, attributes = path[-1]
        nil = attributes is not None and attributes.get(_NIL) in ("true", "1")
        text = ""
        if isinstance(item, str) and not nil:
            text = item.strip()
        self._elements.append(Element(name, text or None, self._start))
        self._depth = 1
        return True

    def refuse(self, reason: str) -> NoReturn:
        raise EcapipeError(malformed_xml(self._path, self._parser.CurrentLineNumber, reason)) from None

    def _enter(self, tag: str, attributes: list[str]) -> None:
        namespace, _, name = tag.rpartition(":")
        if namespace != NAMESPACE:
            name = tag
        self._depth += 1
        if self._depth == 2:
            self._start = self._parser.CurrentLineNumber
        elif self._depth == 1 and name != self._type.name:
            raise EcapipeError(wrong_root(self._path, self._parser.CurrentLineNumber, name[:200], self._type.name))
        elif self._depth > DEEPEST:
            self.refuse(f"it is nested deeper than {DEEPEST} levels")
        elif self._depth == 3:
            # Rare, so the handler is set only now: until then `add` sees every end that counts.
            self._parser.EndElementHandler = self._leave
        self._start_element(name, attributes)

    def _leave(self, tag: str) -> None:
        self._depth -= 1
        self._end_element(tag)
