"""The first page: what do we spend, how does that compare, where does it go?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar, Final, NamedTuple

from markupsafe import Markup

from tollkeeper.console import words
from tollkeeper.console.budget_lines import BudgetLine, risks_of
from tollkeeper.console.charts.share_bar import share_bar
from tollkeeper.console.charts.sparkline import sparkline
from tollkeeper.console.early import stands
from tollkeeper.console.figures import Figure, Measure, figures_of, measures_of
from tollkeeper.console.first_call import FirstCall, first_call
from tollkeeper.console.heads import Head, head_of
from tollkeeper.console.links import Choice, Links, time_of, value_of
from tollkeeper.console.masking import ledger_for, ranks_names
from tollkeeper.console.rows import CallLine, lines_of
from tollkeeper.console.series import Chart, chart_of
from tollkeeper.console.shared import Console, Query, Table
from tollkeeper.domain.access import Viewer
from tollkeeper.reports import formatting
from tollkeeper.reports import overview as report
from tollkeeper.reports.answers import overview_document
from tollkeeper.reports.comparison import Change
from tollkeeper.reports.dimensions import NAMES, TAG_PREFIX
from tollkeeper.reports.explore_answers import OTHER
from tollkeeper.reports.forecast import MonthForecast, forecast
from tollkeeper.reports.overview import Overview, Part
from tollkeeper.reports.parameters import overview_question

ROWS_MAX: Final = 500
_OWN: Final = ("rows", "tag")  # parameters of this page that the report does not know
_DIMENSIONS: Final = ("model", "team", "provider", "tool", "user")
_NEXT: Final = {"team": "model", "provider": "model", "model": "team", "tool": "model"}
"""What a value is broken down by next, after a click on it; anything else: by model."""


class Row(NamedTuple):
    """One value of the dimension, or all the others together (``is_other``).

    ``slot`` is its colour, None where the chart does not show it. ``href`` leads one step
    further down, ``calls_href`` to the calls behind its cost. ``cost`` is written with the
    precision of its column; ``trend`` has the cost of each complete day.
    """

    name: str
    slot: int | None
    change: Change
    requests: int
    unpriced: int
    share: Decimal | None
    cost: str
    href: str
    calls_href: str
    trend: tuple[Decimal | None, ...] = ()
    is_other: bool = False

    @property
    def cost_per_request(self) -> Decimal | None:
        """Divide what is known."""
        cost = self.change.now
        return cost / self.requests if cost is not None and self.requests else None

    @property
    def per_thousand(self) -> Decimal | None:
        """Give what a thousand requests cost."""
        cost = self.cost_per_request
        return None if cost is None else cost * 1_000

    @property
    def delta(self) -> formatting.ChangeText:
        """Write the change from the stretch before."""
        change = self.change
        return formatting.change(change.ratio, now=change.now, before=change.before)

    @property
    def spark(self) -> Markup:
        """Draw the trend."""
        return sparkline(self.trend)

    @property
    def bar(self) -> Markup:
        """Draw the share."""
        return share_bar(self.share)


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """What the first page shows, all of it facts with the addresses behind them.

    ``figures`` are the sums of money, ``measures`` what else is counted in the period. ``rows``
    are the values of the dimension: those of the chart and the others together, or, with
    ``all_rows``, each by itself. ``all_href`` switches between the two, as ``all_text``
    says, "" where there is nothing to switch. ``recent`` are the newest calls that pass the
    filters. ``tag_form`` are the hidden fields of the form that asks for a tag. ``start`` is set
    as long as nothing was ever called. ``risks`` are the budgets that are nearly used up, as far
    as the viewer sees them.
    """

    template: ClassVar[str] = "overview.html"
    report: Overview
    head: Head
    figures: tuple[Figure, ...]
    measures: tuple[Measure, ...]
    dimension: words.Dimension
    dimensions: tuple[Choice, ...]
    chart: Chart
    rows: tuple[Row, ...]
    total: Row
    all_rows: bool
    all_text: str
    all_href: str
    movers: tuple[Row, ...]
    recent: tuple[CallLine, ...]
    tag_form: tuple[tuple[str, str], ...]
    calls_href: str
    why_href: str
    address: str
    start: FirstCall | None
    risks: tuple[BudgetLine, ...] = ()

    @property
    def follows(self) -> bool:
        """Tell whether new calls belong on this page."""
        return not self.report.stretch.period.complete

    @property
    def unfiltered(self) -> bool:
        """Tell whether the figures are of all that the viewer may see."""
        return not self.report.question.filters

    def document(self) -> Mapping[str, Any]:
        """Give the page as JSON."""
        return overview_document(self.report)

    def table(self) -> Table:
        """Give the breakdown as a table: each value with what it cost, now and before."""
        return Table(
            "overview",
            ("name", "cost_usd", "cost_usd_before", "requests", "unpriced"),
            [
                {
                    "name": part.name,
                    "cost_usd": part.change.now,
                    "cost_usd_before": part.change.before,
                    "requests": part.requests,
                    "unpriced": part.unpriced,
                }
                for part in self._parts()
            ],
        )

    def _parts(self) -> Iterator[Part]:
        """Give every part, and as one what there are too many of."""
        yield from self.report.parts
        rest = self.report.beyond(len(self.report.parts))
        if rest is not None:
            yield replace(rest, name=OTHER)


def overview(console: Console, viewer: Viewer, query: Query) -> OverviewPage:
    """Answer ``GET /``."""
    now_us, asked = console.now_us(), _report_query(query)
    question = overview_question(asked, now_us)
    if question.dimension == "user" and ranks_names(console, viewer):
        question = replace(question, by_name=True)
    names = "" if viewer.sees_names else viewer.user_id  # whose own name is not masked
    who = (viewer.scope, viewer.sees_names, names)
    key = (*who, question.period.zone, tuple(sorted(asked.items())), console.hub.changes)
    stands(OverviewPage, console.ledger)
    risks = console.beside(lambda: risks_of(console, viewer, question.period.zone))
    found, ahead = console.joined.get(key, lambda: _reports(console, viewer, question, now_us))
    links = Links(time_of(query), question.period.zone, question.filters, question.dimension)
    all_rows = query.get("rows") == "all"
    return _page(console, viewer, found, ahead, risks(), links, all_rows=all_rows)


def _reports(
    console: Console, viewer: Viewer, question: report.OverviewQuestion, now_us: int
) -> tuple[Overview, MonthForecast]:
    ledger, scope, filters = ledger_for(console, viewer), viewer.scope, question.filters
    zone, beside = question.period.zone, console.beside
    ahead = beside(lambda: forecast(ledger, scope, zone, filters, now_us))
    return report.overview(ledger, scope, question, now_us, beside), ahead()


def _report_query(query: Query) -> dict[str, str]:
    """Give the report's own parameters; a tag that was typed is the dimension to use."""
    found = {name: value for name, value in query.items() if name not in _OWN}
    tag = query.get("tag", "").strip()
    return found | {"by": TAG_PREFIX + tag.removeprefix(TAG_PREFIX)} if tag else found


