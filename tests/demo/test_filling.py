"""The demo's folder: filled through the journal, whole or begun anew, and never somebody else's."""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from command_line import CommandLine
from ledgers import open_duckdb
from tollkeeper import bootstrap, clock, config
from tollkeeper.bootstrap.price_books import configured_book
from tollkeeper.demo import folder
from tollkeeper.demo.company import ORG, company_of
from tollkeeper.demo.filling import fill
from tollkeeper.demo.folder import Mark
from tollkeeper.demo.history import History, demo_entries
from tollkeeper.demo.people import admin_of, token_of
from tollkeeper.demo.prices import price_book
from tollkeeper.demo.services import RUNAWAY
from tollkeeper.demo.stories import DAY_US
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.budget_windows import Window
from tollkeeper.domain.errors import ConfigError
from tollkeeper.http1.origin import parse_base_url
from tollkeeper.ports import DataFolder
from tollkeeper.providers.kinds import LOGIN_KINDS
from tollkeeper.reports.budget_sums import LedgerSums
from tollkeeper.services import keys

ENTRIES = 3_000
_FILLING = """
import sys
from pathlib import Path
from tollkeeper.demo.filling import fill
from tollkeeper.demo.folder import Mark
from tollkeeper.ports import DataFolder

fill(DataFolder(Path(sys.argv[1])), Mark(*map(int, sys.argv[2:])), lambda done: print(done))
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataFolder, Mark]:
    """Give a folder whose first start was killed while it wrote, and was begun anew."""
    data = DataFolder(tmp_path_factory.mktemp("demo") / "data")
    mark = Mark(ENTRIES, 7, clock.now_us(), 4_999)
    _killed(data, mark._replace(entries=20_000))
    told: list[int] = []
    fill(data, mark, told.append)
    assert told[-1] == ENTRIES
    return data, mark


def _killed(data: DataFolder, mark: Mark) -> None:
    """Begin to fill a folder, and die when the first entries are in the ledger."""
    arguments = [sys.executable, "-u", "-c", _FILLING, str(data.root), *map(str, mark[:4])]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as filling:
        assert filling.stdout is not None
        for line in filling.stdout:
            if int(line) > 0:
                filling.kill()
                break
    assert folder.mark_of(data.root) == mark  # which says: still being written


def test_the_ledger_has_every_entry_of_the_history_once(
    filled: tuple[DataFolder, Mark],
) -> None:
    data, mark = filled
    assert _ids(data) == sorted(it.entry_id for it in demo_entries(mark.now_us, ENTRIES))
    assert folder.mark_of(data.root) == mark._replace(state=folder.READY)


def test_people_have_their_past_and_keys_that_work(filled: tuple[DataFolder, Mark]) -> None:
    data, mark = filled
    company = company_of(mark.now_us)
    vault = bootstrap.open_vault(data)
    with closing(bootstrap.open_store(data)) as store:
        teams = {team.name: team.parent for team in store.teams()}
        assert len(teams) == 8
        assert teams["Platform"] == teams["Mobile"] == "Engineering"
        users = {user.user_id: user for user in store.users()}
        assert users.keys() == {person.user_id for person in company.people}
        assert len(users) == 120
        assert users[admin_of(company).user_id].role is Role.ADMIN
        assert sum(not user.active for user in users.values()) == 2
        stays = {it.user_id: it for it in store.memberships()}
        assert all(it.from_us < mark.now_us - 100 * 86_400_000_000 for it in stays.values())
        token = token_of(vault, admin_of(company).key_id)
        key = keys.verify_stored(token, store, vault, mark.now_us, kind=KeyKind.VIRTUAL)
        assert key.user_id == admin_of(company).user_id
        leaked = store.key(company.leaked.key_id)
        assert leaked is not None
        assert leaked.revoked_at_us == company.stories.leak.until_us


def test_the_configuration_has_the_contracts_that_priced_it_and_stays_at_home(
    filled: tuple[DataFolder, Mark],
) -> None:
    data, mark = filled
    found = config.load(data.root / folder.CONFIGURATION, {})
    book = configured_book(found, data)
    assert book.version == price_book(company_of(mark.now_us).stories).version
    assert len(found.seat_plans) == 2
    assert {parse_base_url(it.root).origin.host for it in found.providers.values()} == {"127.0.0.1"}
    assert found.providers.keys() >= {"anthropic", "openai", *LOGIN_KINDS}


def test_budgets_hold_what_the_ledger_says(filled: tuple[DataFolder, Mark]) -> None:
    data, mark = filled
    company = company_of(mark.now_us)
    with (
        closing(bootstrap.open_store(data)) as store,
        closing(open_duckdb(data.root)) as ledger,
    ):
        sums = LedgerSums(ledger, ORG)
        budgets = {budget.budget_id: budget for budget in store.budgets()}
        rows = store.balances(at_us=mark.now_us)
        assert len(budgets) == 8 and len(rows) > 60
        assert all(it.since_us == company.first_day * 86_400_000_000 for it in budgets.values())
        for row in rows:
            window = Window(row.key.window_start_us, row.window_end_us)
            booked = sums.of(budgets[row.key.budget_id], window)
            assert booked[row.key.entity] == row.posted
            assert not row.held
        assert max(row.posted / row.limit for row in rows) > 0.6


def test_the_stories_are_found_by_asking_the_ledger(filled: tuple[DataFolder, Mark]) -> None:
    data, mark = filled
    told = company_of(mark.now_us).stories

    def rows(*words: str) -> list[dict[str, Any]]:
        asked = ("spend", "--since", "90d", *words, "--json")
        found: list[dict[str, Any]] = CommandLine(data.root)(*asked).json()["rows"]
        return found

    operations = ("--filter", "team:Operations", "--filter", "tool:openai-python")
    dearest = rows("--by", "key,day", *operations, "--order", "-cost_usd")[0]
    assert dearest["key"] == RUNAWAY or RUNAWAY in str(dearest)
    assert _day(told.runaway.from_us) in str(dearest)
    support = rows("--by", "day", "--filter", "team:Support", "--filter", "tool:claude-code")
    last = max(row["day"] for row in support if row["requests"])
    assert last <= _day(told.support_stops_day * DAY_US)
    stolen = rows("--by", "key,day", "--filter", "tool:python-requests")
    assert {_day(told.leak.from_us), _day(told.leak.until_us)} >= {it["day"] for it in stolen}
    refused = rows("--by", "day", "--filter", "team:Growth", "--metrics", "refusals")
    most = max(refused, key=lambda row: row["refusals"])
    assert most["day"] == _day(told.refused.from_us)
    campaign = rows("--by", "day", "--filter", "tag:feature=campaigns")
    begun = min(row["day"] for row in campaign if row["requests"])
    assert begun >= _day(told.campaign_day * DAY_US)


def _day(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%d}"


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(ConfigError, match="holds something that is no demo"):
        folder.mark_of(tmp_path)
    assert folder.mark_of(tmp_path / "not there") is None
    (tmp_path / "empty").mkdir()
    assert folder.mark_of(tmp_path / "empty") is None
    with pytest.raises(ConfigError, match="no folder"):
        folder.mark_of(tmp_path / "thesis.txt")
    (tmp_path / folder.MARK).write_text("{}")
    with pytest.raises(ConfigError, match="cannot be read"):
        folder.mark_of(tmp_path)
    folder.clear(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "three years of work"


@pytest.mark.long
def test_a_long_history_takes_no_more_memory_than_a_short_one() -> None:
    def grown_by(entries: int) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in History(clock.now_us(), entries).records():
            pass
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    grown_by(50_000)
    assert grown_by(1_000_000) < 20_000  # KB


def _ids(data: DataFolder) -> list[str]:
    with closing(open_duckdb(data.root)) as ledger:
        table = ledger.entries()
        return sorted(row["entry_id"] for row in ledger.run(table.select("entry_id")))
