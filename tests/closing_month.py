"""Run by services/test_statements.py: closes a month in a process of its own.

    python closing_month.py FOLDER MONTH [killed]

Says how it ended. With ``killed`` it is killed after the statement is written and before the
month is locked.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from statement_desks import Books, memory_ledger
from tollkeeper.domain.errors import Conflict
from tollkeeper.ports import DataFolder
from tollkeeper.storage.store.store import SqlStore, open_sql_store
from tollkeeper.storage.store.store_address import store_of


def killed(*_: Any) -> None:
    """End as by a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, month: str, *, is_killed: bool) -> None:
    """Close the month."""
    store: SqlStore = open_sql_store(store_of(DataFolder(folder)))
    if is_killed:
        setattr(store, "close_month", killed)  # noqa: B010 - a process that dies there
    try:
        print(Books(memory_ledger(), store).desk.close(month, "fin").state)
    except Conflict as conflict:
        print(conflict.code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], is_killed=len(sys.argv) > 3)
