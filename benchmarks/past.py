"""Fills a ledger with a past: the made-up company's, as often as it takes.

The demo writes some twenty thousand entries a second. Here a short history of it is made and
then copied, each copy some seconds earlier, in the order of time as if all had been loaded one
by one.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

import duckdb

from tollkeeper.demo.history import demo_entries
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

ONCE: Final = 20_000
_AT_ONCE: Final = 5_000
_COPY: Final = """
INSERT INTO entries BY NAME
SELECT once.* REPLACE (
    entry_id || '-' || copy AS entry_id, call_id || '-' || copy AS call_id,
    session_id || '-' || copy AS session_id,
    started_at - to_milliseconds(copy * 1_729) AS started_at
)
FROM once.entries AS once, range($times) AS copies(copy)
ORDER BY started_at - to_milliseconds(copy * 1_729)
"""


def fill(path: Path, entries: int, org: str, now_us: int, once: int = ONCE) -> None:
    """Make a ledger with so many entries of the ninety days before, in whole copies of ``once``."""
    once = min(entries, once)
    short = path.with_name(f"{path.name}.once")
    with closing(DuckDbLedger(short)) as ledger:
        history = [entry._replace(org=org) for entry in demo_entries(now_us, once)]
        for first in range(0, once, _AT_ONCE):
            ledger.append(history[first : first + _AT_ONCE], None)
    DuckDbLedger(path).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"ATTACH '{short}' AS once (READ_ONLY)")
        connection.execute(_COPY, {"times": entries // once})
    short.unlink()
    with closing(DuckDbLedger(path)) as ledger:
        ledger.maintain()
