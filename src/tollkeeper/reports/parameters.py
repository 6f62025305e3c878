"""Reads questions from the parameters of a query string, for pages, the API and the CLI alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollkeeper.reports.bridge import ChangesQuestion
from tollkeeper.reports.calls import CallsQuestion
from tollkeeper.reports.explore_question import ROWS, ExploreQuestion
from tollkeeper.reports.filters import Filter, parse_filters
from tollkeeper.reports.overview import OverviewQuestion
from tollkeeper.reports.period import Period, period_between, period_named
from tollkeeper.reports.questions import BadQuestion, one_of, quoted
from tollkeeper.reports.savings import SavingsQuestion
from tollkeeper.reports.usage import UsageQuestion
from tollkeeper.reports.zones import zone_info

DEFAULT_PERIOD: Final = "30d"
DEFAULT_ZONE: Final = "UTC"
_TIME: Final = ("period", "from", "to", "tz")
USAGE: Final = ("metrics", "group_by", *_TIME, "filter", "order", "limit", "format")
CALLS: Final = (*_TIME, "filter", "limit", "cursor", "finished_after", "format")
ADOPTION: Final = ("team", "format")
SAVINGS: Final = (*_TIME, "filter", "from_model", "to_model", "format")
OVERVIEW: Final = ("by", *_TIME, "filter", "format")
CHANGES: Final = ("by", *_TIME, "before_from", "before_to", "filter", "format")
FORECAST: Final = ("tz", "filter")
EXPLORED: Final = ("metric", "group_by", "grain", "view", "compare", "sort", "limit")
"""What makes a view of Explore, besides its time and its filters."""

EXPLORE: Final = (*EXPLORED, *_TIME, "filter", "format")
NO_GROUPS: Final = "none"
_TEXT_CHARS_MAX: Final = 10_000


def usage_question(
    parameters: Mapping[str, str], now_us: int, zone: str = DEFAULT_ZONE
) -> UsageQuestion:
    """Read ``GET /api/v1/usage``. Raises BadQuestion."""
    _check_names(parameters, USAGE)
    return UsageQuestion(
        period=read_period(parameters, now_us, zone),
        metrics=_names(parameters.get("metrics", "")) or ("cost_usd", "requests"),
        group_by=_names(parameters.get("group_by", "")),
        filters=parse_filters(parameters.get("filter", "")),
        order=_names(parameters.get("order", "")),
        limit=_number(parameters, "limit", 1_000),
    )


def calls_question(
    parameters: Mapping[str, str], now_us: int, zone: str = DEFAULT_ZONE
) -> CallsQuestion:
    """Read ``GET /api/v1/calls``. Without a period it asks about all time."""
    _check_names(parameters, CALLS)
    timed = any(parameters.get(name) for name in ("period", "from", "to"))
    after = parameters.get("finished_after", "")
    return CallsQuestion(
        period=read_period(parameters, now_us, zone) if timed else None,
        filters=parse_filters(parameters.get("filter", "")),
        limit=_number(parameters, "limit", 50),
        cursor=parameters.get("cursor", ""),
        finished_after_us=_moment("finished_after", after, now_us) if after else None,
    )


def overview_question(
    parameters: Mapping[str, str], now_us: int, zone: str = DEFAULT_ZONE
) -> OverviewQuestion:
    """Read the first page's parameters."""
    _check_names(parameters, OVERVIEW)
    return OverviewQuestion(
        period=read_period(parameters, now_us, zone),
        dimension=parameters.get("by") or "model",
        filters=parse_filters(parameters.get("filter", "")),
    )


