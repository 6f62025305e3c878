"""What the recorded usage of every provider says, counted in the provider's own way.

Goes on where ``recorded_recounts`` ends: the makers' own languages. Nothing of our readers is
used here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from recorded_recounts import recounted
from whole_corpus import Recorded

Totals = dict[str, int]
_HEAD = "x-amzn-bedrock-{}-token-count"
_NONE = {"cached": 0, "written": 0, "hour": 0, "thought": 0}


def totals_of(record: Recorded) -> Totals | None:
    """Give the totals that a record's own usage states, None where nobody recounts its kind."""
    own = _OWN.get(record.reader)
    if own is not None:
        return own(record)
    if record.kind == "mistral" and "prompt_audio_seconds" in record.stated():
        return None  # what was heard is billed by the second, and its tokens are in the total
    try:
        return recounted(record)
    except (KeyError, IndexError, TypeError):
        return None


def _totals(given: int, output: int, **more: int) -> Totals:
    return {"in": given, "out": output, **_NONE, **more}


def _merged(record: Recorded) -> dict[str, Any]:
    """Lay all usage objects of a record over each other; the last word counts."""
    merged: dict[str, Any] = {}
    for entry in record.row["usage"]:
        for value in entry.values():
            if isinstance(value, dict):
                merged |= {key: count for key, count in value.items() if count is not None}
    return merged


def _converse(record: Recorded) -> Totals | None:
    stated = _merged(record)
    if "inputTokens" not in stated:
        return None
    read = stated.get("cacheReadInputTokens") or 0
    written = stated.get("cacheWriteInputTokens") or 0
    hour = sum(
        detail["inputTokens"] for detail in stated.get("cacheDetails", ()) if detail["ttl"] == "1h"
    )
    given = stated["inputTokens"] + read + written
    return _totals(given, stated["outputTokens"], cached=read, written=written, hour=hour)


def _invoked(record: Recorded) -> Totals | None:
    """The maker's own counts, else Bedrock's beside them, else those of the header."""
    merged = _merged(record)
    metrics = _named(_lines(record), "amazon-bedrock-invocationMetrics") or {}
    read = merged.get("cache_read_input_tokens") or metrics.get("cacheReadInputTokenCount") or 0
    written = (
        merged.get("cache_creation_input_tokens") or metrics.get("cacheWriteInputTokenCount") or 0
    )
    head = record.row["response_headers"] or {}
    for given, output in (
        (merged.get("input_tokens"), merged.get("output_tokens")),
        (metrics.get("inputTokenCount"), metrics.get("outputTokenCount")),
        (merged.get("inputTokens"), merged.get("outputTokens")),
        (merged.get("prompt_tokens"), merged.get("completion_tokens")),
        (head.get(_HEAD.format("input")), head.get(_HEAD.format("output"))),
        (head.get(_HEAD.format("input")), 0),
    ):
        if given is not None and output is not None:
            total = int(given) + read + written
            return _totals(total, int(output), cached=read, written=written)
    return None


def _cohere(record: Recorded) -> Totals | None:
    """Cohere bills its ``billed_units``, not what it says of tokens."""
    billed = _named(_lines(record), "billed_units")
    if billed is None:
        return None
    return _totals(int(billed.get("input_tokens") or 0), int(billed.get("output_tokens") or 0))


def _ollama(record: Recorded) -> Totals | None:
    last = _lines(record)[-1]
    if "prompt_eval_count" not in last:
        return None
    return _totals(last["prompt_eval_count"], last.get("eval_count", 0))


def _interactions(record: Recorded) -> Totals | None:
    stated = _merged(record)
    if "total_input_tokens" not in stated:
        return None
    thought = stated.get("total_thought_tokens") or 0
    return _totals(
        stated["total_input_tokens"] + (stated.get("total_tool_use_tokens") or 0),
        (stated.get("total_output_tokens") or 0) + thought,
        cached=stated.get("total_cached_tokens") or 0,
        thought=thought,
    )


def _lines(record: Recorded) -> list[Any]:
    """Decode everything in a body, whatever its kind."""
    text = str(record.row["response_body"])
    kind = record.row["body_kind"]
    if kind in {"json", "json-array"}:
        return [json.loads(text)]
    lines = text.splitlines()
    if kind == "sse":
        lines = [line[5:] for line in lines if line.startswith("data:")]
    return [json.loads(line) for line in lines if line.strip() and line.strip() != "[DONE]"]


def _named(value: Any, name: str) -> dict[str, Any] | None:
    """Find the last object of a name, wherever it stands."""
    found = None
    if isinstance(value, dict):
        if isinstance(value.get(name), dict):
            return dict(value[name])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            found = _named(item, name) or found
    return found


_OWN: dict[str, Callable[[Recorded], Totals | None]] = {
    "bedrock_converse": _converse,
    "bedrock_invoke": _invoked,
    "interactions": _interactions,
    "cohere_chat": _cohere,
    "cohere_embed": _cohere,
    "ollama_chat": _ollama,
}
