"""One budget: how it stands, when it runs out, what it would have refused; change or end it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tollkeeper.console import budget_lines
from tollkeeper.console.access import issuer_of
from tollkeeper.console.api.budgets import KEEPERS, TRIERS
from tollkeeper.console.budget_lines import BudgetLine, BudgetWriter, RowLine
from tollkeeper.console.budget_trials import Trial, trial_of
from tollkeeper.console.early import stands
from tollkeeper.console.pages.budget_raises import SHOWN_MAX, RaiseLine, raise_lines
from tollkeeper.console.pages.budgets import said
from tollkeeper.console.shared import Console, Query, Redirect
from tollkeeper.console.words import Word
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.budget_windows import WindowKind
from tollkeeper.domain.budget_words import UnclearWords, amount_of_words, amount_words
from tollkeeper.domain.budgets import Budget, Mode
from tollkeeper.domain.errors import BadRequest, LedgerUnavailable, Refused
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.services import budget_changes, raise_ends
from tollkeeper.services import budgets as service
from tollkeeper.services.budget_documents import budget_document, names_of
from tollkeeper.services.budget_standings import Standing, onlooker_of, standing
from tollkeeper.services.budgets import has_ended, state_of

TRIALS: Final = {"30": 30, "90": 90}
_DONE: Final = {
    "made": "The budget is made. It holds on every gateway within two seconds",
    "changed": "The budget is changed. It holds on every gateway within two seconds",
    "ended": "The budget has ended. It counts no more calls",
    "paid": "The payment is in",
    "taken_back": "It is taken back: the limit is what it was, on every gateway within a second",
}


@dataclass(frozen=True, slots=True)
class BudgetPage:
    """One budget. ``rows`` are its balances; ``row`` is the fullest, None where there is none.

    ``trial`` is what it would have refused in the days that were asked about; ``observed`` the
    same for the window of now, for a budget that only observes. ``raises`` are what raised it
    lately, as far as the viewer may know. ``form`` has what may be
    changed, or what was typed; ``fault`` says why nothing was changed, ``done`` what was.
    """

    template: ClassVar[str] = "budget.html"
    line: BudgetLine
    row: RowLine | None
    rows: tuple[RowLine, ...]
    rows_in_all: int
    sizing: Word
    thresholds: str
    rollover: str
    exempt: str
    is_prepaid: bool
    has_ended: bool
    may_change: bool
    may_try: bool
    form: Mapping[str, str]
    told: Mapping[str, Any]
    raises: tuple[RaiseLine, ...]
    observed: Trial | None = None
    trial: Trial | None = None
    fault: str = ""
    done: str = ""
    status: int = 200

    def document(self) -> Mapping[str, Any]:
        """Give the budget as JSON, as the API gives it."""
        return self.told


def budget(console: Console, viewer: Viewer, query: Query) -> BudgetPage:
    """Answer ``GET /budget/{budget_id}``. Raises NotFound where the viewer may see no such
    budget."""
    return _page(console, viewer, query)


def change_budget(console: Console, viewer: Viewer, form: Query) -> BudgetPage | Redirect:
    """Answer ``POST /budget/{budget_id}``."""
    words = {name: form[name].strip() for name in budget_changes.CHANGEABLE if name in form}
    try:
        budget_changes.change(console.store, form["budget_id"], words, viewer.name, _version(form))
    except UnclearWords as unclear:
        return _page(console, viewer, form, fault=said(unclear), status=422)
    except Refused as refused:
        return _page(console, viewer, form, fault=refused.message, status=refused.status)
    return Redirect(f"/budget/{form['budget_id']}?done=changed")


def end_budget(console: Console, viewer: Viewer, form: Query) -> BudgetPage | Redirect:
    """Answer ``POST /budget/{budget_id}/end``."""
    try:
        budget_changes.end(console.store, form["budget_id"], viewer.name, console.now_us())
    except Refused as refused:
        return _page(console, viewer, form, fault=refused.message, status=refused.status)
    return Redirect(f"/budget/{form['budget_id']}?done=ended")


def top_up(console: Console, viewer: Viewer, form: Query) -> BudgetPage | Redirect:
    """Answer ``POST /budget/{budget_id}/top-up``. Sent twice, the form pays once."""
    found = service.budget(console.store, form["budget_id"])
    try:
        amount = _paid(form, found)
        budget_changes.top_up(console.store, found.budget_id, amount, viewer.name, _version(form))
    except UnclearWords as unclear:
        return _page(console, viewer, form, fault=said(unclear), status=422)
    except Refused as refused:
        return _page(console, viewer, form, fault=refused.message, status=refused.status)
    return Redirect(f"/budget/{found.budget_id}?done=paid")


def _version(form: Query) -> int:
    """Read which version the form was made from. Raises BadRequest."""
    said_version = form.get("version", "")
    if not (said_version.isascii() and said_version.isdigit()):
        raise BadRequest("the form does not say which version it changes")
    return int(said_version[:9])


def _paid(form: Query, one: Budget) -> int:
    """Read what is paid in. Raises UnclearWords."""
    amount, unit = amount_of_words(form.get("amount", ""), "amount")
    if unit is not one.unit:
        raise UnclearWords("amount", f"is in {one.unit}")
    return amount


def _page(
    console: Console, viewer: Viewer, query: Query, *, fault: str = "", status: int = 200
) -> BudgetPage:
    now_us, names, zone = console.now_us(), names_of(console.store), query["tz"]
    onlooker = onlooker_of(console.store, viewer)
    found = standing(console.store, query["budget_id"], onlooker, now_us)
    one, writer = found.budget, BudgetWriter(names, zone, now_us)
    rows, line = writer.rows(found), writer.line(found)
    stands(BudgetPage, title=line.name)
    ended = has_ended(one, now_us)
    may_try = viewer.role in TRIERS
    form = dict(budget_lines.words_in_form(one))
    if fault:  # what was typed stays
        form |= {name: query[name] for name in budget_changes.CHANGEABLE if name in query}
    return BudgetPage(
        line=line,
        row=rows[0] if rows else None,
        rows=rows if one.each else (),
        rows_in_all=len(found.rows),
        sizing=budget_lines.SIZINGS[one.sizing],
        thresholds=budget_lines.thresholds_text(one),
        rollover=amount_words(one.rollover_max, one.unit) if one.rollover_max else "",
        exempt=", ".join(one.exempt_models),
        is_prepaid=one.window.kind is WindowKind.PREPAID,
        has_ended=ended,
        may_change=viewer.role in KEEPERS and not line.of_file and not ended,
        may_try=may_try,
        form=form,
        told=budget_document(found, names, now_us),
        raises=_raises(console, one, viewer),
        observed=_observed(console, found, zone) if may_try and not ended else None,
        trial=_trial(console, one, query) if may_try else None,
        fault=fault,
        done=_DONE.get(query.get("done", ""), ""),
        status=status,
    )


def _raises(console: Console, one: Budget, viewer: Viewer) -> tuple[RaiseLine, ...]:
    who = issuer_of(console, viewer)
    found = raise_ends.raises_for(console.store, one, who, SHOWN_MAX)
    return raise_lines(console, found, one, who)


def _observed(console: Console, found: Standing, zone: str) -> Trial | None:
    """Say what a budget that only observes would have refused in its window of now."""
    one = found.budget
    if one.mode is not Mode.OBSERVE or state_of(one, console.now_us()) != "active":
        return None
    try:
        return trial_of(console, one, 0, zone)
    except (LedgerUnavailable, BadQuestion):
        return None


def _trial(console: Console, one: Budget, query: Query) -> Trial | None:
    days = TRIALS.get(query.get("replay", ""))
    return None if days is None else trial_of(console, one, days, query["tz"])
