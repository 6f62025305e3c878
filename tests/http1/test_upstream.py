"""The client side on real sockets: reuse, broken replies, timeouts, TLS, proxies, limits."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trustme

from loopback import HOST, free_port, read_request, scripted
from loopback import run as run_on_loop
from tollkeeper.domain.errors import Overloaded, TollkeeperError, UpstreamFailed, UpstreamTimeout
from tollkeeper.http1.messages import Headers
from tollkeeper.http1.origin import Origin, Proxies
from tollkeeper.http1.pool import PoolLimits, UpstreamPool
from tollkeeper.http1.reply_heads import ReplyHead
from tollkeeper.http1.upstream import UpstreamConnection

REQUEST = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Reply:
    """Collects one reply."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.length: int | None = None
        self.data = b""
        self.error: UpstreamFailed | None = None
        self.retriable = False
        self.ended = asyncio.Event()

    def reply_head(self, head: ReplyHead, length: int | None) -> None:
        self.status, self.headers, self.length = head.status, head.headers, length

    def reply_data(self, data: bytes, *, last: bool) -> None:
        self.data += data
        if last:
            self.ended.set()

    def reply_failed(self, error: UpstreamFailed, *, retriable: bool) -> None:
        self.error, self.retriable = error, retriable
        self.ended.set()

    def upload_writable(self, *, writable: bool) -> None: ...


POOLS: list[UpstreamPool] = []


def new_pool(**options: Any) -> UpstreamPool:
    tls = options.pop("tls", None) or ssl.create_default_context()
    proxies = options.pop("proxies", Proxies())
    POOLS.append(UpstreamPool(PoolLimits(**options), tls, proxies))
    return POOLS[-1]


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run a test and close its connections before its loop ends."""

    async def closing() -> Any:
        try:
            return await work()
        finally:
            while POOLS:
                POOLS.pop().close()
            await asyncio.sleep(0.02)

    return run_on_loop(closing)


async def connection_of(pool: UpstreamPool, origin: Origin) -> UpstreamConnection:
    idle = pool.take_idle(origin)
    if idle is not None:
        return idle
    made: asyncio.Future[UpstreamConnection] = asyncio.get_running_loop().create_future()

    def connected(connection: UpstreamConnection | None, error: TollkeeperError | None) -> None:
        if made.done():
            return
        if error is not None:
            made.set_exception(error)
        else:
            assert connection is not None
            made.set_result(connection)

    pool.connect(origin, connected)
    return await made


async def ask(pool: UpstreamPool, origin: Origin, *, head_only: bool = False) -> Reply:
    reply = Reply()
    connection = await connection_of(pool, origin)
    connection.send(REQUEST, reply, deadline_s=1e12, head_only=head_only, more=False)
    await asyncio.wait_for(reply.ended.wait(), 10)
    return reply


def answering(*replies: bytes, close: bool = False, pause_s: float = 0.0) -> Script:
    """A script that answers each request on a connection with the next of some replies."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            await read_request(reader)
            for part in reply.split(b"|"):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause_s)
        if not close:
            await reader.read(1)

    return script


