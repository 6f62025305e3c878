"""What of a request is kept until its reply has ended, for an estimate that may be needed.

A small request is kept whole. Of a larger one the inside of pictures and files goes, which
nobody could estimate anything from: their head is enough to measure a picture by.
"""

from __future__ import annotations

import re
import string
from typing import Final

KEPT_BYTES_MAX: Final = 32 << 10
_HEAD_BYTES: Final = 2 << 10
_BEFORE_MEDIA: Final = re.compile(rb';base64,|"(?:data|bytes)"\s*:\s*"')
"""What stands before the base64 of a picture or a file, in every dialect."""

_BASE64: Final = (string.ascii_letters + string.digits + "+/=_-\\").encode()
_SAMPLES: Final = 64
_SAMPLE_BYTES: Final = 64


def kept_request(body: bytes) -> bytes:
    """Give a request's JSON as it is kept; nothing where even its texts are too much.

    A body is read only as far as its texts may go: what is between media is as much as that,
    or it is too much.
    """
    if len(body) <= KEPT_BYTES_MAX:
        return body
    if not _has_media(body):
        return b""
    pieces = []
    start = at = kept_bytes = 0
    while len(body) - start + kept_bytes > KEPT_BYTES_MAX:
        found = _BEFORE_MEDIA.search(body, at, start + KEPT_BYTES_MAX)
        end = body.find(b'"', found.end()) if found is not None else -1
        if found is None or end < 0:
            return b""
        at = end
        if end - found.end() > _HEAD_BYTES:
            # Some escape the slash: half an escape would spoil what follows.
            piece = body[start : found.end() + _HEAD_BYTES].rstrip(b"\\")
            pieces.append(piece)
            kept_bytes += len(piece)
            start = end
            if kept_bytes > KEPT_BYTES_MAX:
                return b""
    return b"".join((*pieces, body[start:]))


def _has_media(body: bytes) -> bool:
    """Tell whether an eighth of a body is nothing but base64; most large ones are texts."""
    starts = range(0, len(body), len(body) // _SAMPLES)
    coded = sum(not body[at : at + _SAMPLE_BYTES].translate(None, _BASE64) for at in starts)
    return coded * 8 >= _SAMPLES
