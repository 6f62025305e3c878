"""Why did it change: the cost of two periods, and the causes between them.

One pass over the entries sums up every model in every tier, by one dimension, in both periods;
``domain.bridge`` takes the difference apart. Its causes add up to the difference of what is
known; calls without a price are counted beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.bridge import NOTHING, Cause, Cell, Effects, Side, added, effects_of
from tollkeeper.domain.ledger import TOKEN_FIELDS, Basis, Outcome
from tollkeeper.domain.money import EXACT, nanos_of_usd, usd, usd_sum
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import CACHE_READ, INPUT_TOKENS, OUTPUT_TOKENS
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.dimensions import NAMES, check_dimension, dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.measures import ratio
from tollkeeper.reports.period import Period
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.selection import Selection, SelectionShape, latest, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

ROWS_MAX: Final = 200
PAIRS_MAX: Final = 10
CELLS_MAX: Final = 5_000
CHOICES: Final = frozenset({"model", "model_requested", "model_served", "provider", "tier"})
"""Dimensions that say what was chosen for a request. By these, requests that moved from one value
to another are mix; by all others each value's own requests are its volume."""

_NOTHING_SPENT: Final = (Outcome.REFUSED, Outcome.UPSTREAM_ERROR, Outcome.UPSTREAM_FAILED)
_MODEL: Final = "model"
_LONG: Final = " above="  # in the key of a price that is for long prompts only
_NO_PIECES: Final = "{}"
_READ_MAX: Final = 8 * CELLS_MAX  # rows: a cell has two sides, what counts on each and what not
_OF_USES: Final = ("uses", *(field for field, _ in TOKEN_FIELDS))
_CELL: Final = ("part", "provider", _MODEL, "tier", "batch", "flat", "long", "pieces")
_BEFORE, _NOW, _BOTH = range(3)

Key = str | int | bool | None


@dataclass(frozen=True, slots=True)
class ChangesQuestion:
    """What to compare: ``period`` with ``before``, up to as far as each has elapsed.

    Raises BadQuestion for a dimension that there is not.
    """

    period: Period
    before: Period
    dimension: str = "team"
    filters: tuple[Filter, ...] = ()

    def __post_init__(self) -> None:
        check_dimension("by", self.dimension)


class Amounts(NamedTuple):
    """What one period adds up to. ``cost_usd`` is what is known of it.

    ``requests`` are those behind the cost, and so are the tokens; ``unpriced`` counts entries
    without a price, which are in none of the others.
    """

    cost_usd: Decimal = Decimal(0)
    requests: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    unpriced: int = 0

    @property
    def tokens_in_each(self) -> Decimal | None:
        return ratio(self.tokens_in, self.requests)

    @property
    def tokens_out_each(self) -> Decimal | None:
        return ratio(self.tokens_out, self.requests)

    @property
    def cached_share(self) -> Decimal | None:
        return ratio(self.tokens_cached, self.tokens_in)


@dataclass(frozen=True, slots=True)
class Bridge:
    """From the cost before to the cost now, by cause.

    ``key`` is what a filter takes, ``name`` what people read ("" where there is none); of a
    pair ``model`` is the model's name. ``effects`` are USD and add up to the difference.
    ``is_choice`` tells that it is one of several things that requests move between.
    """

    key: Key
    name: str
    model: str
    before: Amounts
    now: Amounts
    effects: Mapping[Cause, Decimal]
    is_choice: bool = False

    @property
    def difference_usd(self) -> Decimal:
        """Give what was spent more now, of what is known."""
        return EXACT.subtract(self.now.cost_usd, self.before.cost_usd)


@dataclass(frozen=True, slots=True)
class Changes:
    """All together, each value of the dimension, and the values with their models.

    ``rows`` are those that changed most, at most ``ROWS_MAX`` of ``rows_found``, ``other`` all
    further ones together (None when there are none); ``pairs`` the models of a value that changed
    most, none where the dimension is the model itself.
    """

    question: ChangesQuestion
    now_us: int
    total: Bridge
    rows: tuple[Bridge, ...]
    pairs: tuple[Bridge, ...]
    rows_found: int
    other: Bridge | None = None


