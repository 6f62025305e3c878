"""Holds a ledger against what the provider and the callers say: nothing lost, nothing twice."""

from __future__ import annotations

from typing import Any, NamedTuple

from call_load import CallLoad
from ledgers import SMALL
from raw_http import get
from running import Deployment
from tollkeeper.domain.ledger import TOKEN_FIELDS, Basis, Outcome
from tollkeeper.ports import DataFolder
from tollkeeper.services.loading import PAUSE_MAX_S, Loader
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.journal.tail import FolderTail

_COLUMNS = tuple(field for field, _ in TOKEN_FIELDS)


class Trail(NamedTuple):
    """How many calls there were, and how they ended."""

    tried: int
    whole: int
    served: int
    entries: int
    interrupted: int

    def __str__(self) -> str:
        return " ".join(f"{name} {count:,}" for name, count in self._asdict().items())


def load_all(folder: DataFolder) -> int:
    """Load what the journal holds with the real loader; give how much that was."""
    ledger = DuckDbLedger(folder.ledger, SMALL)
    try:
        loader = Loader(FolderTail(folder.journal), ledger)
        now_s = 0.0
        for _ in range(4):  # a batch may be followed by another
            while loader.advance(0, now_s) == 0:
                assert not loader.status.fault
            now_s += PAUSE_MAX_S
        assert (loader.status.fault, loader.status.damaged, loader.status.rejected) == ("", 0, 0)
        return loader.status.loaded
    finally:
        ledger.close()


def entries_in(folder: DataFolder) -> list[dict[str, Any]]:
    """Give the entries of a ledger that nobody has open."""
    ledger = DuckDbLedger(folder.ledger, SMALL)
    try:
        table = ledger.entries()
        names = ("entry_id", "part", "outcome", "basis", "error_code", "tags", *_COLUMNS)
        return ledger.run(table.select(*names))
    finally:
        ledger.close()


def provider_book(deployment: Deployment) -> list[dict[str, Any]]:
    """Give every call that the provider saw begin."""
    port = int(deployment.upstream.rpartition(":")[2])
    found: list[dict[str, Any]] = get(port, "/sandbox/calls").json()["calls"]
    return found


def require_nothing_lost_or_doubled(deployment: Deployment, *loads: CallLoad) -> Trail:
    """Compare the three, call by call; the ledger must be loaded and closed."""
    prefixes = tuple(load.prefix for load in loads)
    rows = entries_in(deployment.folder)
    assert len({row["entry_id"] for row in rows}) == len(rows), "an id stands twice in the ledger"
    booked: dict[str, dict[str, Any]] = {}
    for row in rows:
        nonce = row["tags"].get("nonce", "")
        if nonce.startswith(prefixes):
            assert nonce not in booked, f"{nonce} was booked twice"
            booked[nonce] = row
    served = {
        call["nonce"]: call
        for call in provider_book(deployment)
        if call["nonce"].startswith(prefixes)
    }
    whole = set().union(*(load.whole for load in loads))
    assert not (whole - booked.keys()), "a client saw the end of a reply that is not booked"
    assert not (served.keys() - booked.keys()), "the provider served what is not booked"
    for nonce, row in booked.items():
        _require_true(nonce, row, served.get(nonce), saw_end=nonce in whole)
    interrupted = sum(row["outcome"] == Outcome.INTERRUPTED for row in booked.values())
    tried = sum(len(load.tried) for load in loads)
    return Trail(tried, len(whole), len(served), len(booked), interrupted)


def _require_true(
    nonce: str, row: dict[str, Any], call: dict[str, Any] | None, *, saw_end: bool
) -> None:
    """An entry says what happened: what was billed, or that it is an estimate."""
    if row["outcome"] == Outcome.INTERRUPTED:
        assert not saw_end, f"{nonce} ended well for its client"
        assert row["basis"] == Basis.ESTIMATED, row
        return
    if row["outcome"] != Outcome.OK:
        assert not saw_end, row
        return
    assert call is not None, f"{nonce} was never served"
    billed = {name: count for name, count in call["billed"].items() if count}
    assert {name: row[field] for field, name in TOKEN_FIELDS if row[field]} == billed, nonce
