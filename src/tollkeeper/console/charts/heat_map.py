"""A heat map: rows of shares, darker where more of the group is there."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from markupsafe import Markup, escape

LEVELS: Final = 5
"""Shades of one colour, so that lightness alone tells them apart."""

CELL: Final = (46, 22)
_GAP: Final = 2


def level_of(share: Decimal) -> int:
    """Give the shade of a share: 1 for the lowest fifth, ``LEVELS`` for the highest."""
    return max(1, min(LEVELS, int(share * LEVELS) + 1))


def heat_map(
    rows: Sequence[Sequence[Decimal | None]],
    columns: int,
    words: Sequence[Sequence[str]] = (),
) -> Markup:
    """Draw shares from 0 to 1; what is hidden or not known is an empty frame.

    ``words`` has what a pointer over each cell is told, "" or nothing at all for none.
    """
    width, height = CELL
    cells = []
    for down, row in enumerate(rows):
        for right, share in enumerate(row):
            shade = "none" if share is None else f"h{level_of(share)}"
            told = escape(words[down][right]) if words else ""
            title = f"<title>{told}</title>" if told else ""
            cells.append(
                f'<rect class="{shade}" x="{right * width + 1}" y="{down * height + 1}"'
                f' width="{width - _GAP}" height="{height - _GAP}" rx="3">{title}</rect>'
            )
    return Markup(  # noqa: S704 - numbers, and words that are escaped
        f'<svg class="heat" viewBox="0 0 {columns * width} {len(rows) * height}"'
        f' preserveAspectRatio="none" aria-hidden="true" focusable="false">{"".join(cells)}</svg>'
    )
