"""Usage in replies of the rerank call that many vendors have under one name, and others like it.

Voyage, Jina, Together and vLLM state tokens, Cohere and OpenRouter the searches that they
bill; OpenRouter tells the cost as well. Where searches are stated, the tokens beside them are
not what is paid for. Cohere's embeddings and classifications say it in the same places.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.cohere import cohere_usage
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import ABSENT, Count, Shape, compact_text, is_present
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.stated_costs import Statement, stated_cost
from tollkeeper.wire.token_counts import exclusive


class RerankUsage(Statement):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    search_units: Count = None


class RerankReply(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = ABSENT
    meta: msgspec.Raw = ABSENT


_REPLY: Final = Shape(RerankReply)
_USAGE: Final = Shape(RerankUsage)


def rerank_reader() -> JsonReader:
    """Give a reader of a reply that is one JSON object."""
    return JsonReader(_reading_of)


def rerank_usage(raw: bytes, model: str = "") -> Usage:
    """Read a ``usage`` object."""
    counts, fault = _USAGE.read(raw)
    if counts is None:
        return Usage(model=model, fault=fault)
    cost = stated_cost(counts)
    if counts.search_units is not None:
        quantities = {u.RERANK_SEARCHES: counts.search_units} if counts.search_units else {}
    else:
        prompt = counts.prompt_tokens
        if prompt is None and counts.completion_tokens is None:
            prompt = counts.total_tokens
        quantities, contradiction = exclusive(
            prompt, counts.completion_tokens, counts.total_tokens, 0, 0
        )
        fault = fault or contradiction
    return Usage(
        quantities,
        model,
        fault=fault or cost.fault,
        provider_cost_nanos=cost.nanos,
        raw=compact_text(raw),
        provider_list_nanos=cost.list_nanos,
    )


def _reading_of(text: bytes, complete: bool) -> Reading:
    reply, _ = _REPLY.read(text)
    if reply is None:
        return Reading()
    identity, model = reply.id or "", reply.model or ""
    if is_present(reply.usage):
        return Reading(rerank_usage(bytes(reply.usage), model), identity)
    if is_present(reply.meta):
        usage = cohere_usage(bytes(reply.meta))
        return Reading(None if usage is None else usage._replace(model=model), identity)
    return Reading(None, identity)
