"""The server side on real sockets: strictness, order, limits, deadlines, backpressure."""

from __future__ import annotations

import asyncio

import pytest

from echo import Echo, ask
from loopback import HOST, run, serving
from tollkeeper.domain.errors import Refused
from tollkeeper.http1.exchange import BodySink, Exchange
from tollkeeper.http1.listener import ServerLimits
from tollkeeper.http1.messages import Request

GET = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def test_answers_a_plain_request() -> None:
    reply, _ = ask(GET)
    assert reply == (b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nGET /a ")


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_request_cut_anywhere_is_the_same_request(cut: int) -> None:
    request = (
        b"POST /a?x=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n"
    )
    reply, app = ask(request[:cut], request[cut:], pause_s=0.01)
    assert reply.endswith(b"POST /a?x=1 hello world")
    assert app.bodies == [b"hello world"]


def test_http_1_0_gets_a_body_without_chunks_and_a_close() -> None:
    reply, _ = ask(b"GET /stream HTTP/1.0\r\n\r\n")
    assert reply == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nGET /stream "


def test_head_gets_no_body() -> None:
    reply, _ = ask(GET.replace(b"GET", b"HEAD"))
    assert reply.endswith(b"content-length: 8\r\nconnection: close\r\n\r\n")


def test_streamed_replies_are_chunked() -> None:
    reply, _ = ask(GET.replace(b"/a", b"/stream"))
    assert reply.endswith(b"\r\n\r\n3\r\nGET\r\n3\r\n /s\r\n3\r\ntre\r\n3\r\nam \r\n0\r\n\r\n")


def test_pipelined_requests_are_answered_in_order() -> None:
    def post(path: bytes, body: bytes) -> bytes:
        return b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (
            path,
            len(body),
            body,
        )

    reply, app = ask(post(b"/later", b"1") + post(b"/a", b"2") + post(b"/later", b"3") + GET)
    assert [part.split(b"\r\n\r\n")[1] for part in reply.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"POST /later 1",
        b"POST /a 2",
        b"POST /later 3",
        b"GET /a ",
    ]
    assert app.bodies == [b"1", b"2", b"3", b""]


def test_a_thousand_pipelined_requests_are_answered_in_order() -> None:
    many = b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % index for index in range(1000))
    reply, _ = ask(many + GET)
    numbers = [int(part.split()[0]) for part in reply.split(b"GET /")[1:-1]]
    assert numbers == list(range(1000))


def test_a_refusal_before_the_body_closes_and_is_still_read() -> None:
    head = b"POST /forbidden HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n"
    reply, app = ask(head, *[b"x" * 10_000] * 100)
    assert reply.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"connection: close" in reply
    assert app.requests == []


def test_a_refusal_without_a_body_keeps_the_connection() -> None:
    reply, _ = ask(b"GET /forbidden HTTP/1.1\r\nHost: h\r\n\r\n" + GET)
    assert [part[:3] for part in reply.split(b"HTTP/1.1 ")[1:]] == [b"403", b"200"]


def test_expect_continue_is_met() -> None:
    reply, _ = ask(
        b"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
        b"Connection: close\r\n\r\n",
        b"ok",
        pause_s=0.05,
    )
    assert reply.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


POST = b"POST /a HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

