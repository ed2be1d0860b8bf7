"""Signed JSON (RFC 7515, compact serialization) as it comes in: read, not believed."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Jws:
    """Its parts; `signed` is what the signature is for."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def parse(text: str) -> Jws:
    """Raises ValueError."""
    parts = text.split(".")
    if len(parts) != 3:
        raise ValueError("not three parts")
    try:
        header, claims = (json.loads(base64url(part)) for part in parts[:2])
    # A body nested by the thousand exhausts Python's stack.
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ValueError("no JSON objects")
    return Jws(header, claims, f"{parts[0]}.{parts[1]}".encode(), base64url(parts[2]))


def base64url(text: str) -> bytes:
    """base64url without padding, and nothing else (RFC 7515, section 2); raises ValueError."""
    # Python's urlsafe_b64decode skips foreign letters, so one token could be written in many ways.
    if not text.isascii() or set("+/=") & set(text):
        raise binascii.Error("not base64url")
    padded = text + "=" * (-len(text) % 4)
    return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
