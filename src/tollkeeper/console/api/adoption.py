"""``GET /api/v1/adoption``: whether tools are used, by team and week, and nobody by name."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question, csv_file
from tollkeeper.console.api.reading import viewer_of
from tollkeeper.console.api.schemas import COUNT, TEXT, Schema, exactly, listed, mapping, or_null
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role
from tollkeeper.reports.adoption import seen_by
from tollkeeper.reports.adoption_answers import COLUMNS, adoption_document, adoption_rows
from tollkeeper.reports.export import csv_lines
from tollkeeper.reports.parameters import adoption_team
from tollkeeper.reports.questions import BadQuestion, one_of, quoted

FORMATS: Final = ("json", "csv")
READERS: Final = frozenset({Role.ADMIN, Role.FINANCE, Role.AUDITOR, Role.LEAD})
"""Roles that see how teams take to their tools: all teams, a lead the own one."""

_RATE: Final[Schema] = {"type": ["number", "null"], "minimum": 0}
_DAY: Final[Schema] = {"type": "string", "format": "date"}


def adoption(console: Console, access: Access, question: Question) -> Answer:
    """Say how tools are taken to; what is about too few people is null."""
    wanted = question.query.get("format", "json")
    if wanted not in FORMATS:
        raise BadQuestion("format", f"{quoted(wanted)} is none; {one_of(FORMATS)}")
    team = adoption_team(question.query)
    counted = console.adoption.publication(console.now_us())
    found = seen_by(viewer_of(access).scope, counted, console.adoption.zone)
    if team:
        found = found.of_team(team)
    if wanted == "csv":
        return csv_file("adoption", csv_lines(COLUMNS, adoption_rows(found)))
    return Document(adoption_document(found))


def adoption_schemas() -> dict[str, Schema]:
    """Give the named schemas."""
    counts = ("active", "monthly", "repeated", "sessions")
    rates = ("active_rate", "repeat_rate", "daily_average", "stickiness")
    figures = {
        "people": COUNT,
        **dict.fromkeys(counts, or_null(COUNT)),
        **dict.fromkeys(rates, _RATE),
        "flow": mapping(COUNT),
        "tools_per_person": mapping(COUNT),
    }
    company = exactly(figures)
    week = {
        "week": _DAY,
        "company": or_null(company),
        "teams": listed(exactly({"team": TEXT, **figures})),
        "main_tools": mapping(COUNT),
    }
    cohort = {"week": _DAY, "size": or_null(COUNT), "active": listed(or_null(COUNT))}
    return {
        "Adoption": exactly(
            {
                "tz": TEXT,
                "group_min": COUNT,
                "weeks": listed(exactly(week)),
                "cohorts": listed(exactly(cohort)),
            }
        )
    }
