"""What providers say of their usage, well or badly: how it is booked, and that all of it passes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from booked import is_near, quantities_of
from books import Books
from protocols import ALL, ANTHROPIC, OPENAI, Protocol
from raw_http import ask, get
from rough_upstream import Conversation, json_reply
from running import Deployment
from scripted_provider import (
    CHAT,
    DONE,
    EVENTS_HEAD,
    EXTRA,
    LAST_CHUNK,
    USAGE,
    Scripted,
    chunk,
    delta,
    event,
    scripted_provider,
)
from tollkeeper.domain.ledger import Basis, Outcome

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
ASKED = {"stream_options": {"include_usage": True}}


def _call(books: Books, protocol: Protocol, style: str, *, stream: bool) -> str:
    gateway = books.gateway
    nonce = f"{style}-{protocol.name}-{stream}"
    headers = {"x-sandbox-usage": style, "x-sandbox-chunks": "5", "x-sandbox-output-tokens": "50"}
    members = ASKED if stream and protocol is OPENAI else {}
    data = protocol.with_nonce(gateway.key, nonce, stream=stream, headers=headers, **members)
    answer = ask(gateway.port, data)
    direct = ask(int(gateway.upstream.rpartition(":")[2]), data.replace(b"nonce", b"nonco"))
    assert answer.status == 200
    assert answer.body == ask_again(gateway, data)
    assert direct.status != 200, "an option of another name is refused"
    return nonce


def ask_again(gateway: Deployment, data: bytes) -> bytes:
    """Give what the provider itself answers to the same call."""
    return ask(int(gateway.upstream.rpartition(":")[2]), data).body


# ---------------------------------------------------------------------- styles of the sandbox


@protocols
@both
@pytest.mark.parametrize("style", ["none", "null"])
def test_a_usage_that_is_missing_is_estimated(
    gateway: Deployment, books: Books, protocol: Protocol, style: str, stream: bool
) -> None:
    _call(books, protocol, style, stream=stream)
    entry = books.entry()
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.ESTIMATED)
    assert entry.input_tokens > 0
    assert entry.output_tokens > 0
    assert entry.cost_nanos


@protocols
@both
@pytest.mark.parametrize("style", ["true", "twice", "cumulative"])
def test_a_usage_that_is_stated_often_is_booked_once(
    gateway: Deployment, books: Books, protocol: Protocol, style: str, stream: bool
) -> None:
    nonce = _call(books, protocol, style, stream=stream)
    entry = books.entry()
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
    upstream = int(gateway.upstream.rpartition(":")[2])
    calls = get(upstream, f"/sandbox/calls?nonce={nonce}").json()["calls"]
    assert quantities_of(entry) == calls[0]["billed"]


@protocols
@both
@pytest.mark.parametrize("style", ["negative", "huge"])
def test_a_usage_that_cannot_be_has_no_price(
    gateway: Deployment, books: Books, protocol: Protocol, style: str, stream: bool
) -> None:
    """It is kept as it came, for whoever looks into it."""
    _call(books, protocol, style, stream=stream)
    entry = books.entry()
    assert (entry.outcome, entry.basis, entry.cost_nanos) == (Outcome.OK, Basis.UNPRICED, None)
    assert entry.unpriced_reason.startswith("inconsistent_usage:")
    assert all(count >= 0 for count in quantities_of(entry).values())
    assert entry.usage_raw


@protocols
def test_a_usage_in_the_wrong_piece(gateway: Deployment, books: Books, protocol: Protocol) -> None:
    """Where the last counts are missing, the output is what went by."""
    nonce = _call(books, protocol, "wrong-chunk", stream=True)
    entry = books.entry()
    upstream = int(gateway.upstream.rpartition(":")[2])
    billed = get(upstream, f"/sandbox/calls?nonce={nonce}").json()["calls"][0]["billed"]
    assert entry.outcome == Outcome.OK
    if protocol.name in {"responses", "anthropic"}:
        assert entry.basis == Basis.ESTIMATED
        assert is_near(entry.output_tokens, billed["output"])
    else:
        assert quantities_of(entry) == billed
    if protocol is ANTHROPIC:
        assert entry.input_tokens == billed["input"]


# ---------------------------------------------------------------------- values of every kind


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted_provider(tmp_path_factory.mktemp("scripted")) as made:
        yield made


NO_COUNTS = {
    "-1": "negative_count",
    "9223372036854775808": "count_too_large",
    "1e400": "not_a_count",
    "-1e400": "not_a_count",
    "NaN": "not_a_count",
    "Infinity": "not_a_count",
    '"20"': "not_a_count",
    "true": "not_a_count",
    "20.5": "fractional_count",
    "[20]": "not_a_count",
    '{"a":1}': "not_a_count",
}


@both
@pytest.mark.parametrize("text", NO_COUNTS)
def test_what_is_no_count_is_never_used_as_one(provider: Scripted, text: str, stream: bool) -> None:
    """U8."""
    stated = json.dumps(CHAT).replace('"prompt_tokens": 20', f'"prompt_tokens": {text}')
    data = stated.encode()
    if stream:
        extra = json.dumps(EXTRA).replace('"prompt_tokens": 20', f'"prompt_tokens": {text}')
        data = event(delta("hello")) + event(extra.encode()) + event(DONE)
        provider.answers(EVENTS_HEAD + chunk(data) + LAST_CHUNK)
    else:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        provider.answers(head % len(data) + data)
    members = ASKED if stream else {}
    answer = ask(provider.port, OPENAI.call(provider.key, stream=stream, **members))
    assert (answer.status, answer.body) == (200, data)
    entry = provider.entry()
    assert (entry.outcome, entry.basis, entry.cost_nanos) == (Outcome.OK, Basis.UNPRICED, None)
    assert entry.unpriced_reason.startswith("inconsistent_usage:"), entry.unpriced_reason
    assert entry.input_tokens == 0


@pytest.mark.parametrize("text", ["20", "20.0", "2e1", "20.000"])
def test_a_count_may_be_written_in_several_ways(provider: Scripted, text: str) -> None:
    data = json.dumps(CHAT).replace('"prompt_tokens": 20', f'"prompt_tokens": {text}').encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    provider.answers(head % len(data) + data)
    assert ask(provider.port, OPENAI.call(provider.key)).body == data
    entry = provider.entry()
    assert (entry.basis, entry.input_tokens, entry.output_tokens) == (Basis.MEASURED, 20, 10)


def test_counts_that_contradict_their_total_have_no_price(provider: Scripted) -> None:
    provider.answers(json_reply(CHAT | {"usage": USAGE | {"total_tokens": 31}}))
    ask(provider.port, OPENAI.call(provider.key))
    entry = provider.entry()
    assert entry.unpriced_reason == "inconsistent_usage:contradicts_total"
    assert json.loads(entry.usage_raw) == USAGE | {"total_tokens": 31}


def test_a_cost_that_the_provider_states_is_believed(provider: Scripted) -> None:
    provider.answers(json_reply(CHAT | {"usage": USAGE | {"cost": 0.000123456789}}))
    answer = ask(provider.port, OPENAI.call(provider.key))
    entry = provider.entry()
    assert (entry.basis, entry.cost_nanos) == (Basis.PROVIDER_REPORTED, 123_457)
    assert answer.headers["x-tollkeeper-cost-usd"] == "0.000123457"
    assert entry.list_cost_nanos not in {None, entry.cost_nanos}


# ---------------------------------------------------------------------- streams, however cut

STREAM = (
    b"\xef\xbb\xbf: hello\r\n\r\n"
    + event(delta("Gr\u00fc\u00dfe \U0001f30d"))
    + b'event: x\rdata:{\rdata: "id":"1","choices":[]}\r\r'
    + event(delta('say "usage":{"prompt_tokens":9} or [DONE]'), b"\r\n")
    + b"id: 7\nretry: 10\ndata\n\n"
    + event(EXTRA | {"usage": USAGE}, b"\r\n")
    + event(DONE)
)


def test_a_stream_is_the_same_wherever_it_is_cut(provider: Scripted) -> None:
    """U6: every mix of line ends, comments, fields and signs, cut at every byte of HTTP's."""
    cut = 0

    def script(conversation: Conversation) -> None:
        head = STREAM[:cut]
        first = EVENTS_HEAD + (chunk(head) if head else b"")
        second = (chunk(STREAM[cut:]) if STREAM[cut:] else b"") + LAST_CHUNK
        conversation.answer(first)
        time.sleep(0.002)  # so that the gateway reads them apart
        conversation.answer(second)

    provider.plays(script)
    data = OPENAI.call(provider.key, stream=True, **ASKED)
    for cut in range(len(STREAM) + 1):
        answer = ask(provider.port, data)
        assert answer.body == STREAM, cut
    for entry in provider.entries(len(STREAM) + 1):
        assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
        assert (entry.input_tokens, entry.output_tokens) == (20, 10)
