"""Server-sent events: finding complete events in a stream that is cut at any place.

Line ends (LF, CR, CRLF), the byte order mark, comments and several data lines are treated
as the WHATWG standard says. A stream that only uses LF is passed on without being copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

import msgspec

from tollkeeper.domain.texts import NO_THOUGHTS, SAMPLE_CHARACTERS_MAX, GeneratedText
from tollkeeper.wire.generated_text import NOTHING_SAID
from tollkeeper.wire.json_body import shortened
from tollkeeper.wire.lenient_json import Shape

T = TypeVar("T", bound=msgspec.Struct)

EVENT_BYTES_MAX: Final = 8 << 20
"""An event that grows above this is not stored: what it says is not read."""

_LONG_BYTES: Final = 256 << 10
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_GLIMPSE_BYTES_MAX: Final = 32 << 10


class EventStream:
    """Cuts a stream into regions of complete events, with LF as the only line end."""

    __slots__ = ("_after_cr", "_begun", "_head", "_pending", "_skipping")

    def __init__(self) -> None:
        self._begun = False
        self._head = b""
        self._after_cr = False
        self._skipping = False
        self._pending = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Give all events that are complete now, as one region; empty if there are none."""
        if not self._begun:
            data = self._without_mark(data)
        if self._after_cr or data.find(b"\r") >= 0:
            data = self._unified(data)
        end = data.rfind(b"\n\n") + 2
        pending = self._pending
        if end == 1:
            if not (pending and data.startswith(b"\n") and pending.endswith(b"\n")):
                self._keep(data)
                return b""
            end = 1  # the blank line was cut in two
        region = data if end == len(data) else data[:end]
        if pending:
            region = bytes(pending) + region
            pending.clear()
        if self._skipping:
            self._skipping = False
            region = region[region.find(b"\n\n") + 2 :]
        if end < len(data):
            self._keep(data[end:])
        return region

    def rest(self) -> bytes:
        """Give what would close the event that the stream ended in; empty if it is in none.

        The standard drops such an event. But what a provider counted in it is billed, so
        readers feed this back at the end.
        """
        if self._skipping or not self._pending.strip():
            return b""
        return b"\n\n"

    def _keep(self, data: bytes) -> None:
        pending = self._pending
        if self._skipping:
            if data:
                pending[:] = data[-1:]  # enough to see a blank line that is cut in two
            return
        if len(pending) > _LONG_BYTES:
            data = shortened(data)
        pending += data
        if len(pending) > EVENT_BYTES_MAX:
            self._skipping = True
            pending[:] = pending[-1:]

    def _without_mark(self, data: bytes) -> bytes:
        data = self._head + data
        if len(data) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(data):
            self._head = data
            return b""
        self._begun = True
        return data.removeprefix(_BYTE_ORDER_MARK)

    def _unified(self, data: bytes) -> bytes:
        """Make every line end a LF, also one whose CR came with the piece before."""
        if not data:
            return data
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
            if not data:
                return data
        self._after_cr = data.endswith(b"\r")
        unified = b"\n".join(data.splitlines())  # in half the time of replacing
        return unified + b"\n" if data.endswith((b"\n", b"\r")) else unified


def first_place(region: bytes, word: bytes) -> int:
    """Give the first place of a word that mostly stands once, at the end, or not at all.

    So it is looked for from behind, which takes a third of the time of looking from the front.
    """
    last = region.rfind(word)
    if last < 0 or region.rfind(word, 0, last + len(word) - 1) < 0:
        return last
    return region.find(word)


def event_around(region: bytes, at: int) -> tuple[int, int]:
    """Give where the event starts and ends that contains a place in a region."""
    start = region.rfind(b"\n\n", 0, at) + 2
    end = region.find(b"\n\n", at)
    return (0 if start == 1 else start), (len(region) if end < 0 else end)


def events_in(region: bytes) -> Iterator[bytes]:
    """Give the events of a region one by one, without the blank lines between them."""
    for event in region.split(b"\n\n"):
        if event:
            yield event