def changes(
    ledger: Ledger, scope: Scope, question: ChangesQuestion, book: PriceBook, now_us: int
) -> Changes:
    """Answer within what the scope allows. Raises BadQuestion where it comes to too many cells.

    ``book`` says how the prices of a model's kinds of tokens stand to each other.
    """
    cells = _rows(ledger, scope, question)
    if len(cells) >= _READ_MAX or len({_place(row) for row in cells if _says(row)}) > CELLS_MAX:
        raise BadQuestion("by", f"more than {CELLS_MAX:,} values with their models: add a filter")
    spots = _spots(cells, question.dimension, book)
    effects = effects_of([spot.cell for spot in spots])
    found = list(zip(spots, effects, strict=True))
    is_choice = question.dimension in CHOICES
    rows = [replace(row, is_choice=is_choice) for row in _together(found, lambda spot: spot.key)]
    pairs = [] if question.dimension == _MODEL else _together(found, lambda spot: spot.pair)
    whole = _together(found, lambda spot: "")
    return Changes(
        question,
        now_us,
        total=whole[0] if whole else Bridge(None, "", "", Amounts(), Amounts(), {}),
        rows=tuple(rows[:ROWS_MAX]),
        pairs=tuple(pairs[:PAIRS_MAX]),
        rows_found=len(rows),
        other=_as_one(rows[ROWS_MAX:]),
    )


class _Spot(NamedTuple):
    """A cell, and what it is called."""

    key: Key
    name: str
    pair: Hashable
    model: str
    cell: Cell


def _rows(ledger: Ledger, scope: Scope, question: ChangesQuestion) -> list[dict[str, Any]]:
    now, before = question.period, question.before
    bounds = {
        "now_start": now.start_us,
        "now_end": now.until_us,
        "before_start": before.start_us,
        "before_end": before.until_us,
    }
    selection = Selection(
        *(scope, min(bounds.values()), max(bounds.values()), question.filters), zone=now.zone
    ).summed((question.dimension,), bounds.values(), daily=ledger.days_zone())
    values = selection.values() | {name: zones.moment_of(at) for name, at in bounds.items()}
    return ledger.run(_by_cell(ledger, selection.shape(), question.dimension), values)


def _spots(rows: Iterable[Mapping[str, Any]], name: str, book: PriceBook) -> list[_Spot]:
    """Put the two sides of each cell together."""
    sides: dict[tuple[Any, ...], list[Side]] = {}
    names: dict[Any, str] = {}
    for row in rows:
        place = _place(row)
        found = sides.setdefault(place, [NOTHING, NOTHING])
        side = _side(row, book)
        for index in (_BEFORE, _NOW):
            if row["side"] in {index, _BOTH}:
                found[index] = _with(found[index], side)
        names[row["part"]] = max(names.get(row["part"], ""), row.get("name") or "")
    return [
        _Spot(
            key=place[0],
            name=names[place[0]] or _text(place[0]),
            pair=place[:3],
            model=place[2],
            cell=Cell("" if name in CHOICES else place[0], place[:3], *both),
        )
        for place, both in sides.items()
        if any(side != NOTHING for side in both)
    ]


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in _CELL)


def _says(row: Mapping[str, Any]) -> bool:
    """Tell whether there is anything in a row that is shown."""
    return bool(
        row["cost"] or row["unpriced"] or (row["counts"] and any(row[name] for name in _OF_USES))
    )


def _side(row: Mapping[str, Any], book: PriceBook) -> Side:
    if not row["counts"]:
        cost_nanos = nanos_of_usd(row["cost"] or 0)
        return Side(cost_nanos=cost_nanos, unpriced=int(row["unpriced"] or 0))
    tokens = {name: int(row[field]) for field, name in TOKEN_FIELDS if row[field]}
    at_us = zones.epoch_us_of(row["at"].replace(tzinfo=UTC))
    place = row["price_provider"] or row["provider"]
    return Side(
        uses=int(row["uses"] or 0),
        cost_nanos=nanos_of_usd(row["cost"] or 0),
        tokens=tokens,
        weights=book.weights(place, row["model"], at_us, row["tier"]) if tokens else {},
        unpriced=int(row["unpriced"] or 0),
    )


def _with(one: Side, more: Side) -> Side:
    """Add up two parts of one period: what counts as used and what not, what is in both periods
    and what in this one alone."""
    if one == NOTHING:
        return more
    tokens = {
        name: one.tokens.get(name, 0) + more.tokens.get(name, 0)
        for name in (*INPUT_TOKENS, *OUTPUT_TOKENS)
    }
    return Side(
        one.uses + more.uses,
        one.cost_nanos + more.cost_nanos,
        {name: count for name, count in tokens.items() if count},
        more.weights or one.weights,
        one.unpriced + more.unpriced,
    )


def _together(
    found: Sequence[tuple[_Spot, Effects]], key_of: Callable[[_Spot], Hashable]
) -> list[Bridge]:
    """Add up the cells of each key; what changed most comes first."""
    groups: dict[Hashable, list[tuple[_Spot, Effects]]] = {}
    for spot, effects in found:
        groups.setdefault(key_of(spot), []).append((spot, effects))
    bridges = [
        Bridge(
            key=some[0][0].key,
            name=some[0][0].name,
            model=some[0][0].model,
            before=_amounts(spot.cell.before for spot, _ in some),
            now=_amounts(spot.cell.now for spot, _ in some),
            effects={cause: usd(nanos) for cause, nanos in added(each for _, each in some).items()},
        )
        for some in groups.values()
    ]
    return sorted(
        bridges, key=lambda each: (-abs(each.difference_usd), _text(each.key), each.model)
    )


