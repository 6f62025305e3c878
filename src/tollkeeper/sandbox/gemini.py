"""The Gemini API, of AI Studio, Vertex AI and Code Assist: requests and both forms of stream."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollkeeper.sandbox.asked import (
    Asked,
    Json,
    Size,
    Tool,
    Weight,
    in_camel_case,
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
from tollkeeper.sandbox.reply import Identity, Reply, encode, event, event_headers, json_reply
from tollkeeper.sandbox.stated_usage import is_stated_at_piece, put_usage, times_at_end
from tollkeeper.wire.controls import Controls

_CRLF: Final = b"\r\n"
_JSON: Final = b"content-type: application/json; charset=UTF-8\r\n"
_CACHED_TOKENS: Final = 2_048
"""What a cache that a request names holds: nobody asked the sandbox to make it."""

_THOUGHT_TOKENS: Final = 64
_THOUGHT_TOKENS_MAX: Final = 512
_JSON_TYPE: Final = "application/json"


def read_generate(body: Json, controls: Controls, model: str, *, stream: bool) -> Asked:
    """Read a request; Code Assist wraps it in another object."""
    inner = in_camel_case(object_at(body, "request") or body)
    contents = objects_at(inner, "contents")
    parts = objects_at(contents[-1], "parts") if contents else []
    answers = [object_at(part, "functionResponse", "function_response") for part in parts]
    from_tool = any(answers)
    last_text = last_text_of(parts)
    if from_tool:
        last_text = encode([object_at(answer, "response") for answer in answers]).decode()
    config = in_camel_case(object_at(inner, "generationConfig"))
    thinking = in_camel_case(object_at(config, "thinkingConfig"))
    thoughts = _thought_tokens(thinking)
    return Asked(
        model=model or controls.model,
        last_text=last_text,
        from_tool=from_tool,
        weight=_weight(inner),
        stream=stream,
        include_usage=True,
        choices=controls.choices,
        max_output_tokens=controls.max_output_tokens,
        tool=_tool(inner, last_text, from_tool=from_tool),
        schema=_schema(config),
        reasoning_tokens=thoughts,
        shows_thinking=bool(thoughts) and thinking.get("includeThoughts") is True,
        cached_tokens=_CACHED_TOKENS if text_at(inner, "cachedContent") else 0,
    )


def prompt_size(body: Json) -> Size:
    """Size the prompt of a request for content or for a count of tokens."""
    inner = in_camel_case(object_at(body, "generateContentRequest", "request") or body)
    names = ("contents", "content", "systemInstruction", "tools")
    return size_of([inner.get(name) for name in names])


def generate_reply(
    asked: Asked,
    draft: Draft,
    identity: Identity,
    style: UsageStyle,
    headers: bytes,
    *,
    wrapped: bool = False,
    as_events: bool = True,
) -> Reply:
    """Give the reply as one object, as events, or as the elements of one array."""
    writer = _Writer(asked, draft, identity, style, wrapped=wrapped)
    if asked.stream:
        return writer.stream(headers, as_events=as_events)
    parts = [*writer.thought(), *writer.parts(draft.text)]
    whole = writer.chunk(parts, draft.counts, _finish_reason(draft))
    return json_reply(whole, counts=draft.counts, model=asked.model, headers=headers)


def generate_usage(counts: Counts) -> dict[str, Any]:
    """Write usage metadata: the prompt contains what was cached, thoughts stand beside."""
    prompt = counts.prompt
    kinds = (
        ("TEXT", counts.input + counts.cache_read),
        ("IMAGE", counts.input_image),
        ("AUDIO", counts.input_audio),
    )
    usage: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": counts.output,
        "totalTokenCount": prompt + counts.output + counts.reasoning,
        "promptTokensDetails": [
            {"modality": kind, "tokenCount": count} for kind, count in kinds if count
        ],
    }
    if counts.reasoning:
        usage["thoughtsTokenCount"] = counts.reasoning
    if counts.cache_read:
        usage["cachedContentTokenCount"] = counts.cache_read
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": counts.cache_read}]
    return usage


def _weight(inner: Json) -> Weight:
    weight = prompt_size(inner).weight
    if text_at(inner, "cachedContent"):
        weight = weight._replace(text=weight.text + _CACHED_TOKENS)
    return weight


def _thought_tokens(thinking: Json) -> int:
    budget = positive_at(thinking, "thinkingBudget")
    level = text_at(thinking, "thinkingLevel").lower()
    if budget is not None:
        return min(budget, _THOUGHT_TOKENS_MAX)
    if thinking.get("thinkingBudget") == 0 or level == "minimal":
        return 0
    return _THOUGHT_TOKENS if thinking else 0


def _tool(inner: Json, last_text: str, *, from_tool: bool) -> Tool | None:
    declared = [
        function
        for tool in objects_at(inner, "tools")
        for function in objects_at(in_camel_case(tool), "functionDeclarations")
    ]
    config = in_camel_case(object_at(inner, "toolConfig"))
    calling = in_camel_case(object_at(config, "functionCallingConfig"))
    mode = text_at(calling, "mode").upper()
    if mode == "NONE":
        return None
    tools = tools_from(declared, "parametersJsonSchema", "parameters_json_schema", "parameters")
    allowed = calling.get("allowedFunctionNames")
    if isinstance(allowed, list):
        tools = [tool for tool in tools if tool.name in allowed]
    return tool_to_call(tools, mode == "ANY", last_text, from_tool=from_tool)


def _schema(config: Json) -> Any:
    schema = object_at(config, "responseJsonSchema", "responseSchema")
    if schema or text_at(config, "responseMimeType") == _JSON_TYPE:
        return schema
    return None


def _finish_reason(draft: Draft) -> str:
    return "MAX_TOKENS" if draft.cut else "STOP"


class _Writer:
    """Writes the objects of one reply."""

    def __init__(
        self,
        asked: Asked,
        draft: Draft,
        identity: Identity,
        style: UsageStyle,
        *,
        wrapped: bool,
    ) -> None:
        self._asked = asked
        self._draft = draft
        self._identity = identity
        self._style = style
        self._wrapped = wrapped

    def chunk(
        self, parts: list[dict[str, Any]], counts: Counts | None, reason: str | None = None
    ) -> dict[str, Any]:
        """Write one object; ``counts`` is None where no usage stands."""
        candidates = []
        for index in range(self._asked.choices):
            candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
            if reason:
                candidate["finishReason"] = reason
            candidates.append(candidate | {"index": index})
        made: dict[str, Any] = {"candidates": candidates}
        if counts is not None:
            put_usage(made, generate_usage(counts), self._style, "usageMetadata")
        made["modelVersion"] = self._asked.model
        made["responseId"] = self._identity.id("", 22)
        if self._wrapped:
            return {"response": made, "traceId": self._identity.id("", 16)}
        return made

    def thought(self) -> list[dict[str, Any]]:
        """Write the part that shows what was thought."""
        thinking = self._draft.thinking
        return [{"text": thinking, "thought": True}] if thinking else []

    def parts(self, text: str) -> list[dict[str, Any]]:
        """Write a text, or the function call in its place."""
        tool = self._draft.tool
        if tool is None:
            return [{"text": text}]
        arguments = msgspec.Raw(tool.arguments.encode())
        call = {"id": self._identity.id("", 8), "name": tool.name, "args": arguments}
        part: dict[str, Any] = {"functionCall": call}
        if self._draft.counts.reasoning:
            part["thoughtSignature"] = self._identity.id("", 40)
        return [part]

    def stream(self, headers: bytes, *, as_events: bool) -> Reply:
        """Write a stream: usage in every object, the final one in the last."""
        draft, style = self._draft, self._style
        chunks = []
        texts = draft.pieces if draft.tool is None else ("",)  # a call comes in one piece
        for number, text in enumerate(texts, start=1):
            parts = self.parts(text)
            if number == 1:
                parts = self.thought() + parts
            reached = number if draft.tool is None else -1
            counts: Counts | None = draft.counts_after(reached)
            if style is UsageStyle.WRONG_CHUNK:
                counts = draft.counts if is_stated_at_piece(style, number) else None
            chunks.append(self.chunk(parts, counts))
        times = times_at_end(style)
        last = self.chunk([{"text": ""}], draft.counts if times else None, _finish_reason(draft))
        lasts = [last] * max(times, 1)
        after = draft.output_after[:: len(draft.pieces) // len(texts)]
        reply = self._events(chunks, lasts) if as_events else self._array(chunks, lasts)
        kind = event_headers(headers) if as_events else _JSON + headers
        return reply._replace(
            headers=kind, counts=draft.counts, output_after=after, model=self._asked.model
        )

    def _events(self, chunks: list[Any], lasts: list[Any]) -> Reply:
        return Reply(
            200,
            b"",
            tuple(event(chunk, end=_CRLF) for chunk in chunks),
            closing=b"".join(event(chunk, end=_CRLF) for chunk in lasts[:-1]),
            end=event(lasts[-1], end=_CRLF),
            streamed=True,
        )

    def _array(self, chunks: list[Any], lasts: list[Any]) -> Reply:
        """Write the elements of one array, each with the comma in front of it."""
        written = [encode(chunk) for chunk in chunks]
        return Reply(
            200,
            b"",
            (written[0], *(b"\n,\r\n" + chunk for chunk in written[1:])),
            opening=b"[",
            closing=b"".join(b"\n,\r\n" + encode(chunk) for chunk in lasts[:-1]),
            end=b"\n,\r\n" + encode(lasts[-1]) + b"\n]\n",
            streamed=True,
        )
