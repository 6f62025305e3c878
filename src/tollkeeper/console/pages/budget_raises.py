"""What raises a budget for a time, as its pages show it, and the button that ends it now."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.access import issuer_of
from tollkeeper.console.shared import Console, Query, Redirect
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.budget_raises import BudgetRaise, RaiseKind
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.errors import Conflict
from tollkeeper.services import raise_ends
from tollkeeper.services.budget_documents import entity_name, names_of
from tollkeeper.services.budget_refusals import amount_text
from tollkeeper.services.budget_requests import REQUESTS_PATH
from tollkeeper.services.keys import Issuer
from tollkeeper.services.raise_words import moment_text

SHOWN_MAX: Final = 20
_COUNTS: Final = words.Word("Counts", "The limit is raised by it now.", "good")
_OVER: Final = words.Word("Over", "Its time is over.")
_TAKEN_BACK: Final = words.Word("Taken back", "Somebody ended it before its time was over.", "warn")


class RaiseLine(NamedTuple):
    """One raise, ready to be shown. ``href`` leads to the request, "" for an overdraft."""

    raise_id: str
    amount: str
    whose: str
    kind: str
    by: str
    given_at: str
    until: str
    state: words.Word
    ended: str
    note: str
    href: str
    may_end: bool = False


def raise_lines(
    console: Console, found: Iterable[BudgetRaise], budget: Budget, who: Issuer
) -> tuple[RaiseLine, ...]:
    """Write raises of a budget for somebody."""
    now_us, names = console.now_us(), names_of(console.store)
    return tuple(
        _line(each, budget, entity_name(budget, each.entity, names), now_us)._replace(
            may_end=raise_ends.may_end(console.store, each, budget, who, now_us)
        )
        for each in found
    )


def end_raise(console: Console, viewer: Viewer, form: Query) -> Redirect:
    """Answer ``POST /budgets/raises/{raise_id}/end``. Where it is over meanwhile, so be it."""
    who, raise_id = issuer_of(console, viewer), form["raise_id"]
    given, budget = raise_ends.raise_for(console.store, raise_id, who)
    note = " ".join(form.get("note", "").split())
    with suppress(Conflict):  # the page that follows says who was faster
        raise_ends.end(console.store, raise_id, note, who, console.now_us(), "page")
    if given.request_id and form.get("back") == "request":
        return Redirect(f"{REQUESTS_PATH}/{given.request_id}")
    return Redirect(f"/budget/{budget.budget_id}?done=taken_back#raises")


def _line(given: BudgetRaise, budget: Budget, whose: str, now_us: int) -> RaiseLine:
    ended = given.ended
    state = _COUNTS if given.ends_at_us > now_us else _OVER if ended is None else _TAKEN_BACK
    return RaiseLine(
        raise_id=given.raise_id,
        amount=amount_text(given.amount, budget.unit),
        whose=whose,
        kind="Overdraft" if given.kind is RaiseKind.OVERDRAFT else "Approved",
        by=given.made_by,
        given_at=moment_text(given.made_at_us, budget),
        until=moment_text(given.until_us, budget),
        state=state,
        ended=f"{ended.ended_by}, {moment_text(ended.ended_at_us, budget)}" if ended else "",
        note=ended.note if ended else "",
        href=f"{REQUESTS_PATH}/{given.request_id}" if given.request_id else "",
    )
