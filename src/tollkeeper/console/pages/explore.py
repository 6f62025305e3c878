"""Explore: where does it go? Any metric by up to three groups, over time, as flows, by the hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar, Final, NamedTuple

from tollkeeper.console import metrics, words
from tollkeeper.console.colours import OTHER
from tollkeeper.console.early import stands
from tollkeeper.console.explore_flows import Sankey, sankey_of
from tollkeeper.console.explore_lines import (
    Line,
    addresses_of,
    lines_of,
    name_of,
    narrowed,
)
from tollkeeper.console.explore_week import Week, week_of
from tollkeeper.console.figures import Measure, measures_of, period_name
from tollkeeper.console.first_call import FirstCall, first_call
from tollkeeper.console.heads import Head, head_of
from tollkeeper.console.links import Choice, Links, time_of
from tollkeeper.console.masking import ledger_for, ranks_names
from tollkeeper.console.named_views import FLOWS, NamedView, lenses, views
from tollkeeper.console.shared import Console, Query, Table
from tollkeeper.console.step_series import StepChart, StepSeries, step_chart
from tollkeeper.domain.access import Viewer
from tollkeeper.reports import explore as report
from tollkeeper.reports import formatting
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.calls import newest
from tollkeeper.reports.dimensions import COLUMNS, TAG_PREFIX
from tollkeeper.reports.explore import Explored
from tollkeeper.reports.explore_answers import explore_document, explore_table
from tollkeeper.reports.explore_question import DIMENSIONS_MAX, GRAINS, ExploreQuestion
from tollkeeper.reports.filters import Filter, filters_text, parse_filters
from tollkeeper.reports.parameters import EXPLORED, NO_GROUPS, explore_question
from tollkeeper.reports.questions import BadQuestion

PATH: Final = "/explore"
_OWN: Final = ("tag", "dim", "is", "value")
"""Fields of this page's forms that the report does not know."""

_RECENT: Final = 30
_TAGS_MAX: Final = 20
_LIMITS: Final = (10, 50, 200, 1_000)
_HIDDEN: Final = {"call"}
_VIEW_NAMES: Final = {
    "bars": "Over time",
    "table": "Table",
    "sankey": "Flows",
    "heat": "Hours of the week",
}
_SORT_NAMES: Final = {
    "value": "Largest first",
    "change": "Most changed first",
    "requests": "Most requests first",
    "name": "By name",
}


class Kind(NamedTuple):
    """Tokens of one kind."""

    name: str
    line: Measure
    href: str


@dataclass(frozen=True, slots=True)
class Form:
    """What can be chosen. Each choice is (value, text, whether it is on).

    ``groups`` has the choices of each of the selects; ``hidden`` are the fields that stay.
    """

    metrics: Mapping[str, tuple[tuple[str, str, bool], ...]]
    groups: tuple[tuple[tuple[str, str, bool], ...], ...]
    grains: tuple[tuple[str, str, bool], ...]
    compare: bool
    dimensions: tuple[tuple[str, str], ...]
    hidden: tuple[tuple[str, str], ...]
    filter_hidden: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ExplorePage:
    """One view of one question, with all that it can be changed to.

    ``chart`` is of the view over time, ``sankey`` of flows, ``week`` of the hours of the week;
    where one cannot be drawn, ``why_not`` says so. ``views`` and ``lenses`` have names.
    ``measures`` are what else is known of the period, whatever the metric.
    """

    template: ClassVar[str] = "explore.html"
    report: Explored
    head: Head
    metric: metrics.Metric
    period: str
    title: str
    dimensions: tuple[str, ...]
    total: Line
    lines: tuple[Line, ...]
    measures: tuple[Measure, ...]
    chart: StepChart | None
    sankey: Sankey | None
    week: Week | None
    why_not: str
    kinds: tuple[Kind, ...]
    form: Form
    view_choices: tuple[Choice, ...]
    sorts: tuple[Choice, ...]
    limits: tuple[Choice, ...]
    views: tuple[NamedView, ...]
    lenses: tuple[NamedView, ...]
    flows_href: str
    file_hrefs: tuple[tuple[str, str], ...]
    address: str
    start: FirstCall | None

    @property
    def follows(self) -> bool:
        """Tell whether new calls belong on this page."""
        return not self.report.question.period.complete

    @property
    def sort_by(self) -> Mapping[str, Choice]:
        """Give the orders by the column that each is of."""
        return {
            name: each
            for name, text in _SORT_NAMES.items()
            for each in self.sorts
            if each.text == text
        }

    def document(self) -> Mapping[str, Any]:
        """Give the page as JSON."""
        return explore_document(self.report)

    def table(self) -> Table:
        """Give what the view shows as a table: steps, hours, or groups with the rest of them."""
        columns, rows = explore_table(self.report)
        return Table("explore", columns, rows)


