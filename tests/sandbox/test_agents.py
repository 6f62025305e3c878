"""Recorded requests of real tools get the reply that each of them needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from loopback import raw, run, serving
from provider_replies import read
from sandbox_requests import Answer, answer_in, calls, events_in
from tollkeeper.sandbox.application import Sandbox

MESSAGES = [
    "aider_anthropic",
    "claude_code_apikey",
    "claude_code_oauth_login",
    "kimi_code_anthropic_type",
    "opencode_anthropic",
    "qwen_code_anthropic",
    "sdk_anthropic_stream",
    "sdk_litellm_anthropic_stream",
]
CHATS = [
    "aider_openai",
    "kimi_code_kimi_type",
    "kimi_code_oauth_login",
    "kimi_code_openai_type",
    "opencode_openai_compatible",
    "qwen_code_openai",
    "sdk_litellm_openai_stream",
    "sdk_mistral_stream",
    "sdk_openai_3.52_chat_stream",
]
RESPONSES = [
    "codex_custom_provider",
    "codex_chatgpt_login_custom_provider",
    "codex_chatgpt_login_openai_base_url_zstd",
    "kimi_code_responses_type",
    "opencode_openai_responses",
    "sdk_openai_responses_stream",
]
GEMINI = [
    "gemini_cli_apikey",
    "gemini_cli_vertex",
    "opencode_google",
    "sdk_google_genai_stream",
    "sdk_litellm_gemini_stream",
]
WHOLE_BODY = "codex_custom_provider"
"""Of the other recorded requests of this tool only the beginning of the body was kept."""

OWN_FIELDS = {"content-length", "connection"}


def sample(shared: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (shared / "samples/wire" / f"{name}.json").read_text("utf-8")
    )
    return found


def body_of(shared: Path, name: str) -> bytes:
    recorded = sample(shared, name)
    body = recorded["body"]
    if isinstance(body, str) and body:
        body = sample(shared, WHOLE_BODY)["body"]
    data = json.dumps(body, ensure_ascii=False).encode() if body else b""
    headers = {header.lower(): value for header, value in recorded["headers"]}
    return zstandard.compress(data) if headers.get("content-encoding") == "zstd" else data


def asked(shared: Path, name: str) -> tuple[Answer, dict[str, Any]]:
    """Send a request as it was recorded; give the answer and the sandbox's account of it."""
    recorded = sample(shared, name)
    body = body_of(shared, name)
    target = recorded["path"] + (f"?{recorded['query']}" if recorded["query"] else "")
    fields = [
        f"{header}: {value}\r\n"
        for header, value in recorded["headers"]
        if header.lower() not in OWN_FIELDS
    ]
    if not any(field.lower().startswith("host:") for field in fields):
        fields.append("Host: sandbox.test\r\n")
    length = f"Content-Length: {len(body)}\r\nConnection: close\r\n"
    head = f"{recorded['method']} {target} HTTP/1.1\r\n{''.join(fields)}{length}\r\n"

    async def work() -> tuple[bytes, dict[str, Any]]:
        async with serving(Sandbox()) as (port, _):
            return await raw(port, head.encode() + body), (await calls(port))

    data, state = run(work)
    return answer_in(data), state["calls"][0] if state["calls"] else {}


def model_of(shared: Path, name: str) -> str:
    body = sample(shared, name)["body"]
    if not isinstance(body, dict):
        body = sample(shared, WHOLE_BODY)["body"]
    return str(body.get("model", ""))


def lines_of(answer: Answer) -> Iterator[bytes]:
    return iter(answer.body.split(b"\n"))


def billed_as_read(answer: Answer, call: dict[str, Any], reader: str) -> None:
    usage = read(reader, answer.body, answer.content_type).usage
    assert usage is not None
    assert not usage.fault
    assert dict(usage.quantities) == call["billed"]


@pytest.mark.parametrize("name", MESSAGES)
def test_tools_that_speak_to_anthropic(shared: Path, name: str) -> None:
    answer, call = asked(shared, name)
    assert answer.status == 200
    assert answer.content_type.startswith("text/event-stream")
    assert answer.headers["request-id"].startswith("req_")
    events = events_in(answer.body)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert "ping" in kinds
    message = events[0]["message"]
    assert message["model"] == model_of(shared, name)
    assert message["usage"]["input_tokens"] > 0
    body = json.loads(body_of(shared, name))
    blocks = [event["content_block"]["type"] for event in events if "content_block" in event]
    assert blocks == (["thinking", "text"] if "thinking" in body else ["text"])
    if body.get("thinking", {}).get("display") == "omitted":
        assert not [event for event in events if event.get("delta", {}).get("thinking")]
    assert ("cache_write" in call["billed"] or "cache_write_1h" in call["billed"]) == (
        "cache_control" in json.dumps(body)
    )
    assert events[-2]["delta"]["stop_reason"] == "end_turn"
    assert events[-2]["usage"]["output_tokens"] > 0
    billed_as_read(answer, call, "anthropic_messages")


