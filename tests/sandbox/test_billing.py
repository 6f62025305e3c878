"""What the sandbox says it billed is what our own readers read in its replies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback import run, serving
from provider_replies import pieces, read, read_cut
from sandbox_questions import STREAMS, WHOLES, Question
from sandbox_requests import Answer, ask, calls, request_bytes
from tollkeeper.domain import usage as u
from tollkeeper.sandbox.application import Sandbox
from tollkeeper.sandbox.counts import Counts

ALL = {f"whole: {name}": it for name, it in WHOLES.items()} | {
    f"stream: {name}": it for name, it in STREAMS.items()
}
SPLIT_BYTES_MAX = 3_000


def asked(question: Question, headers: dict[str, str]) -> tuple[Answer, dict[str, Any]]:
    """Ask a fresh sandbox; give its answer and what it says of the call."""

    async def work() -> tuple[Answer, dict[str, Any]]:
        async with serving(Sandbox()) as (port, _):
            fields = headers | {"Content-Type": question.content_type}
            answer = await ask(port, question.path, question.body, fields)
            state = await calls(port)
            assert state["billed"] == state["calls"][0]["billed"]
            return answer, state["calls"][0]

    found: tuple[Answer, dict[str, Any]] = run(work)
    return found


@cache
def ordinary(name: str) -> tuple[Answer, dict[str, Any]]:
    answer, call = asked(ALL[name], {})
    assert answer.status == 200, answer.body
    assert call["outcome"] == "answered"
    return answer, call


def quantities(reader: str, answer: Answer, body: bytes | Iterable[bytes]) -> dict[str, int]:
    reading = read(reader, body, answer.content_type)
    assert reading.usage is not None
    assert not reading.usage.fault
    return dict(reading.usage.quantities)


def test_the_names_are_those_of_the_ledger() -> None:
    assert set(Counts._fields) <= set(u.TOKENS + u.UNITS)


@pytest.mark.parametrize("name", ALL)
def test_the_readers_read_exactly_what_is_billed(name: str) -> None:
    answer, call = ordinary(name)
    assert quantities(ALL[name].reader, answer, answer.body) == call["billed"]
    assert call["billed"]


@pytest.mark.parametrize("name", ALL)
def test_wherever_the_reply_is_cut_in_two(name: str) -> None:
    answer, call = ordinary(name)
    body = answer.body
    step = 1 if len(body) <= SPLIT_BYTES_MAX else len(body) // SPLIT_BYTES_MAX + 1
    for cut in range(0, len(body) + 1, step):
        halves = [body[:cut], body[cut:]]
        assert quantities(ALL[name].reader, answer, halves) == call["billed"], cut


@given(st.sampled_from(sorted(ALL)), st.lists(st.integers(0, 1 << 20), max_size=12))
def test_wherever_the_reply_is_cut_in_many(name: str, cuts: list[int]) -> None:
    answer, call = ordinary(name)
    assert quantities(ALL[name].reader, answer, pieces(answer.body, cuts)) == call["billed"]


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("count", [0, 1, 3, 99])
def test_a_stream_that_breaks_off_is_billed_for_what_came(name: str, count: int) -> None:
    question = STREAMS[name]
    answer, call = asked(question, {"x-sandbox-fault": f"eof-after:{count}"})
    assert call["outcome"] == "broken"
    assert not answer.ended
    sent = min(count, call["pieces"])
    assert call["pieces_sent"] == sent
    _, whole = ordinary(f"stream: {name}")
    billed, full = call["billed"], whole["billed"]
    inputs = {it: tokens for it, tokens in full.items() if it != "output"}
    assert {it: tokens for it, tokens in billed.items() if it != "output"} == inputs
    assert billed.get("output", 0) <= full["output"]
    if sent == call["pieces"]:
        assert billed == full
    reading = read_cut(question.reader, answer.body, answer.content_type)
    if question.reader == "gemini":
        # Usage grows with every object; before the first one nothing is known.
        known = dict(reading.usage.quantities) if reading.usage else {}
        assert known == (billed if sent else {})
    elif question.reader == "anthropic_messages":
        assert reading.usage is not None
        inputs.pop("reasoning", None)
        assert dict(reading.usage.quantities) == inputs
    else:
        assert reading.usage is None


@pytest.mark.parametrize("name", ["chat", "chat tool", "completions", "messages", "messages tool"])
@pytest.mark.parametrize("count", [1, 2])
def test_what_came_can_be_estimated_exactly(name: str, count: int) -> None:
    answer, call = asked(STREAMS[name], {"x-sandbox-fault": f"eof-after:{count}"})
    reading = read_cut(STREAMS[name].reader, answer.body, answer.content_type)
    assert reading.output_bytes is not None
    assert -(-reading.output_bytes // 4) == call["billed"]["output"]


def usage_read(name: str, style: str) -> tuple[Any, dict[str, int]]:
    answer, call = asked(ALL[name], {"x-sandbox-usage": style})
    _, true = ordinary(name)
    assert call["billed"] == true["billed"], "what is billed does not depend on what is said"
    reading = read(ALL[name].reader, answer.body, answer.content_type)
    return reading.usage, call["billed"]


TOLD = [name for name in ALL if name != "whole: older images"]


@pytest.mark.parametrize("style", ["none", "null"])
@pytest.mark.parametrize("name", TOLD)
def test_usage_that_is_not_stated(name: str, style: str) -> None:
    usage, billed = usage_read(name, style)
    if name == "whole: verbose transcript":  # the length stands elsewhere too
        assert dict(usage.quantities) == billed
    elif "images" in name or name == "whole: edits":
        assert set(usage.quantities) == {"images"}
    else:
        assert usage is None


@pytest.mark.parametrize("style", ["negative", "huge"])
@pytest.mark.parametrize("name", TOLD)
def test_usage_that_cannot_be(name: str, style: str) -> None:
    usage, _ = usage_read(name, style)
    assert usage.fault in {"negative_count", "count_too_large", "not_a_count"}


@pytest.mark.parametrize("style", ["twice", "cumulative", "true"])
@pytest.mark.parametrize("name", ALL)
def test_usage_that_is_stated_often_is_never_added_up(name: str, style: str) -> None:
    usage, billed = usage_read(name, style)
    assert dict(usage.quantities) == billed


@pytest.mark.parametrize("name", STREAMS)
def test_usage_in_the_wrong_chunk(name: str) -> None:
    usage, billed = usage_read(f"stream: {name}", "wrong-chunk")
    if name.startswith("responses"):
        assert usage is None
    elif name.startswith("messages"):
        assert "output" not in usage.quantities
        assert usage.quantities["input"] == billed["input"]
    else:
        assert dict(usage.quantities) == billed


def test_stated_counts_can_be_chosen() -> None:
    headers = {
        "x-sandbox-output-tokens": "1000",
        "x-sandbox-cached-tokens": "5",
        "x-sandbox-reasoning-tokens": "70",
    }
    for question in (STREAMS["chat"], STREAMS["messages"], WHOLES["gemini"], WHOLES["responses"]):
        answer, call = asked(question, headers)
        choices = 2 if question is WHOLES["gemini"] else 1
        assert call["billed"]["output"] == 1_000 * choices
        assert call["billed"]["cache_read"] == 5
        assert call["billed"]["reasoning"] == 70 * choices
        assert quantities(question.reader, answer, answer.body) == call["billed"]


@pytest.mark.parametrize("size", [1_000, 5_000, 100_000, 3_000_000])
@pytest.mark.parametrize(
    "name", ["whole: chat", "stream: chat", "stream: messages", "whole: gemini"]
)
def test_a_body_has_the_size_that_is_asked_for(name: str, size: int) -> None:
    question = ALL[name]
    answer, call = asked(question, {"x-sandbox-reply-bytes": str(size), "x-sandbox-chunks": "5"})
    natural = len(ordinary(name)[0].body)
    if size > natural + 200:  # below, the frame of the reply alone may be larger
        assert len(answer.body) == pytest.approx(size, abs=2)
    assert quantities(question.reader, answer, answer.body) == call["billed"]


def test_text_without_usage_is_billed_all_the_same() -> None:
    question = WHOLES["timed transcript"]
    text = question._replace(
        body=question.body.replace(
            b"--a-boundary--",
            b"""--a-boundary\r
