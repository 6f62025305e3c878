"""The sandbox as a server: sameness, memory, counting, timing, odd requests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import zstandard

from loopback import HOST, raw, run, serving
from sandbox_questions import STREAMS, WHOLES
from sandbox_requests import (
    HI,
    SAID,
    answer_in,
    ask,
    calls,
    dechunked,
    events_in,
    request_bytes,
)
from tollkeeper.sandbox.application import BODY_BYTES_MAX, Sandbox
from tollkeeper.sandbox.behaviour import ORDINARY, Behaviour, UsageStyle

CHAT, CHAT_STREAM = WHOLES["chat"], STREAMS["chat"]


def on_sandbox(work: Any, defaults: Behaviour = ORDINARY) -> Any:
    """Run something with the port of a fresh sandbox."""

    async def bounded() -> Any:
        async with serving(Sandbox(defaults)) as (port, _):
            return await work(port)

    return run(bounded)


async def on_one_connection(port: int, *requests: bytes) -> list[bytes]:
    """Send requests one after the other, each when the one before is answered."""
    reader, writer = await asyncio.open_connection(HOST, port)
    answers = []
    for request in requests:
        writer.write(request)
        data = await reader.readuntil(b"\r\n\r\n")
        if b"chunked" in data:
            data += await reader.readuntil(b"0\r\n\r\n")
        else:
            data += await reader.readexactly(int(answer_in(data).headers["content-length"]))
        answers.append(data)
    writer.close()
    return answers


# ---------------------------------------------------------------------- sameness


@pytest.mark.parametrize("name", [name for name in WHOLES if "cached" not in name])
def test_the_same_request_gets_the_same_reply_from_any_sandbox(name: str) -> None:
    question = WHOLES[name]

    async def work(port: int) -> bytes:
        return await raw(
            port,
            request_bytes(question.path, question.body, {"Content-Type": question.content_type}),
        )

    assert on_sandbox(work) == on_sandbox(work)


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM, WHOLES["gemini"], STREAMS["responses"]])
def test_a_remembered_reply_is_the_same_and_is_counted_the_same(question: Any) -> None:
    async def work(port: int) -> tuple[list[bytes], dict[str, Any]]:
        request = request_bytes(question.path, question.body, keep=True)
        answers = await on_one_connection(port, *[request] * 6)
        return answers, await calls(port)

    answers, state = on_sandbox(work)
    assert len(set(answers)) == 1
    assert (state["began"], state["read"], state["answered"]) == (6, 6, 6)
    first, *others = state["calls"]
    assert others == [first] * 5
    assert state["billed"] == {name: 6 * count for name, count in first["billed"].items()}


def test_other_requests_get_other_replies() -> None:
    """Nothing that decides a reply may be left out of what it is remembered by."""
    variants = [
        (CHAT.path, {}, {}),
        (CHAT.path, {"model": "other"}, {}),
        (CHAT.path, {"n": 2}, {}),
        (CHAT.path, {}, {"x-sandbox-output-tokens": "7"}),
        (CHAT.path, {}, {"x-sandbox-output-tokens": "8"}),
        (CHAT.path, {}, {"x-sandbox-usage": "none"}),
        (CHAT.path, {}, {"x-sandbox-fault": "many-headers:1"}),
        (CHAT.path, {}, {"Connection": "close"}),
        ("/v1/chat/completions?x=1", {}, {"x-sandbox-fault": "500"}),
        ("/v1/fim/completions", {}, {}),
    ]

    async def work(port: int) -> list[bytes]:
        found = []
        for _ in range(3):
            for path, more, headers in variants:
                body = CHAT.body | more
                found.append(await raw(port, request_bytes(path, body, headers)))
        return found

    found = on_sandbox(work)
    count = len(variants)
    assert found[:count] == found[count : 2 * count] == found[2 * count :]
    # "Connection: close" is what the builder sends anyway.
    assert len(set(found[:count])) == count - 1


def test_ids_come_from_the_request() -> None:
    async def work(port: int) -> list[str]:
        bodies = [CHAT.body, CHAT.body, CHAT.body | {"seed": 1}]
        return [(await ask(port, CHAT.path, body)).json()["id"] for body in bodies]

    first, second, third = on_sandbox(work)
    assert first == second != third


# ---------------------------------------------------------------------- counting


def test_the_count_names_each_call_and_how_far_it_got() -> None:
    async def work(port: int) -> dict[str, Any]:
        await ask(port, CHAT.path, CHAT.body, {"x-sandbox-nonce": "one"})
        await ask(port, CHAT.path, b"{", {"x-sandbox-nonce": "two"})
        fields = {"x-sandbox-nonce": "three", "x-sandbox-fault": "eof-after:2"}
        await ask(port, CHAT_STREAM.path, CHAT_STREAM.body, fields)
        _, writer = await asyncio.open_connection(HOST, port)
        fields = {"x-sandbox-nonce": "four", "Content-Length": "1000"}
        writer.write(request_bytes(CHAT.path, b"{", fields, keep=True))
        await asyncio.sleep(0.1)
        state = await calls(port)
        writer.close()
        assert (await calls(port, "?nonce=two"))["calls"] == [state["calls"][1]]
        assert (await calls(port, "?limit=1"))["calls"][0]["nonce"] == "four"
        assert (await calls(port, "?limit=x"))["began"] == 4
        return state

    state = on_sandbox(work)
    assert [call["nonce"] for call in state["calls"]] == ["one", "two", "three", "four"]
    outcomes = [call["outcome"] for call in state["calls"]]
    assert outcomes == ["answered", "refused", "broken", "reading"]
    assert (state["began"], state["read"], state["answered"], state["refused"]) == (4, 2, 1, 1)
    assert state["calls"][2]["pieces_sent"] == 2 < state["calls"][2]["pieces"]
    assert [bool(call["billed"]) for call in state["calls"]] == [True, False, True, False]


def test_a_reset_forgets_everything() -> None:
    cached = WHOLES["messages cached"]

    async def work(port: int) -> None:
        for _ in range(2):
            answer = await ask(port, cached.path, cached.body)
        assert answer.json()["usage"]["cache_read_input_tokens"] == 150
        assert (await ask(port, "/sandbox/reset")).json() == {"reset": True}
        state = await calls(port)
        assert (state["began"], state["answered"], state["calls"]) == (0, 0, [])
        answer = await ask(port, cached.path, cached.body)
        assert answer.json()["usage"]["cache_read_input_tokens"] == 0

    on_sandbox(work)


def test_a_call_under_way_does_not_disturb_the_count_after_a_reset() -> None:
    async def work(port: int) -> None:
        slow = asyncio.ensure_future(ask(port, CHAT.path, CHAT.body, {"x-sandbox-ttft-ms": "200"}))
        await asyncio.sleep(0.1)
        await ask(port, "/sandbox/reset")
        assert (await slow).status == 200
        state = await calls(port)
        assert (state["began"], state["read"], state["answered"]) == (0, 0, 0)

    on_sandbox(work)


def test_its_own_pages() -> None:
    async def work(port: int) -> None:
        described = (await ask(port, "/sandbox", method="GET")).json()
        assert "x-sandbox-ttft-ms" in described["headers"]
        for method, path in (
            ("POST", "/sandbox/calls"),
            ("GET", "/sandbox/reset"),
            ("GET", "/sandbox/x"),
        ):
            assert (await ask(port, path, method=method)).status == 404
        assert (await calls(port))["began"] == 0

    on_sandbox(work)


# ---------------------------------------------------------------------- timing


def test_pieces_come_one_by_one() -> None:
    async def work(port: int) -> None:
        headers = {"x-sandbox-chunks": "5", "x-sandbox-gap-ms": "40", "x-sandbox-ttft-ms": "60"}
        reader, writer = await asyncio.open_connection(HOST, port)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        writer.write(request_bytes(CHAT_STREAM.path, CHAT_STREAM.body, headers))
        reads, times_s = [], []
        while data := await reader.read(1 << 16):
            reads.append(data)
            times_s.append(loop.time() - began_s)
        writer.close()
        assert len(reads) >= 5
        # Never earlier than asked for; how much later is up to the machine.
        assert times_s[0] >= 0.055
        assert times_s[-1] >= 0.055 + 4 * 0.035
        events = events_in(answer_in(b"".join(reads)).body)
        deltas = [it["choices"][0]["delta"].get("content") for it in events[:-2] if it["choices"]]
        assert len([text for text in deltas if text]) == 5

    on_sandbox(work)


def test_without_a_gap_everything_is_one_write() -> None:
    async def work(port: int) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, port)
        headers = {"x-sandbox-chunks": "50"}
        writer.write(request_bytes(CHAT_STREAM.path, CHAT_STREAM.body, headers, keep=True))
        data = await reader.read(1 << 20)
        writer.close()
        return data

    answer = answer_in(on_sandbox(work))
    assert answer.ended
    assert len(events_in(answer.body)) == 1 + 50 + 2 + 1


def test_a_slow_reader_gets_a_large_reply_whole() -> None:
    async def work(port: int) -> None:
        headers = {"x-sandbox-reply-bytes": str(16 << 20), "x-sandbox-chunks": "1000"}
        reader, writer = await asyncio.open_connection(HOST, port, limit=1 << 14)
        writer.write(request_bytes(CHAT_STREAM.path, CHAT_STREAM.body, headers))
        await asyncio.sleep(0.3)
        assert (await calls(port))["calls"][0]["outcome"] == "answering"
        parts = []
        while data := await reader.read(1 << 16):
            parts.append(data)
        writer.close()
        body, ended = dechunked(b"".join(parts).partition(b"\r\n\r\n")[2])
        assert ended
        assert len(body) == pytest.approx(16 << 20, abs=2)
        call = (await calls(port))["calls"][0]
        assert (call["outcome"], call["pieces_sent"]) == ("answered", 1000)

    on_sandbox(work)


def test_process_defaults_hold_where_headers_say_nothing() -> None:
    defaults = Behaviour(output_tokens=9, usage=UsageStyle.NONE)

    async def work(port: int) -> None:
        answer = await ask(port, CHAT.path, CHAT.body)
        assert "usage" not in answer.json()
        assert len(answer.json()["choices"][0]["message"]["content"].encode()) == 36
        answer = await ask(port, CHAT.path, CHAT.body, {"x-sandbox-usage": "true"})
        assert answer.json()["usage"]["completion_tokens"] == 9

    on_sandbox(work, defaults)


# ---------------------------------------------------------------------- odd requests


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "words"),
    [
        ("/v1/chat/completions", b"", {}, 400, "JSON"),
        ("/v1/chat/completions", b"[1]", {}, 400, "JSON"),
        ("/v1/chat/completions", b'{"model":"m","messages":[', {}, 400, "JSON"),
        ("/v1/chat/completions", {"messages": HI}, {}, 400, "model"),
        ("/v1/messages", {"model": "m"}, {}, 400, "messages"),
        ("/v1/responses", {"model": "m"}, {}, 400, "input"),
        ("/v1beta/models/g:generateContent", {}, {}, 400, "contents"),
        ("/v1/embeddings", {"model": "m", "input": {}}, {}, 400, "input"),
        ("/v1/files", b"x", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        ("/v1/nothing", {}, {}, 404, "/v1/nothing"),
        ("/v1/uploads", {}, {}, 404, "uploads"),
        ("/v1/../x", {}, {}, 400, "path"),
        ("/v1/chat/completions", CHAT.body, {"x-sandbox-chunks": "0"}, 400, "x-sandbox-chunks"),
        ("/v1/chat/completions", CHAT.body, {"x-sandbox-gap-ms": "-1"}, 400, "x-sandbox-gap-ms"),
        ("/v1/chat/completions", CHAT.body, {"x-sandbox-usage": "odd"}, 400, "wrong-chunk"),
        ("/v1/chat/completions", CHAT.body, {"x-sandbox-chunk": "5"}, 400, "x-sandbox-chunks"),
        ("/v1/chat/completions", CHAT.body, {"Content-Encoding": "br"}, 400, "zstd"),
    ],
)
def test_bad_requests_are_told_why(
    path: str, body: Any, headers: dict[str, str], status: int, words: str
) -> None:
    async def work(port: int) -> None:
        answer = await ask(port, path, body, headers)
        assert answer.status == status
        assert words in answer.json()["error"]["message"]
        assert (await calls(port))["billed"] == {}

    on_sandbox(work)


def test_deep_nesting_is_refused_or_borne() -> None:
    async def work(port: int) -> None:
        for depth in (500, 100_000):
            deep = b"[" * depth + b"]" * depth
            body = b'{"model":"m","messages":[{"role":"user","content":%b}]}' % deep
            assert (await ask(port, CHAT.path, body)).status in {200, 400}
        assert (await ask(port, CHAT.path, CHAT.body)).status == 200

    on_sandbox(work)


def test_values_of_wrong_types_count_as_absent() -> None:
    odd: Any = {
        "tools": [1, {"type": "function", "function": 3}, {"function": {"name": 4}}],
        "tool_choice": {"type": "function", "function": "x"},
        "response_format": "json",
        "thinking": [],
        "messages": [{"role": 1, "content": {"a": [None, 1.5, True]}}, "x", None],
    }

    async def work(port: int) -> None:
        answer = await ask(port, CHAT.path, CHAT.body | odd)
        assert answer.json()["choices"][0]["message"]["content"] == "You said nothing."
        messages = {"model": "m", "system": 5, "tools": "x", "output_config": 1, **odd}
        assert (await ask(port, "/v1/messages", messages)).status == 200
        contents = {
            "contents": ["x", {"parts": "y"}],
            "tools": 1,
            "generationConfig": {"thinkingConfig": 3},
        }
        assert (await ask(port, "/v1beta/models/g:generateContent", contents)).status == 200
        response = {"model": "m", "input": [1, {"type": 2}], "reasoning": "x", "text": []}
        assert (await ask(port, "/v1/responses", response)).status == 200

    on_sandbox(work)


def test_compressed_requests_are_understood() -> None:
    async def work(port: int) -> None:
        body = zstandard.compress(json.dumps(CHAT.body).encode())
        answer = await ask(port, CHAT.path, body, {"Content-Encoding": "zstd"})
        assert answer.json()["choices"][0]["message"]["content"] == SAID

    on_sandbox(work)


def test_a_request_that_is_too_large_is_refused_and_not_kept() -> None:
    async def work(port: int) -> None:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
        piece = b"x" * (1 << 20)
        data = await raw(port, head % (BODY_BYTES_MAX + 10), *[piece] * 65)
        assert data.startswith(b"HTTP/1.1 413") or data == b"<reset>"
        assert (await calls(port))["calls"][0]["outcome"] == "refused"

    on_sandbox(work)


def test_older_clients_get_a_close_instead_of_chunks() -> None:
    async def work(port: int) -> None:
        data = await raw(port, request_bytes(CHAT_STREAM.path, CHAT_STREAM.body, version="1.0"))
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert body.endswith(b"data: [DONE]\n\n")
        whole = answer_in(await raw(port, request_bytes(CHAT.path, CHAT.body, version="1.0")))
        assert whole.json()["choices"]

    on_sandbox(work)


def test_a_head_request_gets_a_head() -> None:
    async def work(port: int) -> None:
        data = await raw(port, request_bytes("/api/hello", method="HEAD"))
        assert data.startswith(b"HTTP/1.1 200 OK\r\n")
        assert data.endswith(b"content-length: 2\r\n\r\n")

    on_sandbox(work)


def test_pipelined_requests_are_answered_in_order() -> None:
    async def work(port: int) -> bytes:
        bodies = [CHAT.body | {"model": f"m{number}"} for number in range(20)]
        requests = [request_bytes(CHAT.path, body, keep=True) for body in bodies]
        return await raw(port, b"".join(requests) + request_bytes("/sandbox", method="GET"))

    found = on_sandbox(work)
    models = [part.partition(b'"')[0] for part in found.split(b'"model":"')[1:]]
    assert models == [b"m%d" % number for number in range(20)]


def test_what_tools_ask_before_they_work() -> None:
    async def work(port: int) -> None:
        get = {"method": "GET"}
        codex = await ask(port, "/openai/v1/models?client_version=0.169.0", **get)
        assert codex.json() == {"models": []}
        socket = await ask(port, "/v1/responses", **get)
        assert socket.status == 426
        assist = await ask(port, "/v1internal:loadCodeAssist", {"metadata": {}})
        assert assist.json()["currentTier"]["id"] == "standard-tier"
        assert (await ask(port, "/v1internal:retrieveUserQuota", {})).json() == {"buckets": []}
        count = await ask(
            port,
            "/v1internal:countTokens",
            {"request": {"contents": [{"parts": [{"text": "x" * 40}]}]}},
        )
        assert count.json()["totalTokens"] == 10
        assert (await ask(port, "/backend-api/wham/settings/user", **get)).json() == {}
        assert (await calls(port))["billed"] == {}

    on_sandbox(work)