@pytest.mark.parametrize("name", CHATS)
def test_tools_that_speak_chat(shared: Path, name: str) -> None:
    answer, call = asked(shared, name)
    assert answer.status == 200
    *chunks, done = events_in(answer.body)
    assert done == "[DONE]"
    assert {chunk["model"] for chunk in chunks} == {model_of(shared, name)}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    ends = [it["choices"][0]["finish_reason"] for it in chunks if it["choices"]]
    assert ends[-1] == "stop"
    assert set(ends[:-1]) == {None}
    wanted = "stream_options" in json.loads(body_of(shared, name))
    assert (chunks[-1]["choices"] == []) == wanted
    if wanted:
        billed_as_read(answer, call, "openai_chat")
    else:
        assert not any("usage" in chunk for chunk in chunks)


@pytest.mark.parametrize("name", RESPONSES)
def test_tools_that_speak_responses(shared: Path, name: str) -> None:
    answer, call = asked(shared, name)
    assert answer.status == 200
    events = events_in(answer.body)
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    names = [line[7:].decode() for line in lines_of(answer) if line.startswith(b"event: ")]
    assert names == kinds
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    done = events[-1]["response"]
    assert done["model"] == model_of(shared, name)
    assert done["status"] == "completed"
    text = "".join(it["delta"] for it in events if it["type"] == "response.output_text.delta")
    assert done["output"][-1]["content"][0]["text"] == text
    assert done["id"] == events[0]["response"]["id"]
    billed_as_read(answer, call, "openai_responses")


@pytest.mark.parametrize("name", GEMINI)
def test_tools_that_speak_to_google(shared: Path, name: str) -> None:
    answer, call = asked(shared, name)
    assert answer.status == 200
    # These tools take a comment for broken JSON.
    assert all(line.strip() == b"" or line.startswith(b"data: {") for line in lines_of(answer))
    chunks = events_in(answer.body)
    assert all("usageMetadata" in chunk for chunk in chunks)
    model = sample(shared, name)["path"].rpartition("/")[2].partition(":")[0]
    assert {chunk["modelVersion"] for chunk in chunks} == {model}
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    assert any(part["text"] and not part.get("thought") for part in parts)
    config = json.loads(body_of(shared, name)).get("generationConfig", {})
    assert any(part.get("thought") for part in parts) == ("thinkingConfig" in config)
    billed_as_read(answer, call, "gemini")


def test_a_router_gets_json_that_it_can_use(shared: Path) -> None:
    answer, call = asked(shared, "gemini_cli_router_generateContent")
    parts = answer.json()["candidates"][0]["content"]["parts"]
    routed = json.loads(parts[-1]["text"])
    assert set(routed) == {"complexity_reasoning", "complexity_score"}
    assert isinstance(routed["complexity_reasoning"], str)
    assert 1 <= routed["complexity_score"] <= 100
    billed_as_read(answer, call, "gemini")


def test_code_assist_gets_its_envelope(shared: Path) -> None:
    answer, call = asked(shared, "gemini_cli_code_assist_login")
    chunks = events_in(answer.body)
    assert all(set(chunk) == {"response", "traceId"} for chunk in chunks)
    last = chunks[-1]["response"]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["modelVersion"] == "gemini-3-flash"
    billed_as_read(answer, call, "gemini")


def test_side_calls_of_tools(shared: Path) -> None:
    listing, _ = asked(shared, "claude_code_model_discovery")
    assert [model["id"] for model in listing.json()["data"]] == ["echo"]
    assert listing.json()["has_more"] is False
    codex, _ = asked(shared, "codex_models")
    assert codex.json() == {"models": []}
    hello, _ = asked(shared, "claude_code_preflight_head")
    assert hello.status == 200
    socket, _ = asked(shared, "codex_openai_base_url_websocket_upgrade")
    assert socket.status == 426
    count, _ = asked(shared, "sdk_anthropic_count_tokens")
    assert count.json() == {"input_tokens": 4}
    plain, call = asked(shared, "sdk_openai_2.54_chat")
    assert plain.json()["choices"][0]["message"]["content"] == "You said: hi"
    billed_as_read(plain, call, "openai_chat")
