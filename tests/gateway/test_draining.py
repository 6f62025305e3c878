"""A gateway that is told to stop: what runs may finish, nothing begins, all is accounted for."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from protocols import ALL, ANTHROPIC, OPENAI, Protocol
from raw_http import RawConnection, request
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import Deployment, deployment
from tollkeeper.domain.ledger import Outcome

EVENTS = {
    "openai": b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
    "responses": b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n',
    "anthropic": b'event: message_start\ndata: {"type":"message_start","message":'
    b'{"id":"m","usage":{"input_tokens":7,"output_tokens":1}}}\n\n',
    "gemini": b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\r\n\r\n',
}
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
DONE = b"data: [DONE]\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _of(conversation: Conversation) -> str:
    for part, name in ((b"/messages", "anthropic"), (b"/responses", "responses")):
        if part in conversation.head:
            return name
    return "gemini" if b"Content?" in conversation.head else "openai"


class Provider:
    """Begins every stream, and goes on when it is told to; without a stream it answers then."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def script(self, conversation: Conversation) -> None:
        streamed = b'"stream": true' in conversation.body or b"alt=sse" in conversation.head
        if streamed:
            conversation.answer(STREAM + _chunk(EVENTS[_of(conversation)]))
        self.go_on.wait(60)
        if streamed:
            conversation.answer(_chunk(END) + _chunk(DONE) + b"0\r\n\r\n")
        else:
            conversation.answer(json_reply({"id": "r"}))


def _until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline_s, "it never was"
        time.sleep(0.02)


def _refuses(gateway: Deployment) -> bool:
    try:
        with RawConnection(gateway.port):
            return False
    except ConnectionResetError:
        return False  # it still waited to be accepted when the port was closed
    except ConnectionRefusedError:
        return True


def _signal(gateway: Deployment, number: int = signal.SIGTERM) -> None:
    assert gateway.gateway is not None
    gateway.gateway.signal(number)


def _exit_code(gateway: Deployment) -> int:
    assert gateway.gateway is not None
    return gateway.gateway.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_streams_finish_and_nothing_new_begins(tmp_path: Path, number: int) -> None:
    provider, count = Provider(), 30
    with RoughUpstream(provider.script) as rough, deployment(tmp_path, rough.url) as gateway:
        idle = RawConnection(gateway.port)
        asking = RawConnection(gateway.port).send(b"GET /readyz HTTP/1.1\r\nHost: gate")
        streams = [RawConnection(gateway.port) for _ in range(count)]
        for stream in streams:
            stream.send(OPENAI.call(gateway.key, stream=True))
        for stream in streams:
            stream.read_until(EVENTS["openai"] + b"\r\n")
        plain = RawConnection(gateway.port).send(ANTHROPIC.call(gateway.key))
        _until(lambda: len(rough.requests) == count + 1)
        _signal(gateway, number)
        _until(lambda: _refuses(gateway))
        assert idle.is_closed(10)
        ready = asking.send(b"way.test\r\n\r\n").answer()
        assert (ready.status, ready.json()["draining"]) == (503, True)
        assert asking.is_closed(10)
        provider.go_on.set()
        for stream in streams:
            assert stream.rest().endswith(DONE + b"\r\n0\r\n\r\n")
        answer = plain.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert _exit_code(gateway) == 0
        entries = gateway.entries()
        assert len(entries) == len(rough.requests) == count + 1
        assert {entry.outcome for entry in entries} == {Outcome.OK}
        for connection in (idle, asking, plain, *streams):
            connection.close()


