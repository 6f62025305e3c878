"""The timeline of a call: for each attempt when it waited, and when the reply arrived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

WIDTH: Final = 1_000
ROW: Final = 20
_BAR: Final = 12
_THIN: Final = 3


class Span(NamedTuple):
    """One attempt, in milliseconds after the call began.

    ``first_byte_ms`` is when its first byte came, None if none did; ``failed`` tells that it
    brought no usable reply.
    """

    start_ms: int
    first_byte_ms: int | None
    end_ms: int
    failed: bool


def call_timeline(spans: Sequence[Span]) -> Markup:
    """Draw one row for each attempt; the width is the whole call."""
    whole_ms = max((span.end_ms for span in spans), default=0) or 1

    def place(at_ms: int) -> int:
        return min(WIDTH - _THIN, max(0, at_ms * WIDTH // whole_ms))

    rects = []
    for row, span in enumerate(spans):
        y = row * ROW + (ROW - _BAR) // 2
        start, end = place(span.start_ms), max(place(span.start_ms) + _THIN, place(span.end_ms))
        first = end if span.first_byte_ms is None else min(end, place(span.first_byte_ms))
        kinds = (("waits", start, first), ("failed" if span.failed else "arrives", first, end))
        rects += [
            f'<rect class="{kind}" x="{left}" y="{y}" width="{right - left}" height="{_BAR}"/>'
            for kind, left, right in kinds
            if right > left
        ]
        if span.failed and first == end:
            rects.append(
                f'<rect class="failed" x="{end - _THIN}" y="{y}" width="{_THIN}" height="{_BAR}"/>'
            )
    return Markup(  # noqa: S704 - numbers and fixed words only
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {max(1, len(spans)) * ROW}"'
        f' preserveAspectRatio="none" aria-hidden="true" focusable="false">{"".join(rects)}</svg>'
    )
