"""Budgets that are spent, alerts that fire, and channels that note what they get, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from budget_desks import DOLLAR, budget, charge
from stores import NOW, open_folder
from tollkeeper.bootstrap import open_budget_authority
from tollkeeper.domain.budgets import Amounts, Budget
from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import Delivery, Message, Outcome
from tollkeeper.services.alerts import BudgetAlerts
from tollkeeper.services.delivering import Courier, Mailing


class NotingNotifier:
    """A notifier that notes what it is to send, and answers as it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []
        self.answer: Callable[[Channel, Message], Outcome] = lambda channel, message: Outcome()

    def send(self, channel: Channel, message: Message, link: str, now_us: int) -> Outcome:
        self.sent.append((channel.name, message))
        return self.answer(channel, message)

    def told(self, channel: str) -> list[str]:
        return [message.title for name, message in self.sent if name == channel]


def channel(name: str = "ops", **fields: Any) -> Channel:
    """Give a channel of a kind that the noting notifier sends to."""
    return Channel(**{"name": name, "kind": "Slack", "shown": "slack://…", "url": "x", **fields})


class AlertDesk:
    """A store with budgets, who spends of them, who looks, and a courier. ``now_us`` may be set."""

    def __init__(
        self,
        folder: Path,
        budgets: Iterable[Budget],
        channels: Sequence[Channel] = (channel(),),
        store_url: str = "",
    ) -> None:
        self.now_us = NOW
        opened = open_folder(folder, store_url)
        self.store = opened.store
        self.budgets = {each.budget_id: each for each in budgets}
        for each in self.budgets.values():
            self.store.add_budget(each, NOW, "test")
        self.authority = open_budget_authority(opened.data)
        self.notifier = NotingNotifier()
        self.mailing = Mailing({it.name: it for it in channels}, "https://tk.acme.com", "UTC")
        self.alerts = BudgetAlerts(self.store, lambda: self.now_us)
        self.courier = Courier(
            self.store, lambda: self.notifier, lambda: self.mailing, lambda: self.now_us
        )
        self._calls = 0

    def spend(self, amount: int = DOLLAR, budget_id: str = "b1", entity: str = "") -> None:
        """Spend of a budget, in its window of now."""
        self._calls += 1
        entry_id = f"e{self._calls}"
        row = charge(self.budgets[budget_id], amount, entity, self.now_us)
        assert self.authority.hold(entry_id, "g1", [row], self.now_us) is None
        self.authority.settle(entry_id, Amounts(amount, amount, amount), self.now_us)

    def change(self, budget_id: str = "b1", **fields: Any) -> None:
        """Change a budget."""
        known = self.budgets[budget_id]
        changed = known._replace(version=known.version + 1, **fields)
        assert self.store.change_budget(changed)
        self.budgets[budget_id] = changed

    def look(self) -> list[str]:
        """Look, and bring everything; give the titles of what was told."""
        before = len(self.notifier.sent)
        self.alerts.look()
        self.courier.work()
        return [message.title for _, message in self.notifier.sent[before:]]

    def deliveries(self) -> list[Delivery]:
        return [told.delivery for told in self.store.deliveries(1_000)]

    def close(self) -> None:
        self.courier.close()
        self.authority.close()
        self.store.close()


__all__ = ["AlertDesk", "NotingNotifier", "budget", "channel"]