def explore(console: Console, viewer: Viewer, query: Query) -> ExplorePage:
    """Answer ``GET /explore``."""
    now_us = console.now_us()
    asked = _asked(query)
    question = _unranked(console, viewer, explore_question(asked, now_us))
    ledger = ledger_for(console, viewer)
    stands(ExplorePage, console.ledger)
    found = report.explore(ledger, viewer.scope, question, now_us, console.beside)
    also = tuple((name, asked[name]) for name in EXPLORED if asked.get(name))
    links = Links(time_of(asked), question.period.zone, question.filters, also=also)
    recent = newest(ledger, viewer.scope, (), _RECENT).rows if found.has_entries else ()
    return _page(console, viewer, found, links, recent)


def _asked(query: Query) -> dict[str, str]:
    """Give the report's parameters: a tag that was typed is a group, a value becomes a filter."""
    found = {name: value for name, value in query.items() if name not in _OWN}
    tag = query.get("tag", "").strip().removeprefix(TAG_PREFIX)
    chosen = [name for name in found.get("group_by", "").split(",") if name.strip()]
    chosen = [name for name in chosen if name != NO_GROUPS] or chosen[:1]
    if tag:
        kept = [name for name in chosen if name != NO_GROUPS]
        chosen = [*kept[: DIMENSIONS_MAX - 1], TAG_PREFIX + tag]
    found["group_by"] = ",".join(chosen) or "model"
    dimension = query.get("dim", "").strip()
    if dimension:
        if dimension == "tag":
            key, _, value = query.get("value", "").partition("=")
            dimension, value = TAG_PREFIX + key.strip(), value.strip()
        else:
            value = query.get("value", "").strip()
        fresh = Filter(dimension, (value,), query.get("is") == "not")
        others = [
            each
            for each in parse_filters(query.get("filter", ""))
            if (each.dimension, each.negated) != (fresh.dimension, fresh.negated)
        ]
        found["filter"] = filters_text([*others, fresh])
    return found


def _unranked(console: Console, viewer: Viewer, question: ExploreQuestion) -> ExploreQuestion:
    """Rank nobody who is named. Raises BadQuestion where that is what is asked for."""
    if "user" not in question.group_by or not ranks_names(console, viewer):
        return question
    if question.sort not in {"", "name"}:
        raise BadQuestion("sort", "people who are named are not ranked: sort by name")
    return replace(question, sort="name")


def _page(
    console: Console, viewer: Viewer, found: Explored, links: Links, recent: tuple[CallRow, ...]
) -> ExplorePage:
    question, metric = found.question, metrics.metric_of(found.question.metric)
    dimensions = question.group_by
    shown = [name_of(found, row) for row in found.rows if row.by_step]
    slots = console.colours.places("+".join(dimensions), shown)
    several = " and ".join(words.dimension(name).several for name in dimensions[-1:])
    lines, total = lines_of(found, links, slots, several if len(dimensions) == 1 else "groups")
    sankey = sankey_of(found, links, console.colours) if question.view == "sankey" else None
    names = [words.dimension(name).name for name in dimensions]
    return ExplorePage(
        report=found,
        head=head_of(viewer, question.period, links, PATH, _names(recent)),
        metric=metric,
        period=period_name(question.period),
        title=f"{metric.name} by {', '.join(names).lower()}" if names else metric.name,
        dimensions=tuple(names),
        total=total,
        lines=lines,
        measures=measures_of(found.comparison, links),
        chart=_chart(found, links, shown, slots),
        sankey=sankey,
        week=week_of(found, links),
        why_not=_why_not(question, has_picture=sankey is not None),
        kinds=_kinds(found, links),
        form=_form(viewer, question, links, recent),
        view_choices=_views(links, question),
        sorts=_sorts(console, viewer, question, links),
        limits=_limits(found, links),
        views=views(viewer, links),
        lenses=lenses(links),
        flows_href=replace(links, also=FLOWS).explore(),
        file_hrefs=tuple(
            (name.upper() if name != "parquet" else "Parquet", links.explore(format=name))
            for name in ("csv", "json", "parquet")
        ),
        address=links.explore(),
        start=None if found.has_entries else first_call(console, viewer),
    )


def _names(recent: tuple[CallRow, ...]) -> list[tuple[str, str]]:
    """Give the names of ids, so that filters by id can be read."""
    names = [(row.user_id, row.user_name) for row in recent]
    names += [(row.key_id, row.key_name) for row in recent]
    return [(identifier, name) for identifier, name in names if identifier and name]


