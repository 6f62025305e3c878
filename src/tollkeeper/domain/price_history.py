"""How a book grows: a further release of its source is laid over what the book says already.

Nothing that was known of the past is lost, and the past is only rewritten by rule:

1. A start that a release states holds, whenever the release was seen. What it says of the time
   before that start holds too, where the book says something else of that time.
2. A price that changed without a stated start holds from when the release was first seen.
3. A change is a correction, and the earlier price was never right, if the two differ by less
   than a hundredth, by a power of ten, or by one token in where a long prompt begins, if the
   earlier one was taken back within three weeks or became the price of another quantity, if the
   source was only being put together, or if a witness of the time had the later price before. A
   witness who had the earlier price makes it a change, also against a release that states
   otherwise.
4. A quantity that got a price for the first time is taken to have cost that before; one that
   has no price any more was listed under a wrong name, and loses it for the past as well.
5. A model that a release no longer lists stays, with the day since which it is gone; not where
   its maker's price stands in for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple, Protocol, cast

from tollkeeper.domain.price_data import ModelRow, PriceRow, ProviderRow
from tollkeeper.domain.price_match import PriceList
from tollkeeper.domain.price_windows import DAY_US, instant_us

VOLATILE: Final = frozenset({"openrouter", "novita", "huggingface_novita", "together"})
"""Resellers whose prices move from day to day: what is taken back was a price all the same."""

_ROUNDING: Final = Decimal("0.01")
_TAKEN_BACK_US: Final = 21 * DAY_US
SETTLED: Final = "2025-08-13"
"""Before this day the source changed prices that nobody had changed: it was being put together."""

_SETTLED_US: Final = instant_us(SETTLED)
_BEGINNING_US: Final = -(2**62)
_TENS: Final = frozenset(Decimal(10) ** power for power in (-6, -3, -2, -1, 1, 2, 3, 6))


class Witness(Protocol):
    """What another price list said at a time."""

    def says(self, provider: str, model: str, quantity: str, before_us: int) -> Decimal | None:
        """Give a price as it stood at the latest look before a time, None if not known."""


class NoWitness:
    """Knows nothing."""

    def says(self, provider: str, model: str, quantity: str, before_us: int) -> Decimal | None:
        """Give None."""
        return None


class Release(NamedTuple):
    """A release of a source: its name ("genai-prices 0.2.3"), when it was seen, and its rows."""

    name: str
    seen: str
    rows: Sequence[ProviderRow]


def with_release(
    book: Sequence[ProviderRow], release: Release, witness: Witness | None = None
) -> list[ProviderRow]:
    """Give the rows of a book with a further release, which is newer than all in it."""
    merge = _Merge(release, witness or NoWitness())
    old = {row["provider"]: row for row in book}
    new = {row["provider"]: row for row in release.rows}
    return [
        merge.provider(old[name], new.get(name)) if name in old else new[name]
        for name in sorted(old.keys() | new.keys())
    ]


class _Merge:
    def __init__(self, release: Release, witness: Witness) -> None:
        self._name = release.name
        self._seen = release.seen
        self._seen_us = instant_us(release.seen)
        self._witness = witness
        self._listed = {row["provider"]: PriceList(row) for row in release.rows}

    def provider(self, old: ProviderRow, new: ProviderRow | None) -> ProviderRow:
        """Give a provider's row; ``new`` is None where the release does not list it any more."""
        if new is None:
            return {**old, "models": [self._gone(model) for model in old["models"]]}
        listed = self._listed[new["provider"]]
        lenders = [self._listed[it] for it in new.get("borrows", ()) if it in self._listed]
        before = {model["model"]: model for model in old["models"]}
        models = [
            self._model(new["provider"], it, _same(it, before, listed)) for it in new["models"]
        ]
        names = {name for model in new["models"] for name in model.get("aliases", ())}
        models += [
            _without(self._gone(model), names)
            for model in old["models"]
            if not any(it.find(model["model"], self._seen_us) for it in (listed, *lenders))
        ]
        merged: ProviderRow = {**new, "models": sorted(models, key=lambda model: model["model"])}
        return merged

    def _gone(self, model: ModelRow) -> ModelRow:
        return model if "gone" in model else {**model, "gone": self._seen[:10]}

    def _model(self, provider: str, new: ModelRow, old: ModelRow | None) -> ModelRow:
        if old is None:
            return new
        prices = self._prices(f"{provider}/{new['model']}", old["prices"], new["prices"])
        return {**new, "prices": prices}

    def _prices(
        self, place: str, old: Sequence[PriceRow], new: Sequence[PriceRow]
    ) -> Sequence[PriceRow]:
        if _has_windows(old) or _has_windows(new):
            return new  # a window has no place in a line of days: the release knows best
        stated = [row for row in new if "since" in row]
        first = next((row for row in new if "since" not in row), new[0])
        # Where all that is stated is still to come, the first row is the price of now.
        is_past = bool(stated) and _start_us(stated[0]) <= self._seen_us
        until_us = _start_us(stated[0]) if is_past else self._seen_us + 1
        past = [_Cells.of(row) for row in old if _start_us(row) < until_us]
        if not past:
            return new
        now = _Cells.of(first)
        kept = {name for row in new for name in row["usd"]}
        changed = self._reconciled(place, past, now, kept, stated=is_past)
        rows = [cells.row() for cells in past]
        if changed and not is_past:
            rows.append({"since": self._seen, "said_by": self._name, **_plain(first)})
        return [*rows, *stated]

    def _reconciled(
        self, place: str, past: list[_Cells], now: _Cells, kept: set[str], *, stated: bool
    ) -> bool:
        """Settle what the past has different from now; tell whether the price has changed."""
        changed = False
        for cells in past:
            for name in cells.prices.keys() - kept:
                del cells.prices[name]
        moved = {now.prices[name] for name in now.prices.keys() - past[-1].prices.keys()}
        for name, price in now.prices.items():
            latest = past[-1].prices.get(name)
            if latest is None:
                for cells in past:
                    cells.prices.setdefault(name, price)
            elif latest != price:
                if latest in moved or self._is_correction(place, name, past, price, stated=stated):
                    _correct(past, name, price)
                else:
                    changed = True
        return changed

    def _is_correction(
        self, place: str, name: str, past: list[_Cells], price: Price, *, stated: bool
    ) -> bool:
        run = _run(past, name)
        earlier, begun_us = run[0].prices[name], _start_us(run[0].head)
        provider, _, model = place.partition("/")
        was, became = Decimal(earlier[0]), Decimal(price[0])
        witnessed = self._witness.says(provider, model, name, self._seen_us)
        if witnessed is not None and was != became and witnessed in (was, became):
            return witnessed == became
        if stated or self._seen_us < _SETTLED_US:
            return True
        if provider in VOLATILE:
            return False
        if _is_same(earlier, price) or (was and became and was / became in _TENS):
            return True
        before = past[len(past) - len(run) - 1].prices.get(name) if len(run) < len(past) else None
        return before == price and self._seen_us - begun_us < _TAKEN_BACK_US


