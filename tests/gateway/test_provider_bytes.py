"""Bytes that no good provider sends: heads, framing, connections, and what they say of others."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from canaries import PLANTED
from gauges import wait_until_at_rest
from protocols import ALL, ANTHROPIC, OPENAI, Protocol
from raw_http import RawConnection, ask
from rough_upstream import Conversation, json_reply
from scripted_provider import (
    CHAT,
    DONE,
    EVENTS_HEAD,
    LAST_CHUNK,
    Scripted,
    chunk,
    delta,
    event,
    good,
    scripted_provider,
)
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.services import estimates, token_families
from tollkeeper.wire.generated_text import call_size

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
BODY = json.dumps(CHAT).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted_provider(tmp_path_factory.mktemp("scripted")) as made:
        yield made


@pytest.fixture
def provider(running: Scripted) -> Iterator[Scripted]:
    """After every test nothing is left behind, and an ordinary call is answered."""
    yield running
    wait_until_at_rest(running.gateway)
    running.plays(good)
    assert ask(running.port, OPENAI.call(running.key)).status == 200
    assert running.entry().basis == Basis.MEASURED


def _with_head(lines: bytes) -> bytes:
    start = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    return start + lines + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


# ---------------------------------------------------------------------- heads


def test_fields_that_belong_to_the_connection_or_to_us_do_not_pass(provider: Scripted) -> None:
    """U20: cookies would be set for the gateway's own host, where the dashboard is."""
    lines = (
        b"set-cookie: session=stolen; Path=/\r\nSet-Cookie2: a=b\r\nserver: x\r\nalt-svc: h3\r\n"
        b"x-should-retry: true\r\nx-tollkeeper-cost-usd: 0\r\nX-Tollkeeper-Call-Id: other\r\n"
        b"strict-transport-security: max-age=1\r\nproxy-authenticate: Basic\r\n"
        b"keep-alive: timeout=5\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nx-kept: 1\r\n"
    )
    provider.answers(_with_head(lines))
    answer = ask(provider.port, OPENAI.call(provider.key))
    assert set(answer.headers) == {
        "content-type",
        "content-length",
        "x-kept",
        "x-tollkeeper-call-id",
        "x-tollkeeper-cost-usd",
    }
    assert answer.headers["x-tollkeeper-cost-usd"] != "0"
    assert answer.headers["x-tollkeeper-call-id"] == provider.entry().call_id


@pytest.mark.parametrize(
    "lines",
    [
        b"x-a: b\0c\r\n",
        b"x-a: b\rset-cookie: c=d\r\n",
        b"x-a: b\n set-cookie: c=d\r\n",
        b"x-a: b\r\n folded\r\n",
        b"x-a : b\r\n",
        b"no colon\r\n",
        b": no name\r\n",
        b"x\xff: b\r\n",
        b"content-length: 5\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"x-long: " + b"x" * 70_000 + b"\r\n",
        b"".join(b"x-%d: y\r\n" % number for number in range(250)),
    ],
    ids=lambda lines: repr(lines[:24]),
)
@protocols
def test_a_head_that_could_be_read_in_two_ways_is_given_to_nobody(
    provider: Scripted, protocol: Protocol, lines: bytes
) -> None:
    """U11, U15, U20."""
    provider.answers(_with_head(lines))
    with RawConnection(provider.port) as connection:
        answer = connection.send(protocol.call(provider.key)).answer()
        assert protocol.fault(answer).status == 502
        assert b"set-cookie" not in answer.head
        provider.rough.script = good
        assert connection.send(protocol.call(provider.key)).answer().status == 200
    broken, _ = provider.entries(2)
    assert (broken.outcome, broken.cost_nanos) == (Outcome.UPSTREAM_FAILED, None)
    assert provider.sent == 2
    assert provider.opened >= 1, "the connection of the broken reply is not used again"


def test_a_head_of_63_kb_passes(provider: Scripted) -> None:
    provider.answers(_with_head(b"x-long: " + b"x" * 63_000 + b"\r\n"))
    answer = ask(provider.port, OPENAI.call(provider.key))
    assert (answer.status, len(answer.headers["x-long"])) == (200, 63_000)
    provider.entry()


@pytest.mark.parametrize("status", [b"101 Switching Protocols", b"103 Early Hints"])
def test_interim_replies_without_end(provider: Scripted, status: bytes) -> None:
    """U12."""
    provider.answers(b"HTTP/1.1 %b\r\nupgrade: x\r\n\r\n" % status * 30, close=True)
    assert OPENAI.fault(ask(provider.port, OPENAI.call(provider.key))).status == 502
    assert provider.entry().outcome == Outcome.UPSTREAM_FAILED


# ---------------------------------------------------------------------- chunks


