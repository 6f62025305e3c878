"""Usage in replies of chat completions, legacy completions and embeddings, OpenAI's shape.

Read from OpenAI, Azure and everything that imitates them. In a stream the usage stands in
the last chunk (OpenAI, when asked for), in the last chunk with content (DeepSeek, Mistral),
in ``x_groq`` (Groq), in a choice (old Moonshot) or grows in every chunk (Perplexity, xAI):
the last one that is not null is it. Copies are never added up. Groq's compound systems call
several models: each is billed by itself.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tollkeeper.domain import usage as u
from tollkeeper.domain.texts import GeneratedText
from tollkeeper.domain.usage import Usage, new_usage
from tollkeeper.wire.claude_cache import with_claude_cache
from tollkeeper.wire.generated_text import NOTHING_SAID, call_size, text_size, thought_size
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.late_reading import End
from tollkeeper.wire.lenient_json import ABSENT, Shape, compact_text, is_present
from tollkeeper.wire.mistral_audio import MS_PER_SECOND, without_sound
from tollkeeper.wire.openai_chat_shapes import (
    ChatReply,
    ChatUsage,
    Chunk,
    CompoundReply,
    Message,
    OneModel,
    OutputDetails,
    PromptDetails,
    UnusualReply,
)
from tollkeeper.wire.openai_extras import (
    SONAR,
    executed_units,
    with_search,
    with_statement,
    with_units,
)
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import EventStream, Glimpse, RecentEvents, data_of, event_around
from tollkeeper.wire.token_counts import CONTRADICTS_TOTAL, NO_PARTS, Parts, exclusive

CHAT_END: Final = End(b"[DONE]")

_NOTHING: Final = frozenset({b"", b"null", b"{}"})
_EXECUTED_TOOLS: Final = b'"executed_tools"'
_LAST_CHUNK: Final = re.compile(rb'"finish_reason"\s*:\s*"|"choices"\s*:\s*\[\s*\]')


_USAGE: Final = Shape(ChatUsage)
_REPLY: Final = Shape(ChatReply)
_UNUSUAL_REPLY: Final = Shape(UnusualReply)
_CHUNK: Final = Shape(Chunk)
_COMPOUND: Final = Shape(CompoundReply)
_NO_PROMPT_DETAILS: Final = PromptDetails()
_NO_OUTPUT_DETAILS: Final = OutputDetails()


def chat_reader() -> JsonReader:
    """Give a reader of a reply that is one JSON object."""
    return JsonReader(_reply_reading)


class ChatStreamReader:
    """Reads a reply that is a stream of chunks, each a JSON object."""

    def __init__(self) -> None:
        self.finished = False
        self._events = EventStream()
        self._recent = RecentEvents(_CHUNK, look_at_chunk)
        self._usage_chunk = b""
        self._before = b"", b"", 0  # the one before it, or where to look for that

    def feed(self, data: bytes, *, marked: bool = True) -> None:
        """Take the next bytes of the body (see ``late_reading``)."""
        if self.finished:
            return
        region = self._events.feed(data)
        if not region:
            return
        done = region.rfind(b"[DONE]") if marked else -1
        if done >= 0:
            region = self._until_done(region, done)
        at = _last_usage(region, len(region))
        if at >= 0:
            start, end = event_around(region, at)
            self._before = self._usage_chunk, region, start
            self._usage_chunk = data_of(region[start:end])
        self._recent.keep(region)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read; without a usage, what went by is looked at for an estimate."""
        self.feed(self._events.rest())
        chunk = self._usage_chunk
        if chunk:
            reading = _reading_of(chunk)
            if reading.usage is None:  # something else in it was named usage
                chunk = self._chunk_before()
                reading = _reading_of(chunk)
            usage = reading.usage
            if usage is not None:
                if b'"x_groq"' in chunk and self._recent.mentions(_EXECUTED_TOOLS):
                    executed = _with_executed(usage, self._recent.glimpse())
                    reading = reading._replace(usage=executed)
                if self.finished or _may_be_last(chunk):
                    return reading
                error = self._recent.glimpse().error_code
                return reading._replace(final=False, marked=True, error_code=error)
        seen = self._recent.glimpse()
        return Reading(
            None,
            seen.response_id,
            seen.text_bytes,
            seen.error_code,
            final=self.finished or seen.ended or not seen.known,
            marked=True,
        )

    def _chunk_before(self) -> bytes:
        """Give the chunk before the last one that has something named usage."""
        chunk, region, start = self._before
        at = _last_usage(region, start)
        if at < 0:
            return chunk
        start, end = event_around(region, at)
        return data_of(region[start:end])

    def _until_done(self, region: bytes, done: int) -> bytes:
        """Cut a region at the end marker, unless the words only stand in a text."""
        first = -1
        while done >= 0:
            start, end = event_around(region, done)
            if data_of(region[start:end]).strip() == b"[DONE]":
                first = start
            done = region.rfind(b"[DONE]", 0, done)
        if first < 0:
            return region
        self.finished = True
        return region[:first]


