"""What instances that have ended spent of budgets: a file each, until the authority has heard it.

A file is there before its instance has its end in the journal, because from then on segments may
be loaded and removed. Whoever finds it says it to the authority, any number of times, and then
removes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tollkeeper.domain.budgets import BalanceKey
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.leases import Account
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.storage.journal import frames, segments
from tollkeeper.telemetry import logger

SUFFIX: Final = ".spent"

ChargesOf = Callable[[Held, Settled], Mapping[BalanceKey, int]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Account]).decode


def write(
    folder: Path, instance: str, accounts: Iterable[Account], failpoint: FailPoint = nowhere
) -> None:
    """Keep what an instance spent, in place of what was kept of it before."""
    fresh = folder / f"{instance}{SUFFIX}.new"
    failpoint("spent.write.before")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(_encode(list(accounts)))
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(folder / f"{instance}{SUFFIX}")
    segments.sync_folder(folder)
    failpoint("spent.write.after")


class SpentFiles:
    """The files of one journal folder (``ports.EndedSpending``)."""

    def __init__(self, folder: Path, failpoint: FailPoint | None = None) -> None:
        self._folder = folder
        self._pass = failpoint or nowhere

    def ended(self) -> Mapping[str, Sequence[Account]]:
        """Give what each instance spent that has ended, and of whom nobody has said it yet."""
        found = {}
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                found[path.name.removesuffix(SUFFIX)] = _decode(path.read_bytes())
            except msgspec.DecodeError:  # all that was leased stays held until somebody looks
                logger.error("what was spent of budgets cannot be read", extra={"file": str(path)})
        return found

    def knows(self, instance: str) -> bool:
        """Tell whether a start here would say what an instance spent: by its file or its journal.

        A file that cannot be read is none, and there is no other from then on.
        """
        path = self._folder / f"{instance}{SUFFIX}"
        try:
            _decode(path.read_bytes())
        except FileNotFoundError:
            names = segments.list_segments(self._folder) if self._folder.is_dir() else []
            return any(name.instance == instance for name in names)
        except msgspec.DecodeError:
            return False
        return True

    def said(self, instance: str) -> None:
        """Forget an instance: the authority knows."""
        (self._folder / f"{instance}{SUFFIX}").unlink(missing_ok=True)
        self._pass("spent.removed")


class Tally:
    """Adds up what an instance spent, by its journal from a segment's beginning on."""

    def __init__(self, charges_of: ChargesOf) -> None:
        self._charges_of = charges_of
        self._in_all: dict[BalanceKey, int] = {}
        self._untold: dict[BalanceKey, int] = {}
        self._counted: set[str] = set()

    def take(self, spent: frames.Spent) -> None:
        """Take in what the instance itself said, by all that stands before it."""
        for key, amount, in_all in spent.accounts:
            if in_all:
                self._in_all[key] = amount
                self._untold.pop(key, None)
            else:
                self._untold[key] = amount
        self._counted.update(spent.counted)

    def add(self, held: Held, settled: Settled) -> None:
        """Add a call that ended behind that."""
        if settled.entry_id in self._counted:
            return
        for key, amount in self._charges_of(held, settled).items():
            sums = self._in_all if key in self._in_all else self._untold
            sums[key] = sums.get(key, 0) + amount

    def accounts(self) -> list[Account]:
        """Give all rows that it spent of."""
        return [Account(key, amount, in_all=True) for key, amount in self._in_all.items()] + [
            Account(key, amount, in_all=False) for key, amount in self._untold.items()
        ]
