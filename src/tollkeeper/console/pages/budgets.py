"""The budgets: will the cap hold, and when do we run out? Make one, or try it on the past."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tollkeeper.console.api.budgets import KEEPERS
from tollkeeper.console.budget_lines import BudgetLine, BudgetWriter, names_counted
from tollkeeper.console.budget_trials import Trial, trial_of
from tollkeeper.console.early import stands
from tollkeeper.console.shared import Console, Query, Redirect
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.budget_windows import ENDLESS, WindowKind
from tollkeeper.domain.budget_words import UnclearWords
from tollkeeper.domain.errors import LedgerUnavailable, Refused
from tollkeeper.services import budget_changes
from tollkeeper.services.budget_documents import budget_document, names_of
from tollkeeper.services.budget_standings import onlooker_of, standings
from tollkeeper.services.budgets import has_ended

FIELDS: Final = (
    *("name", "scope", "match", "tag", "limit", "window", "timezone", "mode"),
    *("sizing", "rollover", "exempt_models", "alert_at"),
)
SCOPES: Final = (
    ("org", "The whole organisation"),
    ("team", "One team"),
    ("each team", "Each team apart"),
    ("user", "One person"),
    ("each user", "Each person apart"),
    ("key", "One key"),
    ("each key", "Each key apart"),
    ("model", "Models, by name or pattern"),
    ("each model", "Each model apart"),
    ("provider", "One provider"),
    ("tool", "One tool"),
    ("tag", "One value of a tag"),
    ("each tag", "Each value of a tag apart"),
    ("end_customer", "One customer"),
    ("each end_customer", "Each customer apart"),
    ("each session", "Each agent session apart"),
)
WINDOWS: Final = tuple(
    (str(kind), str(kind).capitalize() if kind in ENDLESS else f"Each {kind}")
    for kind in WindowKind
)
USUAL: Final = {"scope": "org", "window": "month", "mode": "hard", "alert_at": "80, 100"}
DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class BudgetsPage:
    """The budgets that the viewer may see, the fullest first.

    ``form`` has what was typed, or what is usual; ``fault`` says why no budget was made, and
    ``trial`` what the one that was described would have refused. ``ended`` counts those that
    have ended, which are listed if ``shows_all``.
    """

    template: ClassVar[str] = "budgets.html"
    lines: tuple[BudgetLine, ...]
    active: int
    ended: int
    shows_all: bool
    may_change: bool
    form: Mapping[str, str]
    scopes: tuple[tuple[str, str], ...]
    windows: tuple[tuple[str, str], ...]
    zone: str
    documents: tuple[Mapping[str, Any], ...]
    fault: str = ""
    trial: Trial | None = None
    status: int = 200

    def document(self) -> Mapping[str, Any]:
        """Give the budgets as JSON, as the API lists them."""
        return {"budgets": list(self.documents)}


def budgets(console: Console, viewer: Viewer, query: Query) -> BudgetsPage:
    """Answer ``GET /budgets``."""
    stands(BudgetsPage)
    return _page(console, viewer, query)


def make_budget(console: Console, viewer: Viewer, form: Query) -> BudgetsPage | Redirect:
    """Answer ``POST /budgets``. Sent twice, the form makes one budget."""
    once = form.get("once") or secrets.token_urlsafe(16)
    try:
        made, _ = budget_changes.make_once(
            *(console.store, console.vault, words_of_form(form), console.zone),
            *(viewer.name, once, console.now_us()),
        )
    except UnclearWords as unclear:
        return _page(console, viewer, form, fault=said(unclear), status=422)
    except Refused as refused:
        return _page(console, viewer, form, fault=refused.message, status=refused.status)
    return Redirect(f"/budget/{made.budget_id}?done=made")


def try_budget(console: Console, viewer: Viewer, form: Query) -> BudgetsPage:
    """Answer ``POST /budgets/try``: what the budget in the form would have refused."""
    try:
        wanted = budget_changes.wanted_budget(console.store, words_of_form(form), console.zone)
        found = trial_of(console, wanted, DAYS, form["tz"])
    except UnclearWords as unclear:
        return _page(console, viewer, form, fault=said(unclear), status=422)
    except LedgerUnavailable as unavailable:
        return _page(console, viewer, form, fault=unavailable.message, status=503)
    return _page(console, viewer, form, trial=found)


def words_of_form(form: Query) -> dict[str, Any]:
    """Give what was typed by the words that budgets are read from."""
    words: dict[str, Any] = {name: form.get(name, "").strip() for name in FIELDS}
    if words["scope"].endswith("org"):
        words["match"] = ""
    return {name: text for name, text in words.items() if text or name in {"limit", "alert_at"}}


def said(unclear: UnclearWords) -> str:
    """Say what is wrong with what was typed, as a sentence without its full stop."""
    label = _LABELS.get(unclear.option, unclear.option.replace("_", " ").capitalize())
    return f"{label} {unclear.reason}" if label else unclear.reason


_LABELS: Final = {
    "limit": "The limit",
    "match": "Whose",
    "scope": "Whose calls",
    "window": "The window",
    "timezone": "The time zone:",
    "rollover": "What rolls over",
    "alert_at": "When somebody is told",
    "exempt_models": "What is not counted",
    "mode": "The mode",
    "sizing": "What is held",
    "amount": "The amount",
}


def _page(
    console: Console,
    viewer: Viewer,
    query: Query,
    *,
    fault: str = "",
    trial: Trial | None = None,
    status: int = 200,
) -> BudgetsPage:
    now_us, names = console.now_us(), names_of(console.store)
    found = standings(console.store, onlooker_of(console.store, viewer), now_us)
    ended = sum(has_ended(each.budget, now_us) for each in found)
    shows_all = query.get("show") == "all"
    shown = [each for each in found if shows_all or not has_ended(each.budget, now_us)]
    lines = BudgetWriter(names, query["tz"], now_us).lines(shown)
    typed = {name: query.get(name, "") for name in FIELDS}
    if not any(typed.values()):
        typed |= {**USUAL, "timezone": console.zone}
    return BudgetsPage(
        lines=lines,
        active=names_counted(lines),
        ended=ended,
        shows_all=shows_all,
        may_change=viewer.role in KEEPERS,
        form={**typed, "once": secrets.token_urlsafe(16)},
        scopes=SCOPES,
        windows=WINDOWS,
        zone=query["tz"],
        documents=tuple(budget_document(each, names, now_us) for each in shown),
        fault=fault,
        trial=trial,
        status=status,
    )