def _page(
    console: Console,
    viewer: Viewer,
    found: Overview,
    ahead: MonthForecast,
    risks: tuple[BudgetLine, ...],
    links: Links,
    *,
    all_rows: bool,
) -> OverviewPage:
    name = found.question.dimension
    labels = [part.name or words.dimension(name).none for part in found.parts[: report.SERIES]]
    slots = console.colours.places(name, labels)
    rows = rows_of(found, links, slots, all_rows=all_rows)
    several = len(found.parts) > report.SERIES
    address = links.overview()
    return OverviewPage(
        report=found,
        head=head_of(viewer, found.stretch.period, links, "/", _names(found)),
        figures=figures_of(found, links, ahead),
        measures=measures_of(found.stretch, links),
        dimension=words.dimension(name),
        dimensions=_dimensions(viewer, found, links),
        chart=chart_of(found, labels, slots, links, ahead),
        rows=rows,
        total=_total(found, links, rows),
        all_rows=all_rows,
        all_text=_all_text(found, all_rows=all_rows),
        all_href=(address if all_rows else f"{address}&rows=all") if several else "",
        movers=tuple(_row(part, "", None, links, name) for part in found.movers),
        recent=lines_of(found.recent_calls, links, links.zone, found.now_us),
        tag_form=links.hidden_fields(),
        calls_href=links.calls(),
        why_href=links.changes(),
        address=f"{address}&rows=all" if all_rows else address,
        start=None if found.has_entries else first_call(console, viewer),
        risks=risks,
    )


