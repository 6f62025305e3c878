"""Faults in what a reply says: errors instead of it, errors inside it, and odd ways to write it.

Faults of the connection and of HTTP itself are made in ``script.py``.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from tollkeeper.domain.routing import Dialect
from tollkeeper.sandbox.counts import NOTHING
from tollkeeper.sandbox.faults import Fault
from tollkeeper.sandbox.provider_errors import (
    error_element,
    error_event,
    error_object,
    error_reply,
)
from tollkeeper.sandbox.reply import Identity, Reply, json_reply
from tollkeeper.wire.endpoints import Endpoint

_GZIP: Final = 31
_LEVEL: Final = 6
_ENCODED: Final = b"content-encoding: gzip\r\n"
_COMMENT: Final = b": the sandbox says nothing here\n\n"
_MARK: Final = b"\xef\xbb\xbf"
_REDIRECTED_PATH: Final = b"/sandbox/redirected"


def instead_of_reply(
    fault: Fault | None, endpoint: Endpoint, identity: Identity, model: str, host: bytes
) -> Reply | None:
    """Give the reply that takes the place of an answer; None where there is to be one."""
    if fault is None:
        return None
    if fault.status:
        return error_reply(fault, endpoint.dialect, identity, model)
    if fault.name == "early-413":
        return error_reply(Fault("413"), endpoint.dialect, identity, model)
    if fault.name == "redirect":
        location = b"location: http://%b%b\r\n" % (host or b"localhost", _REDIRECTED_PATH)
        status = fault.number if 300 <= fault.number <= 399 else 307
        return Reply(status, location, (b"",), model=model)
    return None


def with_fault(reply: Reply, fault: Fault | None, endpoint: Endpoint) -> Reply:
    """Give a reply the fault that is asked for, if it is one of content."""
    if fault is None:
        return reply
    if fault.name == "error-event":
        return _broken_off(reply, fault.number, endpoint)
    change = _CHANGES.get(fault.name)
    return reply if change is None else change(reply)


def _broken_off(reply: Reply, pieces: int, endpoint: Endpoint) -> Reply:
    """End a reply with an error after some pieces."""
    dialect = endpoint.dialect
    if not reply.streamed:
        failed = json_reply(error_object(500, dialect), model=reply.model)
        return failed._replace(complete=False)
    pieces = min(pieces, len(reply.pieces))
    error = error_event(endpoint.reader, dialect)
    if dialect is Dialect.GEMINI and not reply.is_events:
        error = error_element(dialect, first=not pieces)
    counts, after = reply.billed_after(pieces), reply.output_after
    if after:
        after = (*after[: pieces + 1], after[pieces])
    return reply._replace(
        pieces=(*reply.pieces[:pieces], error),
        closing=b"",
        end=b"",
        counts=counts,
        output_after=after,
        complete=False,
    )


def _truncated(reply: Reply) -> Reply:
    last = reply.pieces[-1]
    pieces = (*reply.pieces[:-1], last[: len(last) // 2])
    return reply._replace(pieces=pieces, closing=b"", end=b"", complete=False)


def _without_end(reply: Reply) -> Reply:
    return reply._replace(end=b"", complete=not reply.end and reply.complete)


def _compressed(reply: Reply) -> Reply:
    """Compress a reply, so that each piece can still be read when it comes."""
    headers = reply.headers + _ENCODED
    if not reply.streamed:
        body = gzip.compress(reply.body, mtime=0)
        return reply._replace(headers=headers, pieces=(body,))
    writer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def flushed(data: bytes) -> bytes:
        return writer.compress(data) + writer.flush(zlib.Z_SYNC_FLUSH)

    return reply._replace(
        headers=headers,
        opening=flushed(reply.opening),
        pieces=tuple(flushed(piece) for piece in reply.pieces),
        closing=flushed(reply.closing),
        end=writer.compress(reply.end) + writer.flush(),
    )


def _rewritten(reply: Reply, rewrite: Callable[[bytes], bytes]) -> Reply:
    """Rewrite every part of a stream of events; other replies stay as they are."""
    if not reply.is_events:
        return reply
    return reply._replace(
        opening=rewrite(reply.opening),
        pieces=tuple(rewrite(piece) for piece in reply.pieces),
        closing=rewrite(reply.closing),
        end=rewrite(reply.end),
    )


def _with_line_end(end: bytes) -> Callable[[Reply], Reply]:
    def rewrite(part: bytes) -> bytes:
        return part.replace(b"\r\n", b"\n").replace(b"\n", end)

    return lambda reply: _rewritten(reply, rewrite)


def _commented(reply: Reply) -> Reply:
    commented = _rewritten(reply, lambda part: _COMMENT + part if part else part)
    if not reply.is_events:
        return reply
    if commented.opening:
        return commented._replace(opening=_MARK + commented.opening)
    first, *others = commented.pieces
    return commented._replace(pieces=(_MARK + first, *others))


_CHANGES: Final[Mapping[str, Callable[[Reply], Reply]]] = {
    "truncated-json": _truncated,
    "no-done": _without_end,
    "gzip": _compressed,
    "sse-crlf": _with_line_end(b"\r\n"),
    "sse-cr": _with_line_end(b"\r"),
    "sse-comments": _commented,
}

# What never answers is billed nothing: the provider broke before it began to work.
SILENT: Final = frozenset({"reset", "hang", "garbage"})


def unanswered(reply: Reply) -> Reply:
    """Take the answer and the bill out of a reply that is never given."""
    return reply._replace(pieces=(b"",), counts=NOTHING, output_after=(), complete=False)
