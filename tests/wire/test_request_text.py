"""What a model reads of a request, found alike in every dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollkeeper.domain.texts import ANY_TOOL, Picture, RequestText
from tollkeeper.wire.request_text import request_text

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
TOOL = {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}
PARAMETERS = {"name": "look", "parameters": {"type": "object"}}


def _read(**fields: Any) -> RequestText:
    found = request_text(json.dumps(fields).encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("asked", "text", "messages"),
    [
        ({"messages": [{"role": "user", "content": "hi"}]}, "hi", 1),
        ({"messages": [{"content": [{"type": "text", "text": "hi"}]}], "system": "be"}, "hibe", 2),
        ({"system": [{"type": "text", "text": "be"}], "messages": []}, "be", 1),
        ({"input": "hi", "instructions": "be"}, "hibe", 2),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]}, "a", 1),
        ({"contents": [{"parts": [{"text": "hi"}]}]}, "hi", 1),
        ({"systemInstruction": {"parts": [{"text": "be"}]}, "contents": []}, "be", 1),
        ({"request": {"contents": [{"parts": [{"text": "hi"}]}]}}, "hi", 1),
        ({"prompt": "once"}, "once", 1),
        ({"input": ["a", "b"]}, "ab", 2),
        ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "hi", 1),
        ({"message": "hi"}, "hi", 1),
    ],
)
def test_texts(asked: dict[str, Any], text: str, messages: int) -> None:
    found = _read(**asked)
    assert (found.text, found.messages) == (text, messages)
    assert (found.tools, found.schema, found.unseen, found.calls) == ("", "", 0, 0)


@pytest.mark.parametrize(
    "tools",
    [
        {"tools": [{"type": "function", "function": PARAMETERS}]},
        {"tools": [{"type": "function", **PARAMETERS}]},
        {"tools": [TOOL]},
        {"tools": [{"type": "custom", **TOOL}]},
        {"tools": [{"functionDeclarations": [PARAMETERS]}]},
        {"functions": [PARAMETERS]},
        {"toolConfig": {"tools": [{"toolSpec": PARAMETERS}]}},
    ],
)
def test_declared_tools(tools: dict[str, Any]) -> None:
    found = _read(messages=[{"content": "x"}], **tools)
    assert '"look"' in found.tools
    assert found.unseen == 0


@pytest.mark.parametrize(
    "tool", [{"googleSearch": {}}, {"type": "web_search"}, {"type": "web_search_20250305"}]
)
def test_tools_of_the_provider_are_not_seen(tool: dict[str, Any]) -> None:
    found = _read(messages=[{"content": "x"}], tools=[tool])
    assert (found.tools, found.unseen, found.own_tools) == ("", 1, 1)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"type": "input_file", "file_data": "AAAA"},
        {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
    ],
)
def test_media_are_counted_and_not_read(part: dict[str, Any]) -> None:
    found = _read(messages=[{"content": [part, {"text": "hi"}]}])
    assert (found.text, found.unseen, found.own_tools) == ("hi", 1, 0)


@pytest.mark.parametrize(
    ("part", "low"),
    [
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}, False),
        ({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}, False),
        ({"type": "input_image", "image_url": f"data:,{PNG}", "detail": "low"}, True),
        ({"type": "image", "source": {"type": "base64", "data": PNG}}, False),
        ({"inlineData": {"mimeType": "image/png", "data": PNG}}, False),
        ({"image": {"format": "png", "source": {"bytes": PNG}}}, False),
    ],
)
def test_pictures_are_measured(part: dict[str, Any], *, low: bool) -> None:
    found = _read(messages=[{"content": [part]}])
    assert (found.unseen, found.pictures) == (1, (Picture(1, 1, low),))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
        {"document": {"format": "txt", "name": "a", "source": {"text": "hi"}}},
        {"document": {"format": "txt", "source": {"content": [{"text": "hi"}]}}},
    ],
)
def test_a_document_that_is_a_text_is_read(part: dict[str, Any]) -> None:
    found = _read(messages=[{"content": [part]}])
    assert (found.text, found.unseen) == ("hi", 0)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        {"content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]},
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
    ],
)
def test_calls_are_counted_with_their_arguments(message: dict[str, Any]) -> None:
    found = _read(messages=[message])
    assert (found.calls, sorted(found.text)) == (1, ["f", "{", "}"])


def test_a_prescribed_answer() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    asked: dict[str, Any] = {"messages": [{"content": "x"}]}
    prescribed = {"type": "json_schema", "json_schema": {"schema": schema}}
    assert '"properties"' in _read(**asked, response_format=prescribed).schema
    assert '"properties"' in _read(**asked, generationConfig={"responseSchema": schema}).schema
    assert '"properties"' in _read(**asked, output_config={"format": schema}).schema
    assert _read(**asked, output_format={"type": "json_schema", "schema": schema}).schema
    assert _read(**asked, text={"format": {"type": "json_schema", "schema": schema}}).schema
    assert _read(**asked, response_format={"type": "text"}).schema == ""
    strict = {"name": "answer", "strict": True, "schema": schema | {"additionalProperties": False}}
    found = _read(**asked, response_format={"type": "json_schema", "json_schema": strict}).schema
    assert found.startswith("answer\n{")
    assert "additional" not in found


def test_earlier_thoughts_are_not_read() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "x"}
    assert _read(messages=[{"content": [thought, {"type": "text", "text": "hi"}]}]).text == "hi"


def test_seals_are_measured_and_not_read() -> None:
    part = {"text": "hi", "thoughtSignature": "x" * 300}
    found = _read(contents=[{"parts": [part, {"thoughtSignature": 7}]}])
    assert (found.text, found.sealed) == ("hi", (300,))


@pytest.mark.parametrize(
    ("choice", "must_call"),
    [
        ({}, ""),
        ({"tool_choice": "auto"}, ""),
        ({"tool_choice": "required"}, ANY_TOOL),
        ({"tool_choice": {"type": "auto"}}, ""),
        ({"tool_choice": {"type": "any"}}, ANY_TOOL),
        ({"tool_choice": {"type": "tool", "name": "look"}}, "look"),
        ({"tool_choice": {"type": "function", "function": {"name": "look"}}}, "look"),
        ({"tool_choice": {"type": "function", "name": "look"}}, "look"),
        ({"function_call": {"name": "look"}}, "look"),
        ({"toolConfig": {"toolChoice": {"any": {}}}}, ANY_TOOL),
        ({"toolConfig": {"toolChoice": {"tool": {"name": "look"}}}}, "look"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, ANY_TOOL),
        ({"tool_choice": {"type": ["any"], "name": 7}}, ""),
    ],
)
def test_a_tool_that_must_be_called(choice: dict[str, Any], must_call: str) -> None:
    assert _read(messages=[{"content": "x"}], **choice).must_call == must_call


@pytest.mark.parametrize(
    ("said", "thinks"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, True),
        ({"reasoning_effort": "minimal"}, False),
        ({"reasoning": {"effort": "none"}}, False),
        ({"reasoning": {"summary": "auto"}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, False),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}, True),
        ({"additionalModelRequestFields": {"thinking": {"type": "enabled"}}}, True),
        ({"think": False}, False),
        ({"reasoning": {"effort": ["odd"]}}, True),
    ],
)
def test_whether_reasoning_is_asked_for(said: dict[str, Any], thinks: bool | None) -> None:
    assert _read(messages=[{"content": "x"}], **said).thinks is thinks


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"{}", b'{"messages":7}', b"\xff", b"[" * 9_000]
)
def test_what_no_model_could_read(body: bytes) -> None:
    assert request_text(body) is None


def test_a_deep_request_is_read_to_a_depth() -> None:
    nested: Any = "deep"
    for _ in range(500):
        nested = [nested]
    assert _read(messages=[{"content": nested}]).text == ""


@pytest.mark.parametrize("odd", [[], {}, 7, None, True, "x"])
def test_a_kind_that_is_none_is_no_error(odd: Any) -> None:
    found = request_text(json.dumps({"messages": [{"type": odd, "content": "hi"}]}).encode())
    assert found is not None
    assert found.text == "hi"
    assert request_text(json.dumps({"messages": [{}], "tools": [{"type": odd}]}).encode())
