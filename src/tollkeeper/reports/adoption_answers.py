"""Adoption as the document of the JSON API, and as rows of a file. Hidden is null."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from tollkeeper.domain.adoption import DAYS_IN_WEEK, FLOWS, Figures
from tollkeeper.reports.adoption import Adoption
from tollkeeper.reports.measures import ratio

COLUMNS: Final = (
    *("week", "team", "people", "active", "active_rate", "monthly", "repeated", "repeat_rate"),
    *("daily_average", "stickiness", "sessions"),
    *FLOWS,
    *("tools_1", "tools_2", "tools_2_or_more", "tools_3_or_more"),
)
COMPANY: Final = "(all)"
_TOOLS: Final = {"1": "tools_1", "2": "tools_2", "2+": "tools_2_or_more", "3+": "tools_3_or_more"}
_DIGITS: Final = 6


def daily_average(found: Figures) -> Decimal | None:
    """Give how many people used a tool on an average day of the week."""
    return None if found.person_days is None else Decimal(found.person_days) / DAYS_IN_WEEK


def stickiness(found: Figures) -> Decimal | None:
    """Give which part of the month's people an average day sees."""
    average = daily_average(found)
    return None if average is None or not found.monthly else average / found.monthly


def share_of(part: int | None, whole: int | None) -> Decimal | None:
    """Give a part of a number of people; None where either is hidden, or the part is larger.

    A team that people have left may have more active people in a past week than seats.
    """
    if part is None or not whole or part > whole:
        return None
    return ratio(Decimal(part), Decimal(whole))


def adoption_document(found: Adoption) -> dict[str, Any]:
    """Give the document of ``GET /api/v1/adoption``."""
    return {
        "tz": found.zone,
        "group_min": found.group_min,
        "weeks": [
            {
                "week": week.first_day.isoformat(),
                "company": None if week.company is None else _figures(week.company),
                "teams": [
                    {"team": name, **_figures(figures)} for name, figures in week.teams.items()
                ],
                "main_tools": dict(week.main_tools),
            }
            for week in found.weeks
        ],
        "cohorts": [
            {"week": first.isoformat(), "size": cohort.size, "active": list(cohort.active)}
            for first, cohort in found.cohorts
        ],
    }


def adoption_rows(found: Adoption) -> list[dict[str, Any]]:
    """Give one row of ``COLUMNS`` for each week and team; the company's team is ``COMPANY``."""
    rows = []
    for week in found.weeks:
        whole = {} if week.company is None else {COMPANY: week.company}
        for name, figures in {**whole, **week.teams}.items():
            row: dict[str, Any] = {"week": week.first_day.isoformat(), "team": name}
            row |= {key: value for key, value in _figures(figures).items() if key in COLUMNS}
            row |= figures.flow
            row |= {_TOOLS[name]: count for name, count in figures.tools.items()}
            rows.append(dict.fromkeys(COLUMNS) | row)
    return rows


def _figures(found: Figures) -> dict[str, Any]:
    return {
        "people": found.people,
        "active": found.active,
        "active_rate": _number(share_of(found.active, found.people)),
        "monthly": found.monthly,
        "repeated": found.repeated,
        "repeat_rate": _number(share_of(found.repeated, found.active)),
        "daily_average": _number(daily_average(found)),
        "stickiness": _number(stickiness(found)),
        "sessions": found.sessions,
        "flow": dict(found.flow),
        "tools_per_person": dict(found.tools),
    }


def _number(value: Decimal | None) -> float | None:
    return None if value is None else round(float(value), _DIGITS)
