"""Named places where a test may kill the process, to prove that nothing is lost there.

``POINTS`` is the one list of them: a place stands before and after every write, sync,
rename, removal and send on the way of money from a call to the ledger. In production no
fail point is set and a place costs next to nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Final

from tollkeeper.domain.errors import ConfigError

FailPoint = Callable[[str], None]

GATEWAY_POINTS: Final[Mapping[str, str]] = {
    "recovery.before": "a dead instance was found, its closing segment is not begun",
    "recovery.written": "the closing segment is there under its name, not synced",
    "recovery.synced": "its bytes are on the disk, its name perhaps not",
    "recovery.after": "the closing segment is complete",
    "recovery.leftover.before": "a half-made file of a dead instance is about to be removed",
    "recovery.leftover.after": "it is removed",
    "journal.create.before": "a segment is about to be made",
    "journal.create.allocated": "its space is reserved under a temporary name, nothing is in it",
    "journal.create.written": "its first bytes are written, it has no name yet",
    "journal.create.after": "it has its name",
    "journal.start.synced": "the first segment of an instance and its name are on the disk",
    "journal.write.before": "a batch of records is about to be written",
    "journal.write.after": "it is written, nobody was told",
    "journal.sync.before": "the segment is about to be synced",
    "journal.sync.after": "it is synced, nobody was told",
    "journal.rotate.before": "a full segment is written out, the next one is not begun",
    "journal.rotate.after": "the next segment is in use, the full one is not finished",
    "journal.finish.before": "a full segment is about to be cut to its content",
    "journal.finish.cut": "it is cut, not synced",
    "journal.finish.synced": "its bytes are on the disk, the folder perhaps not",
    "journal.finish.after": "both are on the disk",
    "journal.close.before": "an instance is about to end",
    "journal.close.written": "its last record is written",
    "journal.close.after": "its last segment is finished, its lock is still there",
    "gateway.hold.before": "a call is about to be held",
    "gateway.hold.after": "it is held, no byte has gone to the provider",
    "gateway.send.before": "the request is about to be sent",
    "gateway.send.after": "it has been handed to the socket",
    "gateway.post.before": "the reply is metered, its outcome is about to be posted",
    "spent.write.before": "what an ended instance spent of budgets is about to be kept",
    "spent.write.after": "it is kept, the instance has no end in the journal yet",
    "spent.removed": "the authority knows it, and the file is removed",
    "budget.exchange.before": "the budget authority is about to be told and asked",
    "budget.exchange.after": "it has answered, nobody was told",
    "budget.finish.before": "it is about to be told what an ended instance spent",
    "budget.finish.after": "it knows, the file that says so is still there",
    "gateway.release.before": "the outcome is posted, the client has not seen the end",
    "gateway.release.after": "the client was sent the end",
}

CONSOLE_POINTS: Final[Mapping[str, str]] = {
    "ledger.open.before": "the ledger is about to be opened",
    "ledger.migrate.before": "it is open, its tables are not checked",
    "ledger.open.after": "it is ready",
    "loader.read.after": "a batch was read from a segment",
    "ledger.insert.after": "its entries are in the transaction, the position is not",
    "ledger.commit.before": "both are in the transaction",
    "ledger.commit.after": "the transaction is committed, nobody was told",
    "loader.append.after": "the loader knows, its own offset has not moved",
    "loader.remove.before": "a segment is loaded to its end and about to be removed",
    "loader.remove.after": "it is removed, the ledger still has its position",
    "ledger.forget.after": "the position is forgotten",
    "ledger.checkpoint.before": "the write-ahead log is about to be moved into the file",
    "ledger.checkpoint.kept": "the blocks that it writes over are kept",
    "ledger.checkpoint.after": "it is moved",
}

SUMS_POINTS: Final[Mapping[str, str]] = {
    "ledger.sums.before": "sums by the quarter-hour and what they are of are in the transaction",
    "ledger.sums.after": "it is committed",
    "ledger.times.before": "how long requests took, and which are in it, are in the transaction",
    "ledger.times.after": "it is committed",
    "ledger.finer.before": "finer sums and what they are of are in the transaction",
    "ledger.finer.after": "it is committed",
    "ledger.caches.before": "sums of calls with a cache, and how many, are in the transaction",
    "ledger.caches.after": "it is committed",
    "ledger.notes.before": "noted entries, and how many were looked at, are in the transaction",
    "ledger.notes.after": "it is committed",
    "ledger.several.before": "entries of calls with several, and what was looked at, are in it",
    "ledger.several.after": "it is committed",
    "ledger.days.before": "sums by the day, and what is in them, are in the transaction",
    "ledger.days.after": "it is committed",
}
"""Sums of what is in the ledger already; ``test_summing_kills.py`` of each engine's tests."""

ALERT_POINTS: Final[Mapping[str, str]] = {
    "alerts.fire.before": "something is to be told, nothing is written",
    "alerts.fire.written": "the alert and its message are in the transaction",
    "alerts.fire.after": "both are in the store",
    "outbox.address.before": "a message is about to get its deliveries",
    "outbox.address.after": "it has them",
    "outbox.claim.after": "deliveries are claimed, nothing is sent",
    "outbox.send.after": "one is sent, nobody has written down what became of it",
    "outbox.settle.after": "that is written down",
}
"""On the way of an alert; ``tests/durability/test_alert_kills.py`` passes them all."""

DIGEST_POINTS: Final[Mapping[str, str]] = {
    "digest.write.before": "a weekly digest is due, nothing is written",
    "digest.write.after": "its message and its delivery are in the store",
}
"""On the way of a digest; ``tests/durability/test_digest_kills.py`` passes them."""

POINTS: Final[Mapping[str, str]] = {
    **GATEWAY_POINTS,
    **CONSOLE_POINTS,
    **SUMS_POINTS,
    **ALERT_POINTS,
    **DIGEST_POINTS,
}


def nowhere(place: str) -> None:
    """Pass by a place in production: nothing happens."""


def kill_at(setting: str) -> FailPoint | None:
    """Give a fail point for ``name`` or ``name:count`` ("journal.write.after:3").

    The process kills itself with SIGKILL when the named place is passed for the
    ``count``-th time, exactly as if the machine's OOM killer had come. Raises ConfigError
    for a name that is not in ``POINTS``.
    """
    if not setting:
        return None
    name, _, count_text = setting.partition(":")
    if name not in POINTS:
        raise ConfigError(f"there is no fail point {name!r}", hint="leave failpoint unset")
    left = int(count_text or "1")

    def pass_by(place: str) -> None:
        nonlocal left
        if place == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return pass_by
