"""Bills of jobs as the journal keeps them, and what the ledger remembers of a job.

Both tuples are formats that are stored: add fields at the end only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tollkeeper.domain.jobs import JobMark
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.usage import NO_QUANTITIES


class Billed(NamedTuple):
    """One bill: an entry for each model, as if whoever fetched it were to pay."""

    mark: JobMark
    entries: list[LedgerEntry]


class JobState(NamedTuple):
    """What is booked of a job.

    ``begun`` is the call that began it, ``owner`` whose bills they are where that is not
    known. ``settled`` tells that ``begun`` is not pending any more, ``billed`` that the only
    bill is booked, ``complete`` that all lines are. ``total`` is what still stands of the sum
    that the provider stated, None once it has given way, or before it came (``totalled``).
    ``lines`` is what the lines used and cost, by ledger field. ``alias`` is the identity of
    the job that this is another name of. ``places`` are other names and starts under which
    lines were booked, before it was known that they belong here.
    """

    begun: LedgerEntry | None = None
    owner: LedgerEntry | None = None
    settled: bool = False
    billed: bool = False
    complete: bool = False
    totalled: bool = False
    total: LedgerEntry | None = None
    lines: Mapping[str, int] = NO_QUANTITIES
    alias: str = ""
    places: tuple[tuple[str, int], ...] = ()
