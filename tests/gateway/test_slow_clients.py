"""Clients that are slow to speak or to listen: bounded in time and memory, and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from memory import grows_by_less_than
from protocols import ALL, ANTHROPIC, OPENAI
from raw_http import RawConnection, ask
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import deployment
from watched import Watched

MIB = 1 << 20
WAIT_S = 40.0
PIECE = b"data: " + b"x" * 65_520 + b"\n\n"
PIECES = 640  # 40 MiB
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Taken:
    """How many pieces of its streams the gateway has taken from the provider."""

    def __init__(self) -> None:
        self.pieces = 0
        self._lock = threading.Lock()

    def script(self, conversation: Conversation) -> None:
        """Send a large stream to whoever asks for one."""
        if b'"stream": true' not in conversation.body:
            conversation.answer(json_reply({"id": "r"}))
            return
        conversation.answer(STREAM)
        for _ in range(PIECES):
            conversation.answer(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
            with self._lock:
                self.pieces += 1
        conversation.answer(b"0\r\n\r\n")


@pytest.fixture(scope="module")
def taken() -> Taken:
    return Taken()


@pytest.fixture(scope="module")
def module_watched(taken: Taken, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    limits = {
        "TOLLKEEPER_TIMEOUTS__HEAD_S": "1",
        "TOLLKEEPER_TIMEOUTS__IDLE_S": "2",
        "TOLLKEEPER_TIMEOUTS__STALLED_S": "5",
        "TOLLKEEPER_TIMEOUTS__ABANDONED_S": "1",
    }
    folder = tmp_path_factory.mktemp("slow")
    with RoughUpstream(taken.script) as rough, deployment(folder, rough.url, **limits) as made:
        yield Watched(made, rough)


def _trickle(connection: RawConnection, data: bytes, stop: threading.Event, gap_s: float) -> None:
    for at in range(len(data)):
        connection.send(data[at : at + 1])
        if stop.wait(gap_s):
            return


def test_a_head_that_trickles_in_is_ended(watched: Watched) -> None:
    """O3: also one that had nearly come to its end, and also the second one of a connection."""
    stop = threading.Event()
    connections = [RawConnection(watched.port) for _ in range(30)]
    connections[-1].send(OPENAI.call(watched.key))
    assert connections[-1].answer().status == 200
    callers = [
        threading.Thread(
            target=_trickle, args=(connection, OPENAI.call(watched.key), stop, 0.2), daemon=True
        )
        for connection in connections
    ]
    for caller in callers:
        caller.start()
    assert ask(watched.port, OPENAI.call(watched.key)).status == 200
    for connection in connections:
        answer = connection.answer(WAIT_S)
        assert (answer.status, OPENAI.fault(answer).code) == (408, "request_timeout")
        assert connection.is_closed(WAIT_S)
    stop.set()
    for caller, connection in zip(callers, connections, strict=True):
        caller.join(WAIT_S)
        connection.close()
    assert len(watched.sent()) == 2


def test_a_body_that_trickles_in_is_ended_and_never_sent(watched: Watched) -> None:
    stop, callers = threading.Event(), list[threading.Thread]()
    connections = [RawConnection(watched.port) for _ in ALL]
    for protocol, connection in zip(ALL, connections, strict=True):
        head, end, body = protocol.call(watched.key).partition(b"\r\n\r\n")
        connection.send(head + end)
        callers.append(threading.Thread(target=_trickle, args=(connection, body, stop, 1)))
        callers[-1].start()
    for protocol, connection in zip(ALL, connections, strict=True):
        answer = connection.answer(WAIT_S)
        assert (answer.status, protocol.fault(answer).code) == (408, "request_timeout")
        assert connection.is_closed(WAIT_S)
    stop.set()
    for caller, connection in zip(callers, connections, strict=True):
        caller.join(WAIT_S)
        connection.close()
    assert not watched.sent()


def test_a_connection_that_says_nothing_is_closed(watched: Watched) -> None:
    with RawConnection(watched.port) as silent, RawConnection(watched.port) as kept:
        assert kept.send(OPENAI.call(watched.key)).answer().status == 200
        assert silent.is_closed(WAIT_S)
        assert kept.is_closed(WAIT_S)


def test_a_provider_waits_for_a_client_that_does_not_read(watched: Watched, taken: Taken) -> None:
    """O1: of 40 MiB that each of 20 clients asked for, hardly anything is in our memory."""
    gateway, count = watched.gateway, 20
    before = taken.pieces
    connections = [RawConnection(watched.port, receive_bytes=4_096) for _ in range(count)]
    with grows_by_less_than(gateway, count * MIB):
        for connection in connections:
            connection.send(ANTHROPIC.call(watched.key, stream=True))
        for connection in connections:
            connection.read_until(b"\r\n\r\n")
        for _ in range(20):
            assert ask(watched.port, OPENAI.call(watched.key)).status == 200
        outcomes = watched.entries(20 + count)  # each ends when it took nothing for stalled_s
    assert taken.pieces - before < count * PIECES / 2
    assert outcomes.count(("ok", "")) == 20
    assert sum(outcome == "disconnected" for outcome, _ in outcomes) == count
    for connection in connections:
        connection.close()


def test_a_client_that_reads_slowly_gets_everything(watched: Watched) -> None:
    with RawConnection(watched.port, receive_bytes=65_536) as connection:
        connection.send(OPENAI.call(watched.key, stream=True))
        connection.read_until(b"\r\n\r\n")
        stop = threading.Event()
        taken_bytes = 0
        while taken_bytes < PIECES * len(PIECE):
            data = connection.read(1, WAIT_S)
            assert data, f"it ended after {taken_bytes} bytes"
            taken_bytes += len(data)
            if taken_bytes < 4 * MIB:
                stop.wait(0.01)