BAD_CHUNKS = {
    "no number": b"zz\r\n\r\n",
    "a negative number": b"-1\r\n\r\n",
    "20 digits": b"f" * 20 + b"\r\n",
    "a wrong end": b"5\r\nhelloXX0\r\n\r\n",
    "a bare line feed": b"5\nhello\n0\n\n",
    "the end within": b"ff\r\nhello",
    "the end before the last one": b"5\r\nhello\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
@pytest.mark.parametrize("begun", [False, True])
def test_chunks_that_are_none(provider: Scripted, name: str, begun: bool) -> None:
    """What was good goes to the client, and then an error."""
    first = event(delta("hello"))
    start = EVENTS_HEAD + chunk(first) if begun else EVENTS_HEAD
    provider.answers(start + BAD_CHUNKS[name], close=True)
    answer = ask(provider.port, OPENAI.call(provider.key, stream=True))
    if answer.status == 200:
        assert answer.ended
        assert answer.body.startswith(first if begun else b"")
        assert OPENAI.fault_in_stream(answer.body).code in {"incomplete", "upstream_failed"}
    else:
        assert not begun
        assert OPENAI.fault(answer).status == 502
    entry = provider.entry()
    assert entry.outcome in {Outcome.INCOMPLETE, Outcome.UPSTREAM_FAILED}
    assert entry.cost_nanos != 0
    assert provider.sent == 1


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_an_error_behind_half_an_event_stands_alone(provider: Scripted, cut: int) -> None:
    """U1: what the client has read of the event is ended, so that the error can be read."""
    whole = event(delta("one"))
    half = event(delta("two"))[:cut]
    ask_for_usage = {"stream_options": {"include_usage": True}}
    provider.answers(EVENTS_HEAD + chunk(whole + half), close=True)
    answer = ask(provider.port, OPENAI.call(provider.key, stream=True, **ask_for_usage))
    assert answer.body.startswith(whole + half)
    *_, last = answer.body.split(b"\n\n")[:-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "incomplete"
    assert b"\n\n\n" not in answer.body
    assert provider.entry().outcome == Outcome.INCOMPLETE


# ---------------------------------------------------------------------- connections


def test_no_reply_ever_goes_to_another_call(provider: Scripted) -> None:
    """U16: every reply has a second one behind it, in the same write or while it is idle."""
    arrived = threading.Semaphore(0)

    def script(conversation: Conversation) -> None:
        canary = json.loads(conversation.body)["canary"]
        extra = json_reply(CHAT | {"canary": "nobody's"})
        first = json_reply(CHAT | {"canary": canary})
        if canary % 3:
            conversation.answer(first + extra)
        else:
            conversation.answer(first, extra, gap_s=0.01)
        with suppress(ConnectionResetError):
            conversation.wait_for_end()  # such a connection is never used again
        conversation.close()
        arrived.release()

    provider.plays(script)
    with RawConnection(provider.port) as connection:
        for number in range(60):
            body = dict(OPENAI.body) | {"canary": number}
            answer = connection.send(OPENAI.call(provider.key, body=body)).answer()
            assert answer.status == 200
            assert answer.json()["canary"] == number
            # What comes once the next call is out cannot be told from its reply, by anybody.
            assert arrived.acquire(timeout=20)
    assert all(entry.outcome == Outcome.OK for entry in provider.entries(60))


def test_a_connection_that_died_while_idle_is_tried_once_more(provider: Scripted) -> None:
    """Nothing came back, and the connection had served before: so the provider never read it."""

    def script(conversation: Conversation) -> None:
        if conversation.number == 2:
            conversation.close()
        else:
            good(conversation)

    provider.plays(script)
    with RawConnection(provider.port) as connection:
        for _ in range(2):
            assert connection.send(OPENAI.call(provider.key)).answer().status == 200
    assert provider.sent == 3
    first, second = provider.entries(2)
    assert (first.outcome, second.outcome) == (Outcome.OK, Outcome.OK)
    assert provider.rough.requests[1] == provider.rough.requests[2]


def test_there_is_no_third_try(provider: Scripted) -> None:
    def script(conversation: Conversation) -> None:
        if conversation.number == 1:
            good(conversation)
        else:
            conversation.close()

    provider.plays(script)
    assert ask(provider.port, OPENAI.call(provider.key)).status == 200
    assert OPENAI.fault(ask(provider.port, OPENAI.call(provider.key))).status == 502
    assert provider.sent == 3
    assert provider.entries(2)[1].unpriced_reason == "no_reply"


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 200 OK\r\n"])
def test_no_second_try_once_a_byte_came_back(provider: Scripted, begun: bytes) -> None:
    def script(conversation: Conversation) -> None:
        if conversation.number == 1:
            good(conversation)
        else:
            conversation.answer(begun)
            conversation.close()

    provider.plays(script)
    assert ask(provider.port, OPENAI.call(provider.key)).status == 200
    assert OPENAI.fault(ask(provider.port, OPENAI.call(provider.key))).status == 502
    assert provider.sent == 2
    assert provider.entries(2)[1].outcome == Outcome.UPSTREAM_FAILED


def test_no_second_try_of_what_went_out_on_a_new_connection(provider: Scripted) -> None:
    def close_at_once(conversation: Conversation) -> None:
        good(conversation)
        conversation.close()

    provider.plays(close_at_once)
    assert ask(provider.port, OPENAI.call(provider.key)).status == 200
    provider.plays(lambda conversation: conversation.close())
    assert OPENAI.fault(ask(provider.port, OPENAI.call(provider.key))).status == 502
    assert provider.sent == 1
    provider.entries(1)


def test_a_slow_client_does_not_stop_the_next_call_on_its_connection(provider: Scripted) -> None:
    """It has a large reply before it, unread, and a small one behind that."""

    def script(conversation: Conversation) -> None:
        size = json.loads(conversation.body).get("pad_bytes", 0)
        conversation.answer(json_reply(CHAT | {"pad": "x" * size}))

    provider.plays(script)
    with RawConnection(provider.port, receive_bytes=4_096) as slow:
        large = dict(OPENAI.body) | {"pad_bytes": 16 << 20}
        slow.send(OPENAI.call(provider.key, body=large))
        slow.read(1)
        provider.rough.script = script
        for _ in range(5):
            slow.send(OPENAI.call(provider.key))
        for _ in range(5):
            assert ask(provider.port, OPENAI.call(provider.key)).status == 200
        assert slow.socket.fileno() >= 0
        slow.reset()
    wait_until_at_rest(provider.gateway)


# ---------------------------------------------------------------------- what replies say of others


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/html"])
@pytest.mark.parametrize("status", ["401 Unauthorized", "500 Oops"])
def test_an_error_that_shows_our_key_is_passed_on_without_it(
    provider: Scripted, kind: str, status: str
) -> None:
    """U21: the key belongs to the operator, and callers may not learn it."""

    def script(conversation: Conversation) -> None:
        lines = conversation.head.decode().split("\r\n")
        (given,) = (line for line in lines if line.startswith(("authorization", "x-api-key")))
        body = json.dumps({"error": {"message": f"a wrong key: {given}", "code": "bad_key"}})
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        conversation.answer(head.encode(), body.encode(), gap_s=0.01)

    provider.plays(script)
    for protocol in (OPENAI, ANTHROPIC):
        answer = ask(provider.port, protocol.call(provider.key))
        assert answer.status == int(status[:3])
        assert not PLANTED.in_bytes(answer.body)
        assert "a wrong key" in answer.json()["error"]["message"]
        assert answer.ended
    for entry in provider.entries(2):
        assert (entry.outcome, entry.cost_nanos) == (Outcome.UPSTREAM_ERROR, 0)


def test_another_model_than_was_asked_for_is_booked_as_what_it_is(provider: Scripted) -> None:
    """U22: its own price, and both names."""
    provider.answers(json_reply(CHAT | {"model": "gpt-4.1"}))
    assert ask(provider.port, OPENAI.call(provider.key)).status == 200
    dear = provider.entry()
    provider.answers(json_reply(CHAT))
    assert ask(provider.port, OPENAI.call(provider.key)).status == 200
    usual = provider.entry()
    assert (dear.model_requested, dear.model_served) == ("gpt-4.1-mini", "gpt-4.1")
    assert (usual.model_requested, usual.model_served) == ("gpt-4.1-mini", "gpt-4.1-mini")
    assert dear.cost_nanos is not None
    assert usual.cost_nanos is not None
    assert dear.cost_nanos > usual.cost_nanos


def test_a_model_without_a_price_has_no_cost(provider: Scripted) -> None:
    provider.answers(json_reply(CHAT | {"model": "gpt-unheard-of"}))
    answer = ask(provider.port, OPENAI.call(provider.key))
    assert "x-tollkeeper-cost-usd" not in answer.headers
    entry = provider.entry()
    assert (entry.basis, entry.cost_nanos, entry.input_tokens) == (Basis.UNPRICED, None, 20)
    assert entry.unpriced_reason == "unknown_model"


def test_many_tool_calls_at_once_are_passed_on_and_sized(provider: Scripted) -> None:
    """U23: interleaved, with an index twice, and with arguments without end."""

    def call(index: int, arguments: str) -> bytes:
        calls = [{"index": index, "function": {"name": "f", "arguments": arguments}}] * 2
        choice = {"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None}
        return event(delta("") | {"choices": [choice]})

    stream = b"".join(call(number % 7, "x" * 2_000) for number in range(500)) + event(DONE)
    provider.answers(EVENTS_HEAD + chunk(stream) + LAST_CHUNK)
    answer = ask(provider.port, OPENAI.call(provider.key, stream=True))
    assert answer.body == stream
    entry = provider.entry()
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.ESTIMATED)
    # Of two million letters the first few thousand are counted: the rest is as they are.
    expected = estimates.output_tokens(call_size("f", "x" * 2_000), token_families.OPENAI)
    assert entry.output_tokens == pytest.approx(1_000 * expected, rel=0.1)