def _last_usage(region: bytes, end: int) -> int:
    """Give where the last object named usage stands in a region, -1 if in none of it."""
    at = region.rfind(b'"usage"', 0, end)
    while at >= 0 and not region[at + 7 : at + 12].lstrip(b" :").startswith(b"{"):
        at = region.rfind(b'"usage"', 0, at)
    return at


def _may_be_last(chunk: bytes) -> bool:
    """Tell whether a chunk with a usage ends its stream, where no end marker followed."""
    return b'"choices"' not in chunk or _LAST_CHUNK.search(chunk) is not None


def chat_usage(raw: bytes, model: str = "", tier: str = "") -> Usage:
    """Read a chat usage object."""
    counts, fault = _USAGE.read(raw)
    if counts is None:
        return Usage(model=model, tier=tier, fault=fault)
    prompt = counts.prompt_tokens_details or counts.prompt_token_details or _NO_PROMPT_DETAILS
    output = (
        counts.completion_tokens_details or counts.completion_token_details or _NO_OUTPUT_DETAILS
    )
    prompt_tokens = counts.prompt_tokens
    if prompt_tokens is None and counts.completion_tokens is None:
        prompt_tokens = counts.total_tokens  # some embeddings state the total alone
    cached = prompt.cached_tokens
    if cached is None:
        cached = counts.prompt_cache_hit_tokens or counts.cached_tokens or counts.num_cached_tokens
    total, parts = counts.total_tokens, rare_parts(prompt, output)
    seconds = counts.prompt_audio_seconds
    if seconds:
        total, parts = without_sound(prompt_tokens, counts.completion_tokens, total, parts)
    if counts.cache_read_input_tokens or counts.cache_creation_input_tokens:
        prompt_tokens, cached, parts = with_claude_cache(counts, prompt_tokens, cached or 0, parts)
    quantities, contradiction = exclusive(
        prompt_tokens,
        counts.completion_tokens,
        total,
        cached or 0,
        output.reasoning_tokens or 0,
        parts,
        hides_reasoning="gemini-" in model,
    )
    if seconds:
        quantities[u.AUDIO_MS] = seconds * MS_PER_SECOND
    tier = tier or counts.service_tier or ""
    text = compact_text(raw)
    usage = new_usage(
        (quantities, model, tier, "", "", False, (), fault or contradiction, None, text, "", None)
    )
    if (
        counts.cost is not ABSENT
        or counts.cost_in_usd_ticks is not ABSENT
        or counts.num_sources_used
    ):
        usage = with_statement(usage, counts)
    return with_search(usage, counts) if model.startswith(SONAR) else usage


def rare_parts(prompt: PromptDetails, output: OutputDetails) -> Parts:
    """Give the parts beside cached and reasoning tokens; mostly there are none."""
    if not (
        prompt.cache_write_tokens
        or prompt.cache_creation_input_tokens
        or prompt.audio_tokens
        or prompt.image_tokens
        or prompt.video_tokens
        or output.audio_tokens
        or output.image_tokens
    ):
        return NO_PARTS
    return Parts(
        prompt.cache_write_tokens or prompt.cache_creation_input_tokens or 0,
        prompt.audio_tokens or 0,
        prompt.image_tokens or 0,
        prompt.video_tokens or 0,
        output.audio_tokens or 0,
        output.image_tokens or 0,
    )


