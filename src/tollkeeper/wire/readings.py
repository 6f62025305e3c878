"""What a reader of provider replies gives: the contract of every file in this folder.

A reader is fed every byte of one reply's body, in order and cut at any place. It never
changes a byte. It looks only as deep as it must to find the usage.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tollkeeper.domain.jobs import JobNews
from tollkeeper.domain.usage import Usage


class Reading(NamedTuple):
    """What one reply said.

    ``usage`` is None when the reply carried none. ``response_id`` is the provider's id for
    the reply ("" if none). ``output_bytes`` counts the UTF-8 bytes of generated text and
    tool arguments that went by, for estimates when the usage never came; None when it was
    not counted. ``error_code`` is the provider's own word for a failure inside a stream.
    ``pending`` tells that the reply only announced work in the background: its usage comes
    with a later reply of the same ``response_id``, and nothing is to be estimated.
    ``final`` is false when the body ended before its own end, whatever HTTP said; ``marked``
    tells that it is of a kind whose end is marked, so that a client must not take it for whole.
    ``partial`` tells that ``usage`` is only what was known at the start.
    ``job`` is what the reply says of work whose usage arrives later, None for nearly all.
    """

    usage: Usage | None = None
    response_id: str = ""
    output_bytes: int | None = None
    error_code: str = ""
    pending: bool = False
    final: bool = True
    marked: bool = False
    partial: bool = False
    job: JobNews | None = None


class ReplyReader(Protocol):
    """Reads one reply."""

    finished: bool
    """True once the reply's own end marker was seen: nothing after it changes the usage."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""

    def close(self, *, complete: bool) -> Reading:
        """Say what was read. ``complete`` is false when the body broke off."""


class NoReader:
    """The reader of replies that cannot carry usage."""

    finished = False

    def feed(self, data: bytes) -> None:
        """Ignore the bytes."""

    def close(self, *, complete: bool) -> Reading:
        """Say that nothing was read."""
        return Reading()
