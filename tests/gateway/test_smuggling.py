"""Requests whose end two servers could see in different places: refused, and never two of them.

Each vector comes with a good key, and with a good call behind it. The provider must see
neither; the connection must end, because nothing after such bytes can be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from protocols import ANTHROPIC, OPENAI, RESPONSES
from raw_http import RawConnection, ask
from watched import Watched

Make = Callable[[str], bytes]
BODY = json.dumps(OPENAI.body).encode()
N = len(BODY)
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (N, BODY)


def _with(
    *lines: bytes,
    body: bytes = BODY,
    host: bytes = b"Host: gateway.test\r\n",
    start: bytes = b"POST /v1/chat/completions HTTP/1.1\r\n",
) -> Make:
    """Make a call with a good key and these lines at the end of its head."""

    def make(key: str) -> bytes:
        known = b"Authorization: Bearer %b\r\nContent-Type: application/json\r\n" % key.encode()
        return start + host + known + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body

    return make


LENGTH = b"Content-Length: %d" % N
CHUNKED = b"Transfer-Encoding: chunked"


def _coded(value: bytes) -> Make:
    return _with(b"Transfer-Encoding: " + value, body=CHUNKS)


def _long(value: bytes) -> Make:
    return _with(b"Content-Length: " + value)


def _chunks(body: bytes) -> Make:
    return _with(CHUNKED, body=body)


ENDS: dict[str, Make] = {
    "M1 CL and TE": _with(LENGTH, CHUNKED, body=CHUNKS),
    "M1 TE and CL": _with(CHUNKED, b"Content-Length: 4", body=CHUNKS),
    "M1 CL 0 and TE": _with(b"Content-Length: 0", CHUNKED, body=CHUNKS),
    "M1 CL and a TE of another kind": _with(LENGTH, b"Transfer-Encoding: identity"),
    "M1 two TE": _with(CHUNKED, CHUNKED, body=CHUNKS),
    "M1 two TE, then identity": _with(CHUNKED, b"Transfer-Encoding: identity", body=CHUNKS),
    "M1 two TE, other case": _with(CHUNKED, b"transfer-encoding: x", body=CHUNKS),
    **{
        f"M1 TE {value!r}": _coded(value)
        for value in (
            *(
                b"xchunked",
                b"chunkedx",
                b"chunked, chunked",
                b"chunked, identity",
                b"gzip, chunked",
            ),
            *(b"identity, chunked", b"chunked;q=1", b"chunked,", b",chunked", b'"chunked"', b"cow"),
            *(b"\x0bchunked", b"chunked\x0b", b"chunked\x00", b"\x00chunked", b"ch\xc3\xbcnked"),
            *(b"chunked\rx", b"chunke", b"", b"identity"),
        )
    },
    "M1 TE in HTTP/1.0": _with(
        CHUNKED, body=CHUNKS, start=b"POST /v1/chat/completions HTTP/1.0\r\n"
    ),
    "M1 TE with a space before the colon": _with(b"Transfer-Encoding : chunked", body=CHUNKS),
    "M1 TE with a tab before the colon": _with(b"Transfer-Encoding\t: chunked", body=CHUNKS),
    "M1 TE with an underscore": _with(b"Transfer_Encoding: chunked", LENGTH),
    "M1 CL with an underscore": _with(b"Content_Length: 3", LENGTH),
    "M1 TE behind a bare LF": _with(b"X: a\nTransfer-Encoding: chunked", LENGTH),
    "M1 TE behind a bare CR": _with(b"X: a\rTransfer-Encoding: chunked", LENGTH),
    "M1 TE on a folded line": _with(b"Transfer-Encoding:\r\n chunked", LENGTH),
    **{
        f"M2 CL {value!r}": _long(value)
        for value in (
            *(b"+%d" % N, b"%d,%d" % (N, N), b"%d, %d" % (N, N), b"0x%x" % N, b"%d_0" % N),
            *(b"-1", b"", b"%d %d" % (N, N), b"%d.0" % N, b"1e2", b"%d;" % N, b"\x0b%d" % N),
            *(b"%d\x00" % N, b"nan", b"9" * 30, b"%dL" % N, "\u0661\u0662".encode(), b"'%d'" % N),
        )
    },
    "M2 CL twice": _with(LENGTH, LENGTH),
    "M2 CL twice, different": _with(LENGTH, b"Content-Length: 5"),
    "M2 CL twice, other case": _with(LENGTH, b"content-length: %d" % N),
    "M3 no size": _chunks(b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "M3 a size in capitals with a prefix": _chunks(b"0X%x\r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    **{
        f"M3 size {size!r}": _chunks(size + b"\r\n" + BODY + b"\r\n0\r\n\r\n")
        for size in (
            *(b"0_2e", b"0x%x" % N, b"-1", b"+%x" % N, b"f" * 20, b"ffffffffffffffff0"),
            *(b" %x" % N, b"%x " % N, b"%x\t" % N, b"%xg" % N, b"%x;a=\rb" % N, b"%x\x00" % N),
            *(b"%x;a=\nb" % N, b"%x;a\x00b" % N, b"%x\r" % N, b"g", b"%x.0" % N, b"0,%x" % N),
        )
    },
    "M3 two other bytes after a chunk": _chunks(b"%x\r\n%bXX0\r\n\r\n" % (N, BODY)),
    "M3 LF after a chunk": _chunks(b"%x\r\n%b\n0\r\n\r\n" % (N, BODY)),
    "M3 LF after a size": _chunks(b"%x\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "M3 LF at the end": _chunks(b"%x\r\n%b\r\n0\n\n" % (N, BODY)),
    "M3 CR alone after a chunk": _chunks(b"%x\r\n%b\rX0\r\n\r\n" % (N, BODY)),
    "M3 a chunk longer than its size": _chunks(b"%x\r\n%b\r\n0\r\n\r\n" % (N - 1, BODY)),
    "M3 LF in the trailers": _chunks(CHUNKS[:-2] + b"X: a\nY: b\r\n\r\n"),
    "M3 a length in a trailer": _chunks(CHUNKS[:-2] + b"Content-Length: 5\r\n\r\n"),
    "M3 NUL in a trailer": _chunks(CHUNKS[:-2] + b"X: a\x00b\r\n\r\n"),
}
FIELDS: dict[str, Make] = {
    "M4 a space before the colon": _with(LENGTH, b"X-A : b"),
    "M4 a tab before the colon": _with(LENGTH, b"X-A\t: b"),
    "M4 a folded line": _with(LENGTH, b"X-A: b\r\n c"),
    "M4 a line folded by a tab": _with(LENGTH, b"X-A: b\r\n\tc"),
    "M4 a space before the first header": _with(LENGTH, host=b" Host: gateway.test\r\n"),
    "M4 a tab before the first header": _with(LENGTH, host=b"\tHost: gateway.test\r\n"),
    "M4 NUL in a value": _with(LENGTH, b"X-A: a\x00b"),
    "M4 CR in a value": _with(LENGTH, b"X-A: a\rb"),
    "M4 LF in a value": _with(LENGTH, b"X-A: a\nX-B: b"),
    "M4 a high byte in a name": _with(LENGTH, b"X\xff: b"),
    "M4 NUL in a name": _with(LENGTH, b"X\x00: b"),
    "M4 no name": _with(LENGTH, b": b"),
    "M4 no colon": _with(LENGTH, b"X-A"),
    "M4 a name in quotes": _with(LENGTH, b'"X-A": b'),
    "M4 a name in brackets": _with(LENGTH, b"X[a]: b"),
    "M4 a control character in a value": _with(LENGTH, b"X-A: \x01"),
    "M4 DEL in a value": _with(LENGTH, b"X-A: \x7f"),
    "M4 bare LF everywhere": lambda key: _with(LENGTH)(key).replace(b"\r\n", b"\n"),
    "M4 bare CR everywhere": lambda key: _with(LENGTH)(key).replace(b"\r\n", b"\r"),
    **{
        f"M6 Host {value!r}": _with(LENGTH, host=b"Host: " + value + b"\r\n")
        for value in (
            *(b"x/health?", b"a#", b"u@gateway.test", b"a b", b"a,b", b"gateway.test:x", b""),
            *(b"gateway.test:1:2", b"[::1", b"a\\b", b"a;b", b"http://a", b"a%00", b"\xc3\xa4"),
            *(b"gateway.test:999999", b"?", b"a/../b", b"'a'", b"a\tb"),
        )
    },
    "M6 no Host": _with(LENGTH, host=b""),
    "M6 two Hosts": _with(LENGTH, b"Host: gateway.test"),
    "M6 two different Hosts": _with(LENGTH, b"host: other.test"),
    "M6 Host with a space before the colon": _with(LENGTH, host=b"Host : gateway.test\r\n"),
    **{
        f"M6 target {target!r}": _with(LENGTH, start=b"POST " + target + b" HTTP/1.1\r\n")
        for target in (
            *(b"http://other.test/v1/chat/completions", b"http://u@gateway.test/v1/messages"),
            *(b"https://gateway.test:1/v1/messages", b"ftp://gateway.test/v1/messages", b"*"),
            *(b"http:///v1/messages", b"gateway.test/v1/messages", b"/v1/messages#x", b"v1/x"),
            *(b"http://gateway.test\\@other.test/", b"gateway.test:80", b"/v1/mess\xc3\xa4ges"),
            *(b"/v1/messages\t", b"/v1\x00/messages", b"http://gateway.test#/v1/messages"),
        )
    },
    "a method in lower case": _with(LENGTH, start=b"post /v1/chat/completions HTTP/1.1\r\n"),
    "a method of its own": _with(LENGTH, start=b"CALL /v1/chat/completions HTTP/1.1\r\n"),
    "a space before the method": _with(LENGTH, start=b" POST /v1/chat/completions HTTP/1.1\r\n"),
    "HTTP/0.9": lambda key: b"POST /v1/chat/completions\r\n\r\n",
    "HTTP/1.2": _with(LENGTH, start=b"POST /v1/chat/completions HTTP/1.2\r\n"),
    "HTTP/2.0": _with(LENGTH, start=b"POST /v1/chat/completions HTTP/2.0\r\n"),
    "no version": _with(LENGTH, start=b"POST /v1/chat/completions HTTP\r\n"),
    "a version of many digits": _with(LENGTH, start=b"POST /v1/chat/completions HTTP/01.1\r\n"),
    "the preface of HTTP/2": lambda key: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": lambda key: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40,
    "CONNECT": _with(start=b"CONNECT gateway.test:443 HTTP/1.1\r\n"),
    "TRACE": _with(start=b"TRACE * HTTP/1.1\r\n", body=b""),
}
VECTORS = ENDS | FIELDS


def _behind(key: str) -> bytes:
    return ANTHROPIC.call(key, model="claude-smuggled")


@pytest.mark.parametrize("name", VECTORS)
def test_a_doubtful_request_is_refused_and_ends_the_connection(watched: Watched, name: str) -> None:
    vector = VECTORS[name](watched.key)
    with RawConnection(watched.port) as connection:
        answers = connection.send(vector + _behind(watched.key)).rest()
    assert answers.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answers
    assert answers.count(b"\r\nx-tollkeeper-call-id: ") == 1
    assert b"\r\nconnection: close\r\n" in answers
    assert not watched.sent()


@pytest.mark.parametrize("name", ENDS)
def test_a_doubtful_end_is_refused_behind_a_good_call_and_in_pieces(
    watched: Watched, name: str
) -> None:
    """The call before it is answered; what lies in other reads changes nothing."""
    vector = VECTORS[name](watched.key)
    good = RESPONSES.call(watched.key)
    middle = len(vector) - len(CHUNKS)
    with RawConnection(watched.port) as connection:
        assert connection.send(good).answer().status == 200
        assert connection.send(good).answer().status == 200
        connection.send(vector[:middle], vector[middle:] + _behind(watched.key), gap_s=0.01)
        answers = connection.rest()
    assert answers.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answers
    assert answers.count(b"HTTP/1.1 ") == 1
    assert len(watched.sent()) == 2


HARMLESS: dict[str, Make] = {
    "TE in capitals": _coded(b"CHUNKED"),
    "TE with blanks around it": _coded(b" \t chunked"),
    "CL with blanks around it": _long(b"\t %d" % N),
    "CL with zeros in front": _long(b"000%d" % N),
    "chunks with an extension": _chunks(b'%x;a=b;c="d"\r\n%b\r\n0;e\r\n\r\n' % (N, BODY)),
    "chunks of one byte": _chunks(b"".join(b"1\r\n%c\r\n" % at for at in BODY) + b"0\r\n\r\n"),
    "a size with zeros in front": _chunks(b"0000%x\r\n%b\r\n000\r\n\r\n" % (N, BODY)),
    "trailers": _chunks(CHUNKS[:-2] + b"X: a\r\nHost: other\r\nCookie: a\r\n\r\n"),
    "empty lines in front": lambda key: b"\r\n\r\n" + _with(LENGTH)(key),
    "an absolute target": _with(
        LENGTH, start=b"POST http://gateway.test/v1/chat/completions HTTP/1.1\r\n"
    ),
    "an absolute target in capitals": _with(
        LENGTH, start=b"POST HTTP://gateway.test/v1/chat/completions HTTP/1.1\r\n"
    ),
    "a Host with a port": _with(LENGTH, host=b"Host: gateway.test:4000\r\n"),
    "a Host of IPv6": _with(LENGTH, host=b"Host: [::1]:4000\r\n"),
    "a name with an underscore": _with(LENGTH, b"X_A: b"),
    "a value of high bytes": _with(LENGTH, b"X-A: \xe4\xff"),
    "a value with a tab": _with(LENGTH, b"X-A: a\tb"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_an_unusual_request_with_one_reading_is_sent_once(watched: Watched, name: str) -> None:
    with RawConnection(watched.port) as connection:
        connection.send(HARMLESS[name](watched.key) + _behind(watched.key))
        assert connection.answer().status == 200
        assert connection.answer().status == 200
    first, second = watched.sent()
    head, _, body = first.partition(b"\r\n\r\n")
    assert body == BODY
    assert head.lower().count(b"\r\ncontent-length: %d" % N) == 1
    assert b"transfer-encoding" not in head.lower()
    assert b"claude-smuggled" in second


TRAILERS = ("Authorization: Bearer {}", "x-api-key: {}", "x-goog-api-key: {}", "api-key: {}")


@pytest.mark.parametrize("line", (*TRAILERS, "x-tollkeeper-key: {}"))
def test_a_trailer_authenticates_nobody(watched: Watched, line: str) -> None:
    head = OPENAI.call("", {"authorization": None, "content-length": None}, body=b"")
    head = head.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    trailers = CHUNKS[:-2] + line.format(watched.key).encode() + b"\r\n\r\n"
    for parts in ((head + trailers,), (head, trailers), (head + trailers[:-20], trailers[-20:])):
        with RawConnection(watched.port) as connection:
            answer = connection.send(*parts, gap_s=0.01).answer()
        assert (answer.status, OPENAI.fault(answer).code) == (401, "key_missing")
    assert not watched.sent()


def test_a_trailer_changes_nothing_of_a_call(watched: Watched) -> None:
    lines = b"Authorization: Bearer x\r\nx-tollkeeper-tags: a=b\r\nX-Late: 1\r\n\r\n"
    data = _chunks(CHUNKS[:-2] + lines)(watched.key)
    assert ask(watched.port, data).status == 200
    assert b"x-late" not in watched.one().lower()


# ---------------------------------------------------------------------- in order


def test_pipelined_calls_are_answered_in_order(watched: Watched) -> None:
    """Good and bad ones, of several protocols; each good one reaches its provider once."""
    key, count = watched.key, 40
    calls = [
        OPENAI.call(key, user=f"u{at}") if at % 2 else ANTHROPIC.call(key, body=b"broken")
        for at in range(count)
    ]
    with RawConnection(watched.port) as connection:
        connection.send(b"".join(calls))
        statuses = [connection.answer().status for _ in calls]
    assert statuses == [200 if at % 2 else 400 for at in range(count)]
    users = [json.loads(sent.partition(b"\r\n\r\n")[2])["user"] for sent in watched.sent()]
    assert users == [f"u{at}" for at in range(1, count, 2)]


def test_http_1_0_is_answered_and_ends(watched: Watched) -> None:
    start = b"POST /v1/chat/completions HTTP/1.0\r\n"
    data = _with(LENGTH, b"Connection: keep-alive", start=start)(watched.key)
    for host in (b"Host: gateway.test\r\n", b""):
        with RawConnection(watched.port) as connection:
            connection.send(data.replace(b"Host: gateway.test\r\n", host))
            answer = connection.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert "transfer-encoding" not in answer.headers
            assert connection.is_closed()
    assert len(watched.sent()) == 2


def test_a_refusal_of_the_call_keeps_the_connection(watched: Watched) -> None:
    """Only what breaks HTTP, or leaves bytes behind, ends it."""
    with RawConnection(watched.port) as connection:
        for refused in (
            OPENAI.call(watched.key, model="no-such-model"),
            ANTHROPIC.call(watched.key, body=b"{"),
            OPENAI.call(watched.key, max_tokens=-1),
        ):
            answer = connection.send(refused).answer()
            assert 400 <= answer.status < 500
            assert "connection" not in answer.headers
        assert connection.send(OPENAI.call(watched.key)).answer().status == 200
    assert len(watched.sent()) == 1


# ---------------------------------------------------------------------- expectations, upgrades


def test_a_body_that_waits_for_permission_gets_it(watched: Watched) -> None:
    data = OPENAI.call(watched.key, {"expect": "100-continue"})
    head, _, body = data.partition(b"\r\n\r\n")
    with RawConnection(watched.port) as connection:
        connection.send(head + b"\r\n\r\n")
        assert connection.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not watched.sent()
        assert connection.send(body).answer().status == 200
        assert connection.send(data).answer().status == 200  # M27: the body came early
    assert len(watched.sent()) == 2
    assert b"expect" not in watched.sent()[0].lower()


def test_a_body_that_is_not_wanted_is_not_asked_for(watched: Watched) -> None:
    for data in (
        OPENAI.call("tk_live_nonsense", {"expect": "100-continue"}),
        OPENAI.call(watched.key, {"expect": "100-continue", "content-length": "40000000"}),
        OPENAI.call(watched.key, {"expect": "the unexpected"}),
        OPENAI.call(watched.key, {"expect": "100-continue, 100-continue"}),
    ):
        with RawConnection(watched.port) as connection:
            head = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            answers = connection.send(head).rest()
            assert answers.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 413 ", b"HTTP/1.1 417 "))
            assert answers.count(b"HTTP/1.1 ") == 1
    assert not watched.sent()


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/v1/chat/completions", "/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_websocket_is_refused_so_that_agents_use_plain_requests(
    watched: Watched, path: str, method: str
) -> None:
    start = f"{method} {path} HTTP/1.1\r\n".encode()
    lines = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
    with RawConnection(watched.port) as connection:
        connection.send(_with(*lines, start=start, body=b"\x81\x05hello")(watched.key))
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (426, "close")
        assert connection.is_closed()
    assert not watched.sent()


def test_an_offer_of_http_2_is_passed_over(watched: Watched) -> None:
    """Java's client makes it with every first request."""
    lines = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
    whole = _with(LENGTH, *lines)(watched.key)
    chunks = _with(CHUNKED, *lines, body=CHUNKS)(watched.key)
    for parts in ((whole,), (whole[:-N], whole[-N:]), (whole[:-9], whole[-9:]), (chunks,)):
        watched.forget()
        with RawConnection(watched.port) as connection:
            answer = connection.send(*parts, gap_s=0.02).answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert connection.is_closed()
        sent = watched.one()
        assert sent.endswith(BODY)
        assert b"upgrade" not in sent.lower()
        assert b"http2-settings" not in sent.lower()


def test_what_follows_an_offer_of_http_2_is_no_request(watched: Watched) -> None:
    data = _with(LENGTH, b"Connection: Upgrade", b"Upgrade: h2c")(watched.key)
    with RawConnection(watched.port) as connection:
        answers = connection.send(data + _behind(watched.key)).rest()
    assert answers.count(b"\r\nx-tollkeeper-call-id: ") == 1
    assert not any(b"claude-smuggled" in sent for sent in watched.sent())


def test_the_body_behind_an_offer_of_http_2_is_read_as_strictly(watched: Watched) -> None:
    lines = (CHUNKED, b"Connection: Upgrade", b"Upgrade: h2c")
    data = _with(*lines, body=b"zz\r\n" + BODY)(watched.key)
    for parts in ((data,), (data[: -N - 4], data[-N - 4 :])):
        with RawConnection(watched.port) as connection:
            answer = connection.send(*parts, gap_s=0.01).answer()
            assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert not watched.sent()