def closing_after(script: Script) -> Script:
    """The same script, with its connection closed at the end."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.close()

    return handle


def exchange(
    script: Script, count: int = 1, *, written: asyncio.Event | None = None, **options: Any
) -> list[Reply]:
    """Ask a scripted upstream ``count`` times over one pool, each time after ``written``."""

    async def work() -> list[Reply]:
        pool = new_pool(**options)
        async with scripted(script) as port:
            replies = []
            for _ in range(count):
                replies.append(await ask(pool, Origin("http", HOST, port)))
                if written is not None:
                    await written.wait()
                await asyncio.sleep(0.02)
            replies[-1].opened = pool.opened  # type: ignore[attr-defined]
            pool.close()
            return replies

    return run(work)


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;e=1\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n"
)


def test_connections_are_used_again() -> None:
    replies = exchange(answering(PLAIN, CHUNKED, PLAIN), count=3)
    assert [reply.data for reply in replies] == [b"hello", b"hello world", b"hello"]
    assert replies[-1].opened == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("cut", range(1, len(CHUNKED)))
def test_a_reply_cut_anywhere_is_the_same_reply(cut: int) -> None:
    (reply,) = exchange(answering(CHUNKED[:cut] + b"|" + CHUNKED[cut:], pause_s=0.002))
    assert (reply.status, reply.data, reply.error) == (200, b"hello world", None)
    assert reply.headers == [(b"Transfer-Encoding", b"chunked")], "a trailer is no header"


def test_a_reply_that_says_close_is_not_used_again() -> None:
    closing = PLAIN.replace(b"X-A: b", b"Connection: close")
    replies = exchange(answering(closing), count=2)
    assert replies[-1].opened == 2  # type: ignore[attr-defined]


def test_a_body_without_length_ends_with_the_connection() -> None:
    (reply,) = exchange(answering(b"HTTP/1.1 200 OK\r\n\r\nhel|lo", close=True, pause_s=0.01))
    assert (reply.data, reply.error, reply.length) == (b"hello", None, None)


def test_http_1_0_replies_are_read() -> None:
    (reply,) = exchange(answering(b"HTTP/1.0 200 OK\r\n\r\nhello", close=True))
    assert (reply.data, reply.error) == (b"hello", None)


def test_interim_replies_are_skipped() -> None:
    (reply,) = exchange(answering(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 3 + PLAIN))
    assert (reply.status, reply.data) == (200, b"hello")
    assert [name for name, _ in reply.headers] == [b"Content-Length", b"X-A"]


BROKEN = {
    "interim_flood": b"HTTP/1.1 100 Continue\r\n\r\n" * 20 + PLAIN,
    "switching_protocols": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "two_lengths": PLAIN.replace(b"X-A: b", b"Content-Length: 6"),
    "length_and_chunked": CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n", 1),
    "unknown_framing": CHUNKED.replace(b": chunked", b": gzip, chunked"),
    "not_http": b"SSH-2.0-OpenSSH\r\n\r\n",
    "large_head": PLAIN.replace(b"X-A: b", b"X-A: " + b"b" * 70_000),
    "many_headers": PLAIN.replace(b"X-A: b", b"\r\n".join([b"X: 1"] * 1_000)),
    "nul_in_header": PLAIN.replace(b"X-A: b", b"X-A: b\x00c"),
    "bare_lf_header": PLAIN.replace(b"X-A: b\r\n", b"X-A: b\rSet-Cookie: x\r\n"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_head_fails_and_is_not_given_on(case: str) -> None:
    (reply,) = exchange(answering(BROKEN[case]))
    assert isinstance(reply.error, UpstreamFailed)
    assert not reply.retriable
    assert reply.data == b""


@pytest.mark.parametrize(
    "broken",
    [
        PLAIN.replace(b": 5", b": 50"),
        CHUNKED[:-20],
        CHUNKED.replace(b"6;e=1\r\n world\r\n", b"zz\r\n"),
    ],
    ids=["short_length", "cut_chunks", "bad_chunk_size"],
)
def test_a_body_that_breaks_off_is_an_error_after_what_came(broken: bytes) -> None:
    (reply,) = exchange(answering(broken, close=True))
    assert reply.status == 200
    assert reply.data.startswith(b"hello")
    assert reply.error is not None
    assert not reply.retriable


def test_bytes_after_a_reply_never_reach_the_next_call() -> None:
    stray = PLAIN + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSECRET"
    replies = exchange(answering(stray, PLAIN), count=2)
    assert [reply.data for reply in replies] == [b"hello", b"hello"]
    assert replies[-1].opened == 2  # type: ignore[attr-defined]


def test_unasked_bytes_on_an_idle_connection_end_it() -> None:
    written = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(PLAIN)
        await asyncio.sleep(0.01)
        writer.write(PLAIN.replace(b"hello", b"EVIL!"))
        await writer.drain()
        written.set()
        await reader.read(1)

    replies = exchange(script, count=2, written=written)
    assert [reply.data for reply in replies] == [b"hello", b"hello"]
    assert replies[-1].opened == 2  # type: ignore[attr-defined]


def test_a_stale_connection_is_retriable_and_a_fresh_one_is_not() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(PLAIN)
        await read_request(reader)  # and closes without a word

    first, second = exchange(script, count=2)
    assert first.error is None
    assert second.error is not None
    assert second.retriable

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    (only,) = exchange(silent)
    assert only.error is not None
    assert not only.retriable


def test_an_answer_before_the_request_is_sent_closes_the_connection() -> None:
    async def work() -> None:
        async with scripted(answering_early) as port:
            pool, reply = new_pool(), Reply()
            connection = await connection_of(pool, Origin("http", HOST, port))
            head = REQUEST.replace(b": 2\r\n\r\nhi", b": 1000000\r\n\r\n")
            connection.send(head, reply, deadline_s=1e12, head_only=False, more=True)
            await asyncio.wait_for(reply.ended.wait(), 5)
            assert (reply.status, reply.data) == (413, b"no")
            connection.send_more(b"x" * 1000, last=False)
            assert connection.closed
            assert pool.take_idle(Origin("http", HOST, port)) is None

    async def answering_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await reader.read(1)

    run(work)


@pytest.mark.parametrize("answer", [b"", PLAIN[:30], PLAIN[:-2]])
def test_silence_is_a_timeout(answer: bytes) -> None:
    async def work() -> Reply:
        async with scripted(answering(answer)) as port:
            pool, reply = new_pool(silence_s=0.1), Reply()
            connection = await connection_of(pool, Origin("http", HOST, port))
            connection.send(REQUEST, reply, deadline_s=0, head_only=False, more=False)
            await asyncio.sleep(0.3)
            pool.sweep()
            await asyncio.wait_for(reply.ended.wait(), 1)
            assert pool.busy == 0
            return reply

    reply = run(work)
    assert isinstance(reply.error, UpstreamTimeout)


def test_a_head_reply_has_no_body() -> None:
    async def work() -> Reply:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        async with scripted(answering(head)) as port:
            return await ask(new_pool(), Origin("http", HOST, port), head_only=True)

    reply = run(work)
    assert (reply.status, reply.data, reply.length) == (200, b"", 5)


def test_nobody_listens() -> None:
    async def work() -> None:
        with pytest.raises(UpstreamFailed, match="could not be reached"):
            await connection_of(new_pool(), Origin("http", HOST, free_port()))

    run(work)


def test_a_name_that_does_not_exist() -> None:
    async def work() -> None:
        with pytest.raises(UpstreamFailed, match="could not be reached"):
            await connection_of(new_pool(), Origin("http", "no-such-host.invalid", 80))

    run(work)


def test_calls_wait_for_a_free_connection_and_give_up_in_time() -> None:
    async def work() -> None:
        async with scripted(answering(PLAIN, PLAIN)) as port:
            origin = Origin("http", HOST, port)
            pool = new_pool(connections_max=1, waiting_max=1, wait_s=0.2)
            first = await connection_of(pool, origin)
            second = asyncio.ensure_future(connection_of(pool, origin))
            await asyncio.sleep(0.02)
            with pytest.raises(Overloaded, match="too many calls wait"):
                await connection_of(pool, origin)
            reply = Reply()
            first.send(REQUEST, reply, deadline_s=1e12, head_only=False, more=False)
            assert await asyncio.wait_for(second, 2) is first
            third = asyncio.ensure_future(connection_of(pool, origin))
            await asyncio.sleep(0.3)
            pool.sweep()
            with pytest.raises(Overloaded, match="became free in time"):
                await third

    run(work)


def test_a_thousand_waiting_calls_may_all_have_been_left() -> None:
    """Each gives the connection back at once, and the last one is still served."""

    async def work() -> None:
        async with scripted(answering(PLAIN, PLAIN)) as port:
            origin = Origin("http", HOST, port)
            pool = new_pool(connections_max=1, waiting_max=2_000)
            first = await connection_of(pool, origin)
            given_back = 0

            def left(connection: UpstreamConnection | None, error: Exception | None) -> None:
                nonlocal given_back
                assert connection is not None
                given_back += 1
                connection.give_back()

            for _ in range(1_500):
                pool.connect(origin, left)
            last = asyncio.ensure_future(connection_of(pool, origin))
            await asyncio.sleep(0)
            first.give_back()
            assert await asyncio.wait_for(last, 2) is first
            assert (given_back, pool.busy, pool.opened) == (1_500, 1, 1)

    run(work)


def test_a_connection_obeys_only_whose_request_it_serves() -> None:
    """A call that is over may not stop, or cut, the connection that serves the next one."""

    async def work() -> None:
        async with scripted(answering(PLAIN, PLAIN)) as port:
            origin = Origin("http", HOST, port)
            pool = new_pool()
            over = await ask(pool, origin)
            connection = pool.take_idle(origin)
            assert connection is not None
            connection.pause(over)
            reply = Reply()
            connection.send(REQUEST, reply, deadline_s=1e12, head_only=False, more=False)
            connection.pause(over)
            connection.give_up(over)
            await asyncio.wait_for(reply.ended.wait(), 5)
            assert (reply.status, reply.data, pool.opened) == (200, b"hello", 1)

    run(work)


def test_an_early_answer_with_bytes_still_unsent_closes_the_connection() -> None:
    async def work() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(PLAIN)
            await asyncio.sleep(5)

        async with scripted(script) as port:
            origin = Origin("http", HOST, port)
            pool = new_pool()
            connection = await connection_of(pool, origin)
            reply = Reply()
            head = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 32000000\r\n\r\n"
            connection.send(head, reply, deadline_s=1e12, head_only=False, more=True)
            connection.send_more(b"x" * 32_000_000, last=True)
            await asyncio.wait_for(reply.ended.wait(), 5)
            assert (reply.status, connection.closed) == (200, True)

    run(work)


def test_a_transfer_coding_may_be_spelled_in_any_case() -> None:
    shouted = CHUNKED.replace(b"chunked", b"Chunked", 1)
    assert exchange(answering(shouted))[0].data == b"hello world"


def test_idle_connections_are_closed_in_time() -> None:
    async def work() -> None:
        async with scripted(answering(PLAIN)) as port:
            pool = new_pool(idle_s=0.05)
            await ask(pool, Origin("http", HOST, port))
            await asyncio.sleep(0.1)
            pool.sweep()
            assert pool.take_idle(Origin("http", HOST, port)) is None

    run(work)


def test_a_unix_socket(tmp_path: Any) -> None:
    async def work() -> None:
        path = str(tmp_path / "s")
        server = await asyncio.start_unix_server(closing_after(answering(PLAIN)), path)
        pool = new_pool()
        reply = await ask(pool, Origin("http", "localhost", 80, path))
        assert reply.data == b"hello"
        pool.close()
        await asyncio.sleep(0.01)
        server.close()

    run(work)


# ---------------------------------------------------------------------------------- TLS


def tls_pair(name: str, **options: Any) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a certificate for a name, and of a client that trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def tls_server(script: Script, context: ssl.SSLContext) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(closing_after(script), HOST, 0, ssl=context)
    return server, server.sockets[0].getsockname()[1]


def test_tls_to_a_trusted_name_and_reuse() -> None:
    async def work() -> None:
        server_side, client_side = tls_pair("localhost")
        server, port = await tls_server(answering(PLAIN, CHUNKED), server_side)
        pool = new_pool(tls=client_side)
        origin = Origin("https", "localhost", port)
        assert (await ask(pool, origin)).data == b"hello"
        assert (await ask(pool, origin)).data == b"hello world"
        assert pool.opened == 1
        pool.close()
        server.close()

    run(work)


@pytest.mark.parametrize(
    "case", ["other_name", "expired", "unknown_authority", "unknown_to_the_system"]
)
def test_tls_to_a_bad_certificate_fails(case: str) -> None:
    import datetime

    async def work() -> None:
        options: dict[str, Any] = {}
        if case == "expired":
            options["not_after"] = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
            options["not_before"] = datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC)
        name = "example.org" if case == "other_name" else "localhost"
        server_side, client_side = tls_pair(name, **options)
        if case == "unknown_authority":
            client_side = ssl.create_default_context()
        server, port = await tls_server(answering(PLAIN), server_side)
        if case == "unknown_to_the_system":
            pool = UpstreamPool(PoolLimits(), None, Proxies())
        else:
            pool = new_pool(tls=client_side)
        with pytest.raises(UpstreamFailed) as caught:
            await connection_of(pool, Origin("https", "localhost", port))
        assert caught.value.code == "upstream_tls"
        pool.close()
        server.close()

    run(work)


def test_a_stalled_handshake_times_out() -> None:
    async def stalled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await asyncio.sleep(3)

    async def work() -> None:
        async with scripted(stalled) as port:
            with pytest.raises(UpstreamTimeout):
                await connection_of(new_pool(connect_s=0.2), Origin("https", "localhost", port))

    run(work)


# -------------------------------------------------------------------------------- proxies


async def relaying_proxy(seen: list[bytes]) -> tuple[asyncio.Server, int]:
    """A CONNECT proxy that writes down what it was asked."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if not head.startswith(b"CONNECT"):
            writer.write(PLAIN)
            await reader.read(1)
            return
        if b"denied" in head:
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            writer.close()
            return
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        there_reader, there_writer = await asyncio.open_connection(HOST, port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    server = await asyncio.start_server(handle, HOST, 0)
    return server, server.sockets[0].getsockname()[1]


def test_https_goes_through_a_connect_tunnel() -> None:
    async def work() -> None:
        server_side, client_side = tls_pair("localhost")
        server, port = await tls_server(answering(PLAIN, PLAIN), server_side)
        seen: list[bytes] = []
        proxy, proxy_port = await relaying_proxy(seen)
        url = f"http://user:p%40ss@{HOST}:{proxy_port}"
        pool = new_pool(tls=client_side, proxies=Proxies(https=url))
        origin = Origin("https", "localhost", port)
        assert (await ask(pool, origin)).data == b"hello"
        assert (await ask(pool, origin)).data == b"hello"
        assert seen == [
            b"CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\n"
            b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n" % (port, port)
        ]
        pool.close()
        await asyncio.sleep(0.05)
        server.close()
        proxy.close()

    run(work)


def test_a_proxy_that_refuses_is_named() -> None:
    async def work() -> None:
        proxy, proxy_port = await relaying_proxy([])
        pool = new_pool(proxies=Proxies(https=f"http://{HOST}:{proxy_port}"))
        with pytest.raises(UpstreamFailed, match="proxy answered CONNECT with 403"):
            await connection_of(pool, Origin("https", "denied.invalid", 443))
        proxy.close()

    run(work)


def test_plain_http_goes_through_a_proxy_with_absolute_targets() -> None:
    async def work() -> None:
        seen: list[bytes] = []
        proxy, proxy_port = await relaying_proxy(seen)
        pool = new_pool(proxies=Proxies(http=f"http://{HOST}:{proxy_port}"))
        connection = await connection_of(pool, Origin("http", "upstream.invalid", 8080))
        assert connection.target_prefix == b"http://upstream.invalid:8080"
        pool.close()
        proxy.close()

    run(work)


@pytest.mark.parametrize(
    ("host", "direct"),
    [("localhost", True), ("a.corp.example", True), ("corp.example", True),
     ("xcorp.example", False), ("api.openai.com", False)],
)  # fmt: skip
def test_no_proxy_matches_whole_labels(host: str, direct: bool) -> None:
    proxies = Proxies(https="http://proxy:3128", bypass=("localhost", ".corp.example"))
    assert (proxies.for_origin(Origin("https", host, 443)) == "") is direct
