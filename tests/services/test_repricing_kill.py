"""kill -9 in the middle of a repricing: running it again completes it, and doubles nothing."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import killed_repricing
from ledger_entries import START_US, held_call, profile
from ledgers import open_duckdb
from stores import open_folder
from tollkeeper.domain.ledger import Outcome, entries_of
from tollkeeper.domain.usage import Usage
from tollkeeper.ports import Position
from tollkeeper.services.settlement import Ending, settle

DRIVER = Path(killed_repricing.__file__)
CALLS = 120
ROUNDS = 6


def test_a_repricing_that_is_killed_is_completed_by_the_next(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    open_folder(tmp_path).store.close()
    prices = killed_repricing.book("book-0", "1")
    ledger = open_duckdb(tmp_path)
    someone = profile(provider="shop", price_provider="paint", model="red", model_requested="red")
    for number in range(CALLS):
        held = held_call(started_at_us=START_US + number, profile=someone)
        ending = Ending(200, Outcome.OK, 1, usage=Usage({"input": 1_000_000}))
        ledger.append(entries_of(held, settle(held, ending, prices)), Position("a", number + 1))
    ledger.close()
    cut = 0
    for number in range(1, ROUNDS + 1):
        price = str(number + 1)
        command = [sys.executable, DRIVER, tmp_path, f"book-{number}", price]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"step\n"
        time.sleep(dice.uniform(0, 0.4))
        child.kill()
        child.communicate(timeout=60)
        cut += child.returncode < 0
        if dice.random() < 0.5:
            killed_repricing.reprice(tmp_path, f"book-{number}", price, tell=False)
    assert cut, "no run was cut off"
    killed_repricing.reprice(tmp_path, f"book-{ROUNDS}", str(ROUNDS + 1), tell=False)
    killed_repricing.reprice(tmp_path, f"book-{ROUNDS}", str(ROUNDS + 1), tell=False)
    ledger = open_duckdb(tmp_path)
    table = ledger.entries()
    table = table.filter(table.org == killed_repricing.ORG)
    (found,) = ledger.run(
        table.agg(
            cost=table.cost_usd.sum(),
            requests=table.requests.sum(),
            tokens=table.tokens_in.sum(),
            rows=table.count(),
            ids=table.entry_id.nunique(),
        )
    )
    ledger.close()
    assert found["cost"] == CALLS * (ROUNDS + 1)
    assert (found["requests"], found["tokens"]) == (CALLS, CALLS * 1_000_000)
    assert found["rows"] == found["ids"]
