"""How budgets stand now, as far as somebody may see it.

Who reads the whole organisation sees every balance. Anybody else sees the budgets that their own
calls count in, and of those that count each value apart only their own values: nobody learns
what another person spent. What they might never meet (sessions, customers, tags of others) they
do not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tollkeeper.domain.access import Viewer, VirtualKey
from tollkeeper.domain.budget_windows import ENDLESS
from tollkeeper.domain.budgets import Balance, BalanceKey, Budget, BudgetScope, Mode
from tollkeeper.domain.errors import NotFound
from tollkeeper.domain.spenders import Caller
from tollkeeper.ports import Store
from tollkeeper.services.budgets import state_of
from tollkeeper.services.runway import runway_of

_OF_ANY_CALL: Final = frozenset(
    {BudgetScope.MODEL, BudgetScope.PROVIDER, BudgetScope.ENDPOINT, BudgetScope.TOOL}
)
"""What anybody's call may have; no value of it is a person's."""


class Onlooker(NamedTuple):
    """Who looks: everything if ``callers`` is None, else what concerns one of these.

    ``any_call`` adds the budgets on what anybody's call may have: a model, a tool.
    """

    callers: tuple[Caller, ...] | None
    any_call: bool = True

    def entities(self, budget: Budget) -> frozenset[str] | None:
        """Say which rows of a budget may be seen: None for all, none where it is hidden."""
        if self.callers is None or (self.any_call and budget.scope in _OF_ANY_CALL):
            return None
        whole = budget._replace(exempt_models=())  # whatever the model will be
        found = (whole.entity_of(caller) for caller in self.callers)
        return frozenset(entity for entity in found if entity is not None)

    def sees(self, budget: Budget) -> bool:
        """Tell whether a budget may be seen at all."""
        return self.entities(budget) != frozenset()


EVERYTHING: Final = Onlooker(None)


class Standing(NamedTuple):
    """A budget and its rows of now, the fullest first.

    What gateways have leased ahead of need is no longer among what is held: calls may still
    spend it, so it is left. Spent, held and left together are the limit.
    A budget that counts all together always has a row, if it counts at all now; one that
    counts each value apart has those that were used.
    """

    budget: Budget
    rows: tuple[Balance, ...]

    @property
    def tightest(self) -> Balance | None:
        """Give the row of which the least is left, None where nothing was used."""
        return self.rows[0] if self.rows else None


def onlooker_of(store: Store, viewer: Viewer) -> Onlooker:
    """Say what somebody may see who is signed in, or has a management key."""
    scope = viewer.scope
    if scope.teams is None and scope.user_id is None:
        return EVERYTHING
    teams = scope.teams or frozenset()
    own = [
        Caller(scope.org, user.team, user.user_id)
        for user in store.users()
        if user.user_id == viewer.user_id or user.team in teams
    ]
    own += [
        caller_of(record.key)
        for record in store.keys()  # noqa: SIM118 - the store's keys, not a mapping's
        if record.revoked_at_us is None
        and (record.key.team in teams or record.key.user_id in {viewer.user_id} - {""})
    ]
    own += [Caller(scope.org, team) for team in sorted(teams)]
    return Onlooker(tuple(own))


def own_onlooker(store: Store, org: str, user_id: str, key: VirtualKey | None) -> Onlooker:
    """Say what concerns a key, or else a person with all their keys, by what they are."""
    if key is not None:
        return Onlooker((caller_of(key),), any_call=False)
    user = store.user(user_id) if user_id else None
    if user is None:
        return Onlooker(())
    own = [caller_of(each.key) for each in store.keys_of(user_id) if each.revoked_at_us is None]
    return Onlooker((Caller(org, user.team, user_id), *own), any_call=False)


def own_rows(store: Store, onlooker: Onlooker, now_us: int) -> list[tuple[Budget, Balance]]:
    """Give the rows that count somebody's calls now, the fullest first."""
    rows = [
        (each.budget, row)
        for each in standings(store, onlooker, now_us)
        if state_of(each.budget, now_us) == "active"
        for row in each.rows
    ]
    return sorted(rows, key=lambda pair: (-used_bp(pair[1]), pair[0].budget_id))


