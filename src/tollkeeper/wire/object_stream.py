"""Streams of JSON objects whose last one says what the reply used.

What differs between the families is how the objects are framed, how the last one is
recognised, and what it means. That it is looked for without decoding the others, and that
the others are looked at only when it never came, is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from tollkeeper.wire.json_lines import LineStream, line_around, lines_in
from tollkeeper.wire.lenient_json import Shape
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import (
    EventStream,
    Glimpse,
    RecentEvents,
    all_data,
    data_of,
    event_around,
    first_place,
)

T = TypeVar("T", bound=msgspec.Struct)


class Frames(Protocol):
    """Cuts a body into regions of whole frames."""

    def feed(self, data: bytes) -> bytes: ...
    def rest(self) -> bytes: ...


class Framing(NamedTuple):
    """How the objects of a stream are framed.

    ``around`` gives where the frame starts and ends that contains a place in a region,
    ``text`` the JSON of one frame, ``texts`` that of all frames in a region.
    """

    frames: Callable[[], Frames]
    around: Callable[[bytes, int], tuple[int, int]]
    text: Callable[[bytes], bytes]
    texts: Callable[[bytes], list[bytes]]


EVENTS: Final = Framing(EventStream, event_around, data_of, all_data)
LINES: Final = Framing(LineStream, line_around, bytes, lines_in)


class ObjectRule(NamedTuple, Generic[T]):
    """What is known of the objects of one family.

    One of the ``marks`` is in every object that can be the last. ``last`` takes an object's text,
    the object, and what is wrong with it in one word ("" for nothing); it gives the reading
    of the last one, and None for any other. ``look`` adds to a glimpse what any object says.
    """

    shape: Shape[T]
    marks: tuple[bytes, ...]
    last: Callable[[bytes, T, str], Reading | None]
    look: Callable[[T, Glimpse], None]


class ObjectStreamReader(Generic[T]):
    """Reads such a stream (``ReplyReader``)."""

    def __init__(self, rule: ObjectRule[T], framing: Framing) -> None:
        self.finished = False
        self._rule = rule
        self._framing = framing
        self._frames = framing.frames()
        self._recent = RecentEvents(rule.shape, rule.look, framing.texts)
        self._last: Reading | None = None

    def feed(self, data: bytes, *, marked: bool = True) -> None:
        """Take the next bytes of the body (see ``late_reading``)."""
        if self.finished:
            return
        region = self._frames.feed(data)
        if not region:
            return
        at = self._marked(region, 0) if marked else -1
        if at >= 0:
            self._take(region, at)
        self._keep(region)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read; without a usage, what went by is looked at for an estimate."""
        if not self.finished:
            self.feed(self._frames.rest())
        last = self._last
        if last is not None and last.usage is not None:
            return last
        seen = self.glimpse()
        found = Reading(
            None,
            seen.response_id,
            seen.text_bytes,
            seen.error_code,
            final=last is not None or seen.ended or not seen.known,
            marked=True,
        )
        return found if last is None else found._replace(error_code=last.error_code)

    def glimpse(self) -> Glimpse:
        """Say what all objects so far have said."""
        return self._recent.glimpse()

    def _keep(self, region: bytes) -> None:
        """Remember objects that may have to be looked at."""
        self._recent.keep(region)

    def _marked(self, region: bytes, start: int) -> int:
        """Give the first place of a mark, -1 where there is none."""
        first = -1
        for mark in self._rule.marks:
            at = region.find(mark, start) if start else first_place(region, mark)
            if at >= 0 and (first < 0 or at < first):
                first = at
        return first

    def _take(self, region: bytes, at: int) -> None:
        """Look at the objects that are marked, until one is the last."""
        rule, framing = self._rule, self._framing
        while at >= 0:
            start, end = framing.around(region, at)
            text = framing.text(region[start:end])
            found, fault = rule.shape.read(text)
            last = rule.last(text, found, fault) if found is not None else None
            if last is not None:
                self._last = last
                self.finished = True
                return
            at = self._marked(region, end)
