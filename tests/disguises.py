"""What an org may write in the place of a text: everything that a reader, or a program, makes the text of again."""

from __future__ import annotations

import json
import re
from base64 import b32encode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from html import unescape
from urllib.parse import quote, unquote


def _each(form: str) -> Callable[[str], str]:
    """Every character in the same form."""
    return lambda text: "".join(form.format(ord(letter)) for letter in text)


def _swapped(disguise: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: disguise(text).swapcase()


def _wide(text: str) -> str:
    """In the letters that are as wide as Chinese ones."""
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


DISGUISES: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "in the other case": str.swapcase,
    "quoted": lambda text: quote(text, safe=""),
    "quoted in lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "every character quoted": _each("%{:02X}"),
    "every character quoted in lower case": _each("%{:02x}"),
    "quoted twice": lambda text: quote(_each("%{:02X}")(text), safe=""),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in upper case": lambda text: text.encode().hex().upper(),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 of an address": lambda text: urlsafe_b64encode(f"x{text}".encode()).decode().rstrip("="),
    "base64 in the other case": _swapped(lambda text: b64encode(f"xy{text}".encode()).decode()),
    "escaped": _each("\\u{:04x}"),
    "escaped in upper case": _each("\\u{:04X}"),
    "escaped in bytes": _each("\\x{:02x}"),
    "escaped twice": lambda text: json.dumps(_each("\\u{:04x}")(text))[1:-1],
    "entities": _each("&#{};"),
    "entities with zeros": _each("&#000{};"),
    "hexadecimal entities": _each("&#x{:x};"),
    "hexadecimal entities in upper case": _each("&#X{:X};"),
    "entities of wide letters": lambda text: _each("&#x{:x};")(_wide(text)),
    "escaped with braces": _each("\\u{{{:x}}}"),
    "escaped in eight digits": _each("\\U{:08x}"),
    "escaped in octal": _each("\\{:03o}"),
    "quoted for mail": _each("={:02X}"),
    "quoted as old browsers do": _each("%u{:04x}"),
    "backwards": lambda text: text[::-1],
    "base32": lambda text: b32encode(text.encode()).decode(),
    "base32 in lower case": lambda text: b32encode(f"x{text}".encode()).decode().lower().rstrip("="),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "hexadecimal with blanks": lambda text: text.encode().hex(" ").upper(),
    "a list of bytes": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "spelled out": "-".join,
    "with blanks": " ".join,
    "with zero-width spaces": "\u200b".join,
    "with joiners": "\u2060\u034f".join,
    "base64 with line breaks": lambda text: "\n".join(re.findall(".{1,5}", b64encode(text.encode()).decode())),
    "wide": lambda text: _wide(text),
    "wide and quoted": lambda text: quote(_wide(text), safe=""),
    "wide and read as Latin": lambda text: _wide(text).encode().decode("latin-1"),
    "bold": lambda text: re.sub("[A-Z]", lambda found: chr(ord(found[0]) + 0x1D3BF), text),
    "quoted entities": lambda text: quote(_each("&#{};")(text), safe=""),
}


def readings(text: str) -> set[str]:
    """Everything that `text` reads as, in lower case, when what a disguise did to it is undone; base64 aside."""
    found, new = {text}, {text}
    for _ in range(3):
        new = {
            read for each in new for read in (unescape(each), unquote(each, errors="replace"), _unescaped(each))
        } - found
        found |= new
    dumps = (run for each in found for run in re.findall("(?:[0-9a-fA-F]{2}){8,}", each))
    return {each.lower() for each in (*found, *(bytes.fromhex(run).decode("latin-1") for run in dumps))}


def _unescaped(text: str) -> str:
    pattern = r"\\u00([0-9a-f]{2})|\\x([0-9a-f]{2})|\\([\"'/\\])"
    return re.sub(pattern, lambda found: found[3] or chr(int(found[1] or found[2], 16)), text, flags=re.IGNORECASE)