REFUSED_FRAMINGS = {
    "cl_te": CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
    "te_cl": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two_te": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two_te_second_identity": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "te_xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "te_gzip_chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "te_chunked_gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "te_vertical_tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "te_underscore": POST + b"Transfer_Encoding: chunked\r\nContent-Length: 1\r\n\r\na",
    "te_http_1_0": b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "cl_plus": POST + b"Content-Length: +5\r\n\r\nhello",
    "cl_list": POST + b"Content-Length: 5,5\r\n\r\nhello",
    "cl_hex": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "cl_underscore": POST + b"Content-Length: 5_0\r\n\r\nhello",
    "cl_twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "cl_twice_other": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "cl_negative": POST + b"Content-Length: -5\r\n\r\nhello",
    "cl_empty": POST + b"Content-Length:\r\n\r\nhello",
    "chunk_underscore": CHUNKED + b"\r\n0_2e\r\n\r\n",
    "chunk_hex_prefix": CHUNKED + b"\r\n0x2\r\nab\r\n0\r\n\r\n",
    "chunk_negative": CHUNKED + b"\r\n-1\r\n\r\n",
    "chunk_overflow": CHUNKED + b"\r\n" + b"f" * 20 + b"\r\n\r\n",
    "chunk_bad_end": CHUNKED + b"\r\n2\r\nabXX0\r\n\r\n",
    "chunk_lone_cr_in_extension": CHUNKED + b"\r\n2;a=\rb\r\nab\r\n0\r\n\r\n",
    "chunk_bare_lf": CHUNKED + b"\r\n2\nab\r\n0\r\n\r\n",
    "chunk_space_before_extension": CHUNKED + b"\r\n2 ;a\r\nab\r\n0\r\n\r\n",
    "space_before_colon": POST + b"X : 1\r\n\r\n",
    "folded_header": POST + b"X: a\r\n b\r\n\r\n",
    "space_before_first_header": b"GET /a HTTP/1.1\r\n Host: h\r\n\r\n",
    "nul_in_value": POST + b"X: a\x00b\r\n\r\n",
    "cr_in_value": POST + b"X: a\rb\r\n\r\n",
    "high_byte_in_name": POST + b"X\xff: b\r\n\r\n",
    "bare_lf": b"GET /a HTTP/1.1\nHost: h\n\n",
    "no_host": b"GET /a HTTP/1.1\r\n\r\n",
    "two_hosts": b"GET /a HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
    "host_with_path": b"GET /a HTTP/1.1\r\nHost: x/health?\r\n\r\n",
    "host_with_fragment": b"GET /a HTTP/1.1\r\nHost: a#\r\n\r\n",
    "host_with_user": b"GET /a HTTP/1.1\r\nHost: u@h\r\n\r\n",
    "absolute_other_host": b"GET http://other/a HTTP/1.1\r\nHost: h\r\n\r\n",
    "absolute_other_scheme": b"GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n",
    "target_with_fragment": b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
    "target_star": b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    "connect": b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
    "version_2": b"GET /a HTTP/2.0\r\nHost: h\r\n\r\n",
    "h2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower_case_method": b"get /a HTTP/1.1\r\nHost: h\r\n\r\n",
    "two_authorizations": POST + b"Authorization: a\r\nauthorization: b\r\n\r\n",
    "not_http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("case", REFUSED_FRAMINGS)
def test_a_doubtful_framing_is_refused_and_ends_the_connection(case: str) -> None:
    reply, app = ask(REFUSED_FRAMINGS[case] + SMUGGLED)
    assert reply.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert reply.count(b"\r\nx-code: ") == 1, "what follows must not be taken for a request"
    assert [request.path for request in app.requests if request.path != b"/a"] == []
    assert app.bodies == []


def test_an_absolute_target_on_our_host_is_a_path() -> None:
    reply, _ = ask(b"GET http://h/a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert reply.endswith(b"GET /a?b ")


def test_trailers_are_not_headers() -> None:
    reply, app = ask(
        CHUNKED + b"Connection: close\r\n\r\n2\r\nab\r\n0\r\n"
        b"Authorization: Bearer k\r\nx-tollkeeper-key: k\r\n\r\n"
    )
    assert reply.startswith(b"HTTP/1.1 200")
    assert app.requests[0].header(b"authorization") is None
    assert app.requests[0].header(b"x-tollkeeper-key") is None
    assert all(name.lower() != b"authorization" for name, _ in app.requests[0].headers)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", b"414"),
        (POST + b"X: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
        (POST + b"".join(b"X%d: 1\r\n" % index for index in range(200)) + b"\r\n", b"431"),
        (POST + b"".join(b"X%d: 1\r\n" % index for index in range(10_000)) + b"\r\n", b"431"),
        (b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", b"414"),
    ],
)
def test_heads_above_the_limits_are_refused(request_bytes: bytes, status: bytes) -> None:
    reply, app = ask(request_bytes)
    assert reply.startswith(b"HTTP/1.1 " + status) or reply == b"<reset>"
    assert app.requests == []


def test_a_read_that_ends_the_head_may_bring_much_of_the_body() -> None:
    head = POST + b"Connection: close\r\nContent-Length: 200000\r\n\r\n"
    reply, app = ask(head[:20], head[20:] + b"x" * 200_000, pause_s=0.05)
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert app.bodies == [b"x" * 200_000]


def test_a_read_may_end_one_request_and_begin_the_next() -> None:
    body = b"x" * 100_000
    one = POST + b"Content-Length: 100000\r\n\r\n" + body
    reply, app = ask(one[:40], one[40:] + GET[:20], GET[20:], pause_s=0.05)
    assert reply.count(b"HTTP/1.1 200 ") == 2
    assert app.bodies == [body, b""]


def test_a_head_that_never_ends_is_refused_while_it_comes() -> None:
    reply, app = ask(POST + b"X: ", *[b"a" * 10_000] * 5, pause_s=0.02)
    assert reply.startswith(b"HTTP/1.1 431 ")
    assert app.requests == []


def test_slow_heads_are_ended() -> None:
    reply, app = ask(b"GET /a HT", b"TP/1.1\r\nHo", limits=ServerLimits(head_s=0.2), pause_s=0.1)
    assert reply.startswith(b"HTTP/1.1 408 Request Timeout")
    assert app.requests == []


def test_slow_bodies_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.http1.server.BODY_GRACE_S", 0.2)
    reply, app = ask(POST + b"Content-Length: 100\r\n\r\n", b"a", b"b", pause_s=0.2)
    assert reply.startswith(b"HTTP/1.1 408")
    assert app.bodies == []
    assert app.gone == 1


def test_idle_connections_are_closed() -> None:
    reply, _ = ask(GET.replace(b"Connection: close\r\n", b""), limits=ServerLimits(idle_s=0.2))
    assert reply.endswith(b"GET /a ")


def test_a_client_that_leaves_is_noticed() -> None:
    app = Echo()

    async def work() -> None:
        async with serving(app) as (port, connections):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.write(POST + b"Content-Length: 10\r\n\r\nab")
            await asyncio.sleep(0.05)
            writer.close()
            await asyncio.sleep(0.05)
            assert not connections.connections

    run(work)
    assert app.gone == 1


def test_draining_finishes_what_runs_and_closes_the_rest() -> None:
    app = Echo()

    async def work() -> tuple[bytes, bytes]:
        async with serving(app) as (port, connections):
            idle_reader, idle_writer = await asyncio.open_connection(HOST, port)
            busy_reader, busy_writer = await asyncio.open_connection(HOST, port)
            busy_writer.write(b"GET /later HTTP/1.1\r\nHost: h\r\n\r\n")
            await asyncio.sleep(0.02)
            assert connections.busy == 1
            connections.drain()
            replies = await idle_reader.read(-1), await busy_reader.read(-1)
            idle_writer.close()
            busy_writer.close()
            return replies

    idle, busy = run(work)
    assert idle == b""
    assert busy.endswith(b"GET /later ")
    assert b"connection: close" in busy


class Flood:
    """Writes without end until the client stops taking it, and reports when that was."""

    def __init__(self) -> None:
        self.paused = asyncio.Event()
        self.sent_bytes = 0

    def begin(self, request: Request, exchange: Exchange) -> BodySink:
        self.exchange = exchange
        return self

    def begin_whole(self, request: Request, exchange: Exchange, body: bytes) -> BodySink | None: ...
    def refuse(self, request: Request | None, exchange: Exchange, error: Refused) -> None: ...
    def body(self, data: bytes) -> None: ...
    def client_gone(self) -> None: ...

    def body_end(self) -> None:
        head = self.exchange.head(200, b"", None)
        while not self.paused.is_set() and self.sent_bytes < 1 << 30:
            self.exchange.write(b"x" * 65_536, head)
            head = b""
            self.sent_bytes += 65_536

    def client_writable(self, *, writable: bool) -> None:
        if not writable:
            self.paused.set()


def test_a_stalled_reader_is_reported_and_later_cut() -> None:
    app = Flood()

    async def work() -> None:
        async with serving(app, ServerLimits(stalled_s=0.3)) as (port, connections):
            _, writer = await asyncio.open_connection(HOST, port, limit=1024)
            writer.write(GET)
            await app.paused.wait()
            assert app.sent_bytes < 32 << 20, "the kernel's buffers, and little more"
            await asyncio.sleep(0.6)
            assert not connections.connections
            writer.close()

    run(work)
