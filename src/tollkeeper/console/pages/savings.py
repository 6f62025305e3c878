"""Savings: what is wasted, whose it is, and what another model would have cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from tollkeeper.console import savings_lines as lines
from tollkeeper.console.adoption_lines import PlanValueLine, plan_value_line
from tollkeeper.console.api.adoption import READERS as ADOPTION_READERS
from tollkeeper.console.early import stands
from tollkeeper.console.heads import Head, head_of
from tollkeeper.console.links import Links, time_of
from tollkeeper.console.masking import ledger_for
from tollkeeper.console.savings_lines import CacheLines, FindingLines, WhatIfLines
from tollkeeper.console.shared import Console, Query, Table
from tollkeeper.domain.access import Viewer
from tollkeeper.reports import formatting
from tollkeeper.reports.parameters import savings_question
from tollkeeper.reports.savings import Savings, moved_models, savings
from tollkeeper.reports.savings_answers import COLUMNS, savings_document, savings_rows
from tollkeeper.reports.seat_values import seat_values

PATH: Final = "/savings"


@dataclass(frozen=True, slots=True)
class SavingsPage:
    """What caches saved, each finding with its parts, a what-if, and what seats are worth.

    ``findings`` overlap and are never added up. ``choices`` are what a what-if may move,
    ``origin`` and ``target`` what was asked for. ``fields`` are the hidden fields of its form.
    """

    template: ClassVar[str] = "savings.html"
    report: Savings
    head: Head
    spent: str
    spent_full: str
    calls_href: str
    csv_href: str
    caches: CacheLines
    findings: tuple[FindingLines, ...]
    what_if: WhatIfLines | None
    choices: tuple[tuple[str, str], ...]
    origin: str
    target: str
    fields: tuple[tuple[str, str], ...]
    plans: tuple[PlanValueLine, ...]
    sees_plans: bool

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was called."""
        return not self.report.models

    def document(self) -> Mapping[str, Any]:
        """Give what the API answers."""
        return savings_document(self.report)

    def table(self) -> Table:
        """Give the parts of all findings as rows."""
        return Table("savings", COLUMNS, savings_rows(self.report))


def savings_page(console: Console, viewer: Viewer, query: Query) -> SavingsPage:
    """Answer ``GET /savings``."""
    question = savings_question(query, console.now_us(), query["tz"])
    prices = lines.prices_of(console)
    moved_models(question, prices)  # or it is refused
    stands(SavingsPage, console.ledger)
    ledger = ledger_for(console, viewer)
    found = savings(ledger, viewer.scope, question, prices, console.beside)
    period = question.period
    links = Links(time_of(query), period.zone, question.filters)
    moved = {"from_model": question.origin, "to_model": question.target}
    names = [
        (group.keys["key"], group.name)
        for finding in found.findings
        for group in finding.groups
        if "key" in group.keys and group.name
    ]
    sees_plans = viewer.role in ADOPTION_READERS and viewer.scope.teams is None
    return SavingsPage(
        report=found,
        head=_keeping(head_of(viewer, period, links, PATH, names), moved),
        spent=formatting.money_tile(found.cost_usd),
        spent_full=formatting.money_full(found.cost_usd),
        calls_href=links.calls(),
        csv_href=f"{links.savings()}&format=csv",
        caches=lines.cache_lines(found.caches, links),
        findings=tuple(lines.finding_lines(each, links) for each in found.findings),
        what_if=None if found.what_if is None else lines.what_if_lines(found.what_if, links),
        choices=lines.choices(found.models),
        origin=question.origin,
        target=question.target,
        fields=links.hidden_fields(),
        plans=_plans(console) if sees_plans and viewer.scope.user_id is None else (),
        sees_plans=sees_plans,
    )


def _keeping(head: Head, moved: Mapping[str, str]) -> Head:
    """Let the ways to other times and filters keep the what-if."""
    kept = {name: value for name, value in moved.items() if value}
    if not kept:
        return head
    more = f"&{urlencode(kept)}"
    return replace(
        head,
        periods=tuple(each._replace(href=each.href + more) for each in head.periods),
        chips=tuple(each._replace(href=each.href + more) for each in head.chips),
        clear_href=head.clear_href + more,
        fields=(*head.fields, *kept.items()),
    )


def _plans(console: Console) -> tuple[PlanValueLine, ...]:
    """Give what the seats of flat-rate plans were worth last month, as Adoption has it."""
    counts = console.adoption
    found = seat_values(
        *(console.ledger, console.org, console.terms().seat_plans),
        *(counts.zone, counts.group_min, console.now_us()),
    )
    return tuple(map(plan_value_line, found))
