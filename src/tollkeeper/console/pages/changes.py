"""Why did it change: the causes between two periods, for all together and by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from markupsafe import Markup

from tollkeeper.console import words
from tollkeeper.console.charts.waterfall import waterfall
from tollkeeper.console.early import stands
from tollkeeper.console.heads import Head, elapsed_day, head_of
from tollkeeper.console.links import Choice, Links, time_of, value_of
from tollkeeper.console.masking import ledger_for, unranked_changes
from tollkeeper.console.shared import Console, Query, Table
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.bridge import Cause
from tollkeeper.domain.ledger import Basis
from tollkeeper.reports import bridge as report
from tollkeeper.reports import formatting
from tollkeeper.reports.bridge import Bridge, Changes
from tollkeeper.reports.bridge_answers import COLUMNS, changes_document, changes_rows
from tollkeeper.reports.bridge_words import CAUSES, fact_of, signed, why, with_sign
from tollkeeper.reports.dimensions import NAMES
from tollkeeper.reports.parameters import changes_question
from tollkeeper.reports.period import Period

PATH: Final = "/why"
_DIMENSIONS: Final = ("team", "model", "provider", "tool", "user", "key")
_NEXT: Final = {"model": "team"}
"""What a value is broken down by next, after a click on it; anything else: by model."""


class CauseLine(NamedTuple):
    """One step of the waterfall: a cause, with the figures behind it."""

    name: str
    meaning: str
    fact: str
    amount: str
    full: str
    share: str
    picture: Markup


class ChangeLine(NamedTuple):
    """One value of the dimension, or one of its models. Its amounts lead to their calls.

    ``tone`` is the class of the difference: bad, good or flat.
    """

    name: str
    model: str
    before: str
    before_full: str
    now: str
    now_full: str
    difference: str
    difference_full: str
    tone: str
    delta: formatting.ChangeText
    why: str
    unpriced: int
    href: str
    before_href: str
    now_href: str
    unpriced_href: str


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """The bridge between two periods.

    ``lines`` are its steps in order, ``total`` the sum of all. ``rows`` have the values of the
    dimension, ``other`` all that have no row, ``pairs`` the models of a value that changed most.
    ``before`` says which stretch the period is compared with; ``fields`` are the hidden fields of
    the form that asks for another, ``usual_href`` leads back to the period before, "" where it is
    shown.
    """

    template: ClassVar[str] = "changes.html"
    report: Changes
    head: Head
    dimension: words.Dimension
    dimensions: tuple[Choice, ...]
    summary: str
    total: ChangeLine
    lines: tuple[CauseLine, ...]
    net: CauseLine
    rows: tuple[ChangeLine, ...]
    other: ChangeLine | None
    pairs: tuple[ChangeLine, ...]
    before: str
    before_days: tuple[str, str]
    fields: tuple[tuple[str, str], ...]
    usual_href: str
    overview_href: str

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to compare, in either period."""
        total = self.report.total
        return not any((*total.before, *total.now))

    def document(self) -> Mapping[str, Any]:
        """Give the page as JSON."""
        return changes_document(self.report)

    def table(self) -> Table:
        """Give the rows as a table."""
        return Table("changes", COLUMNS, changes_rows(self.report))


def changes(console: Console, viewer: Viewer, query: Query) -> ChangesPage:
    """Answer ``GET /why``."""
    now_us = console.now_us()
    usual = "model" if _one_team(viewer) else "team"
    question = changes_question(query, now_us, by=usual)
    stands(ChangesPage, console.ledger)  # too many cells are told of where the page would be
    found = report.changes(
        ledger_for(console, viewer), viewer.scope, question, console.terms().book, now_us
    )
    found = unranked_changes(console, viewer, found)
    links = Links(time_of(query), question.period.zone, question.filters, question.dimension)
    before = {name: query[name] for name in ("before_from", "before_to") if query.get(name)}
    return _page(viewer, found, links, before)


def _page(viewer: Viewer, found: Changes, links: Links, before: Mapping[str, str]) -> ChangesPage:
    question = found.question
    name = question.dimension
    lines, net = _steps(found.total)
    earlier = question.before
    return ChangesPage(
        report=found,
        head=head_of(viewer, question.period, links, PATH, _names(found)),
        dimension=words.dimension(name),
        dimensions=_dimensions(viewer, links, before),
        summary=why(found.total),
        total=_line(found.total, "", links, links.within(earlier)),
        lines=lines,
        net=net,
        rows=tuple(_rows(found.rows, name, links, earlier)),
        other=_other(found, links, earlier),
        pairs=tuple(_rows(found.pairs, name, links, earlier, of_models=True)),
        before=formatting.days(earlier.first_day, elapsed_day(earlier)),
        before_days=(earlier.first_day.isoformat(), elapsed_day(earlier).isoformat()),
        fields=(*links.hidden_fields(), ("by", name)),
        usual_href=links.changes() if before else "",
        overview_href=links.overview(),
    )


