"""The text form of a SCIM token: that of a key, with a beginning of its own.

    tk_scim_ 8characters _ 32 characters of secret + 6 of checksum

It is no key: neither the gateway nor the API knows this beginning, so it is good for SCIM alone.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tollkeeper.domain.key_tokens import checksum

_TOKEN: Final = re.compile(
    r"(tk_scim_([0-9A-Za-z]{8})_([0-9A-Za-z]{32}))([0-9A-Za-z]{6})", re.ASCII
)
_ID: Final = re.compile(r"[0-9A-Za-z]{8}", re.ASCII)
_SECRET: Final = re.compile(r"[0-9A-Za-z]{32}", re.ASCII)


class TokenParts(NamedTuple):
    """What a well-formed token says about itself. Whether it is good only the store knows."""

    token_id: str
    secret: str

    def __repr__(self) -> str:
        return f"TokenParts({self.token_id}, …)"


def parse(token: str) -> TokenParts | None:
    """Read a token; None when its length, alphabet or checksum is wrong."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    body, token_id, secret, given = match.groups()
    return TokenParts(token_id, secret) if checksum(body) == given else None


def build(token_id: str, secret: str) -> str:
    """Write a token. Raises ValueError unless both parts are base62 of the right length."""
    if not _ID.fullmatch(token_id) or not _SECRET.fullmatch(secret):
        raise ValueError("a token's id has 8 and its secret 32 base62 characters")
    body = f"tk_scim_{token_id}_{secret}"
    return body + checksum(body)
