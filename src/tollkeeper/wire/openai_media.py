"""Usage in replies with pictures, transcripts and speech, OpenAI's shape.

None of them names the model; it is the one that was asked for. Older picture models report
no tokens, so the pictures are counted. Transcripts are billed by tokens or by the second,
whichever the reply states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import QUANTITY_MAX, Usage
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import Shape, compact_text, is_present
from tollkeeper.wire.mistral_audio import MS_PER_SECOND
from tollkeeper.wire.openai_chat import chat_usage, error_word
from tollkeeper.wire.openai_extras import with_statement
from tollkeeper.wire.openai_media_shapes import AudioParts, AudioUsage, ImageTotals, Reply
from tollkeeper.wire.openai_responses import image_quantities
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import EventStream, data_of, events_in
from tollkeeper.wire.token_counts import CONTRADICTS_TOTAL, MISSING_COUNT, Parts, exclusive

UsageRule = Callable[["Reply"], Usage | None]
"""Makes the usage of a reply of one kind, or None if it has none."""


_REPLY: Final = Shape(Reply)
_IMAGES: Final = Shape(ImageTotals)
_AUDIO: Final = Shape(AudioUsage)


def images_usage(reply: Reply) -> Usage | None:
    """Read the usage of generated or edited pictures."""
    pictures = {u.IMAGES: len(reply.data)} if reply.data else {}
    if not is_present(reply.usage):
        return Usage(pictures) if pictures else None
    counts, fault = _IMAGES.read(reply.usage)
    if counts is None:
        return Usage(fault=fault)
    if counts.prompt_tokens is not None:
        return chat_usage(bytes(reply.usage))
    raw = compact_text(reply.usage)
    if counts.input_tokens is None and counts.output_tokens is None:
        return with_statement(Usage(pictures, fault=fault, raw=raw), counts)  # xAI: the cost alone
    quantities, contradiction = image_quantities(counts)
    if counts.input_tokens is None or counts.output_tokens is None:
        contradiction = contradiction or MISSING_COUNT
    elif counts.total_tokens not in {None, counts.input_tokens + counts.output_tokens}:
        contradiction = contradiction or CONTRADICTS_TOTAL
    return with_statement(Usage(quantities, fault=fault or contradiction, raw=raw), counts)


def transcription_usage(reply: Reply) -> Usage | None:
    """Read the usage of a transcript: tokens, or else seconds of sound."""
    if not is_present(reply.usage):
        return _seconds_usage(reply.duration, reply.duration, rounded=True)
    counts, fault = _AUDIO.read(reply.usage)
    if counts is None:
        return Usage(fault=fault)
    if counts.type == "duration":
        usage = _seconds_usage(counts.seconds, reply.usage)
        return None if usage is None else with_statement(usage, counts)
    if counts.prompt_audio_seconds is not None:
        return _heard_usage(reply, counts.prompt_audio_seconds, fault)
    parts = counts.input_token_details or AudioParts()
    return _spoken_usage(reply, counts, fault, Parts(input_audio=parts.audio_tokens or 0))


def speech_usage(reply: Reply) -> Usage | None:
    """Read the usage of spoken text: what comes out is sound."""
    if not is_present(reply.usage):
        return None
    counts, fault = _AUDIO.read(reply.usage)
    if counts is None:
        return Usage(fault=fault)
    if counts.input_tokens is None and counts.prompt_tokens is not None and not fault:
        return None  # Mistral tells its tokens, and bills the characters that it was to speak
    return _spoken_usage(reply, counts, fault, Parts(output_audio=counts.output_tokens or 0))


def _heard_usage(reply: Reply, seconds: int, fault: str) -> Usage:
    """Give what Mistral bills for a transcript: its seconds, whatever tokens stand beside."""
    heard = {u.AUDIO_MS: seconds * MS_PER_SECOND} if seconds else {}
    return Usage(heard, fault=fault, raw=compact_text(reply.usage))


def _spoken_usage(reply: Reply, counts: AudioUsage, fault: str, parts: Parts) -> Usage:
    quantities, contradiction = exclusive(
        counts.input_tokens, counts.output_tokens, counts.total_tokens, 0, 0, parts
    )
    usage = Usage(quantities, fault=fault or contradiction, raw=compact_text(reply.usage))
    return with_statement(usage, counts)


def media_reader(rule: UsageRule) -> JsonReader:
    """Give a reader of a reply that is one JSON object."""
    return JsonReader(lambda text, complete: _reading_of(text, rule))


class MediaStreamReader:
    """Reads a reply that is a stream of events, of which the last one has the usage."""

    _DONE: Final = (".done", ".completed")

    def __init__(self, rule: UsageRule) -> None:
        self.finished = False
        self._events = EventStream()
        self._rule = rule
        self._reading = Reading()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self.finished:
            return
        region = self._events.feed(data)
        if b'"usage"' in region or b'"error"' in region:
            for event in events_in(region):
                self._take(data_of(event))

    def close(self, *, complete: bool) -> Reading:
        """Say what was read."""
        self.feed(self._events.rest())
        return self._reading

    def _take(self, data: bytes) -> None:
        reply, _ = _REPLY.read(data)
        if reply is None or self.finished:
            return
        if reply.error or (is_present(reply.usage) and (reply.type or "").endswith(self._DONE)):
            self._reading = _reading_of(data, self._rule)
            self.finished = not reply.error


def _reading_of(text: bytes, rule: UsageRule) -> Reading:
    reply, _ = _REPLY.read(text)
    if reply is None:
        return Reading()
    return Reading(rule(reply), error_code=error_word(reply.error) if reply.error else "")


def _seconds_usage(
    seconds: msgspec.Raw, raw: msgspec.Raw, *, rounded: bool = False
) -> Usage | None:
    """Give a usage in milliseconds; a bare duration is billed to the nearest second."""
    if not is_present(seconds):
        return None
    try:
        length = Decimal(bytes(seconds).decode())
        milliseconds = round(length) * MS_PER_SECOND if rounded else round(length * MS_PER_SECOND)
    except (InvalidOperation, ValueError, OverflowError):
        return Usage(fault="not_a_count", raw=compact_text(raw))
    if not 0 <= milliseconds <= QUANTITY_MAX:
        return Usage(fault="not_a_count", raw=compact_text(raw))
    quantities: Mapping[str, int] = {u.AUDIO_MS: milliseconds} if milliseconds else {}
    return Usage(quantities, raw=compact_text(raw))
