"""What was spent, from the ledger, in the shapes that LiteLLM's clients read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import check_names, viewer_of
from tollkeeper.console.masking import require_names
from tollkeeper.console.shared import Console
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import Scope
from tollkeeper.domain.litellm_keys import MARK
from tollkeeper.domain.litellm_terms import usd_number
from tollkeeper.domain.money import nanos_of_usd
from tollkeeper.reports import calls as calls_report
from tollkeeper.reports import usage as usage_report
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.calls import CallsQuestion
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import DAYS_MAX, Period, period_between, period_named
from tollkeeper.reports.questions import BadQuestion, quoted
from tollkeeper.reports.usage import UsageQuestion, UsageRow

_DAYS: Final = ("start_date", "end_date")
_LOGS: Final = ("api_key", "user_id", "request_id", "team_id", "summarize", *_DAYS)
_REPORT: Final = ("group_by", "api_key", "internal_user_id", "team_id", "customer_id", *_DAYS)
_MONTH: Final = "30d"
_DAY_US: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_METRICS: Final = ("cost_usd", "tokens", "tokens_in", "tokens_out")
_GROUPS: Final[Mapping[str, str]] = {"team": "team", "customer": "customer"}
_ROWS_MAX: Final = usage_report.LIMIT_MAX


def spent_usd(console: Console, dimension: str, value: str, since_us: int) -> float | None:
    """Give what somebody has spent since they were made, as far back as one question reaches.

    None where calls are there and no cost of them is known.
    """
    now_us = console.now_us()
    start_us = max(since_us, now_us - DAYS_MAX * _DAY_US)
    period = Period("custom", "UTC", start_us, now_us + 1, now_us + 1, step="exact")
    question = UsageQuestion(period, ("cost_usd",), (), (Filter(dimension, (value,)),))
    answer = usage_report.usage(console.ledger, Scope(console.org), question)
    return _usd(answer.totals["cost_usd"])


def with_spend(
    console: Console, documents: list[dict[str, Any]], dimension: str, value: str
) -> list[dict[str, Any]]:
    """Fill in what keys have spent that no budget counts; all keys are somebody's of one kind."""
    if all(each["spend"] is not None for each in documents):
        return documents
    period = period_named(f"{DAYS_MAX}d", "UTC", console.now_us())
    filters = (Filter(dimension, (value,)),)
    rows = _rows(console, Scope(console.org), period, filters, ("key",))
    spent = {row.keys["key"]: _usd(row.values["cost_usd"]) for row in rows}
    return [
        each if each["spend"] is not None else {**each, "spend": spent.get(each["token"], 0.0)}
        for each in documents
    ]


def logs(console: Console, access: Access, question: Question) -> Answer:
    """List calls, newest first, at most a thousand; sums by the day where two dates are given."""
    query = question.query
    check_names(query, _LOGS)
    require_names(console, access)
    filters = _filters(console, query, {"user_id": "user", "request_id": "call"})
    scope = viewer_of(access).scope
    period = _period(console, query) if any(query.get(name) for name in _DAYS) else None
    is_summed = query.get("summarize", "true").lower() != "false"
    if period is not None and is_summed:
        return Document(_days(console, scope, period, filters))
    asked = CallsQuestion(period, filters, calls_report.LIMIT_MAX)
    page = calls_report.calls(console.ledger, scope, asked)
    teams = {team.name: team.team_id for team in console.store.teams()}
    return Document([_log(row, teams) for row in page.rows])


def report(console: Console, access: Access, question: Question) -> Answer:
    """Sum up spend by day and team, by day and customer, or by key."""
    query = question.query
    check_names(query, _REPORT)
    if query.get("internal_user_id"):
        require_names(console, access)
    group = query.get("group_by", "team")
    filters = _filters(console, query, {"internal_user_id": "user", "customer_id": "customer"})
    period, scope = _period(console, query), viewer_of(access).scope
    if group == "api_key":
        return Document(_by_key(console, scope, period, filters))
    if group not in _GROUPS:
        raise BadQuestion("group_by", f"{quoted(group)}: team, customer or api_key")
    return Document(_by_day(console, scope, period, filters, group))


# ------------------------------------------------------------------ questions


def _period(console: Console, query: Mapping[str, str]) -> Period:
    """Read two days, both of them included; the last thirty where none is given."""
    now_us, start, end = console.now_us(), query.get("start_date"), query.get("end_date")
    if not start and not end:
        return period_named(_MONTH, console.zone, now_us)
    if not start:
        raise BadQuestion("start_date", "is needed where there is an end_date")
    try:
        return period_between(start, end, console.zone, now_us)
    except BadQuestion as error:
        names = {"from": "start_date", "to": "end_date"}
        reason = str(error).partition(": ")[2]
        raise BadQuestion(names.get(error.parameter, error.parameter), reason) from None


def _filters(
    console: Console, query: Mapping[str, str], plain: Mapping[str, str]
) -> tuple[Filter, ...]:
    found = [Filter(plain[name], (query[name],)) for name in plain if query.get(name)]
    if query.get("api_key"):
        said = query["api_key"]
        parts = key_tokens.parse(said)
        found.append(Filter("key", (said if parts is None else parts.key_id,)))
    if query.get("team_id"):
        # A team is known to the ledger by its name.
        said = query["team_id"]
        named = [team.name for team in console.store.teams() if team.team_id == said]
        found.append(Filter("team", (named[0] if named else said,)))
    return tuple(found)


