"""``tollkeeper budgets abandon`` and ``write-off``, with real gateways whose disk is gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from budget_desks import DOLLAR, budget, only
from capped import answer, call_at_once, keep_budgets, lab
from command_line import Ended, invoke
from rough_upstream import RoughUpstream
from running import Deployment
from tollkeeper import bootstrap, clock
from tollkeeper.domain.budgets import Balance
from tollkeeper.domain.leases import LEASE_US

CAP = budget(limit=100 * DOLLAR, name="All of us")
LONG_AGO_US = clock.now_us() - 2 * LEASE_US


class Lost:
    """A store, a gateway of it that was killed, and a machine that is still there."""

    def __init__(self, folder: Path, upstream: str, store_url: str) -> None:
        first, second = folder / "lost", folder / "kept"
        for each in (first, second):
            each.mkdir()
        url = store_url or f"sqlite:///{folder / 'shared' / 'store.sqlite3'}"
        self.lost = Deployment(first, upstream, lab(upstream), url)
        keep_budgets(self.lost, CAP)
        self.kept = Deployment(second, upstream, lab(upstream), url, self.lost.folder.secret_key)
        self.url = url
        self.lost.start()
        assert call_at_once([(self.lost.port, self.lost.key)], 3) == {200: 3}
        self.lost.kill()

    def run(self, *arguments: str, typed: str | None = None) -> Ended:
        return invoke("budgets", *arguments, "--data", str(self.kept.folder.root), typed=typed)

    def silent_for_long(self) -> None:
        """Let time pass: the gateway was heard of long ago."""
        with (
            closing(bootstrap.open_budget_authority(self.kept.folder)) as authority,
            authority._transaction() as db,  # type: ignore[attr-defined]
        ):
            db.execute("UPDATE budget_gateways SET seen_at_us = :at", {"at": LONG_AGO_US})

    def row(self) -> Balance:
        with closing(bootstrap.open_budget_authority(self.kept.folder)) as authority:
            return only(authority.balances())

    def listed(self) -> Any:
        return self.run("abandon", "--json").json()


@pytest.fixture
def lost(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lost]:
    with RoughUpstream(answer) as upstream:
        made = Lost(tmp_path, upstream.url, store_url)
        monkeypatch.setenv("TOLLKEEPER_STORE", made.url)
        monkeypatch.chdir(made.kept.folder.root.parent)
        yield made
        for each in (made.lost, made.kept):
            each.finish()


def test_what_a_lost_gateway_had_is_charged_and_may_be_written_off(lost: Lost) -> None:
    (found,) = lost.listed()
    gateway = found["gateway"]
    assert found["state"] == "alive"
    refused = lost.run("abandon", gateway, "--yes")
    assert (refused.code, "may live" in refused.err) == (1, True)
    lost.silent_for_long()
    (found,) = lost.listed()
    assert (found["state"], found["rows"][0]["budget"]) == ("silent", "All of us")
    shown = lost.run("abandon").out
    for text in (gateway, "not heard of", "All of us", "The organisation", "abandon GATEWAY"):
        assert text in shown
    held = lost.row().held
    unsure = lost.run("abandon", gateway, typed="n\n")
    assert (unsure.code, "nothing was changed" in unsure.err) == (1, True)
    assert "all of it is charged" in unsure.out
    assert lost.row().held == held > 0
    assert lost.run("abandon", gateway, "--json").code == 2
    posted = lost.row().posted
    ended = lost.run("abandon", gateway, typed="y\n")
    assert (ended.code, "Charged" in ended.out) == (0, True)
    assert (lost.row().posted, lost.row().held) == (posted + held, 0)
    again = lost.run("abandon", gateway, "--yes", "--json").json()
    assert again["state"] == "charged"
    assert lost.row().posted == posted + held
    assert lost.listed() == []
    assert "has not accounted for" in lost.run("abandon").out
    back = lost.run("write-off", gateway, "--json").json()
    assert (back["state"], back["rows"]) == ("written_off", found["rows"])
    assert lost.row().posted == posted
    written = invoke("audit", "list", "--json", "--data", str(lost.kept.folder.root)).json()
    done = [it["action"] for it in written if it["target"]["id"] == gateway]
    assert done == ["budget.write_off", "budget.abandon_gateway", "budget.abandon_gateway"]
    twice = lost.run("write-off", gateway)
    assert (twice.code, "holds nothing" in twice.err) == (1, True)


def test_a_journal_that_is_here_or_comes_back_says_what_was_spent(lost: Lost) -> None:
    lost.silent_for_long()
    (found,) = lost.listed()
    away = lost.kept.folder.journal
    shutil.copytree(lost.lost.folder.journal, away, dirs_exist_ok=True)
    (found,) = lost.listed()
    assert found["state"] == "journal_here"
    refused = lost.run("abandon", found["gateway"], "--yes")
    assert (refused.code, "to the last unit" in refused.err) == (1, True)
    shutil.rmtree(away)
    assert lost.run("abandon", found["gateway"], "--yes").code == 0
    assert lost.row().posted > 3 * DOLLAR // 10
    lost.lost.start()  # the disk is found, and read
    lost.lost.stop()
    assert (lost.row().posted, lost.row().held) == (3 * DOLLAR // 10, 0)
    assert json.loads(lost.run("abandon", "--json").out) == []