def _chart(
    found: Explored, links: Links, names: list[str], slots: tuple[int, ...]
) -> StepChart | None:
    question = found.question
    if not found.steps:
        return None
    at = addresses_of(found, links)
    series = [
        StepSeries(name, slot, row.by_step, narrowed(at, question.group_by, row.keys).now)
        for name, slot, row in zip(names, slots, found.rows, strict=False)
    ]
    if found.rest_by_step:
        others = f"{formatting.count_full(found.groups - len(names))} others"
        series.append(StepSeries(others, OTHER, found.rest_by_step, at.now))
    if not series:
        series = [
            StepSeries(metrics.metric_of(question.metric).name, 0, found.total_by_step, at.now)
        ]
    return step_chart(
        *(question.metric, question.step, found.steps, found.running, series),
        (found.total_by_step, at.now),
        stacked=question.adds_up,
    )


def _why_not(question: ExploreQuestion, *, has_picture: bool) -> str:
    """Say why there is no picture, "" where there is one or none is wanted."""
    if question.view != "sankey" or has_picture:
        return ""
    if not question.adds_up:
        name = metrics.metric_of(question.metric).name.lower()
        return f"Parts of this do not add up, so {name} cannot flow. Take a cost, calls or tokens."
    if len(question.group_by) < 2:
        return "Flows go from one group to the next: choose two or three."
    return "Nothing flowed in this period."


def _kinds(found: Explored, links: Links) -> tuple[Kind, ...]:
    """Give the tokens by kind, most first."""
    ordered = sorted(found.kinds.items(), key=lambda each: each[1], reverse=True)
    calls = links.calls()
    return tuple(
        Kind(
            metrics.metric_of(name).name.removesuffix(" tokens"),
            Measure(name, Decimal(pair[0]), Decimal(pair[1]), "count", "", "", calls),
            links.explore(metric=name),
        )
        for name, pair in ordered
    )


# ------------------------------------------------------------------ what can be changed


def _form(
    viewer: Viewer, question: ExploreQuestion, links: Links, recent: tuple[CallRow, ...]
) -> Form:
    tags = sorted({key for row in recent for key in row.tags})[:_TAGS_MAX]
    offered = [name for name in COLUMNS if name not in _HIDDEN]
    if viewer.scope.user_id is not None:
        offered.remove("user")
    offered += [TAG_PREFIX + key for key in tags]
    offered += [name for name in question.group_by if name not in offered]
    groups = []
    for place in range(DIMENSIONS_MAX):
        current = question.group_by[place] if place < len(question.group_by) else ""
        none = (NO_GROUPS if not place else "", "Nothing", not current)
        choices = ((name, _dimension_name(name), name == current) for name in offered)
        groups.append((none, *choices))
    kept = dict(links.also)
    stays = {name: kept[name] for name in ("view", "sort", "limit") if name in kept}
    base = links.hidden_fields()
    return Form(
        metrics={
            group: tuple((name, each.name, name == question.metric) for name, each in named.items())
            for group, named in metrics.METRICS.items()
        },
        groups=tuple(groups),
        grains=(
            ("", "Whatever fits", not question.grain),
            *((name, _grain_name(name), name == question.grain) for name in GRAINS),
        ),
        compare=question.compare,
        dimensions=(
            *((name, _dimension_name(name)) for name in offered if not name.startswith(TAG_PREFIX)),
            ("tag", "Tag (name=value)"),
        ),
        hidden=(*base, *stays.items()),
        filter_hidden=(*base, *links.also),
    )


def _dimension_name(name: str) -> str:
    text = words.dimension(name).name
    return f"Tag {text}" if name.startswith(TAG_PREFIX) else text


def _grain_name(name: str) -> str:
    return "None" if name == "none" else f"{name.capitalize()}s"


def _views(links: Links, question: ExploreQuestion) -> tuple[Choice, ...]:
    return tuple(
        Choice(text, links.explore(view=None if name == "bars" else name), name == question.view)
        for name, text in _VIEW_NAMES.items()
    )


def _sorts(
    console: Console, viewer: Viewer, question: ExploreQuestion, links: Links
) -> tuple[Choice, ...]:
    """Offer orders, but none that would rank people by name."""
    if not question.group_by:
        return ()
    names = ["name"] if _ranks(console, viewer, question) else list(_SORT_NAMES)
    if not question.compare:
        names = [name for name in names if name != "change"]
    return tuple(
        Choice(_SORT_NAMES[name], links.explore(sort=name), name == question.order)
        for name in names
    )


def _ranks(console: Console, viewer: Viewer, question: ExploreQuestion) -> bool:
    return "user" in question.group_by and ranks_names(console, viewer)


def _limits(found: Explored, links: Links) -> tuple[Choice, ...]:
    """Offer more rows, as far as there are more."""
    if found.groups <= _LIMITS[0]:
        return ()
    wanted = [
        limit
        for place, limit in enumerate(_LIMITS)
        if not place or _LIMITS[place - 1] < found.groups
    ]
    return tuple(
        Choice(f"{limit:,}", links.explore(limit=str(limit)), limit == found.question.limit)
        for limit in wanted
    )
