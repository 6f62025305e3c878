"""Hiding figures of small groups, so that what is hidden cannot be computed from the rest.

A figure counts people of several blocks (teams) that have no person in common, and of all
blocks together. It is shown of a block where every group that it tells apart, the people left
over included, has at least so many people. Where a block is hidden, others are hidden with it
until those together could be shown: the total without the blocks that are shown is then about
enough people, and says nothing of any one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

GROUP_MIN_LEAST = 2
"""Below this a group is a person."""

OTHERS = "other"


def is_safe(counts: Iterable[int], group_min: int) -> bool:
    """Tell whether groups that together are everybody may be told apart."""
    return all(count >= group_min for count in counts)


def hidden_blocks(
    sizes: Mapping[str, int],
    safe: Callable[[Collection[str]], bool],
    hidden_already: Collection[str] = (),
) -> frozenset[str] | None:
    """Say which blocks to hide; None: all of them, and the total as well.

    ``sizes`` has the people of each block: the smallest are hidden first. ``safe`` tells
    whether a figure may be shown of some blocks together. ``hidden_already`` are hidden in any
    case, because another figure that follows from this one is hidden of them.
    """
    hidden = {name for name in sizes if name in hidden_already or not safe((name,))}
    shown = sorted((name for name in sizes if name not in hidden), key=lambda it: (sizes[it], it))
    while hidden and not (len(hidden) > 1 and safe(hidden)):
        if not shown:
            return None
        hidden.add(shown.pop(0))
    return frozenset(hidden) if safe(tuple(sizes)) else None


def merged_parts(counts: Mapping[str, int], group_min: int) -> dict[str, int] | None:
    """Put the small parts of a whole together as ``OTHERS`` until every part is large enough.

    Gives None where fewer than two parts would be left, which would say that all are alike.
    """
    kept = {name: count for name, count in counts.items() if count >= group_min and name != OTHERS}
    rest = sum(counts.values()) - sum(kept.values())
    while 0 < rest < group_min and kept:
        smallest = min(kept, key=lambda name: (kept[name], name))
        rest += kept.pop(smallest)
    if rest:
        kept[OTHERS] = rest
    return kept if len(kept) > 1 and is_safe(kept.values(), group_min) else None
