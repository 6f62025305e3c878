"""A share bar: one part of a whole as a short horizontal bar."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from markupsafe import Markup

_WIDTH: Final = 1_000


def share_bar(share: Decimal | None) -> Markup:
    """Draw a share from 0 to 1; only the track where it is unknown.

    A part that is there stays visible, however small it is.
    """
    filled = 0
    if share is not None and share > 0:
        filled = min(_WIDTH, max(20, round(share * _WIDTH)))
    bar = f'<rect class="part" width="{filled}" height="60"/>' if filled else ""
    return Markup(  # noqa: S704 - numbers only
        f'<svg class="sharebar" viewBox="0 0 {_WIDTH} 60" preserveAspectRatio="none"'
        f' aria-hidden="true" focusable="false"><rect width="{_WIDTH}" height="60"/>{bar}</svg>'
    )