def _steps(total: Bridge) -> tuple[tuple[CauseLine, ...], CauseLine]:
    """Give the causes that did anything, in their order, and the sum of them."""
    shown = [(cause, total.effects[cause]) for cause in Cause if cause in total.effects]
    amounts = [amount for _, amount in shown]
    *pictures, last = waterfall(amounts)
    texts = formatting.money_column([*amounts, total.difference_usd])
    moved = sum(map(abs, amounts))
    lines = tuple(
        CauseLine(
            CAUSES[cause].name,
            CAUSES[cause].meaning,
            fact_of(total, cause, rises=amount > 0),
            with_sign(text, amount),
            formatting.money_full(amount),
            formatting.share(abs(amount) / moved),
            picture,
        )
        for (cause, amount), text, picture in zip(shown, texts, pictures, strict=False)
    )
    net = total.difference_usd
    return lines, CauseLine(
        "Difference", "", "", with_sign(texts[-1], net), formatting.money_full(net), "", last
    )


def _rows(
    found: Sequence[Bridge], name: str, links: Links, before: Period, *, of_models: bool = False
) -> Iterator[ChangeLine]:
    for row in found:
        value = value_of(row.key)
        these = links.narrowed(name, value)
        if of_models:
            these = these.narrowed("model", row.model)
        label = row.name or words.dimension(name).none
        yield _line(row, label, these, these.within(before))


def _other(found: Changes, links: Links, before: Period) -> ChangeLine | None:
    """Give what is in no row; its calls cannot be listed by themselves."""
    if found.other is None:
        return None
    several = words.dimension(found.question.dimension).several
    count = formatting.count_full(found.rows_found - len(found.rows))
    line = _line(found.other, f"{count} other {several}", links, links.within(before))
    return line._replace(href="", before_href="", now_href="", unpriced_href="")


def _line(row: Bridge, label: str, now: Links, before: Links) -> ChangeLine:
    change = row.difference_usd
    ratio = change / row.before.cost_usd if row.before.cost_usd else None
    return ChangeLine(
        name=label,
        model=row.model,
        before=_money(row.before),
        before_full=formatting.money_full(row.before.cost_usd),
        now=_money(row.now),
        now_full=formatting.money_full(row.now.cost_usd),
        difference=signed(change),
        difference_full=formatting.money_full(change),
        tone="bad" if change > 0 else "good" if change else "flat",
        delta=formatting.change(ratio, now=row.now.cost_usd, before=row.before.cost_usd),
        why=why(row),
        unpriced=row.before.unpriced + row.now.unpriced,
        href=now.changes(_NEXT.get(now.by, "model")),
        before_href=before.calls(),
        now_href=now.calls(),
        unpriced_href=now.narrowed("basis", Basis.UNPRICED).calls(),
    )


def _money(amounts: report.Amounts) -> str:
    return formatting.money(formatting.known_money(amounts.cost_usd, amounts.unpriced))


def _dimensions(viewer: Viewer, links: Links, before: Mapping[str, str]) -> tuple[Choice, ...]:
    """Offer the usual dimensions that can differ for this viewer, and the one that is shown."""
    scope = viewer.scope
    offered = [
        name
        for name in _DIMENSIONS
        if not (name == "user" and scope.user_id)
        and not (name == "team" and _one_team(viewer))
        and not (name == "key" and not scope.user_id)
    ]
    if links.by not in offered:
        offered.append(links.by)
    return tuple(
        Choice(words.dimension(name).name, links.changes(name, **before), name == links.by)
        for name in offered
    )


def _one_team(viewer: Viewer) -> bool:
    scope = viewer.scope
    return scope.user_id is not None or (scope.teams is not None and len(scope.teams) < 2)


def _names(found: Changes) -> list[tuple[str, str]]:
    """Give the names of ids, so that filters by id can be read."""
    if found.question.dimension not in NAMES:
        return []
    return [(value_of(row.key), row.name) for row in found.rows if row.key and row.name]
