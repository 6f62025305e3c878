"""What is lowered or revoked is in force after one look at the store; gateways look four times a
second, so that it is so within a second, with room for a slow look."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stores
from budget_desks import CENT, DOLLAR, NOW, budget, profile
from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.budget_raises import BudgetRaise, BudgetRequest, RaiseEnd, RaiseKind
from tollkeeper.domain.budget_raises import Decision as DecidedRequest
from tollkeeper.domain.budgets import Amounts, Budget, Mode
from tollkeeper.gateway.process import REFRESH_S
from tollkeeper.services.budget_gate import (
    ADMITTED,
    EXCEEDED,
    Ask,
    BudgetGate,
    Decision,
    Refused,
    Subject,
    exchange,
)
from tollkeeper.storage.store.sqlite_budgets import open_sqlite_budgets

LOOKS_IN_A_SECOND = 4
HOLD = Amounts(CENT, 500)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[stores.Folder]:
    opened = stores.open_folder(tmp_path / "data")
    yield opened
    opened.store.close()


class Gateway:
    """What one gateway knows: the store as it was at the last look, and its leases."""

    def __init__(self, folder: stores.Folder, name: str) -> None:
        self.directory = stores.key_directory(folder.data)
        self.authority = open_sqlite_budgets(folder.data.store)
        self.gate = BudgetGate(name, Book(self.directory.budgets()), NOW)
        self.subject = Subject(profile())
        self._calls = 0

    def look(self) -> None:
        """Do what a gateway does four times a second."""
        asyncio.run(self.directory.refresh())
        self.gate.use(Book(self.directory.budgets()))

    def call(self) -> Decision:
        self._calls += 1
        entry_id = f"e{self._calls}"
        while isinstance(decision := self.gate.admit(self.subject, entry_id, HOLD, NOW), Ask):
            exchange(self.gate, self.authority, decision, NOW)
        return decision

    def close(self) -> None:
        self.directory.close()
        self.authority.close()


@pytest.fixture
def gateways(folder: stores.Folder) -> Iterator[list[Gateway]]:
    made: list[Gateway] = []
    yield made
    for each in made:
        each.close()


def test_a_gateway_looks_often_enough() -> None:
    assert LOOKS_IN_A_SECOND * REFRESH_S <= 1


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (budget(limit=100 * DOLLAR), {"limit": 0}),
        (budget(limit=100 * DOLLAR), {"limit": 2 * CENT}),
        (budget(limit=CENT, mode=Mode.OBSERVE), {"mode": Mode.HARD}),
    ],
    ids=["to nothing", "to what is held", "made hard"],
)
def test_one_look_puts_a_tightened_budget_in_force_on_every_gateway(
    folder: stores.Folder, gateways: list[Gateway], before: Budget, change: dict[str, Any]
) -> None:
    folder.store.add_budget(before, NOW, "test")
    gateways += [Gateway(folder, "g1"), Gateway(folder, "g2")]
    for gateway in gateways:
        gateway.look()
        assert gateway.call() is ADMITTED
    (known,) = folder.store.budgets()
    assert folder.store.change_budget(known._replace(version=known.version + 1, **change))
    for gateway in gateways:
        gateway.look()
        refused = gateway.call()
        assert isinstance(refused, Refused)
        assert refused.code == EXCEEDED
        assert gateway.gate.settle("e1", HOLD)  # what runs comes to its end


def test_one_look_puts_a_raise_that_is_taken_back_out_of_force(
    folder: stores.Folder, gateways: list[Gateway]
) -> None:
    folder.store.add_budget(budget(limit=2 * CENT), NOW, "test")
    request = BudgetRequest("r1", "b1", "", DOLLAR, NOW + stores.DAY, "more", NOW, "alice")
    folder.store.add_budget_request(request)
    given = BudgetRaise(
        *("raise", "b1", "", DOLLAR, NOW, NOW + stores.DAY, RaiseKind.APPROVED, NOW, "bob", "r1")
    )
    approved = DecidedRequest("r1", True, DOLLAR, given.until_us, "", NOW, "bob", "page")
    assert folder.store.decide_budget_request(approved, given)
    gateways += [Gateway(folder, "g1"), Gateway(folder, "g2")]
    for gateway in gateways:
        gateway.look()
        for _ in range(2):
            assert gateway.call() is ADMITTED
    assert folder.store.end_budget_raise(RaiseEnd("raise", NOW, "carol", "page"))
    for gateway in gateways:
        gateway.look()
        refused = gateway.call()
        assert isinstance(refused, Refused)
        assert refused.code == EXCEEDED
        assert gateway.gate.settle("e1", HOLD)  # what runs comes to its end


def test_one_look_puts_a_revoked_key_out_of_force(
    folder: stores.Folder, gateways: list[Gateway]
) -> None:
    stores.add_person(folder.store)
    key_id = stores.issue_key(folder, "alice@acme.com").record.key.key_id
    gateways.append(gateway := Gateway(folder, "g1"))
    gateway.look()
    known = asyncio.run(gateway.directory.fetch(key_id))
    assert known is not None
    assert known.active
    folder.store.revoke_key(key_id, NOW)
    gateway.look()
    found = asyncio.run(gateway.directory.fetch(key_id))
    assert found is None or not found.active