def rows_of(
    found: Overview, links: Links, slots: Sequence[int], *, all_rows: bool = False
) -> tuple[Row, ...]:
    """Give the rows of the breakdown: the chart's series, or every value by itself."""
    name = found.question.dimension
    shown = found.parts[:ROWS_MAX] if all_rows else found.parts[: report.SERIES]
    other = found.beyond(len(shown)) if all_rows else found.other
    total = found.stretch.now.cost_usd
    amounts = [formatting.known_money(part.change.now, part.unpriced) for part in shown]
    amounts += [other.change.now if other else None, total]
    costs = formatting.money_column(amounts)
    rows = [
        _row(part, cost, slots[index] if index < len(slots) else None, links, name)
        for index, (part, cost) in enumerate(zip(shown, costs, strict=False))
    ]
    if other is not None:
        rows.append(_other_row(other, costs[-2], found.groups - len(shown), found, links))
    return tuple(rows)


def _all_text(found: Overview, *, all_rows: bool) -> str:
    """Say what a click on the other list shows."""
    if all_rows:
        return "Only the largest"
    count = formatting.count_full(found.groups)
    return f"View all {count}" if found.groups <= ROWS_MAX else f"View {ROWS_MAX} of {count}"


def _row(part: Part, cost: str, slot: int | None, links: Links, name: str) -> Row:
    value = value_of(part.key)
    narrowed = links.narrowed(name, value)
    return Row(
        name=part.name or words.dimension(name).none,
        slot=slot,
        change=part.change,
        requests=part.requests,
        unpriced=part.unpriced,
        share=part.share,
        cost=cost,
        href=narrowed.overview(_NEXT.get(name, "model")),
        calls_href=narrowed.calls(),
        trend=part.by_day,
    )


def _other_row(other: Part, cost: str, count: int, found: Overview, links: Links) -> Row:
    """Give everything that has no row of its own; its rows are all rows."""
    several = words.dimension(found.question.dimension).several
    return Row(
        name=f"{formatting.count_full(count)} other {several}",
        slot=None,
        change=other.change,
        requests=other.requests,
        unpriced=other.unpriced,
        share=other.share,
        cost=cost,
        href=f"{links.overview()}&rows=all",
        calls_href=links.calls(),
        trend=other.by_day,
        is_other=True,
    )


def _total(found: Overview, links: Links, rows: Sequence[Row]) -> Row:
    stretch = found.stretch
    amounts = [*(row.change.now for row in rows), stretch.now.cost_usd]
    return Row(
        name="Total",
        slot=None,
        change=stretch.change,
        requests=stretch.now.requests,
        unpriced=stretch.now.unpriced,
        share=None,
        cost=formatting.money_column(amounts)[-1],
        href=links.calls(),
        calls_href=links.calls(),
    )


def _dimensions(viewer: Viewer, found: Overview, links: Links) -> tuple[Choice, ...]:
    """Offer the usual dimensions, and the tags that the newest calls have."""
    scope, current = viewer.scope, found.question.dimension
    offered = [
        name
        for name in _DIMENSIONS
        if not (name == "user" and scope.user_id) and not (name == "team" and _one_team(viewer))
    ]
    if scope.user_id:
        offered.append("key")
    tags = sorted({key for row in found.recent_calls for key in row.tags})
    offered += [TAG_PREFIX + key for key in tags[:4]]
    if current not in offered:
        offered.append(current)
    return tuple(
        Choice(words.dimension(name).name, links.overview(name), name == current)
        for name in offered
    )


def _one_team(viewer: Viewer) -> bool:
    scope = viewer.scope
    return scope.user_id is not None or (scope.teams is not None and len(scope.teams) < 2)


def _names(found: Overview) -> list[tuple[str, str]]:
    """Give the names of ids, so that filters by id can be read."""
    names = [(row.user_id, row.user_name) for row in found.recent_calls]
    names += [(row.key_id, row.key_name) for row in found.recent_calls]
    if found.question.dimension in NAMES:
        names += [(value_of(part.key), part.name) for part in found.parts]
    return [(identifier, name) for identifier, name in names if identifier and name]