def data_of(event: bytes) -> bytes:
    """Give the data of one event; several data lines are joined by line ends."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[6:] if event[5:6] == b" " else event[5:]
    lines = []
    for line in event.split(b"\n"):
        if line.startswith(b"data:"):
            lines.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            lines.append(b"")
    return b"\n".join(lines)


class Glimpse:
    """What the events of a stream say beside the usage, gathered only if that is missing.

    ``known`` tells that it is the kind of stream that was expected, or empty; ``ended`` that
    some event said that nothing more would be generated; ``background`` that the work goes on
    when nobody reads. ``tools`` are the provider's own tools that ran, by their place.
    """

    __slots__ = (
        "_room",
        "_said",
        "_sample",
        "_size_bytes",
        "background",
        "ended",
        "error_code",
        "events",
        "model",
        "response_id",
        "tools",
    )

    def __init__(self) -> None:
        self.response_id = ""
        self.model = ""
        self.error_code = ""
        self._size_bytes = 0
        self._sample: list[str] = []
        self._room = SAMPLE_CHARACTERS_MAX
        self._said = NOTHING_SAID  # calls and thoughts; its size stands above
        self.ended = False
        self.background = False
        self.events = 0
        self.tools: dict[int, str] = {}

    @property
    def known(self) -> bool:
        return bool(self.response_id or self._size_bytes or not self.events)

    @property
    def text_bytes(self) -> GeneratedText:
        """Say how much text was generated, and how it began."""
        sample, said = "".join(self._sample)[:SAMPLE_CHARACTERS_MAX], self._said
        return GeneratedText(self._size_bytes, sample, said.calls, thoughts=said.thoughts)

    def hear(self, text: str) -> None:
        """Take a piece of generated text: the quick way for what nearly all pieces are."""
        self._size_bytes += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        if self._room > 0:
            self._sample.append(text)
            self._room -= len(text)

    def add(self, said: GeneratedText) -> None:
        """Take something generated that was sized already."""
        if said.calls or said.thoughts is not NO_THOUGHTS:
            self._said += GeneratedText(0, "", said.calls, thoughts=said.thoughts)
        self._size_bytes += int(said)
        if said.sample and self._room > 0:
            self._sample.append(said.sample)
            self._room -= len(said.sample)


class RecentEvents(Generic[T]):
    """Holds on to the latest events, unread, and reads them when there is no other way.

    ``look`` takes one event and adds what it says to the glimpse. It is called for events
    that make room for newer ones, and for the rest when a glimpse is wanted. ``texts`` takes
    the JSON out of a region.
    """

    __slots__ = ("_glimpse", "_look", "_regions", "_room", "_shape", "_texts")

    def __init__(
        self,
        shape: Shape[T],
        look: Callable[[T, Glimpse], None],
        texts: Callable[[bytes], list[bytes]] | None = None,
    ) -> None:
        self._shape = shape
        self._look = look
        self._texts = texts or all_data
        self._regions: list[bytes] = []
        self._room = _GLIMPSE_BYTES_MAX
        self._glimpse: Glimpse | None = None  # most streams say what they used, and need none

    def keep(self, region: bytes) -> None:
        """Remember some events."""
        self._regions.append(region)
        self._room -= len(region)
        if self._room < 0:
            self.glimpse()

    def mentions(self, word: bytes) -> bool:
        """Tell whether a word may have stood in any event so far."""
        heard = self._glimpse is not None and self._glimpse.events > 0
        return heard or any(word in region for region in self._regions)

    def glimpse(self) -> Glimpse:
        """Say what all events so far have said."""
        text, self._regions, self._room = b"".join(self._regions), [], _GLIMPSE_BYTES_MAX
        look, glimpse = self._look, self._glimpse or Glimpse()
        self._glimpse = glimpse
        for event in self._shape.read_all(self._texts(text)):
            look(event, glimpse)
            glimpse.events += 1
        return glimpse


def all_data(region: bytes) -> list[bytes]:
    """Give the data of every event. Nearly all streams are written in one of two ways."""
    if region.startswith(b"data: ") and region.count(b"\n") == 2 * region.count(b"\n\ndata: ") + 2:
        return region[6:-2].split(b"\n\ndata: ")
    found = []
    lines = (b"\n" + region).split(b"\ndata: ")[1:]
    for line in lines:
        end = line.find(b"\n")
        if line[end : end + 2] != b"\n\n":
            break  # another field follows, or more data
        found.append(line[:end])
    else:
        if region.count(b"\ndata") + region.startswith(b"data") == len(lines):
            return found
    return [data_of(event) for event in events_in(region)]
