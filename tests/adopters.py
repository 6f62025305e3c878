"""A company that takes to its tools: some from the first day, some later, some not at all."""

from __future__ import annotations

import random
from typing import Final

from companies import Colleague
from demo_entries import DAY_US, HOUR_US
from ledger_entries import ledger_entry
from tollkeeper.domain.access import Role
from tollkeeper.domain.ledger import LedgerEntry

LEAD: Final = "lead@acme.com"
_TEAMS: Final = {"Engineering": 120, "Design": 40, "Sales": 36, "Legal": 4}
_TOOLS: Final = ("claude-code", "codex", "gemini-cli")
_WEEKS: Final = 15


def adopters(now_us: int, seed: int = 5) -> tuple[list[Colleague], list[LedgerEntry]]:
    """Give two hundred people, a lead of Engineering among them, and what they called."""
    dice = random.Random(seed)
    long_ago_us = now_us - 200 * DAY_US
    colleagues, entries = [Colleague("lead", LEAD, "Engineering", long_ago_us, Role.LEAD)], []
    for team, size in _TEAMS.items():
        for number in range(size):
            user_id = f"{team.lower()}{number}"
            one = Colleague(user_id, f"{user_id}@acme.com", team, long_ago_us)
            colleagues.append(one)
            entries += _calls(dice, one, now_us)
    return colleagues, entries


def _calls(dice: random.Random, who: Colleague, now_us: int) -> list[LedgerEntry]:
    begins = dice.choice((*range(_WEEKS), _WEEKS + 1))
    liking = dice.uniform(0.35, 0.95)
    found = []
    for week in range(begins, _WEEKS):
        if week > begins and dice.random() > liking:
            continue
        for _ in range(dice.randint(1, 4)):
            back_us = (_WEEKS - week) * 7 * DAY_US - dice.randrange(5) * DAY_US
            usual = ledger_entry(
                started_at_us=now_us - back_us - dice.randrange(6) * HOUR_US,
                team=who.team,
                user_id=who.user_id,
                user_name=who.email,
                tool=dice.choices(_TOOLS, (6, 3, 2))[0],
                session_id=f"{who.user_id}-{week}-{dice.randrange(3)}",
            )
            found.append(usual)
    return found
