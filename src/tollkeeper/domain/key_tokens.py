"""The text form of a virtual key: build it, and reject a wrong one without any look-up.

    tk_live_ 8characters _ 32 characters of secret + 6 of checksum     calls models
    tk_admin_…                                                         manages

All parts are base62. The prefix lets secret scanners find a leaked key; the checksum is the
CRC-32 of everything before it, so that typing errors and guesses never reach a store.
The format follows what GitHub published about its own tokens in April 2021.
"""

from __future__ import annotations

import re
import zlib
from typing import Final, NamedTuple

from tollkeeper.domain.access import KeyKind

PREFIX: Final = "tk_"
"""What every key of ours begins with. Nothing that begins so is ever sent to a provider."""

KEY_ID_CHARS: Final = 8
SECRET_CHARS: Final = 32
_CHECKSUM_CHARS: Final = 6
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX_OF: Final = {KeyKind.VIRTUAL: "tk_live_", KeyKind.ADMIN: "tk_admin_"}
_KIND_OF: Final = {"live": KeyKind.VIRTUAL, "admin": KeyKind.ADMIN}
_TOKEN: Final = re.compile(
    r"(tk_(live|admin)_([0-9A-Za-z]{8})_([0-9A-Za-z]{32}))([0-9A-Za-z]{6})", re.ASCII
)
_SECRET_PARTS: Final = re.compile(r"[0-9A-Za-z]+", re.ASCII)
_LIKE_A_KEY: Final = re.compile(r"tk_(?:live|admin|scim)_[0-9A-Za-z_]*", re.IGNORECASE)


class KeyToken(NamedTuple):
    """What a well-formed key says about itself. Whether it is valid only the store knows."""

    kind: KeyKind
    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyToken({self.kind}, {self.key_id}, …)"


def parse(token: str) -> KeyToken | None:
    """Read a token; None when its length, alphabet or checksum is wrong."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    body, kind, key_id, secret, given = match.groups()
    if checksum(body) != given:
        return None
    return KeyToken(_KIND_OF[kind], key_id, secret)


def build(kind: KeyKind, key_id: str, secret: str) -> str:
    """Write a token. Raises ValueError unless both parts are base62 of the right length."""
    for part, length in ((key_id, KEY_ID_CHARS), (secret, SECRET_CHARS)):
        if len(part) != length or not _SECRET_PARTS.fullmatch(part):
            raise ValueError(f"a key part must be {length} base62 characters")
    body = f"{_PREFIX_OF[kind]}{key_id}_{secret}"
    return body + checksum(body)


def holds_key(text: str) -> bool:
    """Tell whether something that looks like a key of ours stands in a text."""
    return _LIKE_A_KEY.search(text) is not None


def without_keys(text: str) -> str:
    """Hide whatever looks like a key of ours in a text that is shown or kept."""
    return _LIKE_A_KEY.sub("tk_…", text)


def checksum(body: str) -> str:
    """Give the six characters at the end of a token, by all that stands before them."""
    rest = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(_CHECKSUM_CHARS):
        rest, digit = divmod(rest, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
