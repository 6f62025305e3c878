"""``/api/v1/statements``: what is booked for each team and month, as JSON, files and FOCUS."""

from __future__ import annotations

from typing import Any, Final

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, File, Question, csv_file
from tollkeeper.console.api.reading import check_names, viewer_of
from tollkeeper.console.api.schemas import (
    COUNT,
    MONEY,
    TEXT,
    TIME,
    Schema,
    exactly,
    listed,
    mapping,
    or_null,
)
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.domain.errors import NotFound
from tollkeeper.domain.statements import MonthStatement, Totals
from tollkeeper.reports import focus, statement_lines
from tollkeeper.reports.export import csv_lines
from tollkeeper.reports.questions import BadQuestion, one_of, quoted
from tollkeeper.services.statement_answers import month_document, months_document
from tollkeeper.services.statements import ISSUED, LOCKED, OPEN, RUNNING, MonthView

FORMATS: Final = ("json", "csv", "parquet", "focus_csv", "focus_parquet")
READERS: Final = frozenset({Role.ADMIN, Role.FINANCE, Role.AUDITOR, Role.LEAD})
"""Roles that see what teams are charged: all teams, a lead the own ones."""

CLOSERS: Final = frozenset({Role.ADMIN, Role.FINANCE})
"""Roles that issue a statement, after which it never changes."""

NO_TEAM: Final = "(no team)"
"""How what belongs to no team is called in addresses."""

_PARQUET: Final = "application/vnd.apache.parquet"
_NUMBER: Final[Schema] = {"type": "integer"}
_FLAG: Final[Schema] = {"type": "boolean"}


def list_months(console: Console, access: Access, question: Question) -> Answer:
    """List the months with what is booked for each team, the newest first."""
    check_names(question.query, ())
    desk, teams = console.statements, viewer_of(access).scope.teams
    return Document(months_document(desk.zone, desk.months(), teams))


def month(console: Console, access: Access, question: Question) -> Answer:
    """Give a month's statement: all teams that whoever asks may see."""
    check_names(question.query, ("format",))
    viewer = viewer_of(access)
    view = console.statements.month(question.path["month"])
    seen = view.statement.limited(viewer.scope.teams)
    return answer_of(console, viewer, view, seen, question.query.get("format"))


def team_statement(console: Console, access: Access, question: Question) -> Answer:
    """Give one team's statement of a month; ``(no team)`` is what belongs to none."""
    check_names(question.query, ("format",))
    viewer = viewer_of(access)
    view = console.statements.month(question.path["month"])
    only = frozenset({team_named(view, viewer, question.path["team"])})
    seen = view.statement.limited(viewer.scope.teams).of(only)
    return answer_of(console, viewer, view, seen, question.query.get("format"))


def close_month(console: Console, access: Access, question: Question) -> Answer:
    """Issue a month's statement and close the month; it never changes afterwards."""
    check_names(question.query, ())
    viewer = viewer_of(access)
    view = console.statements.close(question.path["month"], viewer.name)
    return answer_of(console, viewer, view, view.statement, "json")


def team_named(view: MonthView, viewer: Viewer, name: str) -> str:
    """Find a team among those seen in a month. Raises NotFound for any other."""
    seen = view.statement.of(viewer.scope.teams).teams
    if name in seen:
        return name
    if name == NO_TEAM and "" in seen:
        return ""
    raise NotFound(
        f"there is no statement for {quoted(name)} in {view.statement.month}", code="no_statement"
    )


def answer_of(
    console: Console,
    viewer: Viewer,
    view: MonthView,
    found: MonthStatement,
    wanted: str | None,
) -> Answer:
    """Answer with what of a month is seen, in a format.

    Who issued it, and what it waits for, is told to whoever sees all teams.
    """
    wanted = wanted or "json"
    if wanted not in FORMATS:
        raise BadQuestion("format", f"{quoted(wanted)} is none; {one_of(FORMATS)}")
    if wanted == "json":
        return Document(seen_document(console, viewer, view, found))
    name = f"statement-{found.month}"
    if wanted.startswith("focus"):
        rows = focus.focus_rows(found, view.state, view.issued.sha256 if view.issued else "")
        columns, kinds, name = focus.COLUMNS, focus.KINDS, f"{name}-focus"
    else:
        rows = statement_lines.statement_rows(found)
        columns, kinds = statement_lines.COLUMNS, statement_lines.KINDS
    if wanted.endswith("csv"):
        return csv_file(name, csv_lines(columns, rows))
    return File(f"{name}.parquet", _PARQUET, console.parquet(columns, rows, kinds))


def seen_document(
    console: Console, viewer: Viewer, view: MonthView, found: MonthStatement
) -> dict[str, Any]:
    """Give what of a month is seen as data."""
    sees_all = viewer.scope.teams is None
    waiting = view.waiting if sees_all else None
    said = month_document(view, found, waiting, console.loader_status().lag_entries)
    if said["issued"] and not sees_all:
        said["issued"]["by"] = None
    return said


def statement_schemas() -> dict[str, Schema]:
    """Give the named schemas."""
    totals = {
        name.replace("_nanos", "_usd"): MONEY if name.endswith("_nanos") else {"type": "integer"}
        for name in Totals._fields
    }
    of_team = exactly({"team": TEXT, **totals})
    issued = exactly({"at": TIME, "by": {"type": ["string", "null"]}, "sha256": TEXT})
    standing = {
        "state": {"enum": [RUNNING, OPEN, LOCKED, ISSUED]},
        "issued": or_null(issued),
    }
    sharing = exactly(
        {
            "split": TEXT,
            "teams": listed(TEXT),
            "tags": listed(TEXT),
            "weights": mapping(COUNT),
        }
    )
    waiting = {"billed_later": COUNT, "not_loaded": COUNT, "over_for_s": {"type": "integer"}}
    return {
        "StatementMonths": exactly(
            {
                "tz": TEXT,
                "months": listed(
                    exactly({"month": TEXT, **standing, **totals, "teams": listed(of_team)})
                ),
            }
        ),
        "Statement": exactly(
            {
                "version": COUNT,
                **dict.fromkeys(("month", "org", "tz"), TEXT),
                **dict.fromkeys(("from", "to"), TIME),
                "sharing": sharing,
                "totals": exactly(totals),
                "teams": listed(of_team),
                "lines": listed(_line()),
                "entries": mapping(COUNT),
                **standing,
                "waiting": or_null(exactly({"unpriced": mapping(COUNT), **waiting})),
            }
        ),
    }


def _line() -> Schema:
    """Describe a line; which properties it has follows from its kind."""
    texts = ("month", "provider", "model", "feature", "basis", "plan")
    versions = ("price_version_first", "price_version_last")
    numbers = ("requests", "tokens_in", "tokens_out", "entries", "unpriced", "people", "seats")
    amounts = ("cost_usd", "list_cost_usd", "discount_usd", "seat_usd")
    return {
        "type": "object",
        "properties": {
            "kind": {"enum": ["usage", "correction", "shared", "seats"]},
            "team": TEXT,
            **dict.fromkeys(("shared", "given"), _FLAG),
            **dict.fromkeys((*texts, *versions), TEXT),
            **dict.fromkeys(numbers, _NUMBER),
            **dict.fromkeys(("weight", "weights"), or_null(_NUMBER)),
            **dict.fromkeys(amounts, MONEY),
        },
        "required": ["kind", "team", "cost_usd"],
        "additionalProperties": False,
    }
