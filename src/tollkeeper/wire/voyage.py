"""Usage of Voyage's multimodal embeddings: tokens of text, and pixels of pictures and video.

Text is billed by the token and everything else by the pixel. The total beside them counts a
number of pixels as a token, for the limits only. Voyage's other embeddings state the total
alone, which ``openai_chat`` reads.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import ABSENT, Count, Shape, compact_text, is_present
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.token_counts import CONTRADICTS_TOTAL, MISSING_COUNT


class MultimodalUsage(msgspec.Struct):
    text_tokens: Count = None
    image_pixels: Count = None
    video_pixels: Count = None
    total_tokens: Count = None


class MultimodalReply(msgspec.Struct):
    model: str | None = None
    usage: msgspec.Raw = ABSENT


_REPLY: Final = Shape(MultimodalReply)
_USAGE: Final = Shape(MultimodalUsage)


def voyage_reader() -> JsonReader:
    """Give a reader of a reply that is one JSON object."""
    return JsonReader(_reading_of)


def multimodal_usage(raw: bytes, model: str = "") -> Usage:
    """Read a ``usage`` object."""
    counts, fault = _USAGE.read(raw)
    if counts is None:
        return Usage(model=model, fault=fault)
    quantities = {
        u.INPUT: counts.text_tokens,
        u.IMAGE_PIXELS: counts.image_pixels,
        u.VIDEO_PIXELS: counts.video_pixels,
    }
    if not fault:
        fault = _fault(counts)
    known = {name: count for name, count in quantities.items() if count}
    return Usage(known, model, fault=fault, raw=compact_text(raw))


def _fault(counts: MultimodalUsage) -> str:
    stated = (counts.text_tokens, counts.image_pixels, counts.video_pixels)
    if set(stated) == {None}:
        return MISSING_COUNT  # a total says nothing of what kind it was
    total, tokens = counts.total_tokens, counts.text_tokens or 0
    pixels = (counts.image_pixels or 0) + (counts.video_pixels or 0)
    if total is None or tokens == total or (tokens < total and pixels):
        return ""
    return CONTRADICTS_TOTAL


def _reading_of(text: bytes, complete: bool) -> Reading:
    reply, _ = _REPLY.read(text)
    if reply is None or not is_present(reply.usage):
        return Reading()
    return Reading(multimodal_usage(bytes(reply.usage), reply.model or ""))
