"""The Messages API, Anthropic's shape: requests, the reply, and the events of its stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tollkeeper.sandbox.asked import (
    Asked,
    Caching,
    Json,
    Tool,
    Weight,
    last_text_of,
    object_at,
    objects_at,
    positive_at,
    size_of,
    text_at,
    tool_to_call,
    tools_from,
)
from tollkeeper.sandbox.behaviour import UsageStyle
from tollkeeper.sandbox.counts import Counts
from tollkeeper.sandbox.draft import Draft
from tollkeeper.sandbox.prompt_cache import prefixes
from tollkeeper.sandbox.reply import Identity, Reply, event, event_headers, json_reply
from tollkeeper.sandbox.stated_usage import is_stated_at_piece, put_usage, times_at_end
from tollkeeper.wire.controls import Controls

_CACHE: Final = "cache_control"
_FRAME_TOKENS: Final = 3
_THINKING_TOKENS: Final = 128
_THINKING: Final = frozenset({"enabled", "adaptive"})
_HOUR: Final = "1h"


def read_messages(body: Json, controls: Controls) -> Asked:
    """Read a request."""
    messages = objects_at(body, "messages")
    spoken = [message for message in messages if message.get("role") == "user"]
    content = spoken[-1].get("content") if spoken else ""
    answers = objects_at({"content": content}, "content")
    from_tool = bool(answers) and all(part.get("type") == "tool_result" for part in answers)
    last_text = last_text_of(content)
    if from_tool:
        last_text = last_text_of(answers[-1].get("content"))
    thinking = object_at(body, "thinking")
    form = object_at(object_at(body, "output_config"), "format") or object_at(body, "output_format")
    thinks = text_at(thinking, "type") in _THINKING
    return Asked(
        model=controls.model,
        last_text=last_text,
        from_tool=from_tool,
        weight=Weight(prompt_tokens(body)),
        stream=controls.stream,
        include_usage=True,
        max_output_tokens=controls.max_output_tokens,
        tool=_tool(body, last_text, from_tool=from_tool),
        schema=object_at(form, "schema") if form else None,
        reasoning_tokens=min(positive_at(thinking, "budget_tokens") or _THINKING_TOKENS, 512)
        if thinks
        else 0,
        shows_thinking=thinks and thinking.get("display") != "omitted",
        tier="standard",
        caching=_caching(body, controls.model),
    )


def prompt_tokens(body: Json) -> int:
    """Count the tokens of a whole prompt, and of what frames it, which is never cached."""
    return sum(size_of([block for block, _ in _blocks(body)]).weight) + _FRAME_TOKENS


def messages_reply(
    asked: Asked, draft: Draft, identity: Identity, style: UsageStyle, headers: bytes
) -> Reply:
    """Give the reply as a stream or as one object."""
    if asked.stream:
        return _stream(asked, draft, identity, style, headers)
    content: list[dict[str, Any]] = []
    if draft.counts.reasoning:
        content.append(_thinking_block(draft.thinking, identity))
    content.append(_main_block(draft, identity, whole=True))
    whole = _message(asked, identity) | {"content": content, "stop_reason": _stop_reason(draft)}
    put_usage(whole, _input_usage(draft.counts) | _output_usage(draft.counts), style)
    return json_reply(whole, counts=draft.counts, model=asked.model, headers=headers)


def _tool(body: Json, last_text: str, *, from_tool: bool) -> Tool | None:
    choice = object_at(body, "tool_choice")
    kind = choice.get("type")
    if kind == "none":
        return None
    forced: str | bool = text_at(choice, "name") if kind == "tool" else kind == "any"
    tools = tools_from(objects_at(body, "tools"), "input_schema")
    return tool_to_call(tools, forced, last_text, from_tool=from_tool)


def _blocks(body: Json) -> Iterator[tuple[Any, Any]]:
    """Give the blocks of a prompt in the order of the cache, each with its cache control."""
    for tool in objects_at(body, "tools"):
        yield _apart(tool)
    for source in (body.get("system"), *(it.get("content") for it in objects_at(body, "messages"))):
        for block in source if isinstance(source, list) else [source]:
            if isinstance(block, Mapping):
                yield _apart(block)
            elif block is not None:
                yield block, None


def _apart(block: Json) -> tuple[Json, Any]:
    return {name: it for name, it in block.items() if name != _CACHE}, block.get(_CACHE)


def _caching(body: Json, model: str) -> Caching:
    """Give the prefixes that end where the request wants them cached."""
    listed = list(_blocks(body))
    if listed and isinstance(body.get(_CACHE), Mapping):
        listed[-1] = (listed[-1][0], body[_CACHE])  # set for the request: up to its end
    if not any(isinstance(control, Mapping) for _, control in listed):
        return Caching()
    marks = prefixes(model, [block for block, _ in listed])
    wanted = [
        mark._replace(an_hour=control.get("ttl") == _HOUR)
        for mark, (_, control) in zip(marks, listed, strict=True)
        if isinstance(control, Mapping)
    ]
    return Caching(tuple(wanted), bills_writes=True)


def _message(asked: Asked, identity: Identity) -> dict[str, Any]:
    return {
        "id": identity.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _stop_reason(draft: Draft) -> str:
    if draft.cut:
        return "max_tokens"
    return "tool_use" if draft.tool else "end_turn"


def _thinking_block(thinking: str, identity: Identity) -> dict[str, Any]:
    return {"type": "thinking", "thinking": thinking, "signature": identity.id("sig_", 40)}


def _main_block(draft: Draft, identity: Identity, *, whole: bool) -> dict[str, Any]:
    if draft.tool is None:
        return {"type": "text", "text": draft.text if whole else ""}
    block = {"type": "tool_use", "id": identity.id("toolu_"), "name": draft.tool.name}
    return block | {"input": msgspec.Raw(draft.tool.arguments.encode()) if whole else {}}


def _input_usage(counts: Counts) -> dict[str, Any]:
    """Write the counts of the input: what was cached stands beside the rest."""
    return {
        "input_tokens": counts.input,
        "cache_creation_input_tokens": counts.cache_write + counts.cache_write_1h,
        "cache_read_input_tokens": counts.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.cache_write,
            "ephemeral_1h_input_tokens": counts.cache_write_1h,
        },
        "service_tier": "standard",
    }


def _output_usage(counts: Counts) -> dict[str, Any]:
    usage: dict[str, Any] = {"output_tokens": counts.output + counts.reasoning}
    if counts.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": counts.reasoning}
    return usage


def _event(kind: str, **more: Any) -> bytes:
    return event({"type": kind, **more}, kind)


def _stream(
    asked: Asked, draft: Draft, identity: Identity, style: UsageStyle, headers: bytes
) -> Reply:
    at = 1 if draft.counts.reasoning else 0
    kind, field = ("input_json_delta", "partial_json") if draft.tool else ("text_delta", "text")
    pieces = []
    for number, text in enumerate(draft.pieces, start=1):
        piece = _event("content_block_delta", index=at, delta={"type": kind, field: text})
        if style is UsageStyle.CUMULATIVE and is_stated_at_piece(style, number):
            piece += _message_delta(None, draft.counts_after(number), style)
        pieces.append(piece)
    last = _event("content_block_stop", index=at)
    times = times_at_end(style)
    if times:
        last += _message_delta(_stop_reason(draft), draft.counts, style) * times
    else:
        last += _event(
            "message_delta", delta={"stop_reason": _stop_reason(draft), "stop_sequence": None}
        )
    return Reply(
        200,
        event_headers(headers),
        tuple(pieces),
        opening=_opening(asked, draft, identity, style, at),
        closing=last,
        end=_event("message_stop"),
        streamed=True,
        counts=draft.counts,
        output_after=draft.output_after,
        model=asked.model,
    )


def _opening(asked: Asked, draft: Draft, identity: Identity, style: UsageStyle, at: int) -> bytes:
    """Write everything in front of the first piece; thinking is shown here as a whole."""
    begun = {"output_tokens": 1}
    if style is UsageStyle.WRONG_CHUNK:
        begun = _output_usage(draft.counts)
    message = put_usage(_message(asked, identity), _input_usage(draft.counts) | begun, style)
    written = _event("message_start", message=message)
    if at:
        sealed = _thinking_block(draft.thinking, identity)
        empty = sealed | {"thinking": "", "signature": ""}
        written += _event("content_block_start", index=0, content_block=empty)
        if draft.thinking:
            delta = {"type": "thinking_delta", "thinking": draft.thinking}
            written += _event("content_block_delta", index=0, delta=delta)
        delta = {"type": "signature_delta", "signature": sealed["signature"]}
        written += _event("content_block_delta", index=0, delta=delta)
        written += _event("content_block_stop", index=0)
    block = _main_block(draft, identity, whole=False)
    return written + _event("content_block_start", index=at, content_block=block) + _event("ping")


def _message_delta(reason: str | None, counts: Counts, style: UsageStyle) -> bytes:
    data = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}}
    put_usage(data, _output_usage(counts), style)
    return event(data, "message_delta")
