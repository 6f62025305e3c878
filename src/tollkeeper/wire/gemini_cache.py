"""Gemini's explicit caches: the call that makes one says how many tokens are kept.

They are billed by the hour for as long as the cache lives, which no reply tells: the
cost of keeping them is not known.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import ABSENT, Count, Shape, compact_text, is_present
from tollkeeper.wire.readings import Reading


class Cached(msgspec.Struct, rename="camel"):
    name: str | None = None
    model: str | None = None
    usage_metadata: msgspec.Raw = ABSENT


class KeptTokens(msgspec.Struct, rename="camel"):
    total_token_count: Count = None


_CACHED: Final = Shape(Cached)
_KEPT: Final = Shape(KeptTokens)


def cache_reader() -> JsonReader:
    """Give a reader of the reply that a cache was made with."""
    return JsonReader(lambda text, complete: _reading_of(text))


def _reading_of(text: bytes) -> Reading:
    cached, _ = _CACHED.read(text)
    if cached is None or not is_present(cached.usage_metadata):
        return Reading()
    counts, fault = _KEPT.read(cached.usage_metadata)
    tokens = counts.total_token_count if counts is not None else None
    model = (cached.model or "").rpartition("/")[2]
    quantities = {u.CACHE_KEPT_TOKENS: tokens} if tokens else {}
    usage = Usage(quantities, model, fault=fault, raw=compact_text(cached.usage_metadata))
    return Reading(usage, cached.name or "")