def _rows(
    console: Console,
    scope: Scope,
    period: Period,
    filters: tuple[Filter, ...],
    groups: tuple[str, ...],
) -> tuple[UsageRow, ...]:
    question = UsageQuestion(period, _METRICS, groups, filters, limit=_ROWS_MAX)
    return usage_report.usage(console.ledger, scope, question).rows


# ------------------------------------------------------------------ shapes


def _days(
    console: Console, scope: Scope, period: Period, filters: tuple[Filter, ...]
) -> list[dict[str, Any]]:
    """Sum up each day, and in it people and models."""
    found: dict[str, dict[str, Any]] = {}
    for row in _rows(console, scope, period, filters, ("day", "user", "model")):
        day = found.setdefault(
            str(row.keys["day"]),
            {"startTime": str(row.keys["day"]), "spend": 0, "users": {}, "models": {}},
        )
        nanos = _nanos(row)
        day["spend"] += nanos
        for part, value in (("users", row.keys["user"]), ("models", row.keys["model"])):
            day[part][str(value or "")] = day[part].get(str(value or ""), 0) + nanos
    return [
        {
            **day,
            "spend": usd_number(day["spend"]),
            "users": {name: usd_number(nanos) for name, nanos in day["users"].items()},
            "models": {name: usd_number(nanos) for name, nanos in day["models"].items()},
        }
        for day in found.values()
    ]


def _by_day(
    console: Console, scope: Scope, period: Period, filters: tuple[Filter, ...], group: str
) -> list[dict[str, Any]]:
    """Sum up each day and, in it, each team or customer with its models and keys."""
    days: dict[str, dict[str, list[UsageRow]]] = {}
    for row in _rows(console, scope, period, filters, ("day", _GROUPS[group], "model", "key")):
        parts = days.setdefault(str(row.keys["day"]), {})
        parts.setdefault(str(row.keys[_GROUPS[group]] or ""), []).append(row)
    name = "team_name" if group == "team" else "customer"
    return [
        {
            "group_by_day": f"{day}T00:00:00+00:00",
            f"{group}s": [
                {
                    name: value,
                    "total_spend": usd_number(sum(_nanos(row) for row in rows)),
                    "metadata": [_part(row) for row in rows],
                }
                for value, rows in parts.items()
            ],
        }
        for day, parts in days.items()
    ]


def _part(row: UsageRow) -> dict[str, Any]:
    return {
        "model": row.keys["model"],
        "spend": _usd(row.values["cost_usd"]),
        "total_tokens": row.values["tokens"],
        "api_key": row.keys["key"],
    }


def _by_key(
    console: Console, scope: Scope, period: Period, filters: tuple[Filter, ...]
) -> list[dict[str, Any]]:
    """Sum up each key, and in it each model."""
    keys: dict[str, list[UsageRow]] = {}
    for row in _rows(console, scope, period, filters, ("key", "model")):
        keys.setdefault(str(row.keys["key"] or ""), []).append(row)
    return [
        {
            "api_key": key,
            "total_cost": usd_number(sum(_nanos(row) for row in rows)),
            "total_input_tokens": sum(_count(row, "tokens_in") for row in rows),
            "total_output_tokens": sum(_count(row, "tokens_out") for row in rows),
            "model_details": [
                {
                    "model": row.keys["model"],
                    "total_cost": _usd(row.values["cost_usd"]),
                    "total_input_tokens": row.values["tokens_in"],
                    "total_output_tokens": row.values["tokens_out"],
                }
                for row in rows
            ],
        }
        for key, rows in keys.items()
    ]


def _log(row: CallRow, team_ids: Mapping[str, str]) -> dict[str, Any]:
    """Give one call; ``spend`` is null where its cost is unknown."""
    ended_us = row.started_at_us + row.duration_ms * 1_000
    return {
        "request_id": row.call_id,
        "call_type": row.endpoint,
        "api_key": row.key_id,
        "spend": _usd(row.cost_usd),
        "total_tokens": row.tokens_in + row.tokens_out,
        "prompt_tokens": row.tokens_in,
        "completion_tokens": row.tokens_out,
        "startTime": _time(row.started_at_us),
        "endTime": _time(ended_us),
        "model": row.model,
        "model_group": row.model_requested,
        "custom_llm_provider": row.provider,
        "user": row.user_id,
        "team_id": team_ids.get(row.team, row.team or None),
        "end_user": row.end_customer,
        "session_id": row.session_id,
        "status": "success" if row.outcome == "ok" else "failure",
        "metadata": {
            "user_api_key_alias": row.key_name,
            "status_code": row.status,
            "error_code": row.error_code or None,
        },
        "request_tags": [f"{key}:{value}" for key, value in row.tags.items() if key != MARK],
    }


def _time(epoch_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=epoch_us)).isoformat()


def _nanos(row: UsageRow) -> int:
    """Give what is known of a row's cost."""
    cost = row.values["cost_usd"]
    return nanos_of_usd(cost) if isinstance(cost, Decimal) else 0


def _count(row: UsageRow, name: str) -> int:
    value = row.values[name]
    return value if isinstance(value, int) else 0


def _usd(cost: object) -> float | None:
    return usd_number(nanos_of_usd(cost)) if isinstance(cost, Decimal | int) else None
