"""The list of calls: filtered, newest first, page by page.

A row is one attempt at a call, as it stands now: what the call cost besides (further models
that it billed) and what was corrected later is contained in it.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Basis
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.measures import Value, aggregates
from tollkeeper.reports.period import Period
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.selection import Selection, SelectionShape, selected
from tollkeeper.reports.unpriced import unpriced_attempts

if TYPE_CHECKING:
    import ibis.expr.types as ir

LIMIT_MAX: Final = 1_000
_LONGEST_CALL_US: Final = 86_400_000_000
_CURSOR: Final = re.compile(r"(-?[0-9]{1,16}) ([\x21-\x7e]{1,200})")
_SUMS: Final = (
    "cost_usd",
    "list_cost_usd",
    "saved_usd",
    "tokens_in",
    "tokens_cached",
    "tokens_out",
    "unpriced",
)


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
class CallRow:
    """One attempt at a call. Texts are "" where there is nothing; money is Decimal USD.

    ``cost_usd`` is None when nothing of the cost is known; ``unpriced`` counts the entries
    of this attempt whose cost is unknown. ``tokens_in`` contains ``tokens_cached``.
    ``corrections`` counts how often the attempt was booked anew. A refusal stands for
    ``repeats`` more of its kind.
    """

    call_id: str
    entry_id: str
    attempt: int
    started_at_us: int
    duration_ms: int
    ttft_ms: int | None
    source: str
    team: str
    user_id: str
    user_name: str
    key_id: str
    key_name: str
    end_customer: str
    session_id: str
    tool: str
    tool_version: str
    provider: str
    model_requested: str
    model_served: str
    endpoint: str
    wire: str
    streamed: bool
    status: int
    outcome: str
    error_code: str
    basis: str
    unpriced_reason: str
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    cost_usd: Decimal | None
    list_cost_usd: Decimal | None
    saved_usd: Decimal | None
    unpriced: int
    tags: Mapping[str, str]
    corrections: int = 0
    repeats: int = 0

    @property
    def model(self) -> str:
        """Give the model that answered, or the one asked for where none did."""
        return self.model_served or self.model_requested


@dataclass(frozen=True, slots=True)
class CallsPage:
    """Calls, newest first. ``next_cursor`` is "" on the last page."""

    rows: tuple[CallRow, ...]
    next_cursor: str


_COLUMNS: Final = tuple(
    field.name
    for field in dataclasses.fields(CallRow)
    if field.name not in {"started_at_us", "corrections", *_SUMS}
)
_STANDING: Final = ("basis", "unpriced_reason", "model_served")
"""What a correction may change besides amounts: the list shows, and finds, what stands."""
_CHANGING: Final = frozenset({*_STANDING, "model", "tier"})


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
    shape = _ListShape(
        selection.shape(),
        _found_by(question.filters),
        after_cursor=bool(question.cursor),
        finished=question.finished_after_us is not None,
        limit=question.limit + 1,
    )
    with ledger.snapshot():
        found = _found(ledger, shape, values)
        page = found[: question.limit]
        known = _known_of(ledger, scope, page)
    rows = tuple(_row(row, known[row["call_id"], row["attempt"]]) for row in page)
    more = len(found) > question.limit
    return CallsPage(rows, _write_cursor(rows[-1]) if more else "")


def _found(
    ledger: Ledger, shape: _ListShape, values: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    """Look for the calls. An engine that is told how far back the last of them lies reads of all
    the rest no more than their times."""
    if shape.found_by is not _FoundBy.CALL:
        return ledger.run(_list(ledger, shape), values)
    times = ledger.run(_times(ledger, shape), values)
    if not times:
        return []
    last = times[-1]["started_at"]
    return ledger.run(_list(ledger, shape._replace(since=True)), {**values, "since": last})


# ----------------------------------------------------------------------------- queries


class _FoundBy(enum.Enum):
    """Which entries of an attempt have to pass the filters."""

    CALL = "the call itself"  # nothing is asked about that a correction changes
    STANDING = "the call as it stands"
    UNPRICED = "any entry whose cost is unknown"  # one of a further model as well


def _found_by(filters: Iterable[Filter]) -> _FoundBy:
    """Say how calls are found for some filters."""
    changing = [each for each in filters if each.dimension in _CHANGING]
    for name, values, negated in changing:
        if not negated and (
            (name == "basis" and values == (Basis.UNPRICED.value,))
            or (name == "unpriced_reason" and "" not in values)
        ):
            return _FoundBy.UNPRICED
    return _FoundBy.STANDING if changing else _FoundBy.CALL


class _ListShape(NamedTuple):
    selection: SelectionShape
    found_by: _FoundBy
    after_cursor: bool
    finished: bool
    limit: int
    since: bool = False


@lru_cache(256)
def _list(ledger: Ledger, shape: _ListShape) -> ir.Table:
    table = _listed(ledger, shape)
    if shape.since:
        table = table.filter(table.started_at >= bindings.moment("since"))
    table = table.order_by(ibis.desc("started_at"), ibis.desc("entry_id")).limit(shape.limit)
    return table.select(*_COLUMNS, "started_at")


@lru_cache(256)
def _times(ledger: Ledger, shape: _ListShape) -> ir.Table:
    """Give when the calls of the list started, the newest first."""
    table = _listed(ledger, shape).select("started_at")
    return table.order_by(ibis.desc("started_at")).limit(shape.limit)


def _listed(ledger: Ledger, shape: _ListShape) -> ir.Table:
    table = _attempts(ledger, shape)
    if shape.after_cursor:
        time, entry = bindings.moment("cursor_time"), bindings.text("cursor_entry")
        table = table.filter(
            table.started_at <= time, (table.started_at < time) | (table.entry_id < entry)
        )
    if shape.finished:
        ended_ms = table.started_at.epoch_seconds() * 1_000 + table.duration_ms
        table = table.filter(
            table.started_at >= bindings.moment("earliest"),
            ended_ms >= bindings.integer("finished_ms"),
        )
    return table


def _attempts(ledger: Ledger, shape: _ListShape) -> ir.Table:
    """Give one entry for each attempt that passes the filters, with the attempt's own id."""
    if shape.found_by is _FoundBy.STANDING:
        table = selected(ledger, shape.selection)
        table = table.filter(
            table.part == 0, table.sign == 1, (table.corrects == "") | (table.revision > 0)
        )
        table = table.mutate(
            entry_id=(table.corrects == "").ifelse(table.entry_id, table.corrects),
            following_=table.revision + 1,
        )
        back = selected(ledger, shape.selection, _CHANGING)
        back = back.filter(back.sign == -1, back.part == 0)
        back = back.select(undone_=back.corrects, undone_revision_=back.revision)
        return table.anti_join(
            back,
            [table.entry_id == back.undone_, table.following_ == back.undone_revision_],
        )
    table = selected(ledger, shape.selection, _CHANGING)
    table = table.filter(table.part == 0, table.corrects == "")
    if shape.found_by is _FoundBy.UNPRICED:
        open_ones = unpriced_attempts(selected(ledger, shape.selection))
        table = table.semi_join(open_ones, ["call_id", "attempt"])
    return table


