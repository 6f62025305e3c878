"""Every fault, as it is seen on a raw socket, and what the sandbox says of it afterwards."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from loopback import HOST, raw, run, serving
from provider_replies import read
from sandbox_questions import STREAMS, WHOLES, Question
from sandbox_requests import SAID, answer_in, ask, calls, dechunked, events_in, request_bytes
from tollkeeper.domain.errors import BadRequest
from tollkeeper.sandbox.application import Sandbox
from tollkeeper.sandbox.faults import FAULT_KINDS, Fault, read_fault

CHAT, CHAT_STREAM = WHOLES["chat"], STREAMS["chat"]
MESSAGES_STREAM, GEMINI_STREAM = STREAMS["messages"], STREAMS["gemini"]
CLOSED = b"<closed>"
RESET = b"<reset>"
OPEN = b"<open>"
ENDING = ("reset", "eof-after", "garbage", "length-long", "http10")


async def seen(port: int, question: Question, fault: str, **headers: str) -> tuple[bytes, bytes]:
    """Send one request on a connection that may stay; give all bytes and how it ended."""
    fields = {"Content-Type": question.content_type, "x-sandbox-fault": fault} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request_bytes(question.path, question.body, fields, keep=True))
    data, end = b"", OPEN
    try:
        while True:
            patience_s = 5.0 if fault.startswith(ENDING) or not (data or fault == "hang") else 0.15
            piece = await asyncio.wait_for(reader.read(1 << 16), patience_s)
            if not piece:
                end = CLOSED
                break
            data += piece
    except TimeoutError:
        pass
    except ConnectionResetError:
        end = RESET
    writer.close()
    return data, end


def look(question: Question, fault: str, **headers: str) -> tuple[bytes, bytes, dict[str, Any]]:
    """Ask a fresh sandbox; give the bytes, the end, and its own account of the call."""

    async def work() -> tuple[bytes, bytes, dict[str, Any]]:
        async with serving(Sandbox()) as (port, _):
            data, end = await seen(port, question, fault, **headers)
            for _ in range(100):
                state = await calls(port)
                if state["calls"][0]["outcome"] != "answering":
                    break
                await asyncio.sleep(0.01)
            return data, end, state["calls"][0]

    found: tuple[bytes, bytes, dict[str, Any]] = run(work)
    return found


ORDINARY: dict[int, tuple[bytes, dict[str, Any]]] = {}


def ordinary(question: Question) -> tuple[bytes, dict[str, Any]]:
    """Give what is answered without a fault; each question is asked once."""
    if id(question) not in ORDINARY:
        data, end, call = look(question, "none")
        assert end == OPEN
        ORDINARY[id(question)] = data, call
    return ORDINARY[id(question)]


def test_every_fault_is_tested() -> None:
    tested = {
        *("reset", "hang", "garbage", "reset-after", "eof-after", "hang-after", "no-done"),
        *("error-event", "truncated-json", "length-short", "length-long", "two-lengths"),
        *("length-and-chunked", "two-replies", "interim", "many-headers", "redirect", "http10"),
        *("slow-headers", "early-413", "chunk-extensions", "gzip"),
        *("sse-crlf", "sse-cr", "sse-comments"),
    }
    assert tested == set(FAULT_KINDS)


# ---------------------------------------------------------------------- no answer at all


@pytest.mark.parametrize(
    ("fault", "data", "end", "outcome"),
    [
        ("reset", b"", RESET, "broken"),
        ("hang", b"", OPEN, "broken"),
        ("garbage", b"\x00\x15\x03\x01 the sandbox speaks no HTTP now\r\n\r\n", CLOSED, "broken"),
    ],
)
@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM])
def test_no_answer(question: Question, fault: str, data: bytes, end: bytes, outcome: str) -> None:
    got, how, call = look(question, fault)
    assert (got, how) == (data, end)
    assert call["outcome"] == outcome
    assert call["billed"] == {}


# ---------------------------------------------------------------------- breaking off


@pytest.mark.parametrize(
    ("fault", "end"), [("reset-after", RESET), ("eof-after", CLOSED), ("hang-after", OPEN)]
)
@pytest.mark.parametrize("count", [0, 1, 2, 1_000])
@pytest.mark.parametrize("name", ["chat", "messages", "gemini", "responses", "gemini array"])
def test_streams_that_break_off(name: str, count: int, fault: str, end: bytes) -> None:
    data, how, call = look(STREAMS[name], f"{fault}:{count}")
    whole, full = ordinary(STREAMS[name])
    assert how == end
    sent = min(count, full["pieces"])
    assert (call["pieces_sent"], call["outcome"]) == (sent, "broken")
    body, ended = dechunked(data.partition(b"\r\n\r\n")[2])
    complete, _ = dechunked(whole.partition(b"\r\n\r\n")[2])
    assert not ended
    assert complete.startswith(body)
    assert len(body) < len(complete)
    if sent < full["pieces"]:
        more, _ = dechunked(look(STREAMS[name], f"{fault}:{sent + 1}")[0].partition(b"\r\n\r\n")[2])
        assert more.startswith(body)
        assert len(more) > len(body)


@pytest.mark.parametrize(
    ("fault", "end"), [("reset-after", RESET), ("eof-after", CLOSED), ("hang-after", OPEN)]
)
@pytest.mark.parametrize("count", [0, 1, 50])
def test_whole_replies_that_break_off(count: int, fault: str, end: bytes) -> None:
    data, how, call = look(CHAT, f"{fault}:{count}")
    answer = answer_in(data)
    full = answer_in(ordinary(CHAT)[0]).body
    assert how == end
    assert not answer.ended
    assert full.startswith(answer.body)
    assert len(answer.body) == (len(full) // 2 if count else 0)
    assert call["billed"] == ordinary(CHAT)[1]["billed"], "it was generated as a whole"


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_without_its_end_marker(name: str) -> None:
    data, end, call = look(STREAMS[name], "no-done")
    answer = answer_in(data)
    full = answer_in(ordinary(STREAMS[name])[0])
    assert end == OPEN
    assert answer.ended
    assert full.body.startswith(answer.body)
    missing = full.body[len(answer.body) :]
    markers = (b"[DONE]", b"message_stop", b"response.completed", b"finishReason")
    assert any(marker in missing for marker in markers)
    assert not any(marker in answer.body for marker in markers)
    assert call["outcome"] == "broken"


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize("status", [400, 429, 500, 503, 529])
@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM, MESSAGES_STREAM, GEMINI_STREAM])
def test_a_status_is_answered_with_the_providers_error(question: Question, status: int) -> None:
    data, end, call = look(question, str(status))
    answer = answer_in(data)
    assert (answer.status, end) == (status, OPEN)
    assert answer.json()["error"]["message"]
    assert ("retry-after" in answer.headers) == (status in {429, 503, 529})
    assert (call["status"], call["billed"], call["outcome"]) == (status, {}, "answered")


@pytest.mark.parametrize("word", ["0", "1000000000", "Wed, 21 Oct 2026 07:28:00 GMT", "soon!"])
def test_any_retry_after_can_be_had(word: str) -> None:
    assert answer_in(look(CHAT, f"429:{word}")[0]).headers["retry-after"] == word


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("count", [0, 2])
def test_an_error_inside_a_stream(name: str, count: int) -> None:
    question = STREAMS[name]
    data, end, call = look(question, f"error-event:{count}")
    answer = answer_in(data)
    assert (answer.status, answer.ended, end) == (200, True, OPEN)
    assert b"asked for this error" in answer.body
    reading = read(question.reader, answer.body, answer.content_type)
    if question.reader == "gemini" and count:
        assert reading.usage is not None
        assert dict(reading.usage.quantities) == call["billed"]
    else:
        assert reading.error_code in {"server_error", "overloaded_error", "INTERNAL"}
    _, full = ordinary(question)
    assert call["pieces_sent"] == min(count, full["pieces"]) + 1
    assert call["billed"].get("output", 0) <= full["billed"]["output"]
    assert call["outcome"] == "broken"
    if "array" in name:
        json.loads(answer.body)


def test_an_error_inside_a_whole_reply() -> None:
    data, _, call = look(CHAT, "error-event")
    answer = answer_in(data)
    assert answer.status == 200
    assert answer.json()["error"]["type"] == "server_error"
    assert call["billed"] == {}


# ---------------------------------------------------------------------- broken content


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM, WHOLES["gemini"]])
def test_truncated_json_within_correct_http(question: Question) -> None:
    data, end, call = look(question, "truncated-json")
    answer = answer_in(data)
    assert (answer.status, answer.ended, end) == (200, True, OPEN)
    last = answer.body.rpartition(b"data: ")[2]
    with pytest.raises(ValueError, match=r"JSON|delimiter|Unterminated|Expecting"):
        json.loads(last)
    assert call["billed"] == ordinary(question)[1]["billed"]


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM, GEMINI_STREAM])
def test_compression_that_nobody_asked_for(question: Question) -> None:
    answer = answer_in(look(question, "gzip")[0])
    full = answer_in(ordinary(question)[0])
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == full.body
    if question is not CHAT:
        # Each piece can be read as soon as it is there.
        inner = zlib.decompressobj(31)
        cut = answer_in(look(question, "gzip")[0]).body
        assert inner.decompress(cut[: len(cut) // 2])


@pytest.mark.parametrize(
    ("fault", "mark"), [("sse-crlf", b"\r\n\r\n"), ("sse-cr", b"\r\r"), ("sse-comments", b"\n: ")]
)
@pytest.mark.parametrize("name", ["chat", "messages", "responses", "gemini"])
def test_other_ways_to_write_a_stream(name: str, fault: str, mark: bytes) -> None:
    question = STREAMS[name]
    answer = answer_in(look(question, fault)[0])
    full, call = ordinary(question)
    assert mark in answer.body
    if fault != "sse-comments":
        plain = answer.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        assert plain == answer_in(full).body.replace(b"\r\n", b"\n")
    else:
        assert answer.body.startswith(b"\xef\xbb\xbf: ")
    usage = read(question.reader, answer.body, answer.content_type).usage
    assert usage is not None
    assert dict(usage.quantities) == call["billed"]


# ---------------------------------------------------------------------- broken HTTP


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM])
def test_lengths_that_are_wrong(question: Question) -> None:
    body = answer_in(ordinary(question)[0]).body
    short, end, call = look(question, "length-short")
    head, _, sent = short.partition(b"\r\n\r\n")
    assert (sent, end) == (body, OPEN)
    assert b"content-length: %d" % (len(body) - 10) in head
    assert b"chunked" not in head
    assert call["outcome"] == "answered"
    long, end, call = look(question, "length-long")
    head, _, sent = long.partition(b"\r\n\r\n")
    assert (sent, end) == (body, CLOSED)
    assert b"content-length: %d" % (len(body) + 10) in head
    assert call["outcome"] == "broken"


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM])
def test_lengths_that_contradict_each_other(question: Question) -> None:
    body = answer_in(ordinary(question)[0]).body
    head, _, sent = look(question, "two-lengths")[0].partition(b"\r\n\r\n")
    assert sent == body
    assert b"content-length: %d\r\ncontent-length: %d" % (len(body), len(body) + 1) in head
    head, _, sent = look(question, "length-and-chunked")[0].partition(b"\r\n\r\n")
    assert dechunked(sent) == (body, True)
    assert b"content-length: %d\r\ntransfer-encoding: chunked" % len(body) in head


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM])
def test_a_second_reply_that_nobody_asked_for(question: Question) -> None:
    data, end, call = look(question, "two-replies")
    full, _ = ordinary(question)
    assert data.startswith(full)
    extra = answer_in(data[len(full) :])
    assert extra.json() == {"sandbox": "nobody asked for this reply"}
    assert end == OPEN
    assert call["outcome"] == "answered"


def test_interim_replies() -> None:
    full, _ = ordinary(CHAT)
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </>; rel=preload\r\n\r\n"
    assert look(CHAT, "interim")[0] == interim * 3 + full
    assert look(CHAT, "interim:500")[0] == interim * 500 + full


def test_many_headers() -> None:
    assert len(answer_in(look(CHAT, "many-headers")[0]).headers) > 1_000
    assert len(look(CHAT, "many-headers:2000")[0]) > 64_000


def test_a_redirect_leads_back_here_where_it_would_be_counted() -> None:
    async def work() -> None:
        async with serving(Sandbox()) as (port, _):
            for status in (301, 302, 307):
                fields = {"x-sandbox-fault": f"redirect:{status}", "Host": f"127.0.0.1:{port}"}
                answer = await ask(port, CHAT.path, CHAT.body, fields)
                assert answer.status == status
                location = answer.headers["location"]
                assert location == f"http://127.0.0.1:{port}/sandbox/redirected"
            state = await calls(port)
            assert (state["redirected"], state["billed"]) == (0, {})
            await ask(port, "/sandbox/redirected")
            assert (await calls(port))["redirected"] == 1

    run(work)


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM])
def test_http_1_0(question: Question) -> None:
    data, end, call = look(question, "http10")
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"content-length" not in head
    assert b"chunked" not in head
    assert body == answer_in(ordinary(question)[0]).body
    assert end == CLOSED
    assert call["outcome"] == "answered"


def test_slow_headers() -> None:
    async def work() -> None:
        async with serving(Sandbox()) as (port, _):
            fields = {"x-sandbox-fault": "slow-headers:4", "x-sandbox-gap-ms": "30"}
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(request_bytes(CHAT.path, CHAT.body, fields, keep=True))
            data = b""
            reads = 0
            while b"\r\n\r\n{" not in data:
                data += await reader.read(1 << 16)
                reads += 1
            writer.close()
            assert reads > 2
            assert answer_in(data).status == 200

    run(work)
    assert look(CHAT, "slow-headers")[0] == ordinary(CHAT)[0]
    assert look(CHAT_STREAM, "slow-headers:1")[0] == ordinary(CHAT_STREAM)[0]


def test_a_refusal_before_the_body_is_read() -> None:
    async def work() -> None:
        async with serving(Sandbox()) as (port, _):
            head = (
                b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n"
                b"x-sandbox-fault: early-413\r\n\r\n"
            )
            answer = answer_in(await raw(port, head))
            assert answer.status == 413
            assert answer.headers["connection"] == "close"
            assert answer.json()["error"]["type"] == "request_too_large"
            state = await calls(port)
            assert state["calls"][0]["billed"] == {}

    run(work)


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM])
def test_chunk_extensions_and_trailers(question: Question) -> None:
    data, end, _ = look(question, "chunk-extensions")
    _, _, body = data.partition(b"\r\n\r\n")
    assert dechunked(body) == (answer_in(ordinary(question)[0]).body, True)
    assert b";sandbox=" in body
    assert body.endswith(b"0;last\r\nx-sandbox-trailer: yes\r\nset-cookie: trailer=1\r\n\r\n")
    assert end == OPEN


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", None),
        ("none", None),
        ("hang", Fault("hang")),
        ("reset-after", Fault("reset-after", 1)),
        ("reset-after:0", Fault("reset-after", 0)),
        ("interim", Fault("interim", 3)),
        ("429", Fault("429")),
        ("529:12", Fault("529", word="12")),
    ],
)
def test_faults_are_read(text: str, fault: Fault | None) -> None:
    assert read_fault(text) == fault


@pytest.mark.parametrize(
    "text",
    [
        *(
            "explode",
            "200",
            "399",
            "600",
            "42",
            "4290",
            "hang:1",
            "reset-after:x",
            "reset-after:-1",
        ),
        *("interim:100001", "interim:9999999999", "429:a\r\nb: c", "503:" + "9" * 65, "²²²"),
    ],
)
def test_others_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        read_fault(text)


def test_an_unknown_fault_is_answered_with_all_names() -> None:
    async def work() -> None:
        async with serving(Sandbox()) as (port, _):
            answer = await ask(port, CHAT.path, CHAT.body, {"x-sandbox-fault": "explode"})
            assert answer.status == 400
            message = answer.json()["error"]["message"]
            assert all(name in message for name in FAULT_KINDS)
            described = (await ask(port, "/sandbox", method="GET")).json()
            assert set(FAULT_KINDS) < set(described["faults"])
            assert (await calls(port))["refused"] == 1

    run(work)


def test_a_good_answer_follows_a_fault() -> None:
    """A fault is of one request only, on the same connection too."""

    async def work() -> None:
        async with serving(Sandbox()) as (port, _):
            faulty = request_bytes(CHAT.path, CHAT.body, {"x-sandbox-fault": "500"}, keep=True)
            good = request_bytes(CHAT_STREAM.path, CHAT_STREAM.body)
            data = await raw(port, faulty, good, pause_s=0.05)
            first = answer_in(data)
            assert first.status == 500
            second = answer_in(data[data.index(b"HTTP/1.1 200") :])
            deltas = [event["choices"] for event in events_in(second.body) if event != "[DONE]"]
            text = [choices[0]["delta"].get("content", "") for choices in deltas if choices]
            assert "".join(text) == SAID

    run(work)
