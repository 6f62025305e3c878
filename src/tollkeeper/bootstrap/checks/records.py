"""Checks of what was spent: the ledger, and the journal before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

from tollkeeper.bootstrap.checks import Check, Place, fail, ok, size_text, warn
from tollkeeper.bootstrap.ledgers import engine_word, log_of, open_ledger_to_read
from tollkeeper.domain.errors import LedgerInUse, LedgerUnavailable, TollkeeperError
from tollkeeper.storage.journal.tail import DAMAGE_AGE_S, FolderTail

COUNTED_MAX: Final = 200_000
LAG_WARN_S: Final = 60.0
_BATCH: Final = 5_000


def records(place: Place) -> Iterator[Check]:
    """Look at the ledger and at the journal, through the server where one runs."""
    if place.server is not None:
        yield from _of_server(place)
        return
    positions: Mapping[str, int] | None = None
    size = _size(place)
    try:
        ledger = open_ledger_to_read(place.data)
        try:
            positions = ledger.positions()
            rows = ledger.run(ledger.entries().count().name("entries").as_table())
        finally:
            ledger.close()
    except LedgerInUse as error:
        remedy = "stop that process; no server answers for this folder"
        yield fail("ledger", error.message, remedy)
    except LedgerUnavailable as error:
        remedy = "restore it from a backup if it is damaged; the journal keeps what comes meanwhile"
        yield fail("ledger", error.message, remedy)
    else:
        if size is None:
            word = engine_word(place.data)
            yield ok("ledger", f"{word}, not there yet; the first start makes it")
        else:
            word = engine_word(place.data)
            yield ok("ledger", f"{word}, {rows[0]['entries']:,} entries, {size_text(size)}")
    yield _journal(place, positions)


def _of_server(place: Place) -> Iterator[Check]:
    assert place.server is not None  # noqa: S101 - the caller has looked
    try:
        answer = place.server.health()
    except TollkeeperError as error:
        remedy = "its log says more; stop it and start it again if it stays like this"
        yield fail("ledger", error.message, remedy)
        return
    faults: dict[str, str] = answer["faults"]
    size = _size(place)
    if "ledger" in faults:
        remedy = "calls go on meanwhile and are kept in the journal; its log says more"
        yield fail("ledger", f"the running server cannot use it: {faults['ledger']}", remedy)
    else:
        word = engine_word(place.data)
        yield ok("ledger", f"{word}, open in the running server, {size_text(size or 0)}")
    yield _journal_of_server(answer["loader"], faults.get("loader", ""))


def _journal_of_server(loader: Mapping[str, Any], fault: str) -> Check:
    waiting = int(loader["lag_entries"])
    finding = f"{waiting:,} entries wait to be loaded; segments: {loader['segments']}"
    if fault:
        return fail("journal", f"loading fails: {fault}; {finding}", "see the ledger and the disk")
    if loader["damaged"] or loader["rejected"]:
        lost = f"{loader['damaged']} damaged records, {loader['rejected']} that fit no column"
        return warn("journal", f"{finding}; {lost}", _DAMAGED)
    if loader["lag_s"] > LAG_WARN_S:
        remedy = "wait: the loader works it off; if it grows, see the server's log"
        return warn("journal", f"{finding}, the oldest for {loader['lag_s']:.0f} s", remedy)
    return ok("journal", finding)


_DAMAGED: Final = "the disk lost or changed bytes: look at its health, and keep the segments"


class _Counted(NamedTuple):
    waiting: int
    damaged: int
    more: bool
    segments: int


def _journal(place: Place, positions: Mapping[str, int] | None) -> Check:
    folder = place.data.journal
    if not folder.is_dir():
        return ok("journal", "not there yet; the first start makes it")
    try:
        found = _counted(folder, positions or {})
    except OSError as error:
        return fail("journal", f"{folder} cannot be read: {error.strerror}", "look at the disk")
    waiting = f"{'more than ' if found.more else ''}{found.waiting:,}"
    finding = f"{waiting} entries wait to be loaded; segments: {found.segments}"
    if positions is None:
        finding = f"{waiting} entries, loaded or not; segments: {found.segments}"
    if found.damaged:
        return warn("journal", f"{finding}; {found.damaged} damaged records", _DAMAGED)
    if found.waiting and positions is not None:
        return warn("journal", finding, "start Tollkeeper, which loads them")
    return ok("journal", finding)


def _counted(folder: Path, positions: Mapping[str, int]) -> _Counted:
    # Nobody writes here now: what cannot be read is damaged, and need not be waited for.
    tail = FolderTail(folder, now_s=count(step=2 * DAMAGE_AGE_S).__next__)
    waiting = damaged = 0
    infos = tail.segments()
    for info in infos:
        offset, quiet = positions.get(info.name, 0), 0
        while quiet < 2:
            chunk = tail.read(info.name, offset, _BATCH)
            waiting, damaged = waiting + len(chunk.entries), damaged + chunk.damaged
            quiet = quiet + 1 if chunk.offset == offset else 0
            offset = chunk.offset
            if waiting >= COUNTED_MAX:
                return _Counted(waiting, damaged, True, len(infos))
    return _Counted(waiting, damaged, False, len(infos))


def _size(place: Place) -> int | None:
    path = place.data.ledger
    if not path.exists():
        return None
    log = log_of(place.data)
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)