@lru_cache(64)
def _known(ledger: Ledger, selection: SelectionShape, calls: int) -> ir.Table:
    """Sum up everything of some calls, per attempt; with how it was booked last, if not at once.

    ``corrections`` is None for an attempt that nobody booked anew.
    """
    table = selected(ledger, selection)
    table = table.filter(
        table.call_id.isin([bindings.text(f"call_{slot}") for slot in range(calls)])
    )
    anew = (table.part == 0) & (table.revision > 0) & (table.sign == 1)
    last = {name: table[name].argmax(table.revision, where=anew) for name in _STANDING}
    return table.group_by("call_id", "attempt").agg(
        **aggregates(table, _SUMS), corrections=table.revision.max(where=anew), **last
    )


def _known_of(
    ledger: Ledger, scope: Scope, page: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Give the sums of attempts, and how they were booked last, by call and attempt."""
    if not page:
        return {}
    ids = [row["call_id"] for row in page]
    slots = 1 << (len(ids) - 1).bit_length()
    # Parts start with their call, and corrections come later: nothing lies before.
    selection = Selection(scope, start_us=zones.epoch_us_of(page[-1]["started_at"]))
    values = selection.values()
    values |= {f"call_{slot}": ids[min(slot, len(ids) - 1)] for slot in range(slots)}
    rows = ledger.run(_known(ledger, selection.shape(), slots), values)
    return {(row["call_id"], row["attempt"]): row for row in rows}


# ----------------------------------------------------------------------------- rows


def _row(row: Mapping[str, Any], known: Mapping[str, Any]) -> CallRow:
    found: dict[str, Any] = {name: _number(known[name]) for name in _SUMS}
    found |= {name: row[name] for name in _COLUMNS}
    if known["corrections"] is not None:
        found |= {name: known[name] for name in (*_STANDING, "corrections")}
    return CallRow(started_at_us=zones.epoch_us_of(row["started_at"]), **found)


def _number(value: Value) -> Value:
    return value if value is None or isinstance(value, Decimal) else int(value)


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
