"""Run by test_kill.py: loads batches in a child process, which is killed again and again.

    python killed_loader.py FOLDER ROUNDS SEED [sqlite]

A child goes on where the ledger says it stopped, and writes the number of each batch to a
pipe once it was acknowledged. The parent kills it at a random moment. Prints one line of
JSON: what was acknowledged last, and what the ledger holds in the end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import Position
from tollkeeper.storage.duckdb.handle import Settings
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger

BATCH = 100
START_US = 1_790_000_000_000_000


def batch(number: int) -> list[LedgerEntry]:
    """Make the entries of a batch, the same ones every time."""
    return [
        LedgerEntry(
            entry_id=f"{number}-{index}",
            call_id=f"{number}-{index}",
            started_at_us=START_US + BATCH * number + index,
            org="acme",
            cost_nanos=1,
            usage_raw='{"prompt_tokens": 1}',
        )
        for index in range(BATCH)
    ]


def open_ledger(folder: Path, source: random.Random) -> DuckDbLedger | SqliteLedger:
    """Open with a limit at which some kills meet a checkpoint."""
    if "sqlite" in sys.argv:
        return SqliteLedger(folder / "ledger.sqlite3")
    limit = source.choice([200 << 10, 1 << 20, 512 << 20])
    return DuckDbLedger(folder / "ledger.duckdb", Settings("256MB", 1, limit))


def load_for_ever(folder: Path, pipe: int, seed: int) -> None:
    """Append batches until killed."""
    source = random.Random(seed)
    ledger = open_ledger(folder, source)
    number = ledger.positions().get("segment", 0)
    while True:
        ledger.append(batch(number), Position("segment", number + 1))
        number += 1
        os.write(pipe, number.to_bytes(4, "big"))
        if source.random() < 0.05:
            ledger.maintain()


def killed_round(folder: Path, seed: int, wait_s: float) -> int:
    """Let a child load for a while, kill it, and give the last batch that it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            load_for_ever(folder, writing, seed)
        finally:  # only a failure gets here
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    os.close(writing)
    last = os.read(reading, 4)  # it is loading: from here on the moment is random
    time.sleep(wait_s)
    os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        last += pipe.read()
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise SystemExit("the child failed by itself")
    return int.from_bytes(last[-4:], "big")


def main() -> None:
    """Kill, then count."""
    folder, rounds, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    source = random.Random(seed)
    acknowledged = 0
    backwards = 0
    for _ in range(rounds):
        last = killed_round(folder, source.getrandbits(32), source.uniform(0, 0.15))
        backwards += last < acknowledged
        acknowledged = max(acknowledged, last)
    ledger = open_ledger(folder, source)
    table = ledger.entries()
    (found,) = ledger.run(
        table.agg(rows=table.count(), ids=table.entry_id.nunique(), cost=table.cost_usd.sum())
    )
    position = ledger.positions()["segment"]
    # A copy of the last batch that was surely stored adds nothing, even from elsewhere.
    again = ledger.append(batch(position - 1), Position("copy", 1))
    ledger.close()
    print(
        json.dumps(
            {
                "acknowledged": acknowledged,
                "backwards": backwards,
                "position": position,
                "rows": found["rows"],
                "ids": found["ids"],
                "cost_nanos": int(found["cost"].scaleb(9)),
                "again": again,
            }
        )
    )


if __name__ == "__main__":
    main()