Content-Disposition: form-data; name="response_format"\r
\r
text\r
--a-boundary--""",
        )
    )
    answer, call = asked(text, {})
    assert answer.content_type.startswith("text/plain")
    assert call["billed"] == {"audio_ms": 2_000}
    spoken = Question("/v1/audio/speech", {"model": "tts-1", "input": "hello"}, "openai_speech")
    answer, call = asked(spoken, {})
    assert answer.body.startswith(b"RIFF")
    assert call["billed"] == {"input_characters": 5}


def test_a_caller_who_leaves_pays_for_what_was_produced() -> None:
    # Asked before the loop runs: what nobody asked for yet starts a loop of its own.
    full = ordinary("stream: messages")[1]["billed"]
    billed_whole = ordinary("whole: messages")[1]["billed"]

    async def work() -> None:
        async with serving(Sandbox()) as (port, _):
            for question, gap in ((STREAMS["messages"], "300"), (WHOLES["messages"], "0")):
                headers = {"x-sandbox-gap-ms": gap, "x-sandbox-nonce": f"n-{gap}"}
                if gap == "0":
                    headers["x-sandbox-ttft-ms"] = "5000"
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request_bytes(question.path, question.body, headers))
                if gap != "0":
                    await reader.readuntil(b"text_delta")
                else:
                    await asyncio.sleep(0.1)
                writer.close()
                await writer.wait_closed()
            for _ in range(100):
                state = await calls(port)
                if [call["outcome"] for call in state["calls"]] == ["left", "left"]:
                    break
                await asyncio.sleep(0.02)
            streamed, whole = state["calls"]
            assert streamed["pieces_sent"] == 1
            assert streamed["billed"]["input"] == full["input"]
            assert 0 < streamed["billed"]["output"] < full["output"]
            # What is not streamed is generated to its end, whoever is still there.
            assert whole["billed"] == billed_whole
            assert state["answered"] == 0

    run(work)
