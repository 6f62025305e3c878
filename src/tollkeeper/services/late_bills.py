"""Bills that arrive later: which of them are new, whose they are, and what they change.

The loader asks here before it stores a batch that says something of jobs. The answer follows
from what the ledger remembers of them (``JobState``), so a bill that was told ten times, by
any gateway and after any crash, is booked once. See docs/decisions/0012.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, overload

from tollkeeper.domain.calls import Part
from tollkeeper.domain.corrections import Booking, correction
from tollkeeper.domain.job_bills import JobState
from tollkeeper.domain.jobs import JobMark, Role
from tollkeeper.domain.ledger import TOKEN_FIELDS, Basis, LedgerEntry
from tollkeeper.telemetry import logger

BILLED_LATER: Final = "billed_later"
BILLED_BY_LINES: Final = "billed_by_lines"
_ALIASES_MAX: Final = 4
_COST: Final = "cost_nanos"
_UNITS: Final = "units."
_OF_THE_BILL: Final = (
    *("model_served", "basis", "unpriced_reason", "units", "price_version", "price_key"),
    *("price_provider", "tier", "tier_served", "batch", "speed", "geo", "terms", "stated"),
    *("cost_nanos", "list_cost_nanos", "saved_nanos", "provider_cost_nanos", "usage_raw"),
    *(field for field, _ in TOKEN_FIELDS),
)
_OF_THE_OWNER: Final = (
    *("call_id", "started_at_us", "org", "attempt", "team", "user_id", "user_name", "key_id"),
    *("key_name", "end_customer", "session_id", "tool", "tool_version", "model_requested"),
    *("endpoint", "wire", "streamed", "tags"),
)
_NO_TOKENS: Final[Mapping[str, Any]] = {field: 0 for field, _ in TOKEN_FIELDS}
_NEW: Final = JobState()


class Resolved(NamedTuple):
    """What is to be stored: entries, and the jobs whose state has changed."""

    entries: list[LedgerEntry]
    jobs: dict[str, JobState]


def named_jobs(marks: Iterable[JobMark]) -> set[str]:
    """Give the identities of all jobs that some marks name."""
    return {name for mark in marks for name in (mark.job, mark.other) if name}


def unstarted(marks: Iterable[JobMark], jobs: Mapping[str, JobState]) -> bool:
    """Tell whether there are bills of a job of which nothing is known yet."""
    started: set[str] = set()
    for mark in marks:
        if mark.role in {Role.BEGUN, Role.OWN}:
            started.add(mark.job)
        elif mark.role in {Role.BILL, Role.LINE, Role.TOTAL} and mark.job not in started:
            state = _followed(jobs, mark.job)[1]
            if state.begun is None and state.owner is None:
                return True
    return False


def line_ids(
    marks: Mapping[str, JobMark], jobs: Mapping[str, JobState]
) -> Iterable[tuple[int, list[str]]]:
    """Give the lines that may be in the ledger already, by the start that they have there."""
    found: dict[int, list[str]] = {}
    for entry_id, mark in marks.items():
        if mark.role == Role.LINE and entry_id == mark.bill:
            for name, started_at_us in _places(*_followed(jobs, mark.job)):
                found.setdefault(started_at_us, []).append(_named(entry_id, mark, name))
            if mark.other:  # which is about to become the same job
                for name, started_at_us in _places(*_followed(jobs, mark.other)):
                    found.setdefault(started_at_us, []).append(_named(entry_id, mark, name))
    return found.items()


def resolve(
    entries: Sequence[LedgerEntry],
    marks: Mapping[str, JobMark],
    jobs: Mapping[str, JobState],
    known: frozenset[str],
    at_us: int,
) -> Resolved:
    """Decide about a batch, in its order.

    ``marks`` says which entries belong to jobs, by entry id; ``jobs`` is what the ledger
    remembers of those, ``known`` the lines (``line_ids``) that it has. ``at_us`` is now.
    """
    resolution = _Resolution(jobs, known, at_us)
    for entry in entries:
        mark = marks.get(entry.entry_id)
        if mark is None:
            resolution.entries.append(entry)
        else:
            resolution.take(entry, mark)
    resolution.end()
    return Resolved(resolution.entries, resolution.changed)


class _Resolution:
    """One batch on its way into the ledger."""

    def __init__(self, jobs: Mapping[str, JobState], known: frozenset[str], at_us: int) -> None:
        self.entries: list[LedgerEntry] = []
        self.changed: dict[str, JobState] = {}
        self._jobs = dict(jobs)
        self._known = set(known)
        self._accepted: dict[str, bool] = {}  # bill → whether its entries are booked
        self._fresh: dict[str, dict[str, int]] = {}  # job → what new lines used and cost
        self._at_us = at_us

    def take(self, entry: LedgerEntry, mark: JobMark) -> None:
        """Take one entry that belongs to a job."""
        if mark.other and mark.other != mark.job:
            self._join(mark.other, mark.job)
        match mark.role:
            case Role.BEGUN | Role.OWN:
                self._take_beginning(entry, mark)
            case Role.BILL:
                self._take_bill(entry, mark)
            case Role.LINE:
                self._take_line(entry, mark)
            case Role.TOTAL:
                self._take_total(entry, mark)
            case _:
                self.entries.append(entry)
                if mark.ended:
                    self._complete(mark.job)

    def end(self) -> None:
        """Let sums give way to the lines that came."""
        for job, fresh in self._fresh.items():
            name, state = _followed(self._jobs, job)
            if state.total is not None and not state.complete:
                self._revise_total(name, state, _less(state.total, fresh))
        for name, state in list(self.changed.items()):
            if state.complete and state.total is not None:
                self._revise_total(name, state, None)

    # ------------------------------------------------------------------ beginnings

    def _take_beginning(self, entry: LedgerEntry, mark: JobMark) -> None:
        name, state = _followed(self._jobs, mark.job)
        again = state.begun is not None and state.begun.entry_id != entry.entry_id
        if again or (state.begun is None and (state.billed or state.owner is not None)):
            # Its bill was booked for whoever fetched it; or a provider used an id twice.
            self.entries.append(entry if again else _costless(entry))
            return
        self.entries.append(entry)
        owns = mark.role == Role.OWN
        if state.begun is None:
            kept = _name_only(entry) if owns else entry._replace(usage_raw="")
            self._set(name, state._replace(begun=kept, settled=owns, billed=owns))

    def _settle(self, state: JobState, bill: LedgerEntry | None, why: str) -> JobState:
        """Book the call that began a job anew: with its bill, or at no cost of its own."""
        begun = state.begun
        if begun is None or state.settled:
            return state
        part = Part(begun.model_served, {}, Basis.FREE, 0, 0)
        back, anew = correction(Booking(begun, begun), part, begun.price_version, self._at_us)
        if bill is not None:
            fields = {field: getattr(bill, field) for field in _OF_THE_BILL}
            anew = anew._replace(**fields, request_id_upstream=bill.request_id_upstream)
            if bill.cost_nanos is None:  # still unknown: what was held goes on to count
                anew = anew._replace(held_nanos=begun.held_nanos)
        self.entries += [back._replace(correction=why), anew._replace(correction=why)]
        return state._replace(settled=True)

    # ------------------------------------------------------------------ bills

    def _take_bill(self, entry: LedgerEntry, mark: JobMark) -> None:
        name, state = _followed(self._jobs, mark.job)
        first = entry.entry_id == mark.bill
        if first:
            self._accepted[mark.bill] = not state.billed
        if not self._accepted.get(mark.bill):
            return
        if first and state.begun is not None:
            state = self._settle(state, entry, BILLED_LATER)
        else:
            state = self._attribute(entry, state)
        # Nothing more is booked for anybody: who it was need not be kept.
        begun, owner = _name_only(state.begun), _name_only(state.owner)
        self._set(name, state._replace(billed=True, begun=begun, owner=owner))

    def _take_line(self, entry: LedgerEntry, mark: JobMark) -> None:
        name, state = _followed(self._jobs, mark.job)
        if entry.entry_id == mark.bill:
            names = [name, *(other for other, _ in state.places)]
            booked = {_named(mark.bill, mark, each) for each in names}
            self._accepted[mark.bill] = self._known.isdisjoint(booked)
            self._known.add(_named(mark.bill, mark, name))
        if not self._accepted.get(mark.bill):
            return
        entry = entry._replace(entry_id=_named(entry.entry_id, mark, name))
        state = self._attribute(entry, state)
        used = _amounts(entry)
        self._set(name, state._replace(lines=_sum(state.lines, used)))
        self._fresh[name] = _sum(self._fresh.get(name, {}), used)

    def _take_total(self, entry: LedgerEntry, mark: JobMark) -> None:
        name, state = _followed(self._jobs, mark.job)
        if state.complete:
            self._compare(name, entry, state)
        if state.totalled or state.complete or entry.entry_id != mark.bill:
            return
        # Without the key of its price nobody prices it again: it may have to give way.
        state = self._attribute(_less(entry._replace(price_key=""), state.lines), state)
        total = self.entries[-1]._replace(usage_raw="")
        state = self._settle(state, None, BILLED_BY_LINES)
        self._set(name, state._replace(totalled=True, total=total))
        self._fresh.pop(name, None)  # they are taken from it already

    def _attribute(self, entry: LedgerEntry, state: JobState) -> JobState:
        """Book an entry for whoever began the job, else for whoever fetched it first."""
        owner = state.begun or state.owner
        if owner is None:
            owner = entry._replace(usage_raw="")
            state = state._replace(owner=owner)
        self.entries.append(_owned(entry, owner))
        return state

    def _revise_total(self, name: str, state: JobState, rest: LedgerEntry | None) -> None:
        """Book what is left of a sum, or that nothing is."""
        total = state.total
        if total is None:
            return
        first = total._replace(entry_id=total.corrects or total.entry_id)
        part = Part(total.model_served, {}, Basis.FREE, 0, 0)
        back, anew = correction(Booking(first, total), part, total.price_version, self._at_us)
        anew = anew._replace(units={}, provider_cost_nanos=None, saved_nanos=0, **_NO_TOKENS)
        if rest is not None:
            anew = anew._replace(**{field: getattr(rest, field) for field in _OF_THE_BILL})
        anew = anew._replace(usage_raw="", correction=BILLED_BY_LINES)
        self.entries += [back._replace(correction=BILLED_BY_LINES), anew]
        self._set(name, state._replace(total=None if rest is None else anew))

    def _complete(self, job: str) -> None:
        name, state = _followed(self._jobs, job)
        if not state.complete and (state != _NEW):
            state = self._settle(state, None, BILLED_BY_LINES)
            self._set(name, state._replace(complete=True))

    def _compare(self, name: str, total: LedgerEntry, state: JobState) -> None:
        """Say where the lines of a job do not add up to what the provider stated."""
        stated = {field: count for field, count in _amounts(total).items() if field != _COST}
        if any(state.lines.get(field, 0) != count for field, count in stated.items()):
            logger.warning("a batch states another usage than its lines", extra={"job": name})

    # ------------------------------------------------------------------ states

    def _join(self, other: str, job: str) -> None:
        """Note that two names are those of one job, and put together what is booked of it."""
        other, second = _followed(self._jobs, other)
        name, state = _followed(self._jobs, job)
        if other == name:
            return
        joined = state._replace(
            owner=state.owner or second.begun or second.owner,
            complete=state.complete or second.complete,
            lines=_sum(state.lines, second.lines),
            places=(*state.places, *_places(other, second)),
        )
        # A sum that is booked gives way to all lines of the other name, else only new ones count.
        fresh: Mapping[str, int] = self._fresh.pop(other, {})
        fresh = fresh if state.total is None else second.lines
        if fresh:
            self._fresh[name] = _sum(self._fresh.get(name, {}), fresh)
        if second.complete:
            joined = self._settle(joined, None, BILLED_BY_LINES)
        if joined != state:
            self._set(name, joined)
        self._set(other, JobState(alias=name))

    def _set(self, name: str, state: JobState) -> None:
        self._jobs[name] = self.changed[name] = state


def _followed(jobs: Mapping[str, JobState], name: str) -> tuple[str, JobState]:
    """Give the job that a name stands for, and its state."""
    state = jobs.get(name, _NEW)
    for _ in range(_ALIASES_MAX):
        if not state.alias:
            break
        name = state.alias
        state = jobs.get(name, _NEW)
    return name, state


def _places(name: str, state: JobState) -> Iterator[tuple[str, int]]:
    """Give the names and starts under which lines of a job may have been booked."""
    owner = state.begun or state.owner
    if owner is not None:
        yield name, owner.started_at_us
    yield from state.places


def _named(entry_id: str, mark: JobMark, job: str) -> str:
    """Give the id that a line has under the name of a job."""
    return job + entry_id[len(mark.job) :]


@overload
def _name_only(entry: LedgerEntry) -> LedgerEntry: ...
@overload
def _name_only(entry: None) -> None: ...
def _name_only(entry: LedgerEntry | None) -> LedgerEntry | None:
    """Keep of an entry what it is called."""
    return None if entry is None else LedgerEntry(*entry[:4])


def _owned(entry: LedgerEntry, owner: LedgerEntry) -> LedgerEntry:
    return entry._replace(**{field: getattr(owner, field) for field in _OF_THE_OWNER})


def _costless(entry: LedgerEntry) -> LedgerEntry:
    """Give a call that was billed already, when its bill was fetched."""
    return entry._replace(
        basis=Basis.FREE,
        unpriced_reason="",
        cost_nanos=0,
        list_cost_nanos=0,
        saved_nanos=None,
        units={},
        price_key="",
        **_NO_TOKENS,
    )


def _amounts(entry: LedgerEntry) -> dict[str, int]:
    """Give what an entry used and cost; a cost that is not known is none."""
    found = {field: getattr(entry, field) for field, _ in TOKEN_FIELDS}
    found |= {f"{_UNITS}{name}": count for name, count in entry.units.items()}
    found[_COST] = entry.cost_nanos or 0
    return {name: count for name, count in found.items() if count}


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in first.keys() | second.keys()}


def _less(total: LedgerEntry, used: Mapping[str, int]) -> LedgerEntry:
    """Give what is left of a sum when lines are taken from it; never less than nothing."""
    counts = {
        field: max(0, getattr(total, field) - used.get(field, 0)) for field, _ in TOKEN_FIELDS
    }
    units = {
        name: max(0, count - used.get(f"{_UNITS}{name}", 0)) for name, count in total.units.items()
    }
    cost = used.get(_COST, 0)
    return total._replace(
        units={name: count for name, count in units.items() if count},
        cost_nanos=None if total.cost_nanos is None else max(0, total.cost_nanos - cost),
        list_cost_nanos=(
            None if total.list_cost_nanos is None else max(0, total.list_cost_nanos - cost)
        ),
        saved_nanos=None,
        **counts,
    )
