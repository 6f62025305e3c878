"""How long a provider may take, how many connections it gets, and who waits for one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from gauges import metrics, wait_for, wait_until_at_rest
from loopback import HOST, free_port
from protocols import ALL, OPENAI, Protocol
from raw_http import RawConnection, ask
from rough_upstream import Conversation, json_reply
from running import deployment, usual_configuration
from scripted_provider import (
    CHAT,
    DONE,
    EVENTS_HEAD,
    EXTRA,
    LAST_CHUNK,
    Scripted,
    chunk,
    delta,
    event,
    good,
    scripted_provider,
)
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """Waits two seconds for anything."""
    timeouts = {"first_byte_s": 2.0, "silence_s": 2.0, "upstream_idle_s": 1.0}
    folder = tmp_path_factory.mktemp("impatient")
    with scripted_provider(folder, configuration={"timeouts": timeouts}) as made:
        yield made


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """Has two connections to its provider, and room for two calls that wait for one."""
    limits = {"upstream_connections": 2, "upstream_waiting": 2}
    configuration = {"limits": limits, "timeouts": {"wait_s": 2.0}}
    with scripted_provider(tmp_path_factory.mktemp("narrow"), configuration=configuration) as made:
        yield made


def _require_unknown(entry: LedgerEntry) -> None:
    assert (entry.outcome, entry.basis, entry.cost_nanos, entry.unpriced_reason) == (
        Outcome.UPSTREAM_FAILED,
        Basis.UNPRICED,
        None,
        "no_reply",
    )


# ---------------------------------------------------------------------- silence


@protocols
@both
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-type: te"])
def test_a_provider_that_never_answers(
    impatient: Scripted, protocol: Protocol, stream: bool, begun: bytes
) -> None:
    """It took the call, and nobody knows what it did with it."""

    def script(conversation: Conversation) -> None:
        conversation.answer(begun)
        conversation.wait_for_end()

    impatient.plays(script)
    with RawConnection(impatient.port) as connection:
        fault = protocol.fault(
            connection.send(protocol.call(impatient.key, stream=stream)).answer()
        )
        assert fault.status == 504
        assert "answer" in fault.message
        impatient.rough.script = good
        assert connection.send(protocol.call(impatient.key)).answer().status == 200
    failed, _ = impatient.entries(2)
    _require_unknown(failed)
    assert impatient.sent == 2
    wait_until_at_rest(impatient.gateway)


def test_a_stream_that_falls_silent_ends_with_an_error(impatient: Scripted) -> None:
    def script(conversation: Conversation) -> None:
        conversation.answer(EVENTS_HEAD + chunk(event(delta("hello"))))
        conversation.wait_for_end()

    impatient.plays(script)
    answer = ask(impatient.port, OPENAI.call(impatient.key, stream=True))
    assert answer.ended
    fault = OPENAI.fault_in_stream(answer.body)
    assert "stopped answering" in fault.message
    entry = impatient.entry()
    assert (entry.outcome, entry.basis, entry.output_tokens) == (
        Outcome.INCOMPLETE,
        Basis.ESTIMATED,
        1,  # "hello" is one token
    )
    wait_until_at_rest(impatient.gateway)


def test_a_plain_reply_that_falls_silent_is_an_error(impatient: Scripted) -> None:
    whole = json_reply(CHAT)

    def script(conversation: Conversation) -> None:
        conversation.answer(whole[:-20])
        conversation.wait_for_end()

    impatient.plays(script)
    fault = OPENAI.fault(ask(impatient.port, OPENAI.call(impatient.key)))
    assert fault.status == 504
    entry = impatient.entry()
    assert (entry.outcome, entry.basis) == (Outcome.INCOMPLETE, Basis.ESTIMATED)
    assert entry.cost_nanos


def test_comments_keep_a_stream_open(impatient: Scripted) -> None:
    """U24: a provider that says that it is still there is not silent."""
    pings = [chunk(b": ping\n\n")] * 8
    last = chunk(event(delta("hello")) + event(EXTRA) + event(DONE)) + LAST_CHUNK
    impatient.answers(EVENTS_HEAD, *pings, last, gap_s=0.4)
    answer = ask(impatient.port, OPENAI.call(impatient.key, stream=True))
    assert answer.body.count(b": ping\n\n") == 8
    assert answer.body.endswith(event(delta("hello")) + event(DONE))
    entry = impatient.entry()
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
    assert entry.ttft_ms is not None
    assert entry.duration_ms > entry.ttft_ms


def test_a_slow_head_is_awaited_within_its_time(impatient: Scripted) -> None:
    """Each byte shows that the provider is at work."""
    whole = json_reply(CHAT)
    pieces = [whole[at : at + 20] for at in range(0, 100, 20)]
    impatient.answers(*pieces, whole[100:], gap_s=0.4)
    assert ask(impatient.port, OPENAI.call(impatient.key)).status == 200
    assert impatient.entry().basis == Basis.MEASURED


# ---------------------------------------------------------------------- connections that idle


def test_an_idle_connection_is_closed_in_time(impatient: Scripted) -> None:
    impatient.plays(good)
    assert ask(impatient.port, OPENAI.call(impatient.key)).status == 200
    deadline_s = time.monotonic() + 20
    while impatient.rough.open_connections:
        assert time.monotonic() < deadline_s, "it is kept for ever"
        time.sleep(0.05)
    assert ask(impatient.port, OPENAI.call(impatient.key)).status == 200
    assert impatient.opened >= 1
    assert impatient.sent == 2
    impatient.entries(2)


def test_a_provider_that_closes_after_every_reply(impatient: Scripted) -> None:
    """Without saying so: now and then a call meets a dead connection, and is sent again."""

    def script(conversation: Conversation) -> None:
        good(conversation)
        conversation.close()

    impatient.plays(script)
    with RawConnection(impatient.port) as connection:
        for _ in range(50):
            assert connection.send(OPENAI.call(impatient.key)).answer().status == 200
    entries = impatient.entries(50)
    assert {entry.outcome for entry in entries} == {Outcome.OK}
    assert impatient.sent == 50, "a request that was answered is never sent again"


# ---------------------------------------------------------------------- nobody is there


@protocols
def test_nobody_listens(tmp_path_factory: pytest.TempPathFactory, protocol: Protocol) -> None:
    """Nothing was sent, so it is known to have cost nothing."""
    url = f"http://{HOST}:{free_port()}"
    folder = tmp_path_factory.mktemp("nobody")
    with deployment(folder, url, usual_configuration(url)) as gateway:
        fault = protocol.fault(ask(gateway.port, protocol.call(gateway.key)))
        assert fault.status == 502
        assert "could not be reached" in fault.message
        (entry,) = gateway.entries_when(1)
        assert (entry.outcome, entry.basis, entry.cost_nanos) == (
            Outcome.UPSTREAM_FAILED,
            Basis.FREE,
            0,
        )
        wait_until_at_rest(gateway)


def test_a_provider_that_closes_every_connection_at_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It is not asked again and again."""
    accepted = 0

    def serve() -> None:
        nonlocal accepted
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            accepted += 1
            connection.close()

    with socket.create_server((HOST, 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        folder = tmp_path_factory.mktemp("closing")
        with deployment(folder, url, usual_configuration(url)) as gateway:
            for _ in range(20):
                assert OPENAI.fault(ask(gateway.port, OPENAI.call(gateway.key))).status == 502
            assert len(gateway.entries_when(20)) == 20
            wait_until_at_rest(gateway)
            assert accepted <= 60
        listening.shutdown(socket.SHUT_RDWR)


# ---------------------------------------------------------------------- limits


class _Held:
    """A script that answers when it is told to."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def __call__(self, conversation: Conversation) -> None:
        assert self.released.wait(20)
        good(conversation)


@contextmanager
def _callers(narrow: Scripted, count: int) -> Iterator[list[RawConnection]]:
    """Have so many calls carried at once, or waiting."""
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(RawConnection(narrow.port)) for _ in range(count)]
        for connection in connections:
            connection.send(OPENAI.call(narrow.key))
        wait_for(narrow.gateway, "tollkeeper_in_flight", float(count))
        yield connections


@protocols
def test_above_the_limit_calls_wait_and_then_are_refused(
    narrow: Scripted, protocol: Protocol
) -> None:
    held = _Held()
    narrow.plays(held)
    with _callers(narrow, 4) as connections:
        answer = ask(narrow.port, protocol.call(narrow.key))
        fault = protocol.fault(answer)
        assert (fault.status, answer.headers["retry-after"]) == (503, "2")
        assert "too many calls wait" in fault.message
        held.released.set()
        assert {connection.answer().status for connection in connections} == {200}
    refused, *served = sorted(narrow.entries(5), key=lambda entry: entry.outcome != "refused")
    assert (refused.outcome, refused.error_code, refused.cost_nanos, refused.status) == (
        Outcome.REFUSED,
        "provider_busy",
        0,
        503,
    )
    assert {entry.basis for entry in served} == {Basis.MEASURED}
    assert narrow.sent == 4
    wait_until_at_rest(narrow.gateway)
    assert metrics(narrow.gateway)["tollkeeper_upstream_opened"] <= 4


def test_who_waits_too_long_is_refused(narrow: Scripted) -> None:
    held = _Held()
    narrow.plays(held)
    with _callers(narrow, 3) as connections:
        (refused,) = narrow.entries(1)
        assert (refused.outcome, refused.error_code, refused.cost_nanos) == (
            Outcome.REFUSED,
            "provider_busy",
            0,
        )
        held.released.set()
        statuses = sorted(connection.answer().status for connection in connections)
        assert statuses == [200, 200, 503]
    narrow.entries(3)
    wait_until_at_rest(narrow.gateway)


def test_who_leaves_while_waiting_is_not_sent(narrow: Scripted) -> None:
    """Such a call cost nothing and reached nobody: it leaves no entry."""
    held = _Held()
    narrow.plays(held)
    left = metrics(narrow.gateway)["tollkeeper_client_disconnects_total"]
    with _callers(narrow, 4) as connections:
        for connection in connections[2:]:
            connection.reset()
        wait_for(narrow.gateway, "tollkeeper_client_disconnects_total", left + 2)
        held.released.set()
        assert {connection.answer().status for connection in connections[:2]} == {200}
    narrow.entries(2)
    wait_until_at_rest(narrow.gateway)
    assert narrow.sent == 2
