"""The list of calls: filtered, newest first, page by page.

A row is one attempt at a call, as it stands now: what the call cost besides (further models
that it billed) and what was corrected later is contained in it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tollkeeper.domain.access import Scope
from tollkeeper.ports import Ledger
from tollkeeper.reports import calls_queries as queries
from tollkeeper.reports import zones
from tollkeeper.reports.call_rows import STANDING, SUMS, CallRow, call_row
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.measures import added
from tollkeeper.reports.period import Period
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.selection import Selection

LIMIT_MAX: Final = 1_000
_LONGEST_CALL_US: Final = 86_400_000_000
_CLOSE: Final = timedelta(minutes=1)
"""Calls that follow each other so closely are read with all that lies between them."""

_CURSOR: Final = re.compile(r"(-?[0-9]{1,16}) ([\x21-\x7e]{1,200})")

_Row = Mapping[str, Any]
_Attempt = tuple[str, int]


@dataclass(frozen=True, slots=True)
class CallsQuestion:
    """Which calls. ``cursor`` is a page's ``next_cursor``; no period means all time.

    ``finished_after_us`` keeps calls that ended after a moment (to follow what happens).
    """

    period: Period | None = None
    filters: tuple[Filter, ...] = ()
    limit: int = 50
    cursor: str = ""
    finished_after_us: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LIMIT_MAX:
            raise BadQuestion("limit", f"a number from 1 to {LIMIT_MAX}")
        if self.cursor:
            _read_cursor(self.cursor)


@dataclass(frozen=True, slots=True)
class CallsPage:
    """Calls, newest first. ``next_cursor`` is "" on the last page."""

    rows: tuple[CallRow, ...]
    next_cursor: str


def calls(ledger: Ledger, scope: Scope, question: CallsQuestion) -> CallsPage:
    """Give one page of the calls that the scope allows."""
    period = question.period
    selection = Selection(
        scope,
        period.start_us if period else None,
        period.end_us if period else None,
        question.filters,
        period.zone if period else "",
    )
    values = selection.values()
    if question.cursor:
        started_us, entry_id = _read_cursor(question.cursor)
        values |= {"cursor_time": zones.moment_of(started_us), "cursor_entry": entry_id}
    if question.finished_after_us is not None:
        values["finished_ms"] = question.finished_after_us // 1_000
        values["earliest"] = zones.moment_of(question.finished_after_us - _LONGEST_CALL_US)
    shape = queries.ListShape(
        selection.shape(),
        queries.found_by(question.filters),
        after_cursor=bool(question.cursor),
        finished=question.finished_after_us is not None,
        limit=question.limit + 1,
    )
    with ledger.snapshot():
        found, known = _looked_up(ledger, scope, shape, values)
    page = found[: question.limit]
    rows = tuple(call_row(row, known[row["call_id"], row["attempt"]]) for row in page)
    more = len(found) > question.limit
    return CallsPage(rows, _write_cursor(rows[-1]) if more else "")


def _looked_up(
    ledger: Ledger, scope: Scope, shape: queries.ListShape, values: Mapping[str, Any]
) -> tuple[Sequence[_Row], Mapping[_Attempt, _Row]]:
    """Look for the calls, and for what each of them comes to.

    An engine that is told how far back the last of them lies reads of all the rest no more than
    their times.
    """
    if shape.found_by is not queries.FoundBy.CALL:
        found = ledger.run(queries.listed(ledger, shape), values)
        return found, _known_of(ledger, scope, found)
    times = [row["started_at"] for row in ledger.run(queries.times(ledger, shape), values)]
    if not times:
        return (), {}
    values = {**values, "since": times[-1]}
    is_newest = not shape.after_cursor and not shape.finished
    if is_newest and (not shape.selection.filters or times[0] - times[-1] < _CLOSE):
        entries = ledger.run(queries.around(ledger, shape), values)
        if len(entries) <= queries.around_max(shape):
            return _listed_of(entries, shape.limit), _sums_of(entries)
    found = ledger.run(queries.listed(ledger, shape._replace(since=True)), values)
    return found, _known_of(ledger, scope, found)


def _listed_of(entries: Sequence[_Row], limit: int) -> Sequence[_Row]:
    """Give the newest calls of the list, from all entries of their time."""
    found = [row for row in entries if row["is_listed"]]
    found.sort(key=lambda row: (row["started_at"], row["entry_id"]), reverse=True)
    return found[:limit]


def _sums_of(entries: Sequence[_Row]) -> Mapping[_Attempt, _Row]:
    """Sum up attempts as ``queries.known`` does."""
    found: dict[_Attempt, dict[str, Any]] = {}
    for row in entries:
        sums = found.setdefault(
            (row["call_id"], row["attempt"]), {"corrections": None, **dict.fromkeys(SUMS)}
        )
        for name in SUMS:
            sums[name] = added(sums[name], row[name])
        is_anew = row["part"] == 0 and row["revision"] > 0 and row["sign"] == 1
        if is_anew and row["revision"] > (sums["corrections"] or 0):
            sums |= {name: row[name] for name in STANDING}
            sums["corrections"] = row["revision"]
    return found


def _known_of(ledger: Ledger, scope: Scope, page: Sequence[_Row]) -> Mapping[_Attempt, _Row]:
    """Give the sums of attempts, and how they were booked last, by call and attempt."""
    if not page:
        return {}
    ids = [row["call_id"] for row in page]
    slots = 1 << (len(ids) - 1).bit_length()
    # Parts start with their call, and corrections come later: nothing lies before.
    selection = Selection(scope, start_us=zones.epoch_us_of(page[-1]["started_at"]))
    values = selection.values()
    values |= {f"call_{slot}": ids[min(slot, len(ids) - 1)] for slot in range(slots)}
    rows = ledger.run(queries.known(ledger, selection.shape(), slots), values)
    return {(row["call_id"], row["attempt"]): row for row in rows}


def _write_cursor(row: CallRow) -> str:
    text = f"{row.started_at_us} {row.entry_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[int, str]:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        match = _CURSOR.fullmatch(base64.urlsafe_b64decode(padded).decode("ascii"))
    except (ValueError, binascii.Error):
        match = None
    if match is None:
        raise BadQuestion("cursor", "not a cursor: take next_cursor of the page before")
    return int(match[1]), match[2]


def newest(
    ledger: Ledger,
    scope: Scope,
    filters: Iterable[Filter],
    limit: int,
    period: Period | None = None,
) -> CallsPage:
    """Give the newest calls, of a period or of all time."""
    return calls(ledger, scope, CallsQuestion(period, tuple(filters), limit))
