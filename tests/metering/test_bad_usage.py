"""Bad usage in OpenAI's shapes: never a wrong number, never a crash, always a state to show.

Each reply goes the whole way, from its bytes to the part of a ledger entry. A state is the
basis of its cost, and why it is not known.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_entries import held_call, profile
from provider_replies import (
    JSON,
    SSE,
    chat_reply,
    chunk,
    read,
    response,
    response_event,
    sse,
    text_of,
    usage_chunk,
)
from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Part
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.domain.price_data import ProviderRow
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.services.settlement import Ending, settle
from tollkeeper.wire.readings import Reading

USD = dict.fromkeys((*u.TOKENS, u.IMAGES, u.AUDIO_MS, u.WEB_SEARCHES, u.CITATION_TOKENS), "1")
ROW: ProviderRow = {
    "provider": "openai",
    "name": "OpenAI",
    "models": [{"model": name, "prices": [{"usd": USD}]} for name in ("m", "sonar")],
}
BOOK = PriceBook("v1", {"openai": ROW})
GOOD = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
NANOS = 30 * 1_000  # of the good usage
DONE = "data: [DONE]"


def _part(reading: Reading, model: str = "m") -> Part:
    held = held_call(profile=profile(price_provider="openai", model=model))
    outcome = Outcome.OK if reading.final and not reading.error_code else Outcome.INCOMPLETE
    ending = Ending(
        200,
        outcome,
        10,
        usage=reading.usage,
        output_bytes=reading.output_bytes,
        complete=reading.final and not reading.partial,
    )
    return settle(held, ending, BOOK).parts[0]


def _state(part: Part) -> str:
    return part.reason or str(part.basis)


def _chat(usage: Any) -> bytes:
    return chat_reply(usage=usage, model="m")


WIRES = {
    # reader → (a reply with this usage, the field that is spoilt, a good usage)
    "openai_chat": (_chat, "prompt_tokens", GOOD),
    "openai_completions": (_chat, "completion_tokens", GOOD),
    "openai_embeddings": (_chat, "prompt_tokens", {"prompt_tokens": 30, "total_tokens": 30}),
    "openai_responses": (
        lambda usage: text_of(response(model="m", usage=usage)).encode(),
        "output_tokens",
        {"input_tokens": 20, "output_tokens": 10, "total_tokens": 30},
    ),
    "openai_images": (
        lambda usage: text_of({"data": [{}], "usage": usage}).encode(),
        "output_tokens",
        {"input_tokens": 20, "output_tokens": 10, "total_tokens": 30},
    ),
    "openai_transcription": (
        lambda usage: text_of({"text": "x", "usage": usage}).encode(),
        "input_tokens",
        {"type": "tokens", "input_tokens": 20, "output_tokens": 10, "total_tokens": 30},
    ),
}
BAD_COUNTS = {
    "-1": "negative_count",
    "9223372036854775808": "count_too_large",
    "1e400": "not_a_count",
    "NaN": "not_a_count",
    "-Infinity": "not_a_count",
    '"20"': "not_a_count",
    "true": "not_a_count",
    "20.5": "fractional_count",
    "[20]": "not_a_count",
    "null": "missing_count",
}


@pytest.mark.parametrize("reader", WIRES)
def test_a_good_usage_is_measured(reader: str) -> None:
    reply, _, good = WIRES[reader]
    part = _part(read(reader, reply(good)))
    assert (part.basis, part.cost_nanos, part.reason) == (Basis.MEASURED, NANOS, "")


@pytest.mark.parametrize("text", BAD_COUNTS)
@pytest.mark.parametrize("reader", WIRES)
def test_a_count_that_is_none_has_no_price(reader: str, text: str) -> None:
    reply, field, good = WIRES[reader]
    written = json.dumps(good | {field: 424242}).replace("424242", text)
    body = reply(424242).replace(b"424242", written.encode())
    part = _part(read(reader, body))
    if (reader, text) == ("openai_embeddings", "null"):
        assert part.cost_nanos == NANOS  # there the total says all
        return
    assert (part.basis, part.cost_nanos) == (Basis.UNPRICED, None)
    fault = part.reason.removeprefix("inconsistent_usage:")
    allowed = {BAD_COUNTS[text], "contradicts_total"} if text == "null" else {BAD_COUNTS[text]}
    # JSON has no such numbers: what stands for them is one that is too large, or negative
    if text in {"1e400", "-Infinity"}:
        allowed |= {"count_too_large", "negative_count"}
    assert fault in allowed
    assert part.usage_raw or text in {"NaN", "-Infinity"}  # kept, if it is JSON at all


@pytest.mark.parametrize(
    ("usage", "fault"),
    [
        ({"completion_tokens": 10, "total_tokens": 30}, "missing_count"),
        ({"prompt_tokens": 20}, "missing_count"),
        ({"prompt_tokens": 20, "total_tokens": 30}, "contradicts_total"),
        (GOOD | {"total_tokens": 31}, "contradicts_total"),
        (GOOD | {"prompt_tokens_details": {"cached_tokens": 21}}, "parts_exceed_whole"),
        (GOOD | {"completion_tokens_details": {"reasoning_tokens": 11}}, "parts_exceed_whole"),
        (GOOD | {"prompt_tokens_details": {"audio_tokens": 2**63}}, "count_too_large"),
        (GOOD | {"cost": -0.1}, "stated_cost"),
        (GOOD | {"cost": "0.1"}, "stated_cost"),
        (GOOD | {"cost": 1e9}, "stated_cost"),
        (GOOD | {"cost_in_usd_ticks": 2**63}, "stated_cost"),
        ("30", "unreadable"),
        ([], "unreadable"),
        (30, "unreadable"),
    ],
)
def test_counts_that_contradict_each_other_have_no_price(usage: Any, fault: str) -> None:
    assert _state(_part(read("openai_chat", _chat(usage)))) == f"inconsistent_usage:{fault}"


@pytest.mark.parametrize("usage", [None, {}], ids=str)
def test_a_usage_that_is_missing_is_estimated(usage: Any) -> None:
    assert _part(read("openai_chat", _chat(usage))).basis == Basis.ESTIMATED


# ------------------------------------------------------------------------------ places


GOOD_CHUNK = usage_chunk(model="m", usage=GOOD)
STRAY = {"id": "1", "guardrail": {"usage": {"prompt_tokens": 999, "topicPolicyUnits": 1}}}
STREAMS = {
    # what is odd about the stream → (its events, the state, the cost)
    "usage in the first chunk": (
        [chunk("a", model="m", usage=GOOD), chunk("b"), DONE],
        "measured",
        NANOS,
    ),
    "usage twice": ([chunk("a"), GOOD_CHUNK, GOOD_CHUNK, DONE], "measured", NANOS),
    "usage that grows": (
        [
            chunk("a", model="m", usage=GOOD | {"completion_tokens": n, "total_tokens": 20 + n})
            for n in (1, 5, 10)
        ]
        + [DONE],
        "measured",
        NANOS,
    ),
    "usage that shrinks to null": ([GOOD_CHUNK, chunk("a", usage=None), DONE], "measured", NANOS),
    "another usage after the end": (
        [chunk("a"), GOOD_CHUNK, DONE, usage_chunk(usage=GOOD | {"prompt_tokens": 999})],
        "measured",
        NANOS,
    ),
    "a second object named usage": ([chunk("a"), GOOD_CHUNK, STRAY, DONE], "measured", NANOS),
    "a second object in the same chunk": (
        [chunk("a"), GOOD_CHUNK | {"guardrail": {"usage": {"units": 9}}}, DONE],
        "measured",
        NANOS,
    ),
    "an object named usage in a text": (
        [chunk('"usage":{"prompt_tokens":9}'), GOOD_CHUNK, chunk('{"usage":{}}'), DONE],
        "measured",
        NANOS,
    ),
    "usage that is no object": ([chunk("a"), usage_chunk(usage=[30]), DONE], "estimated", None),
    "the only usage after the end": ([chunk("a"), DONE, GOOD_CHUNK], "estimated", None),
    "only something else named usage": ([chunk("a"), STRAY, DONE], "estimated", None),
    "no end": ([chunk("a"), chunk("b", model="m", usage=GOOD)], "estimated", None),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("piecewise", [False, True])
def test_a_stream_with(name: str, piecewise: bool) -> None:
    events, state, nanos = STREAMS[name]
    body = sse(*events)
    pieces = [body[at : at + 1] for at in range(len(body))] if piecewise else body
    part = _part(read("openai_chat", pieces, SSE))
    assert _state(part) == state
    assert nanos is None or part.cost_nanos == nanos
    assert part.cost_nanos  # never nothing


def test_a_stream_of_responses_with_usage_in_the_wrong_event() -> None:
    begun = response_event("response.created", response=response(model="m", usage=GOOD))
    part = _part(read("openai_responses", sse(begun), SSE))
    assert part.basis == Basis.ESTIMATED


# ------------------------------------------------------------------------------ what is unknown


def test_a_tier_that_nobody_prices() -> None:
    for tier in ("scale", "ultra", "auto", "x" * 300):
        part = _part(read("openai_chat", chat_reply(usage=GOOD, model="m", service_tier=tier)))
        assert (part.basis, part.cost_nanos) == (Basis.UNPRICED, None)
        assert part.reason == f"unknown_tier:{tier}"[:77]


def test_a_dimension_that_nobody_prices() -> None:
    usage = GOOD | {"num_sources_used": 3}
    assert _state(_part(read("openai_chat", _chat(usage)))) == "unknown_dimension:web_sources"


def test_a_search_context_that_nobody_prices() -> None:
    usage = GOOD | {"search_context_size": "huge"}
    part = _part(read("openai_chat", chat_reply(usage=usage, model="sonar")))
    assert _state(part) == "inconsistent_usage:unknown_search_context"


def test_a_model_that_nobody_prices() -> None:
    part = _part(read("openai_chat", chat_reply(usage=GOOD, model="gpt-99")))
    assert (_state(part), part.cost_nanos) == ("unknown_model", None)


# ------------------------------------------------------------------------------ everything

_COUNTS = st.integers(0, 1_000)
_ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.just(2**63)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)
_VALUES = _COUNTS | _ODD


def _details(*names: str) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, _VALUES)) | _ODD


_USAGES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), _VALUES),
        **dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens"), _VALUES),
        **dict.fromkeys(
            ("prompt_cache_hit_tokens", "num_sources_used", "reasoning_tokens"), _VALUES
        ),
        **dict.fromkeys(("citation_tokens", "num_search_queries"), _VALUES),
        "prompt_tokens_details": _details("cached_tokens", "audio_tokens", "image_tokens"),
        "completion_tokens_details": _details("reasoning_tokens", "audio_tokens"),
        "input_tokens_details": _details("cached_tokens", "image_tokens", "text_tokens"),
        "output_tokens_details": _details("reasoning_tokens", "image_tokens"),
        "server_side_tool_usage_details": _details("web_search_calls", "x_search_calls"),
        "server_tool_use_details": _details("web_search_requests"),
        "cost": _VALUES | st.fixed_dictionaries({"total_cost": _VALUES}),
        "cost_in_usd_ticks": _VALUES,
        "cost_details": _details("upstream_inference_cost"),
        "is_byok": st.booleans() | _ODD,
        "search_context_size": st.sampled_from(["low", "high", "x"]) | _ODD,
        "type": st.sampled_from(["tokens", "duration"]),
        "seconds": _VALUES,
    },
)
_MODELS = st.sampled_from(["m", "sonar", "sonar-deep-research", "gemini-x", "groq/compound"])


@given(st.sampled_from(sorted(WIRES)), _USAGES | _ODD, _MODELS)
def test_whatever_a_usage_says_no_cost_is_made_up(reader: str, usage: Any, model: str) -> None:
    reply = WIRES[reader][0]
    body = reply(usage).replace(b'"m"', json.dumps(model).encode())
    reading = read(reader, body, JSON)
    part = _part(reading, model)
    assert part.cost_nanos is None or part.cost_nanos >= 0
    assert part.list_cost_nanos is None or part.list_cost_nanos >= 0
    for name, count in part.quantities.items():
        assert name in (*u.TOKENS, *u.UNITS)
        assert type(count) is int
        assert count > 0
    if part.cost_nanos == 0 and part.basis is Basis.MEASURED:
        raise AssertionError("measured, and nothing")
    if part.basis is Basis.FREE:
        assert not any(part.quantities.values())
        stated = usage if isinstance(usage, dict) else {}
        wholes = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
        read_here = wholes[:2] if WIRES[reader][1].startswith(("prompt", "comp")) else wholes[2:]
        if reader == "openai_images":
            read_here = wholes
        assert not any(stated.get(name) for name in read_here if stated.get("type") != "duration")
