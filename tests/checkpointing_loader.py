"""Run by a test: loads a journal and makes a checkpoint after every turn, until it is killed.

python checkpointing_loader.py JOURNAL LEDGER FAILPOINT
"""

from __future__ import annotations

import sys
from pathlib import Path

from tollkeeper import clock
from tollkeeper.failpoints import kill_at, nowhere
from tollkeeper.services.loading import Loader
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.journal.tail import FolderTail


def main() -> None:
    """Load for ever."""
    failpoint = kill_at(sys.argv[3]) or nowhere
    ledger = DuckDbLedger(Path(sys.argv[2]), failpoint=failpoint)
    loader = Loader(FolderTail(Path(sys.argv[1])), ledger, failpoint=failpoint)
    while True:
        loader.advance(clock.now_us(), clock.monotonic_s())
        ledger.maintain()


if __name__ == "__main__":
    main()