@pytest.mark.parametrize("again", [False, True], ids=["after drain_s", "at the second signal"])
def test_at_the_end_what_runs_is_cut_in_its_own_protocol(tmp_path: Path, again: bool) -> None:
    """A client must see that this is not all, and the ledger must know what was under way."""
    provider = Provider()
    drain_s = "1" if not again else "3600"
    with (
        RoughUpstream(provider.script) as rough,
        deployment(tmp_path, rough.url, TOLLKEEPER_TIMEOUTS__DRAIN_S=drain_s) as gateway,
    ):
        plain = [(protocol, RawConnection(gateway.port)) for protocol in ALL]
        streams = [(protocol, RawConnection(gateway.port)) for protocol in ALL]
        for protocol, connection in plain:
            connection.send(protocol.call(gateway.key))
        for protocol, connection in streams:
            connection.send(protocol.call(gateway.key, stream=True))
            connection.read_until(EVENTS[protocol.name])
        _until(lambda: len(rough.requests) == 2 * len(ALL))
        _signal(gateway)
        if again:
            _until(lambda: _refuses(gateway))
            _signal(gateway)
        for protocol, connection in plain:
            _require_stopped(protocol, connection)
        for protocol, connection in streams:
            _require_stream_stopped(protocol, connection)
        assert _exit_code(gateway) == 0
        entries = gateway.entries()
        assert len(entries) == 2 * len(ALL)
        assert {entry.error_code for entry in entries} == {"gateway_stopped"}
        assert {entry.outcome for entry in entries} == {
            Outcome.UPSTREAM_FAILED,
            Outcome.INCOMPLETE,
        }
        provider.go_on.set()


def _require_stopped(protocol: Protocol, connection: RawConnection) -> None:
    fault = protocol.fault(connection.answer())
    assert fault.status == 502
    assert fault.code in {"gateway_stopped", ""}
    connection.close()


def _require_stream_stopped(protocol: Protocol, connection: RawConnection) -> None:
    rest = connection.rest()
    assert rest.endswith(b"\r\n0\r\n\r\n"), "the error is whole"
    data = rest.strip().removesuffix(b"0").strip(b"\r\n").partition(b"\r\n")[2]
    end = b"\r\n\r\n" if protocol.name == "gemini" else b"\n\n"
    fault = protocol.fault_in_stream(data.rstrip() + end)
    assert "stopped" in fault.message
    connection.close()


def test_an_upload_under_way_may_finish(tmp_path: Path) -> None:
    provider = Provider()
    provider.go_on.set()
    with RoughUpstream(provider.script) as rough, deployment(tmp_path, rough.url) as gateway:
        data = OPENAI.call(gateway.key)
        with RawConnection(gateway.port) as connection:
            connection.send(data[:-20])
            with RawConnection(gateway.port) as other:
                assert other.send(OPENAI.call(gateway.key)).answer().status == 200
            _signal(gateway)
            _until(lambda: _refuses(gateway))
            answer = connection.send(data[-20:]).answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert connection.is_closed()
        assert _exit_code(gateway) == 0
        assert len(gateway.entries()) == len(rough.requests) == 2


def test_a_client_that_never_finishes_its_request_does_not_hold_up_the_end(tmp_path: Path) -> None:
    provider = Provider()
    with (
        RoughUpstream(provider.script) as rough,
        deployment(tmp_path, rough.url, TOLLKEEPER_TIMEOUTS__DRAIN_S="1") as gateway,
    ):
        with RawConnection(gateway.port) as head, RawConnection(gateway.port) as body:
            head.send(b"POST /v1/messages HTTP/1.1\r\n")
            body.send(OPENAI.call(gateway.key)[:-5])
            _signal(gateway)
            assert _exit_code(gateway) == 0
            assert head.rest() == b""
        assert (gateway.entries(), rough.requests) == ([], [])


def test_with_nothing_to_do_it_stops_at_once(tmp_path: Path) -> None:
    provider = Provider()
    with (
        RoughUpstream(provider.script) as rough,
        deployment(tmp_path, rough.url, TOLLKEEPER_TIMEOUTS__DRAIN_S="3600") as gateway,
        RawConnection(gateway.port) as idle,
    ):
        idle.send(request("/healthz", method="GET")).answer()
        _signal(gateway)
        assert _exit_code(gateway) == 0
        assert idle.is_closed()
