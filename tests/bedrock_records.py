"""What recorded replies of Bedrock say that they used, counted with nothing of our readers."""

from __future__ import annotations

import json
from typing import Any

from recorded_replies import Record
from tollkeeper.domain import usage as u

AGENTS = "other"
"""Agents and guardrails: services of their own, which the gateway only passes on."""

_OPENAI = {"chat", "responses"}


def recounted(record: Record) -> dict[str, int] | None:
    """Give the exclusive quantities of a record, None where its input is not stated."""
    text = str(record.row["response_body"])
    if record.api in _OPENAI:
        return _openai(record.row["usage"][-1]["usage"])
    if record.row["body_kind"] == "sse":
        events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
        return _tokens(next(it["metadata"]["usage"] for it in events if "metadata" in it))
    if record.api == "converse":
        return _tokens(json.loads(text)["usage"])
    if record.api == "invoke":
        return _invoked(json.loads(text), record.row["response_headers"])
    payloads = [json.loads(line)["payload"] for line in text.splitlines()]
    if record.api == "converse-stream":
        return _tokens(payloads[-1]["usage"])
    return _streamed(payloads)


def _tokens(usage: dict[str, Any]) -> dict[str, int] | None:
    if "inputTokens" not in usage:
        return None
    hour = sum(it["inputTokens"] for it in usage.get("cacheDetails", ()) if it["ttl"] == "1h")
    written = usage.get("cacheWriteInputTokens") or usage.get("cacheWriteInputTokenCount") or 0
    return {
        u.INPUT: usage["inputTokens"],
        u.CACHE_READ: usage.get("cacheReadInputTokens")
        or usage.get("cacheReadInputTokenCount")
        or 0,
        u.CACHE_WRITE: written - hour,
        u.CACHE_WRITE_1H: hour,
        u.OUTPUT: usage.get("outputTokens", 0),
    }


def _openai(usage: dict[str, Any]) -> dict[str, int]:
    """Count in OpenAI's way: what was cached and thought is within its whole."""
    given, made = ("prompt", "completion") if "prompt_tokens" in usage else ("input", "output")
    details = usage.get(f"{given}_tokens_details") or {}
    read, written = (details.get(name) or 0 for name in ("cached_tokens", "cache_write_tokens"))
    thought = (usage.get(f"{made}_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        u.INPUT: usage[f"{given}_tokens"] - read - written,
        u.CACHE_READ: read,
        u.CACHE_WRITE: written,
        u.OUTPUT: usage[f"{made}_tokens"] - thought,
        u.REASONING: thought,
    }


def _anthropic(usage: dict[str, Any]) -> dict[str, int]:
    hour = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    return {
        u.INPUT: usage["input_tokens"],
        u.CACHE_READ: usage.get("cache_read_input_tokens") or 0,
        u.CACHE_WRITE: (usage.get("cache_creation_input_tokens") or 0) - hour,
        u.CACHE_WRITE_1H: hour,
        u.OUTPUT: usage["output_tokens"] - thought,
        u.REASONING: thought,
    }


def _invoked(reply: Any, headers: dict[str, str]) -> dict[str, int]:
    """Count what the headers say; they are all there is for most makers, and agree with all."""
    said = {name.lower(): value for name, value in headers.items()}
    usage = reply.get("usage") or {} if isinstance(reply, dict) else {}
    if "input_tokens" in usage:
        counted = _anthropic(usage)
    else:
        counted = {u.INPUT: 0, u.OUTPUT: 0}
        for name, key in ((u.INPUT, "input"), (u.OUTPUT, "output")):
            counted[name] = int(said.get(f"x-amzn-bedrock-{key}-token-count", 0))
        for name, key in ((u.CACHE_READ, "cache-read"), (u.CACHE_WRITE, "cache-write")):
            counted[name] = int(said.get(f"x-amzn-bedrock-{key}-input-token-count", 0))
    for name, key in ((u.INPUT, "input"), (u.OUTPUT, "output")):
        stated = said.get(f"x-amzn-bedrock-{key}-token-count")
        both = counted[name] + (counted.get(u.REASONING, 0) if name == u.OUTPUT else 0)
        assert stated is None or int(stated) == both, said
    return counted


def _streamed(payloads: list[dict[str, Any]]) -> dict[str, int]:
    begun = [it["message"]["usage"] for it in payloads if it.get("type") == "message_start"]
    if begun:
        ended = [it["usage"] for it in payloads if it.get("type") == "message_delta"]
        return _anthropic({**begun[0], **ended[-1]})
    metrics = [
        it["amazon-bedrock-invocationMetrics"]
        for it in payloads
        if "amazon-bedrock-invocationMetrics" in it
    ]
    if not metrics:  # Titan, blocked by a guardrail
        last = payloads[-1]
        return {
            u.INPUT: int(last["inputTextTokenCount"]),
            u.OUTPUT: int(last["totalOutputTextTokenCount"]),
        }
    return {
        u.INPUT: metrics[-1]["inputTokenCount"],
        u.OUTPUT: metrics[-1]["outputTokenCount"],
        u.CACHE_READ: metrics[-1].get("cacheReadInputTokenCount", 0),
        u.CACHE_WRITE: metrics[-1].get("cacheWriteInputTokenCount", 0),
    }
