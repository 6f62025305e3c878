"""The models: which are used, what they cost and who says so, and the operator's own terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.early import stands
from tollkeeper.console.heads import Head, head_of
from tollkeeper.console.links import Links, time_of
from tollkeeper.console.masking import ledger_for
from tollkeeper.console.shared import Console, Query, Redirect, Table
from tollkeeper.console.terms import FIELDS, PlanLine, RuleLine, plan_line, read_rule, rule_lines
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.domain.errors import Refused
from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.price_table import ModelPrices, PriceRowShown, Standing
from tollkeeper.reports import formatting
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.parameters import DEFAULT_PERIOD, read_period
from tollkeeper.reports.usage import UsageQuestion, usage
from tollkeeper.services import price_terms
from tollkeeper.services.price_terms import Terms

BUYERS: Final = frozenset({Role.ADMIN, Role.FINANCE})
"""Roles that know and keep what was agreed with providers."""

READERS: Final = BUYERS | {Role.AUDITOR}
MODELS_MAX: Final = 500
_USUAL: Final = ("input", "output")  # what nearly every call is made of
_METRICS: Final = ("cost_usd", "requests", "tokens", "unpriced", "error_rate", "duration_p50_ms")
_STANDINGS: Final[Mapping[str, words.Word]] = {
    Standing.AGREED: words.Word("Agreed", "Every source that names this price says the same."),
    Standing.SINGLE: words.Word("One source", "Only one source names this price."),
    Standing.DISPUTED: words.Word(
        "Disputed", "Another source says otherwise; the reviewed price is used.", "warn"
    ),
}
_OWN: Final = words.Word("Your price", "A price or a contract of yours decides.", "good")
_UNKNOWN: Final = words.Word("No price", "No source names a price, so its cost is unknown.", "bad")


class ModelLine(NamedTuple):
    """One model of one provider in the period. Prices are USD for a million tokens."""

    provider: str
    model: str
    requests: str
    tokens: str
    cost: str
    cost_full: str
    errors: str
    took: str
    unpriced: int
    price_in: str
    price_out: str
    standing: words.Word
    calls_href: str
    unpriced_href: str


class Dispute(NamedTuple):
    """One price on which the sources differ."""

    model: str
    quantity: str
    ours: str
    others: str


@dataclass(frozen=True, slots=True)
class ModelsPage:
    """The models of a period, the dearest first, and the terms.

    ``knows_terms`` tells that whoever asks may see what was agreed, ``may_change`` that they
    may change it. ``form`` has what was typed into the form of a rule; ``fault`` says why no
    rule was made, ``done`` what was done.
    """

    template: ClassVar[str] = "models.html"
    head: Head
    lines: tuple[ModelLine, ...]
    disputes: tuple[Dispute, ...]
    rules: tuple[RuleLine, ...]
    plans: tuple[PlanLine, ...]
    book: str
    truncated: bool
    knows_terms: bool
    may_change: bool
    form: Mapping[str, str]
    fault: str = ""
    done: str = ""
    status: int = 200

    def table(self) -> Table:
        """Give the models as a table."""
        columns = (*("provider", "model", "requests", "tokens", "cost", "unpriced"), *_PRICES)
        rows = [{name: getattr(line, name) for name in columns} for line in self.lines]
        return Table("models", columns, rows)


_PRICES: Final = ("price_in", "price_out")


def models(console: Console, viewer: Viewer, query: Query) -> ModelsPage:
    """Answer ``GET /models``."""
    return _page(console, viewer, query)


def make_rule(console: Console, viewer: Viewer, form: Query) -> ModelsPage | Redirect:
    """Answer ``POST /models/rules``."""
    now_us = console.now_us()
    try:
        rule = read_rule(form)
        made = price_terms.make_rule(console.store, rule, viewer.name, now_us)
    except Refused as refused:
        return _page(console, viewer, form, fault=refused.message, status=refused.status)
    return Redirect(f"/models?done={made.rule_id}#terms")


def end_rule(console: Console, viewer: Viewer, form: Query) -> Redirect:
    """Answer ``POST /models/rules/{rule_id}/end``."""
    ended = price_terms.end_rule(console.store, form["rule_id"], viewer.name, console.now_us())
    return Redirect(f"/models?done={ended.rule_id}#terms")


# ------------------------------------------------------------------ the page


def _page(
    console: Console, viewer: Viewer, query: Query, *, fault: str = "", status: int = 200
) -> ModelsPage:
    now_us = console.now_us()
    asked = {"tz": query["tz"], **time_of(query), "filter": query.get("filter", "")}
    if not time_of(query):
        asked["period"] = DEFAULT_PERIOD
    period = read_period(asked, now_us, query["tz"])
    filters = parse_filters(asked["filter"])
    stands(ModelsPage, console.ledger)
    answer = usage(
        ledger_for(console, viewer),
        viewer.scope,
        UsageQuestion(
            period, _METRICS, ("provider", "model"), filters, ("-cost_usd",), limit=MODELS_MAX
        ),
    )
    rows = [
        {**row.keys, **row.values, "unpriced": row.unpriced}
        for row in answer.rows
        if row.keys["provider"] or row.values["requests"]  # else all were refused: nothing was used
    ]
    terms = console.terms()
    links = Links(time_of(asked), period.zone, filters)
    named = [(str(row["provider"] or ""), str(row["model"] or "")) for row in rows]
    shown = {name: _prices_of(terms, *name, now_us) for name in named}
    knows, changes = viewer.role in READERS, viewer.role in BUYERS
    rules = rule_lines(console, terms, period.zone, may_end=changes) if knows else ()
    done = next((rule for rule in rules if rule.rule_id == query.get("done")), None)
    return ModelsPage(
        head=head_of(viewer, period, links, "/models"),
        lines=tuple(_lines(rows, shown, links)),
        disputes=tuple(_disputes(shown)),
        rules=rules,
        plans=tuple(map(plan_line, terms.seat_plans)) if knows else (),
        book=terms.book.version,
        truncated=answer.truncated,
        knows_terms=knows,
        may_change=changes,
        form={name: query.get(name, "") for name in FIELDS},
        fault=fault,
        done="" if done is None else f"{done.name}: {done.state.name.lower()}",
        status=status,
    )


class _Prices(NamedTuple):
    listed: ModelPrices | None
    standing: words.Word


def _prices_of(terms: Terms, provider: str, model: str, now_us: int) -> _Prices:
    """Find what the book says of a model, and how sure it is."""
    base = terms.accounts.get(provider, provider)
    listed = terms.book.show(base, model, now_us)
    place = terms.book.place(base, provider, "")
    if terms.book.rules.deciding(place, model, now_us) is not None:
        return _Prices(listed, _OWN)
    if listed is None:
        return _Prices(None, _UNKNOWN)
    if not listed.model:
        return _Prices(listed, _OWN)
    ordinary = _ordinary(listed)
    said = ordinary.said if ordinary else {}
    if any(each.standing == Standing.DISPUTED for each in said.values()):
        return _Prices(listed, _STANDINGS[Standing.DISPUTED])
    usual = [said[name].standing for name in _USUAL if name in said]
    agreed = bool(usual) and all(standing == Standing.AGREED for standing in usual)
    return _Prices(listed, _STANDINGS[Standing.AGREED if agreed else Standing.SINGLE])


def _ordinary(listed: ModelPrices) -> PriceRowShown | None:
    return next((row for row in listed.rows if not row.condition and not row.above_tokens), None)


def _lines(
    rows: Sequence[Mapping[str, Any]],
    shown: Mapping[tuple[str, str], _Prices],
    links: Links,
) -> Iterable[ModelLine]:
    costs = formatting.money_column([row["cost_usd"] for row in rows])
    for row, cost in zip(rows, costs, strict=True):
        provider, model = row["provider"] or "", row["model"] or ""
        prices = shown[provider, model]
        these = links.narrowed("provider", provider).narrowed("model", model)
        yield ModelLine(
            provider,
            model,
            formatting.count(row["requests"]),
            formatting.count(row["tokens"]),
            cost,
            formatting.money_full(row["cost_usd"]),
            formatting.share(row["error_rate"]),
            formatting.duration(row["duration_p50_ms"]),
            row["unpriced"],
            _price(prices.listed, "input"),
            _price(prices.listed, "output"),
            prices.standing,
            these.calls(),
            these.narrowed("basis", Basis.UNPRICED).calls(),
        )


def _price(listed: ModelPrices | None, quantity: str) -> str:
    row = _ordinary(listed) if listed else None
    found = row.prices.get(quantity) if row else None
    return _dollars(found[0]) if found else formatting.UNKNOWN


def _dollars(price: str) -> str:
    """Write a price as it is published, with two decimals at least."""
    return formatting.money_full(Decimal(price))


def _disputes(shown: Mapping[tuple[str, str], _Prices]) -> Iterable[Dispute]:
    for (provider, model), prices in shown.items():
        row = _ordinary(prices.listed) if prices.listed else None
        for quantity, said in row.said.items() if row else ():
            if row and said.standing == Standing.DISPUTED and quantity in row.prices:
                others = ", ".join(
                    f"{name} {_dollars(price)}" for name, price in said.others.items()
                )
                yield Dispute(
                    f"{provider}/{model}",
                    quantity.replace("_", " "),
                    _dollars(row.prices[quantity][0]),
                    others,
                )