def explore_question(
    parameters: Mapping[str, str], now_us: int, zone: str = DEFAULT_ZONE
) -> ExploreQuestion:
    """Read a view of Explore. Models are the usual groups; ``group_by=none`` asks for none."""
    _check_names(parameters, EXPLORE)
    group_by = parameters.get("group_by") or "model"
    compare = parameters.get("compare") or "previous"
    if compare not in {"previous", "none"}:
        raise BadQuestion("compare", f"{quoted(compare)} is none; previous or none")
    return ExploreQuestion(
        period=read_period(parameters, now_us, zone),
        metric=parameters.get("metric") or "cost_usd",
        group_by=() if group_by == NO_GROUPS else _names(group_by),
        filters=parse_filters(parameters.get("filter", "")),
        grain=parameters.get("grain", ""),
        view=parameters.get("view") or "bars",
        compare=compare == "previous",
        sort=parameters.get("sort", ""),
        limit=_number(parameters, "limit", ROWS),
    )


def changes_question(
    parameters: Mapping[str, str], now_us: int, zone: str = DEFAULT_ZONE, by: str = "team"
) -> ChangesQuestion:
    """Read ``GET /api/v1/changes``: a period, and what it is compared with, else the one before."""
    _check_names(parameters, CHANGES)
    period = read_period(parameters, now_us, zone)
    return ChangesQuestion(
        period=period,
        before=_before(parameters, period, now_us),
        dimension=parameters.get("by") or by,
        filters=parse_filters(parameters.get("filter", "")),
    )


def _before(parameters: Mapping[str, str], period: Period, now_us: int) -> Period:
    start, end = parameters.get("before_from", ""), parameters.get("before_to", "")
    if not start and not end:
        return period.previous()
    if not start or not end:
        missing = "before_to" if start else "before_from"
        raise BadQuestion(missing, "before_from and before_to stand together")
    try:
        return period_between(start, end, period.zone, now_us)
    except BadQuestion as bad:
        raise BadQuestion(f"before_{bad.parameter}", str(bad).partition(": ")[2]) from None


def forecast_question(
    parameters: Mapping[str, str], zone: str = DEFAULT_ZONE
) -> tuple[str, tuple[Filter, ...]]:
    """Read ``GET /api/v1/forecast``: the zone whose month it is, and the filters."""
    _check_names(parameters, FORECAST)
    zone = parameters.get("tz") or zone
    zone_info(zone)
    return zone, parse_filters(parameters.get("filter", ""))


def adoption_team(parameters: Mapping[str, str]) -> str:
    """Read which team alone is asked about; "" for all. Raises BadQuestion for anything else."""
    _check_names(parameters, ADOPTION)
    return parameters.get("team", "")


def savings_question(
    parameters: Mapping[str, str], now_us: int, zone: str = DEFAULT_ZONE
) -> SavingsQuestion:
    """Read ``GET /api/v1/savings``. Raises BadQuestion."""
    _check_names(parameters, SAVINGS)
    return SavingsQuestion(
        read_period(parameters, now_us, zone),
        parse_filters(parameters.get("filter", "")),
        parameters.get("from_model", "").strip(),
        parameters.get("to_model", "").strip(),
    )


def read_period(
    parameters: Mapping[str, str], now_us: int, zone: str = DEFAULT_ZONE, name: str = DEFAULT_PERIOD
) -> Period:
    """Read ``period`` or ``from`` and ``to``, and ``tz``. Raises BadQuestion."""
    zone = parameters.get("tz") or zone
    start, end = parameters.get("from", ""), parameters.get("to", "")
    if not start and not end:
        return period_named(parameters.get("period") or name, zone, now_us)
    if parameters.get("period"):
        raise BadQuestion("period", "give either a period, or from and to")
    if not start:
        raise BadQuestion("from", "is needed where there is a to")
    return period_between(start, end, zone, now_us)


def _moment(parameter: str, text: str, now_us: int) -> int:
    try:
        return period_between(text, None, DEFAULT_ZONE, now_us).start_us
    except BadQuestion:
        raise BadQuestion(parameter, "a past time in ISO 8601: 2026-11-01T09:00:00Z") from None


def _check_names(parameters: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    for name, value in parameters.items():
        if name not in allowed:
            raise BadQuestion(quoted(name), f"no such parameter; {one_of(allowed)}")
        if len(value) > _TEXT_CHARS_MAX:
            raise BadQuestion(name, f"at most {_TEXT_CHARS_MAX} characters")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _number(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadQuestion(name, "a whole number")
    return int(text)
