"""How a price is explained: its lines, who says so, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tollkeeper.domain.price_plan import PriceLine


class Explanation(NamedTuple):
    """Lines that add up to the price, none where nobody can say any more.

    ``source`` is who published the prices, "own prices" for the operator's. ``standing`` is
    a ``domain.price_table.Standing``: that of the least sure price among them, "" where there
    is nothing to compare with.
    """

    lines: Sequence[PriceLine] = ()
    source: str = ""
    standing: str = ""


UNEXPLAINED = Explanation()
