"""Budgets that people make and change: checked, under a version, and at work everywhere at once.

A budget counts from two seconds after it was made, and until two seconds after it was ended: by
then every gateway knows, so all of them count the same calls.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.budget_windows import WindowKind
from tollkeeper.domain.budgets import KNOWN_AFTER_US as KNOWN_AFTER_US
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.domain.ids import IdMint
from tollkeeper.ports import Store
from tollkeeper.telemetry import logger

BUDGETS_MAX: Final = 10_000

_ids: Final = IdMint()


def make_budget(store: Store, wanted: Budget, by: str, now_us: int, budget_id: str = "") -> Budget:
    """Keep a new budget; its beginning and version are given here, and its id where none is.

    ``by`` says who makes it. Raises BadRequest for one that cannot be used, Conflict where there
    are too many.
    """
    made = wanted._replace(
        budget_id=budget_id or _ids.next(now_us // 1000),
        name=wanted.name.strip(),
        since_us=max(wanted.since_us, now_us + KNOWN_AFTER_US),
        version=1,
    )
    _require_usable(made)
    with store.together():
        if len(store.budgets()) >= BUDGETS_MAX:
            raise Conflict(f"there are {BUDGETS_MAX} budgets already", code="too_many_budgets")
        store.add_budget(made, now_us, by)
    logger.info("budget made", extra={"budget": made.budget_id, "called": made.name, "by": by})
    return made


def change_budget(store: Store, changed: Budget, by: str) -> Budget:
    """Keep a budget that was read as ``changed.version`` and then changed.

    A limit may be set below what is spent: then nothing more goes until there is room again.
    Raises BadRequest for one that cannot be used, or where what it counts would change,
    Conflict where somebody else has changed it in between, NotFound.
    """
    _require_usable(changed)
    kept = changed._replace(version=changed.version + 1)
    try:
        is_kept = store.change_budget(kept)
    except LookupError:
        raise _not_found(changed.budget_id) from None
    except ValueError as error:
        raise BadRequest(str(error), code="budget_fixed") from error
    if not is_kept:
        raise Conflict(
            "somebody else has changed this budget meanwhile: look at it again",
            code="budget_changed",
        )
    logger.info("budget changed", extra={"budget": changed.budget_id, "by": by})
    return kept


def end_budget(store: Store, budget_id: str, by: str, now_us: int) -> Budget:
    """Let a budget count no more calls. One that has ended keeps its end. Raises NotFound."""
    found = budget(store, budget_id)
    if found.until_us <= now_us:
        return found
    until_us = max(now_us + KNOWN_AFTER_US, found.since_us)
    return change_budget(store, found._replace(until_us=until_us), by)


def top_up(store: Store, budget_id: str, amount: int, by: str) -> Budget:
    """Pay into a prepaid budget: its limit is all that was ever paid in.

    Raises BadRequest for an amount that is not above zero or a budget of another kind, Conflict
    where somebody else has changed it at the same moment, NotFound.
    """
    found = budget(store, budget_id)
    if found.window.kind is not WindowKind.PREPAID:
        raise BadRequest("only a prepaid budget is paid into", code="budget_not_prepaid")
    if type(amount) is not int or amount <= 0:
        raise BadRequest("what is paid in is a whole number above zero", code="budget_unusable")
    return change_budget(store, found._replace(limit=found.limit + amount), by)


def budget(store: Store, budget_id: str) -> Budget:
    """Give one budget. Raises NotFound."""
    for found in store.budgets():
        if found.budget_id == budget_id:
            return found
    raise _not_found(budget_id)


def state_of(found: Budget, now_us: int) -> str:
    """Say in one word whether a budget counts: "active", "ended" or "planned"."""
    if found.until_us <= now_us:
        return "ended"
    return "active" if found.since_us <= now_us else "planned"


def has_ended(found: Budget, now_us: int) -> bool:
    """Tell whether a budget has ended, or will as soon as every gateway knows."""
    return state_of(found, now_us + KNOWN_AFTER_US) == "ended"


def _require_usable(wanted: Budget) -> None:
    problem = wanted.problem()
    if problem:
        raise BadRequest(problem, code="budget_unusable")


def _not_found(budget_id: str) -> NotFound:
    return NotFound(f"there is no budget {budget_id!r}", code="budget_not_found")
