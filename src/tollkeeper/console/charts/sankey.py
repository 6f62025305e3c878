"""A sankey: what flows from each group on the left to each on the right, as wide as it is much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from markupsafe import Markup

WIDTH: Final = 960
_HEIGHT: Final = (260, 480)
_NODE_HEIGHT: Final = 46
_GAP: Final = 12
_BAR: Final = 9
_ROOM: Final = (150, 190)
"""Room for the names on the left and on the right."""
_NAME_CHARS_MAX: Final = 24
_THINNEST: Final = 2


class Node(NamedTuple):
    """One group of a level. ``slot`` is its colour, ``href`` where a click on it leads."""

    name: str
    full: str
    slot: int
    href: str


class Flow(NamedTuple):
    """What goes from a node of one level to a node of the next; ``amount`` is above zero."""

    level: int
    source: int
    target: int
    amount: Decimal
    full: str


def sankey(levels: Sequence[Sequence[Node]], flows: Sequence[Flow]) -> Markup:
    """Draw the levels from the left to the right; a node is as high as what flows through it."""
    most = max((len(nodes) for nodes in levels), default=1)
    height = min(_HEIGHT[1], max(_HEIGHT[0], most * _NODE_HEIGHT))
    total = sum((flow.amount for flow in flows if flow.level == 0), Decimal(0)) or Decimal(1)
    scale = (height - _GAP * (most - 1)) / total
    places = [_places(level, nodes, flows, scale, height) for level, nodes in enumerate(levels)]
    parts = [_band(flow, places, len(levels), scale, done) for flow, done in _stacked(flows)]
    for level, nodes in enumerate(levels):
        parts += [
            _node(node, _left(level, len(levels)), *places[level][index], level, len(levels))
            for index, node in enumerate(nodes)
            if index in places[level]
        ]
    return Markup(
        '<svg class="sankey" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">{}</svg>'
    ).format(WIDTH, height, Markup().join(parts))


def _left(level: int, levels: int) -> int:
    span = WIDTH - sum(_ROOM) - _BAR
    return _ROOM[0] + span * level // max(1, levels - 1)


def _amounts(level: int, flows: Sequence[Flow]) -> dict[int, Decimal]:
    """Give what flows through each node of a level."""
    last = max((flow.level for flow in flows), default=0) + 1
    found: dict[int, Decimal] = {}
    for flow in flows:
        if flow.level == level:
            found[flow.source] = found.get(flow.source, Decimal(0)) + flow.amount
        elif level == last == flow.level + 1:
            found[flow.target] = found.get(flow.target, Decimal(0)) + flow.amount
    return found


def _places(
    level: int, nodes: Sequence[Node], flows: Sequence[Flow], scale: Decimal, height: int
) -> Mapping[int, tuple[int, int]]:
    """Give the top and the height of each node that something flows through, centred."""
    amounts = _amounts(level, flows)
    sizes = {
        index: max(_THINNEST, round(amounts[index] * scale))
        for index in range(len(nodes))
        if index in amounts
    }
    top = max(0, (height - sum(sizes.values()) - _GAP * (len(sizes) - 1)) // 2)
    found = {}
    for index, size in sizes.items():
        found[index] = (top, size)
        top += size + _GAP
    return found


def _stacked(flows: Sequence[Flow]) -> list[tuple[Flow, tuple[Decimal, Decimal]]]:
    """Say of each flow how much stands above it where it begins, and where it ends."""
    begun: dict[tuple[int, int], Decimal] = {}
    ended: dict[tuple[int, int], Decimal] = {}
    found = []
    for flow in sorted(flows, key=lambda each: (each.level, each.source, each.target)):
        left, right = (flow.level, flow.source), (flow.level, flow.target)
        found.append((flow, (begun.get(left, Decimal(0)), ended.get(right, Decimal(0)))))
        begun[left] = begun.get(left, Decimal(0)) + flow.amount
        ended[right] = ended.get(right, Decimal(0)) + flow.amount
    return found


def _band(
    flow: Flow,
    places: Sequence[Mapping[int, tuple[int, int]]],
    levels: int,
    scale: Decimal,
    done: tuple[Decimal, Decimal],
) -> Markup:
    left, right = _left(flow.level, levels) + _BAR, _left(flow.level + 1, levels)
    middle = (left + right) // 2
    thick = max(1, round(flow.amount * scale))
    from_y = places[flow.level][flow.source][0] + round(done[0] * scale)
    to_y = places[flow.level + 1][flow.target][0] + round(done[1] * scale)
    path = (
        f"M{left} {from_y}C{middle} {from_y} {middle} {to_y} {right} {to_y}v{thick}"
        f"C{middle} {to_y + thick} {middle} {from_y + thick} {left} {from_y + thick}z"
    )
    return Markup('<path class="flow" d="{}"><title>{}</title></path>').format(path, flow.full)


def _node(node: Node, left: int, top: int, size: int, level: int, levels: int) -> Markup:
    before = level == 0 and levels > 1
    x = left - 7 if before else left + _BAR + 7
    drawn = Markup(
        '<rect class="s{}" x="{}" y="{}" width="{}" height="{}" rx="2"/>'
        '<text class="{}" x="{}" y="{}">{}</text><title>{}</title>'
    ).format(
        *(node.slot, left, top, _BAR, size),
        *("end" if before else "", x, top + size // 2, _short(node.name), node.full),
    )
    if not node.href:
        return Markup("<g>{}</g>").format(drawn)
    return Markup('<a href="{}" tabindex="-1">{}</a>').format(node.href, drawn)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARS_MAX else f"{name[: _NAME_CHARS_MAX - 1]}…"
