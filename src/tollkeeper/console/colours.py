"""Colours of series: a name keeps its colour on every page, under every filter and rank.

The palette has nine places and one for "Other". A name's hash puts the places into an order
that is the name's own; the first that no other name of the same picture has is given to it,
and remembered, so that a filter or another period does not change it. Memory is bounded and
lost at a restart; then the same hashes lead to nearly the same colours again. Only when more
than nine names come together can two of different pictures share a colour.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

PLACES: Final = 9
OTHER: Final = 9
"""The place of everything that is not shown by itself."""
_NAMES_MAX: Final = 4_096


class ColourBook:
    """Remembers which place of the palette each name has. Safe to use from several threads."""

    def __init__(self, names_max: int = _NAMES_MAX) -> None:
        self._places: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._names_max = names_max
        self._lock = threading.Lock()

    def places(self, dimension: str, names: Sequence[str]) -> tuple[int, ...]:
        """Give each of at most ``PLACES`` names of a dimension a place of its own.

        Names that are remembered keep their place unless an earlier name of the list has it.
        """
        with self._lock:
            taken: dict[int, str] = {}
            for name in names:  # those that have a place come first
                place = self._places.get((dimension, name))
                if place is not None:
                    taken.setdefault(place, name)
            given = {name: place for place, name in taken.items()}
            for name in names:
                if name not in given:
                    given[name] = next(
                        place for place in _preferred(dimension, name) if place not in taken
                    )
                    taken[given[name]] = name
                    self._places.setdefault((dimension, name), given[name])
                self._places.move_to_end((dimension, name))
            while len(self._places) > self._names_max:
                self._places.popitem(last=False)
            return tuple(given[name] for name in names)


def _preferred(dimension: str, name: str) -> list[int]:
    """Put the places into the order that belongs to a name."""
    text = f"{dimension}\0{name}".encode("utf-8", "surrogatepass")
    digest = blake2b(text, digest_size=PLACES).digest()
    return sorted(range(PLACES), key=lambda place: (digest[place], place))
