"""Reads streams late: their pieces wait, unread, until one of them may be the last.

A chat comes in one piece for each token or two, and a piece costs more than its bytes. Before
its end, nothing in a stream is needed but to know that it has ended: the end is given to the
client only once the outcome is posted. So pieces that have nothing of the event that ends a
stream are put aside, and read together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from tollkeeper.wire.readings import Reading, ReplyReader

WAITING_BYTES_MAX: Final = 16 << 10
"""More than this of a stream does not wait."""

_LINE_FEED: Final = 10


class End(NamedTuple):
    """How the end of a family's streams is recognised before it is read.

    The frame that ends a stream has ``mark`` in it, within one line. A piece that ends with one
    of ``frame_ends`` ends together with a frame.
    """

    mark: bytes
    frame_ends: tuple[bytes, ...] = (b"\n\n", b"\r\n\r\n")


class Unhurried(Protocol):
    """A reader that may get its pieces late (``ReplyReader``)."""

    finished: bool

    def feed(self, data: bytes, *, marked: bool = True) -> None:
        """Take the next bytes of the body. Those that are not marked do not end the stream."""

    def close(self, *, complete: bool) -> Reading:
        """Say what was read."""


class _Waiting:
    """The pieces that wait for a reader."""

    __slots__ = ("_pieces", "_reader", "_room_bytes", "finished")

    def __init__(self, reader: Unhurried) -> None:
        self.finished = False
        self._reader = reader
        self._pieces: list[bytes] = []
        self._room_bytes = WAITING_BYTES_MAX

    def close(self, *, complete: bool) -> Reading:
        """Say what was read."""
        self._read_waiting()
        return self._reader.close(complete=complete)

    def _read_waiting(self) -> None:
        pieces = self._pieces
        if pieces:
            self._reader.feed(b"".join(pieces), marked=False)
            pieces.clear()
            self._room_bytes = WAITING_BYTES_MAX


class LateReader(_Waiting):
    """Gives a stream to another reader, late and in larger pieces (``ReplyReader``).

    ``finished`` becomes true with the same piece as that of the reader itself would.
    """

    __slots__ = ("_frame_ends", "_mark", "_nothing_begun")

    def __init__(self, reader: Unhurried, end: End) -> None:
        super().__init__(reader)
        self._mark, self._frame_ends = end
        self._nothing_begun = True  # of the frame that ends the stream

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body.

        This is done for every token of every stream: the search from behind and the single
        character are the fastest that there are.
        """
        if (
            self._nothing_begun
            and data.rfind(self._mark) < 0
            and data
            and data[-1] == _LINE_FEED  # so that no mark is cut in two
        ):
            self._pieces.append(data)
            self._room_bytes -= len(data)
            if self._room_bytes < 0:
                self._read_waiting()
            return
        self._read_waiting()
        self._reader.feed(data)
        self.finished = self._reader.finished
        self._nothing_begun = data.endswith(self._frame_ends)


class EndlessReader(_Waiting):
    """Does the same for streams that have no end marker: no piece of them is ever the last."""

    __slots__ = ()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._pieces.append(data)
        self._room_bytes -= len(data)
        if self._room_bytes < 0:
            self._read_waiting()


def late(reader: Callable[[], Unhurried], end: End | None) -> Callable[[], ReplyReader]:
    """Give what makes readers that read late; no ``end`` is of streams without a marker."""
    if end is None:
        return lambda: EndlessReader(reader())
    return lambda: LateReader(reader(), end)