Price = tuple[str, tuple[tuple[str, int, str], ...]]
"""The price of one quantity: base, then (kind of tier, tokens, price)."""


def _is_same(earlier: Price, later: Price) -> bool:
    """Tell whether two prices differ by rounding alone, or by long prompts being known only now."""
    (was, was_long), (became, became_long) = earlier, later
    if not was_long and became_long:
        return was == became
    olds, news = [was, *(it[2] for it in was_long)], [became, *(it[2] for it in became_long)]
    pairs = [(Decimal(old), Decimal(new)) for old, new in zip(olds, news, strict=False)]
    same_steps = len(was_long) == len(became_long) and all(
        abs(old[1] - new[1]) <= 1 for old, new in zip(was_long, became_long, strict=True)
    )  # "more than" and "as many as" are easily mixed up
    return same_steps and all(abs(old - new) < _ROUNDING * old or old == new for old, new in pairs)


class _Cells:
    """A row of the past, quantity by quantity, so that it can be corrected."""

    def __init__(self, head: PriceRow, prices: dict[str, Price]) -> None:
        self.head = head
        self.prices = prices

    @staticmethod
    def of(row: PriceRow) -> _Cells:
        prices: dict[str, Price] = {name: (usd, ()) for name, usd in row["usd"].items()}
        tiers = [("above", *tier) for tier in row.get("above", ())]
        tiers += [("at_least", *tier) for tier in row.get("at_least", ())]
        for kind, tokens, usd in tiers:
            for name, price in usd.items():
                base, steps = prices[name]
                prices[name] = (base, (*steps, (kind, tokens, price)))
        return _Cells(row, prices)

    def row(self) -> PriceRow:
        tiers: dict[str, dict[int, dict[str, str]]] = {}
        for name, (_, steps) in self.prices.items():
            for kind, tokens, price in steps:
                tiers.setdefault(kind, {}).setdefault(tokens, {})[name] = price
        made: dict[str, object] = {
            key: value
            for key, value in self.head.items()
            if key not in {"usd", "above", "at_least", "source_usd"}
        }
        bases = {name: base for name, (base, _) in self.prices.items()}
        made["usd"] = bases
        noise = self.head.get("source_usd", {})
        same = {it: usd for it, usd in noise.items() if self.head["usd"][it] == bases.get(it)}
        if same:
            made["source_usd"] = same
        for kind in tiers:
            made[kind] = sorted(tiers[kind].items())
        return cast("PriceRow", made)


def _run(past: list[_Cells], name: str) -> list[_Cells]:
    """Give the last rows that have the same price for a quantity."""
    latest = past[-1].prices[name]
    start = len(past) - 1
    while start and past[start - 1].prices.get(name) == latest:
        start -= 1
    return past[start:]


def _correct(past: list[_Cells], name: str, price: Price) -> None:
    for cells in _run(past, name):
        cells.prices[name] = price


def _same(new: ModelRow, before: Mapping[str, ModelRow], listed: PriceList) -> ModelRow | None:
    """Find what the book had of a model: under its name, or under one that it has given up."""
    if new["model"] in before:
        return before[new["model"]]
    for alias in new.get("aliases", ()):
        known = before.get(alias)
        if known is not None:
            return known
    for name, known in before.items():
        if new["model"].lower() in known.get("aliases", ()):
            found = listed.find(name, 0)
            if found is None or found.row is new:
                return known
    return None


def _without(model: ModelRow, names: set[str]) -> ModelRow:
    aliases = [name for name in model.get("aliases", ()) if name not in names]
    left = cast("ModelRow", {key: it for key, it in model.items() if key != "aliases"})
    return {**left, "aliases": aliases} if aliases else left


def _plain(row: PriceRow) -> PriceRow:
    return cast("PriceRow", {key: it for key, it in row.items() if key not in {"since", "said_by"}})


def _has_windows(rows: Sequence[PriceRow]) -> bool:
    return any(row.keys() & {"daily", "weekdays", "holidays"} for row in rows)


def _start_us(row: PriceRow) -> int:
    return instant_us(row["since"]) if "since" in row else _BEGINNING_US
