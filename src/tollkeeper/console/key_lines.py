"""The lines of the page Keys: what each key is, may do, did and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.links import Links
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.budget_words import amount_words, window_words
from tollkeeper.domain.budgets import Unit
from tollkeeper.domain.money import usd
from tollkeeper.ports import KeyRecord
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.keys import UNUSED, KeyUse
from tollkeeper.services.budget_standings import used_bp
from tollkeeper.services.key_caps import NO_CAPS, KeyCaps
from tollkeeper.services.key_documents import key_state

PERIOD: Final = "30d"
STATES: Final[Mapping[str, words.Word]] = {
    "active": words.Word("Active", "The key works.", "good"),
    "expired": words.Word("Expired", "The key's time is over."),
    "revoked": words.Word("Revoked", "The key was revoked, and works no more."),
    "off": words.Word("Off", "Its person or team is switched off.", "warn"),
}
_ANY_MODEL: Final = "any model"


class KeyLine(NamedTuple):
    """One key of the list. ``reach`` says what it may use, ``limits`` the same in full.

    ``models``, ``providers`` and ``tags`` are as the form to change it has them, None for what
    that cannot say.
    ``networks`` are those from which it may be used, "" for all. ``earlier_until`` says until
    when the secret before a rotation works too. ``tools`` are those of the same days as the
    cost. ``cap`` says what is left of the tightest
    budget of the key alone, ``cap_bp`` how full that is in basis points. ``cost`` and
    ``requests`` are of the last 30 days; the cost is a dash where it is unknown.
    """

    key_id: str
    name: str
    kind: str
    owner: str
    owner_kind: str
    state: words.Word
    active: bool
    reach: str
    created: str
    created_by: str
    expires: str
    last_used: str
    last_used_full: str
    cost: str
    requests: str
    unpriced: int
    calls_href: str
    may_revoke: bool
    may_rotate: bool
    may_change: bool
    models: str | None
    providers: str | None
    tags: str | None
    networks: str
    earlier_until: str
    tools: str
    cap: str
    cap_full: str
    cap_bp: int


class KeyLines:
    """Makes the lines of one page."""

    def __init__(
        self,
        console: Console,
        zone: str,
        records: Sequence[KeyRecord],
        uses: Mapping[str, KeyUse] | None,
        revocable: set[str],
        caps: KeyCaps = NO_CAPS,
        tools: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._tools = tools or {}
        self._caps = caps
        ids = [record.key.key_id for record in records] if uses is not None else []
        amounts = [(uses or {}).get(key_id, UNUSED).cost_usd for key_id in ids]
        self._zone = zones.zone_info(zone)
        self._now_us = console.now_us()
        self._links = Links({"period": PERIOD}, zone)
        self._uses = uses
        self._revocable = revocable
        self._emails = {user.user_id: user.email for user in console.store.users()}
        self._costs = dict(zip(ids, formatting.money_column(amounts), strict=True))

    def line(self, record: KeyRecord) -> KeyLine:
        key = record.key
        state = key_state(record, self._now_us)
        use = (self._uses or {}).get(key.key_id, UNUSED)
        person = self._emails.get(key.user_id, "")
        return KeyLine(
            key_id=key.key_id,
            name=key.name,
            kind="Management key" if key.kind is KeyKind.ADMIN else "",
            owner=person or key.team or "The organisation",
            owner_kind=key.team if person else "Team" if key.team else "",
            state=STATES[state],
            active=state == "active",
            reach=_reach(key.models, key.providers),
            created=self._day(record.created_at_us),
            created_by=record.created_by,
            expires=self._day(key.expires_at_us),
            last_used=self._day(use.last_used_us),
            last_used_full=self._moment(use.last_used_us),
            cost=self._costs.get(key.key_id, formatting.UNKNOWN),
            requests=formatting.count(use.requests) if self._uses is not None else "",
            unpriced=use.unpriced,
            calls_href=self._links.narrowed("key", key.key_id).calls(),
            may_revoke=key.key_id in self._revocable and record.revoked_at_us is None,
            may_rotate=key.key_id in self._revocable and state in {"active", "expired"},
            may_change=key.key_id in self._revocable and state == "active",
            models=_listed(key.models),
            providers=_listed(key.providers),
            tags=_listed([f"{name}={value}" for name, value in key.tags.items()]),
            networks="" if key.networks is None else ", ".join(key.networks.texts),
            earlier_until=self._moment(self._still(key.earlier_until_us)),
            tools=", ".join(self._tools.get(key.key_id, ())),
            **self._cap(key.key_id),
        )

    def _cap(self, key_id: str) -> dict[str, Any]:
        pairs = self._caps.get(key_id, ())
        if not pairs:
            return {"cap": "", "cap_full": "", "cap_bp": 0}
        budget, row = max(pairs, key=lambda pair: used_bp(pair[1]))
        left, limit = max(row.left, 0), row.limit
        if budget.unit is Unit.USD:
            short = f"{formatting.money(usd(left))} left"
        else:
            short = f"{formatting.count(left)} {budget.unit} left"
        spent = amount_words(row.posted, budget.unit)
        full = f"{spent} spent and {amount_words(row.held, budget.unit)} held, of "
        full += f"{amount_words(limit, budget.unit)} a {window_words(budget.window)}"
        return {"cap": short, "cap_full": full, "cap_bp": min(used_bp(row), 10_000)}

    def _still(self, until_us: int) -> int:
        return until_us if until_us > self._now_us else 0

    def _day(self, at_us: int | None) -> str:
        if not at_us:
            return ""
        local = zones.local_time(at_us, self._zone)
        today = zones.local_time(self._now_us, self._zone)
        if local.date() == today.date():
            return f"Today {local:%H:%M}"
        day = formatting.day(local.date())
        return day if local.year == today.year else f"{day}, {local.year}"

    def _moment(self, at_us: int) -> str:
        if not at_us:
            return ""
        local = zones.local_time(at_us, self._zone)
        return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"


def _listed(items: Sequence[str]) -> str | None:
    """Write a list as forms have it; None where a comma is part of an item."""
    return None if any("," in each for each in items) else ", ".join(items)


def _reach(models: Sequence[str], providers: Sequence[str]) -> str:
    """Say what a key may use: ``gpt-*, claude-* at openai``, ``any model``."""
    what = ", ".join(models) or _ANY_MODEL
    return f"{what} at {', '.join(providers)}" if providers else what
