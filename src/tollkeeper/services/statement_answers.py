"""Months and statements as the API, the pages and the command line tell them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tollkeeper.clock import second_text
from tollkeeper.domain.jobs import PENDING
from tollkeeper.domain.statements import MonthStatement
from tollkeeper.services.statement_documents import statement_document, totals_document
from tollkeeper.services.statements import MonthView, Waiting

_SECOND_US = 1_000_000


def months_document(
    zone: str, views: Iterable[MonthView], teams: frozenset[str] | None
) -> dict[str, Any]:
    """Give months of a billing zone: totals of these teams, None for all."""
    return {"tz": zone, "months": [month_row(view, teams) for view in views]}


def month_row(view: MonthView, teams: frozenset[str] | None) -> dict[str, Any]:
    """Give one month of the list, each team's total in it."""
    found = view.statement.of(teams)
    return {
        "month": found.month,
        **_standing(view),
        **totals_document(found.totals()),
        "teams": [
            {"team": team, **totals_document(found.of(frozenset({team})).totals())}
            for team in found.teams
        ],
    }


def month_document(
    view: MonthView, found: MonthStatement, waiting: Waiting | None, lag_entries: int
) -> dict[str, Any]:
    """Give the part of a month's statement that is seen. ``waiting`` is None where it is issued,
    or is not told.

    ``lag_entries`` counts what is known to be written down and not in the ledger yet.
    """
    return {
        **statement_document(found),
        **_standing(view),
        "waiting": None if waiting is None else waiting_document(waiting, lag_entries),
    }


def waiting_document(waiting: Waiting, lag_entries: int) -> dict[str, Any]:
    """Say what a month still waits for."""
    return {
        "unpriced": dict(sorted(waiting.unpriced.items())),
        "billed_later": waiting.unpriced.get(PENDING, 0),
        "not_loaded": lag_entries,
        "over_for_s": waiting.ended_us_ago // _SECOND_US,
    }


def _standing(view: MonthView) -> dict[str, Any]:
    head = view.issued
    return {
        "state": view.state,
        "issued": None
        if head is None
        else {
            "at": second_text(head.issued_at_us),
            "by": head.issued_by,
            "sha256": head.sha256,
        },
    }
