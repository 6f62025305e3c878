"""Bodies above every limit, without an end, cut short, or small ones that grow: all bounded."""

from __future__ import annotations

import gzip
import json
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator

import pytest
import zstandard

from books import Books
from memory import grows_by_less_than
from protocols import ALL, ANTHROPIC, OPENAI, RESPONSES, Protocol
from raw_http import RawConnection, ask, request
from running import Deployment, deployment, usual_configuration
from tollkeeper.domain.ledger import Outcome

MIB = 1 << 20
LIMIT = 32 * MIB
CHUNK = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])


def _padded(protocol: Protocol, size_bytes: int) -> bytes:
    """Write a good body of exactly this size."""
    body = json.dumps(dict(protocol.body) | {"pad": ""}).encode()
    return body.replace(b'"pad": ""', b'"pad": "' + b"x" * (size_bytes - len(body)) + b'"')


def _head(protocol: Protocol, key: str, **fields: str | None) -> bytes:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return protocol.call(key, headers, body=b"")


@protocols
def test_a_declared_32_mb_is_refused_before_it_is_sent(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    with RawConnection(gateway.port) as connection:
        connection.send(_head(protocol, gateway.key, content_length=str(LIMIT + 1)))
        answer = connection.answer()
        fault = protocol.fault(answer)
        assert (fault.status, fault.code) == (413, "too_large")
        assert "32 MB" in fault.message
        assert answer.headers["connection"] == "close"
        assert connection.is_closed()
    books.require_refused("too_large")


@protocols
@pytest.mark.parametrize("length", ["999999999999999999", "18446744073709551617"])
def test_a_declared_length_beyond_all_measure(
    gateway: Deployment, books: Books, protocol: Protocol, length: str
) -> None:
    with RawConnection(gateway.port) as connection:
        connection.send(_head(protocol, gateway.key, content_length=length))
        answer = connection.answer()
        assert answer.status in {400, 413}
        assert connection.is_closed()
    assert not books.sent()


def test_the_refusal_reaches_a_client_that_is_still_sending(
    gateway: Deployment, books: Books
) -> None:
    """Closing at once would reset the connection and take the reply with it."""
    body = b"x" * (LIMIT + 1)
    with RawConnection(gateway.port) as connection, grows_by_less_than(gateway, 2 * MIB):
        connection.send(_head(OPENAI, gateway.key, content_length=str(len(body))), body)
        assert OPENAI.fault(connection.answer()).status == 413
    books.require_refused("too_large")


def test_a_body_of_exactly_the_limit_passes(gateway: Deployment, books: Books) -> None:
    answer = ask(gateway.port, ANTHROPIC.call(gateway.key, body=_padded(ANTHROPIC, LIMIT)))
    assert answer.status == 200, answer.body[:300]
    assert books.entry().outcome == Outcome.OK
    assert ask(gateway.port, OPENAI.call(gateway.key)).status == 200
    books.entries(2)


@protocols
def test_chunks_without_an_end_are_refused_at_the_limit(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    head = _head(protocol, gateway.key, content_length=None, transfer_encoding="chunked")
    with grows_by_less_than(gateway, LIMIT + 16 * MIB), RawConnection(gateway.port) as connection:
        connection.send(head, *[CHUNK] * (LIMIT // 65_536 + 20))
        fault = protocol.fault(connection.answer())
        assert (fault.status, fault.code) == (413, "too_large")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                connection.socket.sendall(CHUNK)  # nobody reads on for ever
    books.require_refused("too_large")


@pytest.mark.parametrize("answer", ["at the end", "never"])
def test_many_large_bodies_at_once_share_one_limit(
    sandbox: str, tmp_path_factory: pytest.TempPathFactory, answer: str
) -> None:
    """Their sum is bounded too, while they come and while their provider is silent.

    Small requests pass all the same: a quarter of the room is left for them.
    """
    headers = {"x-sandbox-fault": "hang"} if answer == "never" else {}
    body = _padded(OPENAI, LIMIT)
    last = body[-1:] if answer == "never" else b"]"
    statuses: list[int] = []

    def upload(port: int, key: str) -> None:
        head = OPENAI.call(key, headers | {"content-length": str(LIMIT)}, body=b"")
        with RawConnection(port) as connection:
            connection.send(head, body[:-1])
            filled.wait()
            connection.send(last)
            try:
                statuses.append(connection.answer(240).status)
            except AssertionError:
                statuses.append(0)  # no answer: the gateway was stopped

    with deployment(tmp_path_factory.mktemp("small"), sandbox) as gateway:
        filled = threading.Barrier(15)
        senders = [
            threading.Thread(target=upload, args=(gateway.port, gateway.key)) for _ in range(15)
        ]
        with grows_by_less_than(gateway, 512 * MIB):
            for sender in senders:
                sender.start()
            if answer == "at the end":
                for sender in senders:
                    sender.join(60)
                assert sorted(set(statuses)) == [400, 503]
            else:
                _wait_until(lambda: "tollkeeper_in_flight 12.0" in _metrics(gateway))
                more = OPENAI.call(gateway.key, body=_padded(ANTHROPIC, LIMIT))
                fault = OPENAI.fault(ask(gateway.port, more, 60))
                assert (fault.status, fault.code) == (503, "buffers_full")
        assert ask(gateway.port, OPENAI.call(gateway.key), 60).status == 200
        if answer == "never":
            assert gateway.gateway is not None
            gateway.gateway.signal(signal.SIGTERM)
            # Two signals of one kind become one where the first has not been taken yet.
            _wait_until(lambda: '"draining"' in gateway.logs())
            gateway.gateway.signal(signal.SIGTERM)
            for sender in senders:
                sender.join(60)
    assert statuses.count(503) >= 3


def _metrics(gateway: Deployment) -> str:
    return ask(gateway.port, request("/metrics", method="GET"), 60).body.decode()


def _wait_until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline_s, "it never was"
        time.sleep(0.05)


# ---------------------------------------------------------------------- lengths that lie


@protocols
def test_declared_longer_than_sent_costs_nothing(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    data = protocol.call(gateway.key)
    head, _, body = data.partition(b"\r\n\r\n")
    longer = head.replace(b"content-length: %d" % len(body), b"content-length: 5000")
    with RawConnection(gateway.port) as connection:
        connection.send(longer + b"\r\n\r\n" + body)
        connection.half_close()
        assert connection.rest() == b""
    books.require_untouched()


@protocols
def test_declared_shorter_than_sent_leaves_no_second_request(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    """The JSON is cut where the length says; what follows is no request and ends the connection."""
    data = protocol.call(gateway.key)
    head, _, body = data.partition(b"\r\n\r\n")
    shorter = head.replace(
        b"content-length: %d" % len(body), b"content-length: %d" % (len(body) - 5)
    )
    with RawConnection(gateway.port) as connection:
        connection.send(shorter + b"\r\n\r\n" + body)
        assert protocol.fault(connection.answer()).status == 400
        rest = connection.rest()
        assert rest.count(b"HTTP/1.1 ") <= 1
        assert b"200 OK" not in rest
    books.require_refused("body_invalid")


@protocols
def test_a_body_behind_a_whole_one_is_never_half_a_call(
    gateway: Deployment, books: Books, protocol: Protocol
) -> None:
    """It is the next request, and no good one: the call before it may be given up for it."""
    with RawConnection(gateway.port) as connection:
        connection.send(protocol.call(gateway.key) + b'{"model":"more"}')
        answers = connection.rest()
    assert answers.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
    sent = books.sent()
    assert sent <= 1
    assert len(books.entries(sent)) == sent


# ---------------------------------------------------------------------- codings

ZEROS = b"\0" * (10 * MIB)


def _zstd_bomb() -> bytes:
    writer = zstandard.ZstdCompressor(level=3).compressobj()
    return b"".join(writer.compress(ZEROS) for _ in range(1_000)) + writer.flush()


def _gzip_bomb() -> bytes:
    writer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(writer.compress(ZEROS) for _ in range(100)) + writer.flush()


def _zstd_window() -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(ZEROS * 15)


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(body)


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


BOMBS: dict[str, tuple[str, Callable[[], bytes], int]] = {
    "zstd, 10 GB": ("zstd", _zstd_bomb, 413),
    "gzip, 1 GB": ("gzip", _gzip_bomb, 413),
    "gzip members in a row": ("gzip", lambda: gzip.compress(ZEROS) * 500, 413),
    "zstd frames in a row": ("zstd", lambda: _zstd(ZEROS) * 500, 413),
    "deflate": ("deflate", lambda: zlib.compress(ZEROS * 5), 413),
    "zstd with a window of 128 MB": ("zstd", _zstd_window, 400),
    "gzip within gzip": ("gzip", lambda: gzip.compress(gzip.compress(ZEROS)), 400),
}


@pytest.fixture(scope="module")
def bombs() -> Iterator[dict[str, bytes]]:
    yield {name: make() for name, (_, make, _) in BOMBS.items()}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory(
    gateway: Deployment, books: Books, bombs: dict[str, bytes], name: str
) -> None:
    encoding, _, status = BOMBS[name]
    data = RESPONSES.call(gateway.key, {"content-encoding": encoding}, body=bombs[name])
    with grows_by_less_than(gateway, 64 * MIB):
        fault = RESPONSES.fault(ask(gateway.port, data))
    assert fault.status == status, fault
    books.require_refused(fault.code)


BROKEN: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip, cut": ("gzip", lambda body: gzip.compress(body)[:-9]),
    "gzip, wrong checksum": ("gzip", lambda body: gzip.compress(body)[:-8] + b"12345678"),
    "gzip, a flipped bit": ("gzip", lambda body: _flipped(gzip.compress(body))),
    "gzip, something behind it": ("gzip", lambda body: gzip.compress(body) + b"more"),
    "gzip, not at all": ("gzip", lambda body: body),
    "gzip, empty": ("gzip", lambda body: b""),
    "zstd, cut": ("zstd", lambda body: _zstd(body)[:-1]),
    "zstd, something behind it": ("zstd", lambda body: _zstd(body) + b"more"),
    "zstd, not at all": ("zstd", lambda body: body),
    "deflate, cut": ("deflate", lambda body: zlib.compress(body)[:-1]),
    "brotli": ("br", lambda body: body),
    "two codings": ("gzip, zstd", lambda body: _zstd(gzip.compress(body))),
    "nonsense": ("\u00e4" * 60, lambda body: body),
}


@protocols
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_coding_is_refused(
    gateway: Deployment, books: Books, protocol: Protocol, name: str
) -> None:
    encoding, make = BROKEN[name]
    body = make(json.dumps(protocol.body).encode())
    with RawConnection(gateway.port) as connection:
        connection.send(protocol.call(gateway.key, {"content-encoding": encoding}, body=body))
        fault = protocol.fault(connection.answer())
        assert fault.status == 400, fault
        books.require_refused(fault.code)
        assert connection.send(protocol.call(gateway.key)).answer().status == 200
    books.entries(2)


GOOD: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "zstd": _zstd,
    "deflate": zlib.compress,
    "identity": lambda body: body,
}


@protocols
@pytest.mark.parametrize("encoding", GOOD)
def test_a_coded_body_is_read_and_answered(
    gateway: Deployment, books: Books, protocol: Protocol, encoding: str
) -> None:
    body = GOOD[encoding](json.dumps(protocol.body).encode())
    data = protocol.call(gateway.key, {"content-encoding": encoding}, body=body)
    assert ask(gateway.port, data).status == 200
    assert books.entry().outcome == Outcome.OK


def test_a_lower_limit_of_the_operator_holds(
    sandbox: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    configuration = usual_configuration(sandbox) | {"limits": {"body_mb": 1}}
    with deployment(tmp_path_factory.mktemp("low"), sandbox, configuration) as gateway:
        fault = OPENAI.fault(
            ask(gateway.port, OPENAI.call(gateway.key, body=_padded(OPENAI, MIB + 1)))
        )
        assert (fault.status, fault.code) == (413, "too_large")
        assert "1 MB" in fault.message
        packed = gzip.compress(_padded(OPENAI, MIB + 1))
        data = OPENAI.call(gateway.key, {"content-encoding": "gzip"}, body=packed)
        assert OPENAI.fault(ask(gateway.port, data)).status == 413
        assert ask(gateway.port, OPENAI.call(gateway.key, body=_padded(OPENAI, MIB))).status == 200
