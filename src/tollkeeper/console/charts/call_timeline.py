"""The timeline of a call: for each attempt when it waited, and when the reply arrived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

WIDTH: Final = 1_000
HEIGHT: Final = 10
_THIN: Final = 6


class Span(NamedTuple):
    """One attempt, in milliseconds after the call began.

    ``first_byte_ms`` is when its first byte came, None if none did; ``failed`` tells that it
    brought no usable reply.
    """

    start_ms: int
    first_byte_ms: int | None
    end_ms: int
    failed: bool


def call_timeline(spans: Sequence[Span]) -> tuple[Markup, ...]:
    """Draw one bar for each attempt; the width of each picture is the whole call."""
    whole_ms = max((span.end_ms for span in spans), default=0) or 1
    return tuple(_picture(span, whole_ms) for span in spans)


def _picture(span: Span, whole_ms: int) -> Markup:
    def place(at_ms: int) -> int:
        return min(WIDTH - _THIN, max(0, at_ms * WIDTH // whole_ms))

    start = place(span.start_ms)
    end = max(start + _THIN, min(WIDTH, span.end_ms * WIDTH // whole_ms))
    first = end if span.first_byte_ms is None else min(end, place(span.first_byte_ms))
    kinds = [("waits", start, first), ("failed" if span.failed else "arrives", first, end)]
    if span.failed and first == end:
        kinds.append(("failed", end - _THIN, end))
    rects = "".join(
        f'<rect class="{kind}" x="{left}" width="{right - left}" height="{HEIGHT}"/>'
        for kind, left, right in kinds
        if right > left
    )
    return Markup(  # noqa: S704 - numbers and fixed words only
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
        f' aria-hidden="true" focusable="false">{rects}</svg>'
    )
