"""Fills the demo's data folder the first time: people, history, budgets.

The history goes the way of all calls: journal records, the loader, the ledger. What is
interrupted is begun anew: until all of it is there, the folder's mark says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from tollkeeper import bootstrap, clock
from tollkeeper.bootstrap.ledgers import open_ledger
from tollkeeper.demo import folder
from tollkeeper.demo.alerts import live_through
from tollkeeper.demo.budgets import set_budgets
from tollkeeper.demo.company import Company, company_of
from tollkeeper.demo.configuration import configuration_text
from tollkeeper.demo.folder import Mark
from tollkeeper.demo.people import settle_in
from tollkeeper.domain.errors import ConfigError, LedgerUnavailable
from tollkeeper.ports import DataFolder, Ledger
from tollkeeper.services.loading import Loader
from tollkeeper.storage import folder_lock
from tollkeeper.storage.folder_lock import FolderLock
from tollkeeper.storage.journal.tail import FolderTail

Told = Callable[[int], None]
"""Hears how many entries are in the ledger by now."""

_WRITER: Final = "tollkeeper.demo.writing"
_MAINTAIN_EVERY: Final = 500_000
_ENDS_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.1


def fill(data: DataFolder, mark: Mark, tell: Told) -> None:
    """Make the whole company in a folder that holds nothing, or what a start has left.

    Raises ConfigError where another process works in it, LedgerUnavailable or OSError where
    the disk cannot take it.
    """
    folder.keep_mark(data.root, mark)
    lock = _hold(data)
    try:
        folder.clear(data.root)
        company = company_of(mark.now_us, mark.seed)
        text = configuration_text(company, mark.provider_port)
        (data.root / folder.CONFIGURATION).write_text(text, "utf-8")
        _fill(data, mark, company, lock, tell)
        folder.keep_mark(data.root, mark._replace(state=folder.READY))
    finally:
        lock.release()


def _hold(data: DataFolder) -> FolderLock:
    """Take the server's lock. The writer of a start that was killed has it a moment longer."""
    deadline_s = clock.monotonic_s() + _ENDS_S
    while True:
        try:
            return folder_lock.hold(data.run / "serve-all.lock")
        except ConfigError:
            if clock.monotonic_s() > deadline_s:
                raise
            time.sleep(_LOOK_AGAIN_S)


def _fill(data: DataFolder, mark: Mark, company: Company, lock: FolderLock, tell: Told) -> None:
    data.journal.mkdir(mode=0o700, exist_ok=True)
    writer = _start_writer(data, mark, lock)
    try:
        with (
            closing(bootstrap.open_store(data)) as store,
            closing(open_ledger(data)) as ledger,
        ):
            settle_in(store, bootstrap.open_vault(data), company)
            _load(data, ledger, writer, mark.entries, tell)
            ledger.maintain()
            set_budgets(store, ledger, company, mark.now_us)
            with closing(bootstrap.open_budget_authority(data)) as authority:
                live_through(store, authority, ledger, company, mark.now_us)
    finally:
        writer.kill()
        writer.wait()


def _start_writer(data: DataFolder, mark: Mark, lock: FolderLock) -> subprocess.Popen[bytes]:
    """Start the process that writes. It keeps the lock while it lives, whatever becomes of us."""
    return subprocess.Popen(  # noqa: S603 - this program itself, with numbers
        [
            *(sys.executable, "-m", _WRITER, "--journal", str(data.journal)),
            *("--now-us", str(mark.now_us), "--entries", str(mark.entries)),
            *("--seed", str(mark.seed), "--parent", str(os.getpid())),
        ],
        pass_fds=(lock.fileno(),),
    )


def _load(
    data: DataFolder, ledger: Ledger, writer: subprocess.Popen[bytes], entries: int, tell: Told
) -> None:
    """Load while the writer writes, and what is left when it has ended."""
    loader = Loader(FolderTail(data.journal), ledger)
    maintained = 0
    while True:
        ended = writer.poll()
        wait_s = loader.advance(clock.now_us(), clock.monotonic_s())
        status = loader.status
        if status.fault:
            raise LedgerUnavailable(status.fault)
        tell(status.loaded)
        if ended is not None and (ended or not wait_s < _IDLE_S):
            break
        if status.loaded - maintained > _MAINTAIN_EVERY:
            maintained = status.loaded
            ledger.maintain()
        time.sleep(wait_s)
    if ended or loader.status.loaded != entries:
        raise OSError(f"the history broke off after {loader.status.loaded} entries")


_IDLE_S: Final = 0.1
"""The loader waits so long where nothing is left to load."""
