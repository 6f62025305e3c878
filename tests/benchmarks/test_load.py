"""The programs that load and are loaded: what they send, and how they read what comes back."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from benchmarks import wrk
from benchmarks.exact_loop import run_exactly
from benchmarks.guessing import guesses
from benchmarks.guessing import run as run_guesses
from benchmarks.ledger_side import delays_s
from benchmarks.open_loop import call_id_in, request_bytes, schedule
from benchmarks.open_loop import run as run_open_loop
from benchmarks.payloads import (
    CHUNKS,
    LARGE_REQUEST,
    PLAIN_BODY,
    PLAIN_REPLY,
    PLAIN_REQUEST,
    STREAM_REPLY,
    STREAM_REQUEST,
    STREAM_REQUEST_WITHOUT_USAGE,
)
from benchmarks.processes import CouldNotRun
from benchmarks.tools import proxy_requirements
from benchmarks.upstream import Upstream, content_length
from loopback import HOST
from tollkeeper.domain import key_tokens


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (PLAIN_REQUEST, 1_024),
        (STREAM_REQUEST, 1_024),
        (STREAM_REQUEST_WITHOUT_USAGE, 1_024),
        (LARGE_REQUEST, 102_400),
        (PLAIN_BODY, 1_024),
    ],
)
def test_payloads_have_their_size_and_are_json(body: bytes, size: int) -> None:
    assert len(body) == size
    assert json.loads(body)["model"].startswith("gpt-4.1-mini")


def test_stream_has_its_chunks_the_usage_and_an_end() -> None:
    events = [line for line in STREAM_REPLY.split(b"\r\n") if line.startswith(b"data: ")]
    assert len(events) == CHUNKS + 2
    assert json.loads(events[-2].removeprefix(b"data: "))["usage"]["completion_tokens"] == 50
    assert STREAM_REPLY.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"CONTENT-LENGTH"])
def test_content_length_in_any_spelling(name: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\n%b: 1024\r\nx: y" % name
    assert content_length(head, len(head)) == 1_024
    assert content_length(b"GET / HTTP/1.1", 14) == 0


class Written(asyncio.Transport):
    """Keeps what the upstream writes."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[bytes] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.replies.append(data)


HEADERS = ["Content-Type: application/json"]


@pytest.mark.parametrize("size", [1, 7, 100, 900, 5_000, 1 << 20])
@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (PLAIN_REQUEST, PLAIN_REPLY),
        (STREAM_REQUEST, STREAM_REPLY),
        (LARGE_REQUEST, PLAIN_REPLY),
    ],
)
def test_upstream_answers_each_request_however_it_is_cut(
    size: int, body: bytes, reply: bytes
) -> None:
    transport, upstream = Written(), Upstream()
    upstream.connection_made(transport)
    data = request_bytes("http://a:1", HEADERS, body) * 3
    if size == 1 and len(body) > 10_000:
        size = 11  # the same, in less time
    for start in range(0, len(data), size):
        upstream.data_received(data[start : start + size])
    assert transport.replies == [reply] * 3


def test_open_loop_measures_from_when_a_call_was_due() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Upstream, HOST, 0)
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        request = request_bytes(url, HEADERS, PLAIN_REQUEST)
        found = await run_open_loop(url, request, 200.0, 0.8, 3)
        server.close()
        due = [at_s for at_s in schedule(200.0, 0.8, 3) if at_s >= 0.5]
        assert len(found["latency_ms"]) == len(due) > 20
        assert found["failed"] == 0
        assert min(found["latency_ms"]) > 0

    run_exactly(work())


def test_schedule_is_a_poisson_process() -> None:
    moments = schedule(500.0, 20.0, 1)
    assert moments == sorted(moments)
    assert 9_600 < len(moments) < 10_400  # four standard deviations of a mean of 10,000
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    shorter = sum(gap < 0.002 for gap in gaps) / len(gaps)
    assert 0.60 < shorter < 0.66  # 1 - 1/e, where evenly spaced calls would give 0 or 1


def test_call_id_in_a_head() -> None:
    assert call_id_in(b"HTTP/1.1 200 OK\r\nx-tollkeeper-call-id: abc\r\nx: y") == "abc"
    assert call_id_in(b"HTTP/1.1 200 OK\r\nx: y") == ""


def test_a_call_is_visible_once_a_later_one_is() -> None:
    newest = [("c", 10.0), ("f", 11.0)]
    calls = [("a", 9.5), ("c", 9.75), ("d", 9.0), ("f", 10.5), ("g", 10.75)]
    assert delays_s(calls, newest) == [0.5, 0.25, 2.0, 0.5]  # and "g" was never seen


def test_wrk_output() -> None:
    assert wrk.parse("Running\nfigures 1000 2000000 3 4\n") == (1_000, 2.0, 7)
    with pytest.raises(CouldNotRun, match="nothing useful"):
        wrk.parse("unable to connect")


def test_wrk_script_holds_headers_and_body(tmp_path: Path) -> None:
    path = wrk.write_script(tmp_path / "a.lua", {"X-Quote": 'a "b"'}, b"{}")
    text = path.read_text()
    assert 'wrk.headers["X-Quote"] = "a \\"b\\""' in text
    assert path.with_suffix(".body").read_bytes() == b"{}"
    assert "function request()" not in text
    path = wrk.write_script(tmp_path / "b.lua", {}, b"{}", heads_differ=True)
    assert "function request()" in path.read_text()


def test_wrk_script_lets_keys_call_in_turn(tmp_path: Path) -> None:
    path = wrk.write_script(tmp_path / "c.lua", {}, b"{}", tokens=["tk_a", "tk_b"])
    assert path.with_suffix(".keys").read_text() == "tk_a\ntk_b\n"
    assert json.dumps(str(path.with_suffix(".keys"))) in path.read_text()
    assert "Bearer " in path.read_text()


def test_guesses_are_never_the_same_and_a_share_has_its_checksum() -> None:
    made = guesses(2_000, 0.1, 1, "a:1")
    keys = [guess.partition(b"Bearer ")[2].split(b"\r")[0].decode() for guess in made]
    assert len(set(keys)) == len(keys)
    assert 140 < sum(key_tokens.parse(key) is not None for key in keys) < 260


def test_guesses_are_counted_by_how_they_are_answered() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Upstream, HOST, 0)
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        found = await run_guesses(url, guesses(50, 0.5, 1, "a:1"), 1_000.0, 0.3)
        server.close()
        assert found["per_s"] == pytest.approx(1_000, rel=0.1)
        assert found["answered"]["200"] == round(found["per_s"] * 0.3)

    run_exactly(work())


def test_requirements_of_the_proxy_extra() -> None:
    listed = [
        "httpx>=0.23",
        'uvicorn<1.0,>=0.33; extra == "proxy"',
        'uvloop<1.0; sys_platform != "win32" and extra == "proxy"',
        'litellm-enterprise==0.1.82.post1; extra == "proxy"',
        'redis>=5; extra == "caching"',
    ]
    assert proxy_requirements(listed) == [
        "uvicorn<1.0,>=0.33",
        'uvloop<1.0; sys_platform != "win32"',
        "litellm-enterprise",
    ]