def _as_one(rows: Sequence[Bridge]) -> Bridge | None:
    """Add up rows; None for none."""
    if not rows:
        return None
    effects: dict[Cause, Decimal] = {}
    for row in rows:
        for cause, amount in row.effects.items():
            effects[cause] = EXACT.add(effects.get(cause, Decimal(0)), amount)
    return Bridge(
        *(None, "", ""),
        before=_summed([row.before for row in rows]),
        now=_summed([row.now for row in rows]),
        effects={cause: effects[cause] for cause in Cause if effects.get(cause)},
        is_choice=rows[0].is_choice,
    )


def _summed(amounts: Sequence[Amounts]) -> Amounts:
    return Amounts(
        usd_sum(each.cost_usd for each in amounts),
        sum(each.requests for each in amounts),
        sum(each.tokens_in for each in amounts),
        sum(each.tokens_cached for each in amounts),
        sum(each.tokens_out for each in amounts),
        sum(each.unpriced for each in amounts),
    )


def _amounts(sides: Iterable[Side]) -> Amounts:
    cost_nanos = requests = tokens_in = cached = tokens_out = unpriced = 0
    for side in sides:
        cost_nanos += side.cost_nanos
        requests += side.uses
        unpriced += side.unpriced
        tokens_in += sum(side.tokens.get(kind, 0) for kind in INPUT_TOKENS)
        tokens_out += sum(side.tokens.get(kind, 0) for kind in OUTPUT_TOKENS)
        cached += sum(n for kind, n in side.tokens.items() if kind.startswith(CACHE_READ))
    return Amounts(usd(cost_nanos), requests, tokens_in, cached, tokens_out, unpriced)


def _text(key: Key) -> str:
    if key is None:
        return ""
    return str(key).lower() if isinstance(key, bool) else str(key)


# ------------------------------------------------------------------ the query


@lru_cache(64)
def _by_cell(ledger: Ledger, shape: SelectionShape, name: str) -> ir.Table:
    """Sum up each model in each tier by a dimension, in each period (``side``).

    A tier is what has prices of its own: also a batch, a subscription, a prompt so long that it
    costs more by the token, and calls with something that is billed by the piece.

    Entries in both periods, where these overlap, stand apart. So does what ``counts``: tokens and
    uses are those of entries that have a cost; an attempt that failed without one is no use. (As
    a group, not as a condition of twenty sums, each of which an engine would plan by itself.)
    A further model that a request billed counts as a use of that model.
    """
    table = selected(ledger, shape)
    is_summed = shape.edges is not None
    is_now, is_before = _within(table, "now"), _within(table, "before")
    table = table.filter(is_now | is_before)
    is_now, is_before = _within(table, "now"), _within(table, "before")
    groups = {
        "part": dimension(ledger, table, name),
        "provider": table.provider,
        "model": dimension(ledger, table, _MODEL),
        "tier": table.tier,
        "batch": table.batch,
        "flat": table.basis == Basis.FLAT_RATE.value,
        "long": table.price_key.contains(_LONG),
        "pieces": table.has_pieces if is_summed else table.units != _NO_PIECES,
        "side": ibis.cases(
            (is_now & is_before, ibis.literal(_BOTH, "int64")),
            (is_now, ibis.literal(_NOW, "int64")),
            else_=ibis.literal(_BEFORE, "int64"),
        ),
        "counts": (table.priced if is_summed else table.unpriced == 0)
        & ~table.outcome.isin([each.value for each in _NOTHING_SPENT]),
    }
    if is_summed:
        stands = table.stands
    else:
        stands = ((table.corrects == "") | (table.revision > 0)).ifelse(table.sign, 0)
    sums = {
        "uses": (table.part > 0).ifelse(stands, table.requests).sum(),
        "cost": table.cost_usd.sum(),
        "unpriced": table.unpriced.sum(),
        "at": (table.last_at if is_summed else table.started_at).max(),
        "price_provider": latest(table, "price_provider"),
        **{field: table[field].sum() for field, _ in TOKEN_FIELDS},
    }
    if name in NAMES:
        sums["name"] = latest(table, NAMES[name])
    return table.group_by(**groups).agg(**sums).limit(_READ_MAX)


def _within(table: ir.Table, period: str) -> ir.BooleanValue:
    start, end = bindings.moment(f"{period}_start"), bindings.moment(f"{period}_end")
    return (table.started_at >= start) & (table.started_at < end)
