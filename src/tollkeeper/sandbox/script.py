"""What goes over the connection and when: a reply as HTTP/1.1, with the faults of transport."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final, NamedTuple

from tollkeeper.http1.messages import status_line
from tollkeeper.sandbox.behaviour import Behaviour
from tollkeeper.sandbox.counts import NOTHING, Counts
from tollkeeper.sandbox.faults import Fault
from tollkeeper.sandbox.faulty_replies import SILENT, unanswered
from tollkeeper.sandbox.reply import Reply

WRITE_BYTES_MAX: Final = 256 << 10
_OFF_BYTES: Final = 10  # by how much a wrong length is wrong
_HEAD_GAP_S: Final = 0.02
_NO_FAULT: Final = Fault("")
_INTERIM: Final = b"HTTP/1.1 103 Early Hints\r\nlink: </>; rel=preload\r\n\r\n"
_GARBAGE: Final = b"\x00\x15\x03\x01 the sandbox speaks no HTTP now\r\n\r\n"
_UNASKED_BODY: Final = b'{"sandbox":"nobody asked for this reply"}'
_UNASKED: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_UNASKED_BODY), _UNASKED_BODY)
)
_BODILESS: Final = frozenset({204, 304})


class Line(NamedTuple):
    """What of a request decides how its reply is framed."""

    head_only: bool = False
    http_1_0: bool = False
    keep_alive: bool = True


class Ending(enum.Enum):
    """What becomes of the connection after the last write."""

    NEXT = "next"  # the next request
    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"


class Account(NamedTuple):
    """What there is to tell of a reply, or of the part of it that went out."""

    model: str = ""
    status: int = 0
    streamed: bool = False
    pieces: int = 0
    pieces_sent: int = 0
    billed: Counts = NOTHING


class Script(NamedTuple):
    """What to write, each after a wait, and how many pieces are out then.

    ``complete`` tells that this is the whole reply, as far as its provider is concerned.
    ``at_once``: everything is one write, without a wait, and the connection goes on.
    ``account`` is that of the reply when all is written.
    """

    writes: tuple[bytes, ...]
    waits_s: tuple[float, ...]
    pieces_out: tuple[int, ...]
    ending: Ending
    complete: bool
    reply: Reply
    account: Account
    at_once: bool = False

    def account_after(self, writes_done: int) -> Account:
        """Account for a reply of which so many writes are out."""
        if writes_done == len(self.writes):
            return self.account
        return _account(self.reply, self.pieces_out[writes_done - 1] if writes_done else 0)


class _Framing(enum.Enum):
    LENGTH = "length"
    CHUNKS = "chunks"
    CLOSE = "close"


class _Part(NamedTuple):
    """Bytes that belong together, and the pieces that are out after them."""

    data: bytes
    pieces: int


_ENDINGS: Final = {
    "reset": Ending.RESET,
    "hang": Ending.SILENCE,
    "garbage": Ending.CLOSE,
    "reset-after": Ending.RESET,
    "hang-after": Ending.SILENCE,
    "eof-after": Ending.CLOSE,
    "length-long": Ending.CLOSE,
}
_CUTS: Final = frozenset({"reset-after", "hang-after", "eof-after"})


def script_of(reply: Reply, behaviour: Behaviour, line: Line) -> Script:
    """Write a reply down as what is sent, when, and how it ends."""
    fault = behaviour.fault or _NO_FAULT
    ending = _ENDINGS.get(fault.name, Ending.NEXT)
    ttft_s = behaviour.ttft_ms / 1_000
    if fault.name in SILENT:
        written = (_GARBAGE,) if fault.name == "garbage" else ()
        waits = (ttft_s,) * len(written)
        silent = unanswered(reply)
        pieces_out = (0,) * len(written)
        return Script(written, waits, pieces_out, ending, False, silent, _account(silent, 0))
    parts = _parts(reply, behaviour, fault)
    framing = _framing(reply, line, fault)
    if fault.name == "early-413":
        line = line._replace(keep_alive=False)
    if framing is _Framing.CLOSE and ending is Ending.NEXT:
        ending = Ending.CLOSE
    head = _head(reply, framing, sum(len(part.data) for part in parts), line, fault)
    cut = fault.name in _CUTS
    if cut:
        parts = _up_to(parts, fault.number, streamed=reply.streamed)
    if line.head_only or reply.status in _BODILESS:
        parts = [_Part(b"", 0)]
        framing = _Framing.LENGTH
    framed = [_framed(part, framing, fault) for part in parts]
    if framing is _Framing.CHUNKS and not cut:
        framed.append(_Part(_last_chunk(fault), framed[-1].pieces))
    if fault.name == "two-replies":
        framed.append(_Part(_UNASKED, framed[-1].pieces))
    return _timed(reply, behaviour, fault, _Part(head, 0), framed, ending, cut=cut)


# ---------------------------------------------------------------------- the body


def _parts(reply: Reply, behaviour: Behaviour, fault: Fault) -> list[_Part]:
    if reply.streamed:
        pieces = [_Part(piece, number) for number, piece in enumerate(reply.pieces, start=1)]
        last = _Part(reply.closing + reply.end, len(pieces))
        return [_Part(reply.opening, 0), *pieces, last]
    wanted = behaviour.chunks if behaviour.gap_ms or fault.name in _CUTS else 1
    body = reply.body
    count = max(1, min(wanted or 2, len(body)))
    edges = [index * len(body) // count for index in range(count + 1)]
    return [_Part(body[edges[at] : edges[at + 1]], at + 1) for at in range(count)]


def _up_to(parts: list[_Part], pieces: int, *, streamed: bool) -> list[_Part]:
    """Keep so many pieces, but never the end."""
    if streamed:
        return parts[: min(pieces + 1, len(parts) - 1)]
    return parts[: min(pieces, len(parts) - 1)] or [_Part(b"", 0)]


def _framed(part: _Part, framing: _Framing, fault: Fault) -> _Part:
    if framing is not _Framing.CHUNKS or not part.data:
        return part
    extension = b";sandbox=%d" % part.pieces if fault.name == "chunk-extensions" else b""
    return part._replace(data=b"%x%b\r\n%b\r\n" % (len(part.data), extension, part.data))


def _last_chunk(fault: Fault) -> bytes:
    if fault.name == "chunk-extensions":
        return b"0;last\r\nx-sandbox-trailer: yes\r\nset-cookie: trailer=1\r\n\r\n"
    return b"0\r\n\r\n"


# ---------------------------------------------------------------------- the head


def _framing(reply: Reply, line: Line, fault: Fault) -> _Framing:
    if fault.name == "http10":
        return _Framing.CLOSE
    if fault.name in {"length-short", "length-long", "two-lengths"}:
        return _Framing.LENGTH
    if line.http_1_0:
        return _Framing.CLOSE if reply.streamed else _Framing.LENGTH
    if reply.streamed or fault.name in {"chunk-extensions", "length-and-chunked"}:
        return _Framing.CHUNKS
    return _Framing.LENGTH


def _head(reply: Reply, framing: _Framing, size_bytes: int, line: Line, fault: Fault) -> bytes:
    start = status_line(reply.status)
    if fault.name == "http10":
        start = start.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    headers = reply.headers
    if fault.name == "many-headers":
        headers += b"".join(
            b"x-sandbox-filler-%d: %b\r\n" % (number, b"f" * 48) for number in range(fault.number)
        )
    if not line.keep_alive or framing is _Framing.CLOSE:
        headers += b"connection: close\r\n"
    return start + headers + _framing_lines(framing, size_bytes, fault) + b"\r\n"


def _framing_lines(framing: _Framing, size_bytes: int, fault: Fault) -> bytes:
    match fault.name:
        case "length-short":
            size_bytes = max(0, size_bytes - _OFF_BYTES)
        case "length-long":
            size_bytes += _OFF_BYTES
        case "two-lengths":
            return b"content-length: %d\r\ncontent-length: %d\r\n" % (size_bytes, size_bytes + 1)
        case "length-and-chunked":
            return b"content-length: %d\r\ntransfer-encoding: chunked\r\n" % size_bytes
    if framing is _Framing.LENGTH:
        return b"content-length: %d\r\n" % size_bytes
    return b"transfer-encoding: chunked\r\n" if framing is _Framing.CHUNKS else b""


# ---------------------------------------------------------------------- time


def _timed(
    reply: Reply,
    behaviour: Behaviour,
    fault: Fault,
    head: _Part,
    framed: list[_Part],
    ending: Ending,
    *,
    cut: bool,
) -> Script:
    """Put head and parts into writes, and the waits between them."""
    gap_s = behaviour.gap_ms / 1_000
    if fault.name == "interim":
        head = head._replace(data=_INTERIM * fault.number + head.data)
    group = _by_piece if gap_s else _batched
    if fault.name == "slow-headers":
        groups = [head, *group(framed)]
    else:
        groups = group([head, *framed])
    waits = [gap_s] * len(groups)
    if fault.name == "slow-headers":
        slices = _sliced(groups[0], fault.number)
        waits = [gap_s or _HEAD_GAP_S] * len(slices) + waits[1:]
        groups = [*slices, *groups[1:]]
    waits[0] = behaviour.ttft_ms / 1_000
    at_once = len(groups) == 1 and not waits[0] and ending is Ending.NEXT
    return Script(
        tuple(group.data for group in groups),
        tuple(waits),
        tuple(group.pieces for group in groups),
        ending,
        complete=reply.complete and not cut and fault.name != "length-long",
        reply=reply,
        account=_account(reply, groups[-1].pieces),
        at_once=at_once,
    )


def _account(reply: Reply, pieces_sent: int) -> Account:
    return Account(
        reply.model,
        reply.status,
        reply.streamed,
        len(reply.pieces),
        pieces_sent,
        reply.billed_after(pieces_sent),
    )


def _by_piece(parts: Iterable[_Part]) -> list[_Part]:
    """Join what goes out together: everything up to the first piece, then piece by piece."""
    groups: list[_Part] = []
    for part in parts:
        before = groups[-1] if groups else None
        if before is not None and (before.pieces == 0 or part.pieces == before.pieces):
            groups[-1] = _Part(before.data + part.data, part.pieces)
        else:
            groups.append(part)
    return groups


def _batched(parts: Iterable[_Part]) -> list[_Part]:
    """Join everything, in writes of bounded size."""
    groups: list[_Part] = []
    waiting: list[bytes] = []
    size_bytes = pieces = reached = 0
    for part in parts:
        waiting.append(part.data)
        size_bytes += len(part.data)
        pieces = part.pieces
        if size_bytes > WRITE_BYTES_MAX:
            joined = b"".join(waiting)
            groups += _sliced(_Part(joined, pieces), -(-size_bytes // WRITE_BYTES_MAX), reached)
            waiting, size_bytes, reached = [], 0, pieces
    if waiting:
        groups.append(_Part(b"".join(waiting), pieces))
    return groups


def _sliced(part: _Part, count: int, reached: int = 0) -> list[_Part]:
    """Cut bytes into slices; only the last one completes its pieces."""
    data = part.data
    count = max(1, min(count, len(data)))
    edges = [index * len(data) // count for index in range(count + 1)]
    slices = [_Part(data[edges[at] : edges[at + 1]], reached) for at in range(count)]
    return [*slices[:-1], slices[-1]._replace(pieces=part.pieces)]
