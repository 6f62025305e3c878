"""Flows between groups, as Explore draws them: nodes, bands, and the table of the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from markupsafe import Markup

from tollkeeper.console import metrics, words
from tollkeeper.console.charts.sankey import Flow, Node, sankey
from tollkeeper.console.colours import OTHER, ColourBook
from tollkeeper.console.explore_lines import (
    Addresses,
    addresses_of,
    decimal_of,
    group_text,
    narrowed,
)
from tollkeeper.console.links import Links, value_of
from tollkeeper.reports.explore import Explored, Key, Row
from tollkeeper.reports.measures import Kind, Value

_NODES: Final = 8
"""How many groups of a level are drawn by themselves."""


class Band(NamedTuple):
    """One flow in words. ``href`` leads to its calls, "" where it is of several groups."""

    source: str
    target: str
    value: str
    full: str
    href: str


@dataclass(frozen=True, slots=True)
class Sankey:
    """The picture of flows between groups, and the table of the same numbers."""

    svg: Markup
    heads: tuple[str, ...]
    levels: tuple[tuple[Band, ...], ...]


def sankey_of(found: Explored, links: Links, colours: ColourBook) -> Sankey | None:
    """Give the flows from the first group to the last; None where there is nothing to draw."""
    dimensions = found.question.group_by
    if len(dimensions) < 2 or not found.question.adds_up:
        return None
    rows = [row for row in found.flows if row.now and row.now > 0]
    rest = _rest(found)
    levels = [_level(rows, place) for place in range(len(dimensions))]
    amounts: dict[tuple[int, int, int], Decimal] = {}
    for row in rows:
        at = [places.get(row.keys[level], _NODES) for level, places in enumerate(levels)]
        _add(amounts, at, Decimal(row.now or 0))
    if rest and rest > 0:
        _add(amounts, [_NODES] * len(dimensions), rest)
    if not amounts:
        return None
    names = _node_names(found, rows, levels)
    at_calls = addresses_of(found, links)
    flows = [
        Flow(*key, amount, _words(found, names, key, amount)) for key, amount in amounts.items()
    ]
    nodes = [
        _nodes(dimension, names[level], levels[level], links, colours if level else None)
        for level, dimension in enumerate(dimensions)
    ]
    return Sankey(
        svg=sankey(nodes, flows),
        heads=tuple(words.dimension(each).name for each in dimensions),
        levels=tuple(
            _bands(found, names, levels, at_calls, [each for each in flows if each.level == level])
            for level in range(len(dimensions) - 1)
        ),
    )


def _rest(found: Explored) -> Decimal | None:
    """Give what is in none of the flows, which are more than the rows of the table."""
    total = decimal_of(found.total.now)
    if total is None or len(found.flows) >= found.groups:
        return None
    return total - sum(Decimal(row.now) for row in found.flows if row.now)


def _level(rows: Sequence[Row], place: int) -> dict[Key, int]:
    """Give the largest groups of a level their places, from the top down."""
    sums: dict[Key, Decimal] = {}
    for row in rows:
        key = row.keys[place]
        sums[key] = sums.get(key, Decimal(0)) + Decimal(row.now or 0)
    first = sorted(sums, key=lambda key: sums[key], reverse=True)[:_NODES]
    return {key: index for index, key in enumerate(first)}


def _add(amounts: dict[tuple[int, int, int], Decimal], at: Sequence[int], amount: Decimal) -> None:
    for level in range(len(at) - 1):
        key = (level, at[level], at[level + 1])
        amounts[key] = amounts.get(key, Decimal(0)) + amount


def _node_names(
    found: Explored, rows: Sequence[Row], levels: Sequence[dict[Key, int]]
) -> list[list[str]]:
    """Give the names of each level's nodes, last that of all the others."""
    names = []
    for level, (dimension, places) in enumerate(zip(found.question.group_by, levels, strict=True)):
        known = {row.keys[level]: row.names[level] for row in rows}
        shown = [group_text(dimension, key, known[key]) for key in places]
        shown += [""] * (_NODES - len(shown))
        names.append([*shown, f"Other {words.dimension(dimension).several}"])
    return names


def _nodes(
    dimension: str,
    names: Sequence[str],
    places: dict[Key, int],
    links: Links,
    colours: ColourBook | None,
) -> list[Node]:
    slots: Sequence[int] = [OTHER] * _NODES
    if colours is not None:
        slots = colours.places(dimension, names[: len(places)])
    nodes = [
        Node(names[index], names[index], slots[index], _of_node(links, dimension, key))
        for key, index in places.items()
    ]
    nodes += [Node("", "", OTHER, "")] * (_NODES - len(nodes))
    return [*nodes, Node(names[-1], names[-1], OTHER, "")]


def _of_node(links: Links, dimension: str, key: Key) -> str:
    return links.narrowed(dimension, value_of(key)).explore()


def _words(
    found: Explored, names: Sequence[Sequence[str]], key: tuple[int, int, int], amount: Decimal
) -> str:
    level, source, target = key
    value = metrics.full(found.question.metric, _of_kind(found, amount))
    return f"{names[level][source]} to {names[level + 1][target]}: {value}"


def _bands(
    found: Explored,
    names: Sequence[Sequence[str]],
    levels: Sequence[dict[Key, int]],
    at: Addresses,
    flows: Sequence[Flow],
) -> tuple[Band, ...]:
    metric, group_by = found.question.metric, found.question.group_by
    ordered = sorted(flows, key=lambda each: each.amount, reverse=True)
    texts = metrics.column(metric, [_of_kind(found, each.amount) for each in ordered])
    bands = []
    for flow, text in zip(ordered, texts, strict=True):
        pair = [
            [key for key, place in levels[level].items() if place == index]
            for level, index in ((flow.level, flow.source), (flow.level + 1, flow.target))
        ]
        href = ""
        if all(pair):
            dimensions = group_by[flow.level : flow.level + 2]
            href = narrowed(at, dimensions, [each[0] for each in pair]).now.calls()
        bands.append(
            Band(
                names[flow.level][flow.source],
                names[flow.level + 1][flow.target],
                text,
                metrics.full(metric, _of_kind(found, flow.amount)),
                href,
            )
        )
    return tuple(bands)


def _of_kind(found: Explored, amount: Decimal) -> Value:
    return amount if found.question.kind is Kind.MONEY else int(amount)
