"""Clients and providers that do not read: nothing piles up in between."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gauges import metrics, wait_for, wait_until_at_rest
from loopback import HOST
from memory import grows_by_less_than, resident_bytes
from protocols import OPENAI
from raw_http import RawConnection, ask, request
from rough_upstream import Conversation, json_reply
from running import Deployment, deployment, usual_configuration
from scripted_provider import (
    DONE,
    EVENTS_HEAD,
    EXTRA,
    LAST_CHUNK,
    Scripted,
    chunk,
    delta,
    event,
    scripted_provider,
)
from tollkeeper.domain.ledger import Basis, Outcome

MIB = 1 << 20
PIECE = event(delta("x" * 16_000)) * 4
PIECES = 4_700  # of 64 KB: 300 MB
BOUNDARY = "b0undary"
STREAMS = 2_000


class Flood:
    """Sends 300 MB of a stream as fast as they are taken."""

    def __init__(self) -> None:
        self.sent_pieces = 0

    def __call__(self, conversation: Conversation) -> None:
        connection = conversation.connection
        connection.sendall(EVENTS_HEAD)
        framed = chunk(PIECE)
        for _ in range(PIECES):
            connection.sendall(framed)
            self.sent_pieces += 1
        connection.sendall(chunk(event(EXTRA) + event(DONE)) + LAST_CHUNK)

    def wait_until_stuck(self) -> None:
        """Wait until nothing more is taken."""
        before = -1
        deadline_s = time.monotonic() + 30
        while self.sent_pieces != before:
            assert time.monotonic() < deadline_s, "it goes on and on"
            before = self.sent_pieces
            time.sleep(0.5)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted_provider(tmp_path_factory.mktemp("scripted")) as made:
        yield made


def _warm(provider: Scripted) -> None:
    """Let what is allocated once be allocated."""
    provider.answers(EVENTS_HEAD + chunk(PIECE * 50) + chunk(event(DONE)) + LAST_CHUNK)
    for _ in range(3):
        assert ask(provider.port, OPENAI.call(provider.key, stream=True)).ended


@pytest.mark.parametrize("asks", [False, True], ids=["hidden usage", "asked for"])
def test_a_reader_that_stalls_on_300_mb_costs_next_to_nothing(
    provider: Scripted, asks: bool
) -> None:
    _warm(provider)
    flood = Flood()
    members = {"stream_options": {"include_usage": True}} if asks else {}
    provider.plays(flood)
    with grows_by_less_than(provider.gateway, 5 * MIB), RawConnection(provider.port) as reader:
        reader.send(OPENAI.call(provider.key, stream=True, **members))
        reader.read_until(b"\r\n\r\n")
        flood.wait_until_stuck()
        assert flood.sent_pieces < PIECES // 5, "the provider is held back too"
        assert ask(provider.port, request("/healthz", method="GET")).status == 200
        received, data = 0, b""
        while not data.endswith(LAST_CHUNK):
            data = reader.read()
            received += len(data)
    assert received > PIECES * len(PIECE)
    entry = provider.entry()
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
    wait_until_at_rest(provider.gateway)


def test_a_reader_that_leaves_while_it_stalls(provider: Scripted) -> None:
    """The provider was held back for it, and must not be for ever."""
    flood = Flood()
    provider.plays(flood)
    with RawConnection(provider.port) as reader:
        reader.send(OPENAI.call(provider.key, stream=True))
        reader.read_until(b"\r\n\r\n")
        flood.wait_until_stuck()
        reader.reset()
    entry = provider.entry()
    assert (entry.outcome, entry.basis) == (Outcome.DISCONNECTED, Basis.ESTIMATED)
    wait_until_at_rest(provider.gateway)


# ---------------------------------------------------------------------- uploads


class Holding:
    """A provider that reads a request's head, and the rest of it when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.body_bytes = 0
        self._listening = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection, self._listening:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(1_024)
            assert self.go_on.wait(60)
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            self.body_bytes = len(body)
            while self.body_bytes < length:
                self.body_bytes += len(connection.recv(1 << 18))
            connection.sendall(json_reply({"text": "hello"}))
            connection.recv(1)


def test_an_upload_waits_for_a_provider_that_does_not_read(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    file = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    start = (part + file).encode()
    end = f"\r\n--{BOUNDARY}--\r\n".encode()
    block, blocks = b"\1" * MIB, 200
    sent_blocks = 0
    holding = Holding()
    configuration = usual_configuration(holding.url)
    with deployment(tmp_path_factory.mktemp("upload"), holding.url, configuration) as gateway:
        headers: dict[str, str | None] = {
            "authorization": f"Bearer {gateway.key}",
            "content-type": f"multipart/form-data; boundary={BOUNDARY}",
            "content-length": str(len(start) + blocks * MIB + len(end)),
        }
        head = request("/v1/audio/transcriptions", headers=headers)
        with grows_by_less_than(gateway, 8 * MIB), RawConnection(gateway.port) as client:

            def upload() -> None:
                nonlocal sent_blocks
                client.socket.settimeout(60)
                client.socket.sendall(head + start)
                for _ in range(blocks):
                    client.socket.sendall(block)
                    sent_blocks += 1
                client.socket.sendall(end)

            sender = threading.Thread(target=upload)
            sender.start()
            before = -1
            while before != sent_blocks or not before:
                before = sent_blocks
                time.sleep(0.5)
            assert sent_blocks < blocks // 2, "the client is held back too"
            holding.go_on.set()
            sender.join(60)
            answer = client.answer(60)
        assert (answer.status, answer.json()) == (200, {"text": "hello"})
        assert holding.body_bytes == len(start) + blocks * MIB + len(end)
        (entry,) = gateway.entries_when(1)
        assert (entry.outcome, entry.model_requested) == (Outcome.OK, "whisper-1")
        wait_until_at_rest(gateway)


# ---------------------------------------------------------------------- many at once


@pytest.mark.slow
def test_two_thousand_idle_streams_fit_into_little_memory(
    sandbox: str, gateway: Deployment
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * STREAMS + 500:
        pytest.skip(f"2,000 streams need more open files than the {soft} (of {hard}) allowed here")
    assert gateway.gateway is not None
    call = OPENAI.call(gateway.key, {"x-sandbox-fault": "hang-after:1"}, stream=True)
    with ExitStack() as streams:
        for _ in range(STREAMS):
            streams.enter_context(RawConnection(gateway.port)).send(call)
        wait_for(gateway, "tollkeeper_upstream_busy", float(STREAMS), 60)
        assert resident_bytes(gateway.gateway.process.pid) < 200 * MIB
        assert ask(gateway.port, OPENAI.call(gateway.key), 60).status in {200, 503}
        disconnects = metrics(gateway)["tollkeeper_client_disconnects_total"]
    wait_until_at_rest(gateway, 60)
    left = metrics(gateway)["tollkeeper_client_disconnects_total"] - disconnects
    assert left == STREAMS
