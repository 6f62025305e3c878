"""A bullet bar: how much of a limit is spent and held, with the marks at which somebody is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

_WIDTH: Final = 1_000
_FULL_BP: Final = 10_000
_SMALLEST: Final = 8
_TICK: Final = 4


def bullet_bar(spent_bp: int, held_bp: int, marks_bp: Sequence[int], tone: str) -> Markup:
    """Draw shares of a limit, all in basis points of it. ``tone`` is a class: "", warn or bad.

    The bar is as long as the limit, or as what was spent where that is more. What is there
    stays visible, however small it is.
    """
    spent_bp, held_bp = max(0, spent_bp), max(0, held_bp)
    whole = max(_FULL_BP, spent_bp + held_bp)
    spent = _part(spent_bp, whole)
    held = min(_part(held_bp, whole), _WIDTH - spent)
    over = whole > _FULL_BP
    marks = sorted({mark for mark in marks_bp if mark < whole} | ({_FULL_BP} if over else set()))
    ticks = "".join(
        f'<rect class="mark{" limit" if mark == _FULL_BP else ""}"'
        f' x="{mark * _WIDTH // whole - _TICK // 2}" width="{_TICK}" height="100"/>'
        for mark in marks
    )
    classes = f"bullet {tone}".strip()
    return Markup(  # noqa: S704 - numbers and classes of our own
        f'<svg class="{classes}" viewBox="0 0 {_WIDTH} 100" preserveAspectRatio="none"'
        f' aria-hidden="true" focusable="false"><rect class="all" width="{_WIDTH}" height="100"/>'
        f'<rect class="spent" width="{spent}" height="100"/>'
        f'<rect class="held" x="{spent}" width="{held}" height="100"/>{ticks}</svg>'
    )


def _part(share_bp: int, whole_bp: int) -> int:
    return max(_SMALLEST, share_bp * _WIDTH // whole_bp) if share_bp else 0