def look_at_chunk(chunk: Chunk, glimpse: Glimpse) -> None:
    """Add to a glimpse what one chunk, or a whole reply, says and generates."""
    if not glimpse.response_id:
        glimpse.response_id = chunk.id or ""
        glimpse.model = chunk.model or ""
    if chunk.error:
        glimpse.error_code = error_word(chunk.error)
    for choice in chunk.choices or ():
        message = choice.delta or choice.message
        if message is not None:
            if isinstance(message.content, str):
                glimpse.hear(message.content)
            glimpse.add(_message_size(message))
            for place, tool in enumerate(message.executed_tools or ()):
                glimpse.tools[place if tool.index is None else tool.index] = tool.type or ""
        if choice.finish_reason:
            glimpse.ended = True
        if choice.text and not message:  # Together says each piece in both places
            glimpse.add(text_size(choice.text))


def error_word(error: Any) -> str:
    """Give the provider's word for an error object: its code, or its type."""
    if isinstance(error, dict):
        return str(error.get("code") or error.get("type") or "error")
    return "error"


def _message_size(message: Message) -> GeneratedText:
    """Size what a message generates, beside a content that is one text."""
    size = NOTHING_SAID
    if isinstance(message.content, list):
        size += text_size(message.content)
    if message.reasoning_content or message.reasoning:
        size += thought_size(message.reasoning_content or message.reasoning)
    if message.refusal:
        size += text_size(message.refusal)
    if message.audio:
        size += text_size(message.audio.transcript)
    if message.tool_calls or message.function_call:
        functions = [call.function for call in message.tool_calls or ()]
        for function in (*functions, message.function_call):
            if function is not None:
                size += call_size(function.name, function.arguments)
    return size


def _reading_of(text: bytes, *, whole: bool = False) -> Reading:
    reply, _ = _REPLY.read(text)
    if reply is None:
        return Reading()
    raw = bytes(reply.usage)
    if raw in _NOTHING:
        raw = _unusual_usage(text)
    if raw in _NOTHING:
        return Reading(None, reply.id or "")
    usage = chat_usage(raw, reply.model or "", reply.service_tier or "")
    if reply.x_groq is not ABSENT:
        if b'"usage_breakdown"' in text:
            usage = _by_model(usage, text)
        if whole and _EXECUTED_TOOLS in text:
            usage = _with_executed(usage, _glimpse_of(text))
    if reply.error is not ABSENT and is_present(reply.error):
        return Reading(usage, reply.id or "", None, _glimpse_of(text).error_code)
    return Reading(usage, reply.id or "")


def _by_model(usage: Usage, text: bytes) -> Usage:
    """Bill each model that a compound system called, in place of their sum."""
    reply, _ = _COMPOUND.read(text)
    if reply is None:
        return usage
    inner = reply.x_groq.usage_breakdown if reply.x_groq else None
    breakdown = reply.usage_breakdown or inner
    models: list[OneModel] = breakdown.models if breakdown else []
    parts = [chat_usage(bytes(one.usage), one.model or "", usage.tier) for one in models]
    if not parts:
        return usage
    fault = usage.fault or next((part.fault for part in parts if part.fault), "")
    if sum(part.total_tokens() for part in parts) != usage.total_tokens():
        fault = fault or CONTRADICTS_TOTAL
    return usage._replace(quantities={}, components=tuple(parts), fault=fault)


def _with_executed(usage: Usage, seen: Glimpse) -> Usage:
    """Add the tools that Groq ran on the way, which are billed by the call."""
    units = executed_units(seen.tools.values())
    return usage._replace(quantities=with_units(usage.quantities, units))


def _unusual_usage(text: bytes) -> bytes:
    if b'"usage"' not in text:
        return b""
    reply, _ = _UNUSUAL_REPLY.read(text)
    if reply is None:
        return b""
    for carrier in (reply.x_groq, *reversed(reply.choices)):
        if carrier is not None and is_present(carrier.usage):
            return bytes(carrier.usage)
    return b""


def _reply_reading(text: bytes, complete: bool) -> Reading:
    reading = _reading_of(text, whole=True)
    if reading.usage is not None:
        return reading
    glimpse = _glimpse_of(text)
    return Reading(None, glimpse.response_id, glimpse.text_bytes, glimpse.error_code)


def _glimpse_of(text: bytes) -> Glimpse:
    glimpse = Glimpse()
    for reply in _CHUNK.read_all([text]):
        look_at_chunk(reply, glimpse)
    return glimpse