def caller_of(key: VirtualKey) -> Caller:
    """Say whose the calls of a key are."""
    return Caller(key.org, key.team, key.user_id, key.key_id, key.tags)


def standings(store: Store, onlooker: Onlooker, now_us: int) -> list[Standing]:
    """Give the budgets that somebody may see, ended ones too, by their ids.

    Two looks, not one transaction, which would wait for writers: rows of a budget that is
    made between them belong to nothing yet, and are left out.
    """
    budgets = store.budgets()
    return standings_of(budgets, store.balances(at_us=now_us), onlooker, now_us)


def standings_of(
    budgets: Sequence[Budget], balances: Iterable[Balance], onlooker: Onlooker, now_us: int
) -> list[Standing]:
    """Put budgets and rows together, as far as somebody may see them."""
    rows: dict[str, list[Balance]] = {}
    for row in balances:
        rows.setdefault(row.key.budget_id, []).append(row)
    return [
        _standing(each, rows.get(each.budget_id, []), onlooker, now_us)
        for each in budgets
        if onlooker.sees(each)
    ]


def standing(store: Store, budget_id: str, onlooker: Onlooker, now_us: int) -> Standing:
    """Give one budget. Raises NotFound where there is none that may be seen."""
    for found in store.budgets():
        if found.budget_id == budget_id and onlooker.sees(found):
            return _standing(found, store.balances(budget_id, now_us), onlooker, now_us)
    raise NotFound(f"there is no budget {budget_id!r}", code="budget_not_found")


def used_bp(row: Balance) -> int:
    """Say how full a row is, in basis points of its limit; above 10,000 it was passed.

    Holds count. A limit of nothing is full.
    """
    if row.limit <= 0:
        return 10_000
    return max(0, (row.posted + row.held) * 10_000 // row.limit)


def at_risk(found: Iterable[Standing], now_us: int, least_bp: int = 8_000) -> list[Standing]:
    """Give the budgets that count now and are nearly used up, or will be before their window
    ends at the pace that it has; the fullest first."""
    risky = [
        each
        for each in found
        if state_of(each.budget, now_us) == "active"
        and each.tightest is not None
        and each.tightest.limit > 0
        and (
            used_bp(each.tightest) >= least_bp
            or runway_of(each.budget, each.tightest, now_us).is_breach
        )
    ]
    return sorted(risky, key=lambda each: (-_fullest(each), each.budget.budget_id))


def tightest_of(found: Iterable[Standing]) -> tuple[Budget, Balance] | None:
    """Give of all rows of hard budgets the fullest: what stops somebody next."""
    hard = [
        (each.budget, row)
        for each in found
        if each.budget.mode is Mode.HARD
        for row in each.rows
        if row.limit > 0
    ]
    return max(hard, key=lambda pair: used_bp(pair[1])) if hard else None


def _fullest(found: Standing) -> int:
    return used_bp(found.tightest) if found.tightest is not None else 0


def _standing(
    budget: Budget, balances: Sequence[Balance], onlooker: Onlooker, now_us: int
) -> Standing:
    seen = onlooker.entities(budget)
    rows = [
        row._replace(held=row.held - row.leased)  # what gateways have ready may still be spent
        for row in balances
        if seen is None or row.key.entity in seen
    ]
    if not budget.each and not rows and state_of(budget, now_us) != "ended":
        rows = [_unused(budget, now_us)]
    return Standing(
        budget, tuple(sorted(rows, key=lambda row: (-used_bp(row), row.left, row.key.entity)))
    )


def _unused(budget: Budget, now_us: int) -> Balance:
    """Give the row that the first call of a window will make, before what rolls over."""
    window = budget.window.around(now_us)
    key = BalanceKey(budget.budget_id, "", window.start_us)
    return Balance(key, window.end_us, 0, 0, 0, budget.limit)


def opens_at_us(budget: Budget, row: Balance) -> int | None:
    """Say when a row's window ends, None for one that never does."""
    return None if budget.window.kind in ENDLESS else row.window_end_us
