"""``prices reprice`` and ``months``: beside a running server, and without one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import CommandLine, invoke
from ledger_entries import held_call, profile
from ledgers import open_duckdb
from served import Served, served
from stores import open_folder
from tollkeeper import clock
from tollkeeper.cli.reprice import offer
from tollkeeper.domain.ledger import LedgerEntry, Outcome, entries_of
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.ports import Position
from tollkeeper.services.settlement import Ending, settle
from tollkeeper.storage.store.schema_check import organisation_name

DAY = timedelta(days=1)
NOBODY = PriceBook("an-older-book", {})
"""A book that knows no price."""


def unpriced(at: datetime, model: str, **usage: int) -> LedgerEntry:
    """A call of openai's that no price was known for."""
    someone = profile(model=model, model_requested=model, org="acme")
    held = held_call(started_at_us=int(at.timestamp() * 1e6), profile=someone)
    ending = Ending(200, Outcome.OK, 10, usage=Usage(usage))
    (entry,) = entries_of(held, settle(held, ending, NOBODY))
    return entry


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A folder with three calls without a price: two of them have one in the shipped book."""
    monkeypatch.chdir(tmp_path)
    folder = open_folder(tmp_path / "data")
    folder.store.set_org_name("acme")
    folder.store.close()
    now = datetime.now(UTC)
    ledger = open_duckdb(tmp_path / "data")
    ledger.append(
        [
            unpriced(now - 2 * DAY, "gpt-4.1-mini", input=1_000, output=100),
            unpriced(now - 70 * DAY, "gpt-4.1-mini", input=1_000_000),
            unpriced(now - DAY, "gpt-99-unheard-of", input=5),
        ],
        Position("a", 1),
    )
    ledger.close()
    return CommandLine(tmp_path / "data")


def test_it_shows_then_asks_then_books_and_then_there_is_nothing_more(line: CommandLine) -> None:
    looked = line("prices", "reprice", "--since", "90d", "--dry-run")
    assert looked.code == 0, looked.err
    assert "openai/gpt-4.1-mini" in looked.out
    assert "its price became known" in looked.out
    assert "an-older-book" in looked.out
    assert "Still without a price: 1 entry." in looked.out
    assert "$0" not in re.sub(r"\$0\.\d*[1-9]", "", looked.out)

    refused = line("prices", "reprice", "--since", "90d", typed="n\n")
    assert refused.code == 1
    assert "nothing was written" in refused.err
    assert line("spend", "--since", "90d", "--json").json()["totals"]["cost_usd"] is None

    done = line("prices", "reprice", "--since", "90d", typed="y\n")
    assert done.code == 0, done.err
    assert "Corrected 2 entries." in done.out
    totals = line("spend", "--since", "90d", "--by", "basis", "--json").json()
    # 1,000 x $0.40 + 100 x $1.60 + 1,000,000 x $0.40, each per million
    assert totals["totals"]["cost_usd"] == "0.400560000"
    assert {row["basis"]: (row["requests"], row["unpriced"]) for row in totals["rows"]} == {
        "measured": (2, 0),
        "unpriced": (1, 1),
    }
    again = line("prices", "reprice", "--since", "90d", "--yes")
    assert "Nothing changes" in again.out
    assert offer(line.data) == ""
    assert "Corrected 0 entries." in again.out


def test_json_says_everything_and_asks_nothing(line: CommandLine) -> None:
    assert line("prices", "reprice", "--since", "90d", "--json").code == 2
    assert line("prices", "reprice", "--dry-run").code == 2
    assert offer(line.data) == (
        "2 entries without a price can be priced now: tollkeeper prices reprice --unpriced-only"
    )
    found = line("prices", "reprice", "--unpriced-only", "--dry-run", "--json").json()
    (change,) = found["changes"]
    assert (change["entries"], change["cost_before_usd"]) == (2, None)
    assert change["cost_after_usd"] == change["difference_usd"] == "0.400560000"
    assert (found["seen"], found["unpriced"], found["corrected"]) == (3, 1, 0)
    other = ("--unpriced-only", "--dry-run", "--json", "--model", "gpt-9*")
    assert line("prices", "reprice", *other).json()["changes"] == []
    wrong = line("prices", "reprice", "--since", "tomorrow?", "--dry-run")
    assert wrong.code == 2
    assert "period" in wrong.err


def test_a_closed_month_is_left_out_until_it_is_opened(line: CommandLine) -> None:
    month = f"{datetime.now(UTC) - 70 * DAY:%Y-%m}"
    closed = line("months", "close", month)
    assert closed.code == 0, closed.err
    assert '"event": "month closed"' in closed.err
    assert line("months", "close", month).code == 1
    assert line("months", "close", f"{datetime.now(UTC):%Y-%m}").code == 1
    (row,) = line("months", "list", "--json").json()
    assert (row["month"], row["closed_by"]) == (month, "command line")
    done = line("prices", "reprice", "--unpriced-only", "--yes")
    assert f"Left out: 1 entry of {month}, which is closed (+$0.40" in done.out
    assert "Corrected 1 entry." in done.out
    assert line("months", "reopen", month).code == 0
    assert line("months", "reopen", month).code == 1
    assert "Corrected 1 entry." in line("prices", "reprice", "--unpriced-only", "--yes").out


# --------------------------------------------------------------------- beside a server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("repriced")
    (folder / "tollkeeper.yaml").write_text("timezone: UTC\n")
    with served(folder) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        for name, value in made.environment.items():
            patch.setenv(name, value)
        made.call("one")
        made.call("two")
        yield made


def spent() -> dict[str, Any]:
    found: dict[str, Any] = invoke("spend", "--by", "basis", "--json").json()
    return found


def until_spent(wanted: dict[str, int]) -> dict[str, Any]:
    """Wait until so many requests of each basis are there."""
    deadline_s = clock.monotonic_s() + 40
    while True:
        found = spent()
        counted = {row["basis"]: row["requests"] for row in found["rows"]}
        if counted == wanted or clock.monotonic_s() > deadline_s:
            assert counted == wanted
            return found
        time.sleep(0.2)


def test_a_running_server_books_corrections_while_calls_go_on(server: Served) -> None:
    before = until_spent({"measured": 2})["totals"]["cost_usd"]
    prices = {"input": "10.00", "output": "40.00"}
    (server.folder / "tollkeeper.yaml").write_text(
        yaml.safe_dump(
            {
                "providers": {
                    "sandbox": {
                        "kind": "openai",
                        "base_url": "http://127.0.0.1:9/v1",
                        "prices": prices,
                    }
                }
            }
        )
    )
    found = {}
    deadline_s = clock.monotonic_s() + 20
    while not found.get("changes") and clock.monotonic_s() < deadline_s:
        found = invoke("prices", "reprice", "--since", "today", "--dry-run", "--json").json()
        time.sleep(0.2)
    (change,) = found["changes"]
    assert (change["entries"], change["cost_before_usd"]) == (2, before)
    assert change["why"] == "own_price_changed"
    done = invoke("prices", "reprice", "--since", "today", "--yes")
    assert "Corrected 2 entries." in done.out
    after = spent()
    assert after["totals"]["cost_usd"] == change["cost_after_usd"] != before
    assert {row["basis"]: row["requests"] for row in after["rows"]} == {"measured": 2}
    call_id = invoke("calls", "--json").json()["calls"][0]["call_id"]
    entries = invoke("calls", "show", call_id, "--json").json()["entries"]
    assert [(entry["revision"], entry["sign"]) for entry in entries] == [(0, 1), (1, -1), (1, 1)]


def test_a_server_prices_by_itself_what_had_no_price(tmp_path: Path) -> None:
    """A call from a time when nobody knew its price: the running server finds it by itself."""
    with served(tmp_path) as made:
        made.stop()
        ledger = open_duckdb(made.data.root)
        org = organisation_name(made.data.store)
        now = datetime.now(UTC)
        known = unpriced(now - DAY, "gpt-4.1-mini", input=1_000_000)
        unknown = unpriced(now - DAY, "gpt-99-unheard-of", input=5)
        ledger.append([known._replace(org=org), unknown._replace(org=org)], None)
        ledger.close()
        made.start()
        line = CommandLine(made.data.root)
        deadline_s = clock.monotonic_s() + 40
        found: dict[str, Any] = {}
        while found.get("unpriced_calls") != 1 and clock.monotonic_s() < deadline_s:
            found = line("spend", "--json").json()["totals"]
            time.sleep(0.2)
        assert (found["cost_usd"], found["unpriced_calls"]) == ("0.400000000", 1)
        tried = "new prices tried on calls without a price"
        while not any(tried in text for text in list(made.log)):
            assert clock.monotonic_s() < deadline_s, made.log
            time.sleep(0.02)
