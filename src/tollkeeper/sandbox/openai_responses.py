"""The Responses API: what a request asks for, the reply, and the full sequence of its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tollkeeper.sandbox.asked import (
    Asked,
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
from tollkeeper.sandbox.openai_chat import REASONING_TOKENS, keyed_caching
from tollkeeper.sandbox.reply import CREATED_S, Identity, Reply, event, event_headers, json_reply
from tollkeeper.sandbox.stated_usage import is_stated_at_piece, put_usage, times_at_end
from tollkeeper.wire.controls import Controls


def read_responses(body: Json, controls: Controls) -> Asked:
    """Read a request. The input is a text, or a list of items."""
    given = body.get("input")
    items = objects_at(body, "input") or [{"role": "user", "content": given}]
    spoken = [item for item in items if _speaks(item)]
    last = spoken[-1] if spoken else {}
    from_tool = text_at(last, "type").endswith("_output")
    last_text = last_text_of(last.get("output") if from_tool else last.get("content"))
    instructions = body.get("instructions")
    return Asked(
        model=controls.model,
        last_text=last_text,
        from_tool=from_tool,
        weight=size_of(given, instructions, body.get("tools")).weight,
        stream=controls.stream,
        include_usage=True,
        max_output_tokens=controls.max_output_tokens,
        tool=_tool(body, last_text, from_tool=from_tool),
        schema=_schema(object_at(object_at(body, "text"), "format")),
        reasoning_tokens=REASONING_TOKENS.get(text_at(object_at(body, "reasoning"), "effort"), 0),
        tier=controls.service_tier if controls.service_tier in {"flex", "priority"} else "default",
        caching=keyed_caching(controls, [body.get("tools"), instructions, *items]),
    )


def responses_reply(
    asked: Asked, draft: Draft, identity: Identity, style: UsageStyle, headers: bytes
) -> Reply:
    """Give the reply as a stream or as one object."""
    whole = _response(asked, draft, identity)
    put_usage(whole, responses_usage(draft.counts), style)
    if asked.stream and style is UsageStyle.WRONG_CHUNK:
        whole["usage"] = None
    if asked.stream:
        return _Events(asked, draft, identity, style).reply(whole, headers)
    return json_reply(whole, counts=draft.counts, model=asked.model, headers=headers)


def compaction_reply(
    asked: Asked, draft: Draft, identity: Identity, style: UsageStyle, headers: bytes
) -> Reply:
    """Give the reply to a request to make a conversation shorter."""
    whole = {
        "id": identity.id("resp_", 32),
        "object": "response.compaction",
        "created_at": CREATED_S,
        "model": asked.model,
        "output": [
            {
                "id": identity.id("cmp_", 32),
                "type": "compaction",
                "encrypted_content": identity.id("", 40),
            }
        ],
    }
    put_usage(whole, responses_usage(draft.counts), style)
    return json_reply(whole, counts=draft.counts, model=asked.model, headers=headers)


def responses_usage(counts: Counts) -> dict[str, Any]:
    """Write a usage object: the parts are contained in the wholes."""
    output = counts.output + counts.reasoning
    return {
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cached_tokens": counts.cache_read},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt + output,
    }


def _speaks(item: Json) -> bool:
    kind = text_at(item, "type")
    return kind.endswith("_output") or text_at(item, "role") == "user"


def _tool(body: Json, last_text: str, *, from_tool: bool) -> Tool | None:
    declared = [tool for tool in objects_at(body, "tools") if tool.get("type") == "function"]
    choice = body.get("tool_choice")
    if choice == "none":
        return None
    forced: str | bool = choice == "required"
    if isinstance(choice, Mapping):
        forced = text_at(choice, "name")
    return tool_to_call(tools_from(declared, "parameters"), forced, last_text, from_tool=from_tool)


def _schema(text_format: Json) -> Any:
    kind = text_format.get("type")
    if kind == "json_schema":
        return object_at(text_format, "schema")
    return {} if kind == "json_object" else None


def _response(asked: Asked, draft: Draft, identity: Identity) -> dict[str, Any]:
    """Write the response object, without its usage."""
    items = [_reasoning_item(identity)] if draft.counts.reasoning else []
    return {
        "id": identity.id("resp_", 32),
        "object": "response",
        "created_at": CREATED_S,
        "status": "incomplete" if draft.cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if draft.cut else None,
        "instructions": None,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": {},
        "model": asked.model,
        "output": [*items, _item(draft, identity)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": asked.tier,
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


def _reasoning_item(identity: Identity) -> dict[str, Any]:
    return {
        "id": identity.id("rs_", 32),
        "type": "reasoning",
        "summary": [],
        "encrypted_content": identity.id("", 40),
    }


def _item(draft: Draft, identity: Identity, *, status: str = "") -> dict[str, Any]:
    """Write the message or the function call; with a ``status`` it has no content yet."""
    if draft.tool is not None:
        return {
            "id": identity.id("fc_", 32),
            "type": "function_call",
            "status": status or "completed",
            "arguments": "" if status else draft.tool.arguments,
            "call_id": identity.id("call_"),
            "name": draft.tool.name,
        }
    ended = "incomplete" if draft.cut else "completed"
    return {
        "id": identity.id("msg_", 32),
        "type": "message",
        "status": status or ended,
        "content": [] if status else [_part(draft.text)],
        "role": "assistant",
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


class _Events:
    """Writes the events of one reply, each with its number in the sequence."""

    def __init__(self, asked: Asked, draft: Draft, identity: Identity, style: UsageStyle) -> None:
        self._asked = asked
        self._draft = draft
        self._identity = identity
        self._style = style
        self._number = 0
        self._item_at = 1 if draft.counts.reasoning else 0

    def reply(self, whole: dict[str, Any], headers: bytes) -> Reply:
        """Write all of them around the pieces."""
        draft = self._draft
        opening = self._opening(whole)
        pieces = tuple(
            self._delta(text) + self._stated_early(whole, number)
            for number, text in enumerate(draft.pieces, start=1)
        )
        closing = self._closing()
        last = f"response.{whole['status']}"
        ends = [self._event(last, response=whole) for _ in range(times_at_end(self._style) or 1)]
        return Reply(
            200,
            event_headers(headers),
            pieces,
            opening=opening,
            closing=closing + b"".join(ends[:-1]),
            end=ends[-1],
            streamed=True,
            counts=draft.counts,
            output_after=draft.output_after,
            model=self._asked.model,
        )

    def _opening(self, whole: dict[str, Any]) -> bytes:
        begun = self._begun(whole)
        written = self._event("response.created", response=begun)
        written += self._event("response.in_progress", response=begun)
        if self._item_at:
            item = _reasoning_item(self._identity)
            written += self._event("response.output_item.added", output_index=0, item=item)
            written += self._event("response.output_item.done", output_index=0, item=item)
        item = _item(self._draft, self._identity, status="in_progress")
        written += self._event("response.output_item.added", output_index=self._item_at, item=item)
        if self._draft.tool is None:
            written += self._of_item("response.content_part.added", part=_part(""))
        return written

    def _delta(self, text: str) -> bytes:
        if self._draft.tool is not None:
            return self._of_item("response.function_call_arguments.delta", delta=text)
        return self._of_item("response.output_text.delta", delta=text, logprobs=[])

    def _closing(self) -> bytes:
        draft = self._draft
        if draft.tool is not None:
            written = self._of_item(
                "response.function_call_arguments.done",
                arguments=draft.tool.arguments,
                name=draft.tool.name,
            )
        else:
            written = self._of_item("response.output_text.done", text=draft.text, logprobs=[])
            written += self._of_item("response.content_part.done", part=_part(draft.text))
        item = _item(draft, self._identity)
        return written + self._event(
            "response.output_item.done", output_index=self._item_at, item=item
        )

    def _stated_early(self, whole: dict[str, Any], number: int) -> bytes:
        """Write usage in front of the end, where the style wants it there."""
        if not is_stated_at_piece(self._style, number):
            return b""
        counts = self._draft.counts
        if self._style is UsageStyle.CUMULATIVE:
            counts = self._draft.counts_after(number)
        begun = self._begun(whole) | {"usage": responses_usage(counts)}
        return self._event("response.in_progress", response=begun)

    def _begun(self, whole: dict[str, Any]) -> dict[str, Any]:
        return whole | {
            "status": "in_progress",
            "incomplete_details": None,
            "output": [],
            "usage": None,
        }

    def _of_item(self, kind: str, **more: Any) -> bytes:
        item = _item(self._draft, self._identity)["id"]
        where: dict[str, Any] = {"item_id": item, "output_index": self._item_at}
        if self._draft.tool is None:
            where["content_index"] = 0
        return self._event(kind, **where, **more)

    def _event(self, kind: str, **more: Any) -> bytes:
        data = {"type": kind, "sequence_number": self._number, **more}
        self._number += 1
        return event(data, kind)
