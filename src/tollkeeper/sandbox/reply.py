"""One reply of a provider as the sandbox makes it, before it becomes bytes of HTTP."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from tollkeeper.sandbox.counts import NOTHING, Counts

_JSON: Final = b"content-type: application/json\r\n"
_EVENTS: Final = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
encode: Final = msgspec.json.encode

CREATED_S: Final = 1_767_225_600
"""The time in every reply that states one: replies to the same request are the same."""


class Reply(NamedTuple):
    """A reply in its parts.

    ``headers`` are complete lines, without framing ones. A stream is ``opening``, some
    ``pieces``, ``closing`` and the end marker ``end``; any other body is ``pieces`` alone.
    ``counts`` bill the whole, ``output_after`` says how much of the output belongs to the
    first so many pieces (empty for what is generated as a whole). A reply that is not
    ``repeatable`` depends on more than the request; one that is not ``complete`` was cut
    on purpose.
    """

    status: int
    headers: bytes
    pieces: tuple[bytes, ...]
    opening: bytes = b""
    closing: bytes = b""
    end: bytes = b""
    streamed: bool = False
    counts: Counts = NOTHING
    output_after: tuple[int, ...] = ()
    model: str = ""
    repeatable: bool = True
    complete: bool = True

    @property
    def is_events(self) -> bool:
        """Tell whether the body is a stream of server-sent events."""
        return self.headers.startswith(_EVENTS)

    @property
    def body(self) -> bytes:
        """Give the whole body."""
        return b"".join((self.opening, *self.pieces, self.closing, self.end))

    def billed_after(self, pieces: int) -> Counts:
        """Say what is billed when only so many pieces were produced.

        Only a stream can be stopped: anything else is generated before its first byte.
        """
        if not self.output_after:
            return self.counts
        return self.counts._replace(output=self.output_after[pieces])


def json_reply(
    value: Any,
    *,
    counts: Counts = NOTHING,
    model: str = "",
    headers: bytes = b"",
    status: int = 200,
) -> Reply:
    """Make a reply that is one JSON value."""
    return Reply(status, _JSON + headers, (encode(value),), counts=counts, model=model)


def event_headers(headers: bytes = b"") -> bytes:
    """Give the header lines of a stream of events."""
    return _EVENTS + headers


def event(data: Any, name: str = "", end: bytes = b"\n") -> bytes:
    """Write one server-sent event."""
    head = b"event: " + name.encode() + end if name else b""
    return head + b"data: " + encode(data) + end + end


class Identity(NamedTuple):
    """Where the ids of one reply come from: the hash of its request."""

    digest: str

    def id(self, prefix: str, length: int = 24) -> str:
        """Give an id with a prefix. Different prefixes share the same digits."""
        return prefix + self.digest[:length]
