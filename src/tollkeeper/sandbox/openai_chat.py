"""Chat completions, OpenAI's shape: what a request asks for, and the reply in its two forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.sandbox.asked import (
    Asked,
    Caching,
    Json,
    Tool,
    last_text_of,
    object_at,
    objects_at,
    size_of,
    text_at,
    tool_to_call,
    tools_from,
)
from tollkeeper.sandbox.behaviour import UsageStyle
from tollkeeper.sandbox.counts import Counts
from tollkeeper.sandbox.draft import Draft
from tollkeeper.sandbox.prompt_cache import prefixes
from tollkeeper.sandbox.reply import CREATED_S, Identity, Reply, event, event_headers, json_reply
from tollkeeper.sandbox.stated_usage import is_stated_at_piece, put_usage, times_at_end
from tollkeeper.wire.controls import Controls

DONE: Final = b"data: [DONE]\n\n"
REASONING_TOKENS: Final[Mapping[str, int]] = {
    "minimal": 8,
    "low": 32,
    "medium": 128,
    "high": 512,
    "xhigh": 1_024,
}
"""How long is thought at each effort; other words, and none at all, mean no thinking."""

_CACHE_STEP_TOKENS: Final = 128
_CACHE_MIN_TOKENS: Final = 1_024
_TIERS: Final = frozenset({"flex", "priority", "scale"})
_FINGERPRINT: Final = "fp_sandbox"


def read_chat(body: Json, controls: Controls) -> Asked:
    """Read a request."""
    messages = objects_at(body, "messages")
    last = messages[-1] if messages else {}
    from_tool = text_at(last, "role") in {"tool", "function"}
    last_text = last_text_of(last.get("content")) or text_at(body, "prompt")
    thinking = object_at(body, "thinking")
    effort = text_at(body, "reasoning_effort")
    if text_at(thinking, "type") == "enabled":
        effort = effort or "medium"
    return Asked(
        model=controls.model,
        last_text=last_text,
        from_tool=from_tool,
        weight=size_of(messages, body.get("prompt"), body.get("suffix"), body.get("tools")).weight,
        stream=controls.stream,
        include_usage=controls.asks_for_usage,
        choices=controls.choices,
        max_output_tokens=controls.max_output_tokens,
        tool=_tool(body, last_text, from_tool=from_tool),
        schema=_schema(object_at(body, "response_format")),
        reasoning_tokens=REASONING_TOKENS.get(effort, 0),
        tier=controls.service_tier if controls.service_tier in _TIERS else "default",
        caching=keyed_caching(controls, [body.get("tools"), *messages]),
    )


def keyed_caching(controls: Controls, blocks: list[Any]) -> Caching:
    """Give the prefixes that a request with a cache key may have in common with others."""
    if not controls.prompt_cache_key:
        return Caching()
    start = f"{controls.model}\0{controls.prompt_cache_key}"
    return Caching(
        tuple(prefixes(start, blocks)),
        step_tokens=_CACHE_STEP_TOKENS,
        min_tokens=_CACHE_MIN_TOKENS,
    )


def chat_reply(
    asked: Asked, draft: Draft, identity: Identity, style: UsageStyle, headers: bytes
) -> Reply:
    """Give the reply as a stream or as one object."""
    if asked.stream:
        return _stream(asked, draft, identity, style, headers)
    choices = [
        {
            "index": index,
            "message": _message(draft, identity, index),
            "logprobs": None,
            "finish_reason": finish_reason(draft),
        }
        for index in range(asked.choices)
    ]
    whole = _frame("chat.completion", asked, identity) | {"choices": choices}
    put_usage(whole, chat_usage(draft.counts), style)
    return json_reply(whole, counts=draft.counts, model=asked.model, headers=headers)


def chat_usage(counts: Counts) -> dict[str, Any]:
    """Write a usage object: the parts are contained in the wholes."""
    prompt, output = counts.prompt, counts.output + counts.reasoning
    details: dict[str, Any] = {
        "cached_tokens": counts.cache_read,
        "audio_tokens": counts.input_audio,
    }
    if counts.input_image:
        details["image_tokens"] = counts.input_image
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def finish_reason(draft: Draft) -> str:
    """Say why the text ends."""
    if draft.cut:
        return "length"
    return "tool_calls" if draft.tool else "stop"


def _tool(body: Json, last_text: str, *, from_tool: bool) -> Tool | None:
    declared = [object_at(tool, "function") for tool in objects_at(body, "tools")]
    choice = body.get("tool_choice")
    if choice == "none":
        return None
    forced: str | bool = choice == "required"
    if isinstance(choice, Mapping):
        forced = text_at(object_at(choice, "function"), "name")
    return tool_to_call(tools_from(declared, "parameters"), forced, last_text, from_tool=from_tool)


def _schema(response_format: Json) -> Any:
    kind = response_format.get("type")
    if kind == "json_schema":
        return object_at(object_at(response_format, "json_schema"), "schema")
    return {} if kind == "json_object" else None


def _frame(kind: str, asked: Asked, identity: Identity) -> dict[str, Any]:
    return {
        "id": identity.id("chatcmpl-"),
        "object": kind,
        "created": CREATED_S,
        "model": asked.model,
        "service_tier": asked.tier,
        "system_fingerprint": _FINGERPRINT,
    }


def _message(draft: Draft, identity: Identity, index: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": draft.text, "refusal": None}
    if draft.tool is not None:
        message["content"] = None
        message["tool_calls"] = [_tool_call(draft, identity, index, draft.tool.arguments)]
    else:
        message["annotations"] = []
    return message


def _tool_call(draft: Draft, identity: Identity, index: int, arguments: str) -> dict[str, Any]:
    name = draft.tool.name if draft.tool else ""
    return {
        "id": identity.id(f"call_{index}"),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _stream(
    asked: Asked, draft: Draft, identity: Identity, style: UsageStyle, headers: bytes
) -> Reply:
    frame = _frame("chat.completion.chunk", asked, identity)
    if asked.include_usage:
        frame["usage"] = None  # in every chunk but the last

    def chunk(deltas: list[dict[str, Any]], reason: str | None = None) -> dict[str, Any]:
        choices = [
            {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
            for index, delta in enumerate(deltas)
        ]
        return frame | {"choices": choices}

    choices = range(asked.choices)
    pieces = []
    for number, text in enumerate(draft.pieces, start=1):
        part = chunk([_delta(draft, text) for _ in choices])
        if is_stated_at_piece(style, number):
            counts = draft.counts if style is UsageStyle.WRONG_CHUNK else draft.counts_after(number)
            part = put_usage(part, chat_usage(counts), style)
        pieces.append(event(part))
    last = event(chunk([{} for _ in choices], finish_reason(draft)))
    if asked.include_usage or style is UsageStyle.CUMULATIVE:
        extra = put_usage(frame | {"choices": []}, chat_usage(draft.counts), style)
        last += event(extra) * times_at_end(style)
    return Reply(
        200,
        event_headers(headers),
        tuple(pieces),
        opening=event(chunk([_first_delta(draft, identity, index) for index in choices])),
        closing=last,
        end=DONE,
        streamed=True,
        counts=draft.counts,
        output_after=draft.output_after,
        model=asked.model,
    )


def _first_delta(draft: Draft, identity: Identity, index: int) -> dict[str, Any]:
    if draft.tool is None:
        return {"role": "assistant", "content": "", "refusal": None}
    call = {"index": 0, **_tool_call(draft, identity, index, "")}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _delta(draft: Draft, text: str) -> dict[str, Any]:
    if draft.tool is None:
        return {"content": text}
    return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}
