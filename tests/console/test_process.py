"""What the console's process does besides answering: the rest of the journal, and prices."""

from __future__ import annotations

from pathlib import Path

import pytest

from journal_twin import MemoryTail
from ledger_entries import ledger_entry
from ledgers import open_duckdb
from tollkeeper import config
from tollkeeper.bootstrap.loader_thread import LoaderThread
from tollkeeper.bootstrap.price_books import configured_terms
from tollkeeper.bootstrap.prices import FollowedPrices
from tollkeeper.domain.usage import Usage
from tollkeeper.ports import DataFolder, Ledger
from tollkeeper.services.loading import BATCH_MAX, Loader

ONE = Usage({"input": 1_000_000}, model="m")
CONFIGURATION = 'providers: {{lab: {{kind: openai, base_url: "http://127.0.0.1:9", {} }}}}\n'


def count(ledger: Ledger) -> int:
    table = ledger.entries()
    (row,) = ledger.run(table.aggregate(entries=table.count()))
    return int(row["entries"])


def test_the_journal_is_loaded_to_its_end_before_the_process_ends(tmp_path: Path) -> None:
    ledger, tail = open_duckdb(tmp_path), MemoryTail()
    thread = LoaderThread(Loader(tail, ledger))
    thread.start()
    waiting = 2 * BATCH_MAX + 7
    tail.write("a", *[ledger_entry() for _ in range(waiting)])
    thread.finish()
    assert count(ledger) == waiting
    ledger.close()


@pytest.mark.parametrize("finish_s", [0.0, 20.0])
def test_a_journal_that_cannot_be_loaded_keeps_nobody_waiting(
    tmp_path: Path, finish_s: float
) -> None:
    ledger, tail = open_duckdb(tmp_path), MemoryTail()
    thread = LoaderThread(Loader(tail, ledger), finish_s=finish_s)
    thread.start()
    tail.fault = OSError("the disk is gone")
    tail.write("a", ledger_entry())
    thread.finish()
    tail.fault = None
    assert tail.segments(), "it is kept for the next start"
    ledger.close()


class Priced:
    """The prices of one configuration file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "tollkeeper.yaml"
        self.data = DataFolder(folder / "data")
        self.write("prices: {input: 1}")
        self.prices = FollowedPrices(
            lambda: configured_terms(config.load(self.file, {}), self.data), [self.file], tuple
        )

    def write(self, settings: str) -> None:
        self.file.write_text(CONFIGURATION.format(settings))

    def cost_nanos(self) -> int | None:
        return self.prices.book.price("lab", "m", ONE, 0).nanos


def test_prices_follow_the_configuration(tmp_path: Path) -> None:
    priced = Priced(tmp_path)
    assert priced.cost_nanos() == 10**9
    priced.write("prices: {input: 23}")
    assert priced.cost_nanos() == 10**9
    priced.prices.follow()
    assert priced.cost_nanos() == 23 * 10**9


def test_a_faulty_configuration_changes_nothing(tmp_path: Path) -> None:
    priced = Priced(tmp_path)
    for fault in ("prices: {input: -1}", "prices: [", "nonsense: 1"):
        priced.write(fault)
        priced.prices.follow()
        assert priced.cost_nanos() == 10**9
    priced.file.unlink()
    priced.prices.follow()
    priced.prices.read_again()
    assert priced.cost_nanos() == 10**9
    priced.write("prices: {input: 2}")
    priced.prices.follow()
    assert priced.cost_nanos() == 2 * 10**9


def test_accounts_rules_and_plans_follow_and_stay_while_the_file_has_a_fault(
    tmp_path: Path,
) -> None:
    priced = Priced(tmp_path)
    own = (
        "prices: {input: 1}}}\n"
        "prices: [{name: half, discount: 50%}]\n"
        "plans: [{name: seats, provider: lab, seat_usd: 5}]\n#"
    )
    priced.file.write_text(CONFIGURATION.format(own))
    priced.prices.follow()
    terms = priced.prices.terms
    assert terms.accounts["lab"] == "lab"
    assert [rule.name for rule in terms.rules] == ["half"]
    assert [plan.name for plan in terms.seat_plans] == ["seats"]
    priced.write("nonsense: 1")
    priced.prices.follow()
    assert priced.prices.terms == terms


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    priced = Priced(tmp_path)
    book = priced.prices.book
    priced.prices.follow()
    assert priced.prices.book is book
