"""Content encodings: which one a client takes, and answers compressed on the way out."""

from __future__ import annotations

import gzip
from collections.abc import Container
from typing import Final

import zstandard

ENCODINGS: Final = ("zstd", "gzip")
"""The ones we write, the better first."""

SMALLEST_BYTES: Final = 1_024
_ZSTD_LEVEL: Final = 3
_GZIP_LEVEL: Final = 5


def preferred(accepted: str, available: Container[str]) -> str:
    """Choose an encoding by an ``Accept-Encoding`` header; "" for none."""
    if len(accepted) > 1_000:
        return ""
    weights: dict[str, bool] = {}
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        weight = parameters.replace(" ", "").removeprefix("q=")
        weights[name.strip()] = not parameters or bool(weight.strip("0."))
    rest = weights.get("*", False)
    return next(
        (name for name in ENCODINGS if name in available and weights.get(name, rest)),
        "",
    )


def compressed(body: bytes, encoding: str) -> bytes:
    """Compress a body that was made for one answer."""
    if encoding == "zstd":
        return zstandard.compress(body, _ZSTD_LEVEL)
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)
