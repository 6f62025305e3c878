"""Builds requests for the tests of the wire: headers, look-ups and keys."""

from __future__ import annotations

from collections.abc import Callable

from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.key_tokens import build

KEY = build(KeyKind.VIRTUAL, "Abcd1234", "s" * 32)
OTHER_KEY = build(KeyKind.VIRTUAL, "Wxyz9876", "t" * 32)
ADMIN_KEY = build(KeyKind.ADMIN, "Abcd1234", "s" * 32)

Fields = list[tuple[bytes, bytes]]


def fields(**named: str) -> Fields:
    """Make header fields; underscores in names stand for dashes."""
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]


def lookup(headers: Fields) -> Callable[[bytes], bytes | None]:
    """Make the look-up by lower-case name that the server gives."""
    by_name: dict[bytes, bytes] = {}
    for name, value in headers:
        by_name.setdefault(name.lower(), value)
    return by_name.get
