"""Reply heads of a kind that was seen before are not parsed again: nobody must notice."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import UpstreamFailed
from tollkeeper.http1.messages import Headers
from tollkeeper.http1.reply_heads import KINDS_MAX, ReplyHead, ReplyHeadMemory
from tollkeeper.http1.upstream import UpstreamConnection


class Wire(asyncio.Transport):
    """Takes what is written, and tells whether the connection was cut."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def abort(self) -> None:
        self.cut = True


class Reply:
    """One reply as its sink saw it."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def reply_head(self, head: ReplyHead, length: int | None) -> None:
        self.seen.append((head.status, head.headers, length))

    def reply_data(self, data: bytes, *, last: bool) -> None:
        self.seen.append((data, last))

    def reply_failed(self, error: UpstreamFailed, *, retriable: bool) -> None:
        self.seen.append((type(error), error.message, retriable))

    def upload_writable(self, *, writable: bool) -> None: ...


def read(memory: ReplyHeadMemory, *pieces: bytes) -> list[object]:
    """Read one reply on a connection of its own; give what its sink saw, and what became of it."""
    idle: list[UpstreamConnection] = []
    connection = UpstreamConnection(idle.append, lambda _: None, memory)
    wire = Wire()
    connection.connection_made(wire)
    reply = Reply()
    connection.send(b"", reply, deadline_s=1e12, head_only=False, more=False)
    for piece in pieces:
        connection.data_received(piece)
    return [*reply.seen, bool(idle), wire.cut]


NAMES = st.sampled_from(
    [
        *(b"date", b"X-Request-Id", b"cf-ray", b"Server", b"x-100%", b"retry-after", b"Set-Cookie"),
        *(b"content-type", b"Connection", b"keep-alive", b"Trailer", b"Content-Encoding"),
    ]
)
VALUES = st.one_of(
    st.sampled_from([b"close", b"keep-alive", b"chunked", b"a b", b"100 %b", b"\xe4", b"a\tb"]),
    st.from_regex(rb"[!-~]([ -~]{0,10}[!-~])?", fullmatch=True),
    st.just(b""),
)
STATUS = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 429 Too Many", b"HTTP/1.1 204 No Content"])


@st.composite
def reply(draw: st.DrawFn, names: list[bytes]) -> bytes:
    """One reply with some fields, framed in one of the usual ways, sometimes wrongly."""
    head = draw(STATUS) + b"\r\n"
    for name in names:
        head += name + draw(st.sampled_from([b": ", b": ", b": ", b":"])) + draw(VALUES) + b"\r\n"
    body = draw(st.binary(max_size=20))
    extra = draw(st.sampled_from([b"", b"", b"", b"x", b"HTTP/1.1 200 OK\r\n\r\n"]))
    if draw(st.booleans()):
        framed = b"Transfer-Encoding: chunked\r\n\r\n"
        framed += b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return head + framed + b"0\r\n\r\n" + extra
    return head + b"content-length: %d\r\n\r\n" % len(body) + body + extra


@given(st.data())
def test_a_reply_reads_the_same_whether_its_kind_is_known_or_not(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, max_size=4))
    memory = ReplyHeadMemory()
    for _ in range(6):
        whole = data.draw(reply(names))
        at = data.draw(st.integers(0, len(whole)))
        pieces = [piece for piece in (whole[:at], whole[at:]) if piece]
        assert read(memory, *pieces) == read(ReplyHeadMemory(), *pieces)


def _reply(*lines: str, body: bytes = b"hello") -> bytes:
    fields = "".join(f"{line}\r\n" for line in lines)
    return f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _known(memory: ReplyHeadMemory, data: bytes) -> Headers | None:
    found = memory.find(data)
    return None if found is None else ReplyHead(found[0], found[1].groups()).headers


def test_values_that_differ_are_those_of_the_reply_at_hand() -> None:
    memory = ReplyHeadMemory()
    for number in range(3):
        read(memory, _reply(f"x-request-id: r{number}", "server: s", f"date: Mon, {number}"))
    found = _known(
        memory, _reply("x-request-id: quite another", "server: s", "date: Tue", body=b"")
    )
    assert found == [
        (b"x-request-id", b"quite another"),
        (b"server", b"s"),
        (b"date", b"Tue"),
        (b"Content-Length", b"0"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "x-request-id: a\x00b",
        "x-request-id: a\nb: c",
        "x-request-id: a\tb",
        "x-request-id:  a",
        "x-request-id: a ",
        "x-request-id: \xe4",
        "x-request-id : a",
        "X-Request-Id: a",
        "x-request-id: a\r\nx-more: 1",
        "x-request-id: a\r\n folded",
    ],
)
def test_only_plain_values_may_differ(line: str) -> None:
    memory = ReplyHeadMemory()
    for number in range(3):
        read(memory, _reply(f"x-request-id: r{number}"))
    assert _known(memory, _reply("x-request-id: r9")) is not None
    assert _known(memory, _reply(line)) is None


@pytest.mark.parametrize("line", ["content-type", "Content-Encoding", "keep-alive"])
def test_what_says_how_to_read_a_reply_never_counts_as_differing(line: str) -> None:
    memory = ReplyHeadMemory()
    for value in ("a", "a", "b", "b", "c"):
        read(memory, _reply(f"{line}: {value}"))
    assert _known(memory, _reply(f"{line}: a")) is not None
    assert _known(memory, _reply(f"{line}: b")) is not None
    assert _known(memory, _reply(f"{line}: c")) is None


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: x-a\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\n",
    ],
)
def test_a_reply_that_may_end_its_connection_is_always_parsed(head: bytes) -> None:
    memory = ReplyHeadMemory()
    for _ in range(3):
        read(memory, head + b"hello")
    assert memory.find(head + b"hello") is None


def test_what_is_remembered_has_an_end() -> None:
    memory = ReplyHeadMemory()
    for number in range(KINDS_MAX + 50):
        for _ in range(2):
            read(memory, _reply(f"x-{number}: a"))
    assert _known(memory, _reply("x-0: a")) is None
    assert _known(memory, _reply(f"x-{KINDS_MAX + 49}: a")) is not None
    assert len(memory._seen) == KINDS_MAX
