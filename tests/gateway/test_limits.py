"""How many calls, connections and files there may be at once: more is refused early."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory import grows_by_less_than
from protocols import ALL, ANTHROPIC, OPENAI, Protocol
from raw_http import RawConnection, ask, get, request
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import Deployment, deployment, usual_configuration
from watched import Watched

IN_FLIGHT, CONNECTIONS = 5, 30
protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])


class Gate:
    """A provider that answers when it is told to."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def script(self, conversation: Conversation) -> None:
        self.open.wait(30)
        conversation.answer(json_reply({"id": "r"}))


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def module_watched(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    limits = {
        "TOLLKEEPER_LIMITS__IN_FLIGHT": str(IN_FLIGHT),
        "TOLLKEEPER_LIMITS__CONNECTIONS": str(CONNECTIONS),
    }
    folder = tmp_path_factory.mktemp("limits")
    with RoughUpstream(gate.script) as rough, deployment(folder, rough.url, **limits) as made:
        yield Watched(made, rough)


def _until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline_s, "it never was"
        time.sleep(0.02)


@protocols
def test_more_calls_than_there_may_be_are_refused_at_once(
    watched: Watched, gate: Gate, protocol: Protocol
) -> None:
    gate.open.clear()
    connections = [RawConnection(watched.port) for _ in range(IN_FLIGHT)]
    for connection in connections:
        connection.send(OPENAI.call(watched.key))
    _until(lambda: len(watched.sent()) == IN_FLIGHT)
    for _ in range(3):  # also one whose head is known already
        answer = ask(watched.port, protocol.call(watched.key))
        fault = protocol.fault(answer)
        assert (fault.status, fault.code) == (503, "too_many_calls")
        assert int(answer.headers["retry-after"]) > 0
        assert "x-should-retry" not in answer.headers
    assert get(watched.port, "/readyz").status == 200
    gate.open.set()
    for connection in connections:
        assert connection.answer().status == 200
        connection.close()
    assert ask(watched.port, protocol.call(watched.key)).status == 200
    assert len(watched.sent()) == IN_FLIGHT + 1
    page = get(watched.port, "/metrics").body
    assert b'tollkeeper_unidentified_refusals_total{code="too_many_calls"}' in page
    watched.entries(IN_FLIGHT + 1)


def test_more_connections_than_there_may_be_are_refused_at_once(
    watched: Watched, gate: Gate
) -> None:
    gate.open.set()
    kept = [RawConnection(watched.port) for _ in range(CONNECTIONS)]
    for connection in kept:
        assert connection.send(OPENAI.call(watched.key)).answer().status == 200
    for _ in range(40):
        with RawConnection(watched.port) as one_more:
            answer = one_more.answer()
            assert (answer.status, OPENAI.fault(answer).code) == (503, "too_many_connections")
            assert int(answer.headers["retry-after"]) > 0
            assert one_more.is_closed()
    for connection in kept:
        assert connection.send(OPENAI.call(watched.key)).answer().status == 200
    kept.pop().close()
    _until(lambda: get(watched.port, "/healthz").status == 200)
    for connection in kept:
        connection.close()
    assert len(watched.sent()) == 2 * CONNECTIONS


# ---------------------------------------------------------------------- open files


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed here")
def test_a_flood_of_connections_cannot_take_the_files_that_calls_need(tmp_path: Path) -> None:
    """O11: with 200 open files there is room for 68 clients, and for their providers."""
    reply = json_reply({"id": "r"})
    with RoughUpstream(lambda conversation: conversation.answer(reply)) as rough:
        gateway = Deployment(tmp_path, rough.url, usual_configuration(rough.url))
        gateway.start(before=("prlimit", "--nofile=200:200"))
        try:
            assert gateway.says("room for fewer clients"), gateway.logs()
            with RawConnection(gateway.port) as first:
                assert first.send(OPENAI.call(gateway.key)).answer().status == 200
                flood = [RawConnection(gateway.port) for _ in range(400)]
                for _ in range(20):
                    assert first.send(OPENAI.call(gateway.key)).answer().status == 200
                for connection in flood:
                    connection.close()
            _until(lambda: _passes(gateway))
            assert gateway.gateway is not None
            gateway.gateway.signal(signal.SIGTERM)
            assert gateway.gateway.wait() == 0
            entries = gateway.entries()
            assert len(entries) == len(rough.requests)
            assert {entry.outcome for entry in entries} == {"ok"}
        finally:
            gateway.finish()


def _passes(gateway: Deployment) -> bool:
    try:
        return ask(gateway.port, OPENAI.call(gateway.key)).status == 200
    except (OSError, AssertionError):
        return False


# ---------------------------------------------------------------------- pages


def test_bodies_for_pages_are_small_and_few(tmp_path: Path) -> None:
    """Anybody may send them: they must not take the room that calls need."""
    reply, size = json_reply({"id": "r"}), 100_000
    with RoughUpstream(lambda conversation: conversation.answer(reply)) as rough:
        gateway = Deployment(tmp_path, rough.url, usual_configuration(rough.url))
        gateway.start(alone=False)  # the console that it expects does not answer
        waiting = [RawConnection(gateway.port) for _ in range(800)]
        try:
            assert ask(gateway.port, request("/login", b"x" * size)).status == 503
            assert ask(gateway.port, request("/login", b"x" * (128 << 10))).status == 503
            for path in ("/login", "/api/v1/keys", "/"):
                refused = ask(gateway.port, request(path, b"x" * (129 << 10)))
                assert refused.status == 413
            with grows_by_less_than(gateway, 100 << 20):
                part = request("/login", b"x" * size)[:-1]
                for connection in waiting:
                    connection.send(part)
                full = waiting[-1].answer()
                assert (full.status, full.headers["retry-after"]) == (503, "2")
                assert b"too many uploads" in full.body
                assert ask(gateway.port, OPENAI.call(gateway.key)).status == 200
            for connection in waiting:
                connection.close()
            _until(lambda: b"dashboard" in ask(gateway.port, request("/login", b"x" * size)).body)
        finally:
            for connection in waiting:
                connection.close()
            gateway.finish()


# ---------------------------------------------------------------------- heads


HEADS: dict[str, tuple[str, dict[str, str | None], int]] = {
    "M9 a header of 64 KB": ("", {"x-a": "b" * 65_536}, 431),
    "M9 a header of 1 MB": ("", {"x-a": "b" * 1_000_000}, 431),
    "M9 a cookie of 33 KB": ("", {"cookie": "b" * 33_000}, 431),
    "M9 a name of 64 KB": ("", {"x" * 65_536: "b"}, 431),
    "M9 101 headers": ("", {f"x-{at}": "b" for at in range(101)}, 431),
    "M9 10,000 headers": ("", {f"x-{at}": "b" for at in range(10_000)}, 431),
    "M9 many headers of 1 KB": ("", {f"x-{at}": "b" * 1_000 for at in range(40)}, 431),
    "M9 a URL of 1 MB": ("?a=" + "b" * 1_000_000, {}, 414),
    "M9 a URL of 9 KB": ("?a=" + "b" * 9_000, {}, 414),
    "M22 a boundary of 1 MB": (
        "",
        {"content-type": "multipart/form-data; boundary=" + "b" * 1_000_000},
        431,
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_above_its_limits_is_refused(watched: Watched, name: str) -> None:
    query, headers, status = HEADS[name]
    fields = {"authorization": f"Bearer {watched.key}"} | headers
    data = request(OPENAI.path + query, dict(OPENAI.body), fields)
    with RawConnection(watched.port) as connection:
        fault = OPENAI.fault(connection.send(data).answer())
        assert fault.status == status, fault
    assert not watched.sent()


def test_a_head_just_below_its_limits_passes(watched: Watched, gate: Gate) -> None:
    gate.open.set()
    for query, headers in (
        ("", {"x-a": "b" * 30_000}),
        ("", {f"x-{at}": "b" for at in range(90)}),
        ("?a=" + "b" * 7_900, {}),
    ):
        fields = {"x-api-key": watched.key} | headers
        data = request(ANTHROPIC.path + query, dict(ANTHROPIC.body), fields)
        assert ask(watched.port, data).status == 200
    assert len(watched.sent()) == 3
