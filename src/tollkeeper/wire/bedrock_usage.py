"""What Amazon Bedrock counts: in Converse's own shape, in the makers' shapes, and in headers.

Tokens read from or written to the cache stand beside the input tokens, not within them, and
Converse's total is the sum of all four (recorded replies). A guardrail's units stand in an
object that is also named usage, deeper in the reply: only the reply's own one is read.

For Invoke, the maker's counts are the finer ones. What it leaves out, Bedrock's own counts
(headers, or the metrics that end a stream) say; for Cohere and all embeddings they are all
there is. A maker's name for the model is not taken over: it tells neither the region that
was asked for nor what an inference profile stands for, and the price depends on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.anthropic_usage import anthropic_usage
from tollkeeper.wire.bedrock_shapes import (
    InvocationMetrics,
    NativeReply,
    Performance,
    Tier,
    TokenUsage,
)
from tollkeeper.wire.lenient_json import Shape, compact_text, is_present
from tollkeeper.wire.openai_chat import chat_usage
from tollkeeper.wire.token_counts import CONTRADICTS_TOTAL, MISSING_COUNT, PARTS_EXCEED_WHOLE

_HOUR: Final = "1h"
_DIGITS_MAX: Final = 12
_SEARCHES_NOT_STATED: Final = "searches_not_stated"
_COUNT_PREFIX: Final = b"x-amzn-bedrock-"
_COUNTS: Final = {
    b"input-token-count": "input_token_count",
    b"output-token-count": "output_token_count",
    b"cache-read-input-token-count": "cache_read_input_token_count",
    b"cache-write-input-token-count": "cache_write_input_token_count",
}
_SERVICE_TIER: Final = b"service-tier"
_LATENCY: Final = b"performanceconfig-latency"

_TOKENS: Final = Shape(TokenUsage)
_NO_METRICS: Final = InvocationMetrics()


class Head:
    """What the header fields of a reply say: Bedrock's own counts, and what was served."""

    __slots__ = ("counts", "fault", "latency", "raw", "tier")

    def __init__(self, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.counts: InvocationMetrics | None = None
        self.tier = self.latency = self.raw = self.fault = ""
        said: dict[str, int] = {}
        shown: list[str] = []
        for name, value in headers:
            lower = name.lower()
            if not lower.startswith(_COUNT_PREFIX):
                continue
            word = lower[len(_COUNT_PREFIX) :]
            if word in _COUNTS:
                if not value.isdigit() or len(value) > _DIGITS_MAX:
                    self.fault = "not_a_count"
                    continue
                said[_COUNTS[word]] = int(value)
                shown.append(f'"{lower.decode()}":{int(value)}')
            elif word == _SERVICE_TIER:
                self.tier = value.decode("latin-1")
            elif word == _LATENCY:
                self.latency = value.decode("latin-1")
        if said:
            self.counts = InvocationMetrics(**said)
            self.raw = "{" + ",".join(shown) + "}"


def converse_usage(
    raw: msgspec.Raw | bytes, tier: Tier | None, performance: Performance | None
) -> Usage:
    """Read a usage object of Converse, with the words for what was served."""
    quantities, fault = _token_quantities(raw, _NO_METRICS)
    served = (tier.type if tier else "") or ""
    latency = (performance.latency if performance else "") or ""
    return Usage(quantities, "", served, latency, fault=fault, raw=compact_text(raw))


def invoked_usage(
    reply: NativeReply, head: Head, *, fault: str = "", billed: bool = True
) -> Usage | None:
    """Read what a maker's reply and its headers count, None if they count nothing.

    ``fault`` is what was wrong with the reply's counts as such. A reply that is not
    ``billed`` (Anthropic's refusals) keeps no quantities.
    """
    found = _native_usage(reply, reply.metrics or head.counts or _NO_METRICS, billed=billed)
    if found is None:
        found = counted_usage(reply.metrics or head.counts, head.raw)
    if found is None and reply.images:
        found = Usage({u.IMAGES: len(reply.images)})
    if found is None and any(it.relevance_score is not None for it in reply.results or ()):
        # Billed by the hundred documents, longer ones in parts: at least one, nobody says more.
        found = Usage({u.RERANK_SEARCHES: 1}, fault=_SEARCHES_NOT_STATED)
    if found is None:
        return Usage(fault=fault or head.fault) if fault or head.fault else None
    return served_as(found, head)._replace(fault=found.fault or fault or head.fault)


def served_as(usage: Usage, head: Head) -> Usage:
    """Put in what the headers say was served, and leave out the maker's name for the model."""
    return usage._replace(model="", tier=head.tier or usage.tier, speed=head.latency or usage.speed)


def counted_usage(counts: InvocationMetrics | None, raw: str = "") -> Usage | None:
    """Make a usage of Bedrock's own counts, None if there are none."""
    if counts is None or counts == _NO_METRICS:
        return None
    quantities, fault = _exclusive(
        counts.input_token_count,
        counts.output_token_count,
        counts.cache_read_input_token_count,
        counts.cache_write_input_token_count,
    )
    return Usage(quantities, fault=fault, raw=raw or msgspec.json.encode(counts).decode())


def _native_usage(reply: NativeReply, counts: InvocationMetrics, *, billed: bool) -> Usage | None:
    """Read the maker's own counts, completed by Bedrock's where it left some out."""
    own = reply.usage
    if not is_present(own) and reply.metadata is not None:
        own = reply.metadata.usage
    if is_present(own):
        text = bytes(own)
        if b'"prompt_tokens"' in text:
            return chat_usage(text)
        if b'"input_tokens"' in text:
            return anthropic_usage(text, "", billed=billed)
        quantities, fault = _token_quantities(text, counts)
        return Usage(quantities, fault=fault, raw=compact_text(text))
    prompt, output = reply.prompt_token_count, reply.generation_token_count
    if prompt is None and output is None:
        prompt, output = reply.input_text_token_count, reply.total_output_text_token_count
        counts_of_texts = [it.token_count for it in reply.results or () if it.token_count]
        if counts_of_texts and output is None:
            output = sum(counts_of_texts)
    if prompt is None and output is None:
        return None
    said = {"input": prompt, "output": output}
    quantities, fault = _exclusive(
        counts.input_token_count if prompt is None else prompt,
        counts.output_token_count if output is None else output,
        counts.cache_read_input_token_count,
        counts.cache_write_input_token_count,
    )
    return Usage(quantities, fault=fault, raw=msgspec.json.encode(said).decode())


def _token_quantities(
    raw: msgspec.Raw | bytes, counts: InvocationMetrics
) -> tuple[dict[str, int], str]:
    """Give the exclusive quantities of an object that counts as Converse does, and a fault."""
    usage, fault = _TOKENS.read(raw)
    if usage is None:
        return {}, fault
    read = usage.cache_read_input_tokens
    written = usage.cache_write_input_tokens
    details = usage.cache_details or []
    quantities, wrong = _exclusive(
        counts.input_token_count if usage.input_tokens is None else usage.input_tokens,
        counts.output_token_count if usage.output_tokens is None else usage.output_tokens,
        usage.cache_read_input_token_count if read is None else read,
        usage.cache_write_input_token_count if written is None else written,
        hour=sum(write.tokens or 0 for write in details if write.ttl == _HOUR),
        short=sum(write.tokens or 0 for write in details if write.ttl != _HOUR),
        total=usage.total_tokens,
    )
    return quantities, fault or wrong


def _exclusive(
    given: int | None,
    output: int | None,
    read: int | None,
    written: int | None,
    *,
    hour: int = 0,
    short: int = 0,
    total: int | None = None,
) -> tuple[dict[str, int], str]:
    fault = "" if given is not None else MISSING_COUNT
    if written is None:
        written = hour + short
    if hour + short > written:
        return {}, fault or PARTS_EXCEED_WHOLE
    quantities = {
        u.INPUT: given or 0,
        u.CACHE_READ: read or 0,
        # What no lifetime is stated for has the usual one.
        u.CACHE_WRITE: written - hour,
        u.CACHE_WRITE_1H: hour,
        u.OUTPUT: output or 0,
    }
    if not fault and total is not None and total != sum(quantities.values()):
        fault = CONTRADICTS_TOTAL
    return {name: count for name, count in quantities.items() if count}, fault
