"""People from a table, on a page: pasted or read from a file, looked at, and then taken over.

Nothing is changed by looking. What is taken over is what was shown: where somebody has changed
people or teams in between, the page shows anew what the table would change now.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from tollkeeper.console.shared import Console, Page, Query, Redirect
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.errors import Refused
from tollkeeper.services import people_import as service
from tollkeeper.services.people_import import COLUMNS, Change, Plan

PATH: Final = "/people/import"
CHARS_MAX: Final = 40_000
"""How much fits into the form: a thousand people or so, and all of them escaped."""

LINES_MAX: Final = 200
_WORDS: Final = {
    "add team": "New team",
    "nest team": "Team moves",
    "add": "New person",
    "change": "Changes",
}


class FieldWords(NamedTuple):
    """One field of a change: what it is now, "" for nothing, and what it is to be."""

    name: str
    before: str
    after: str


class ChangeLine(NamedTuple):
    """What one line of the table changes."""

    line: int
    kind: str
    who: str
    fields: tuple[FieldWords, ...]


@dataclass(frozen=True, slots=True)
class ImportPage:
    """A table, and what it would change. ``digest`` names that very plan, "" where there is none
    that could be taken over. ``more`` counts lines that are not shown.

    ``done`` is how many changes were just made, "" for none.
    """

    template: ClassVar[str] = "people_import.html"
    table: str = ""
    digest: str = ""
    summary: str = ""
    changes: tuple[ChangeLine, ...] = ()
    faults: tuple[service.Fault, ...] = ()
    more: int = 0
    done: str = ""
    fault: str = ""
    chars_max: int = CHARS_MAX
    columns: tuple[str, ...] = COLUMNS
    status: int = 200


def show(console: Console, viewer: Viewer, query: Query) -> ImportPage:
    """Answer ``GET /people/import``."""
    done = query.get("done", "")
    return ImportPage(done=done if done.isascii() and done.isdigit() and len(done) < 7 else "")


def take(console: Console, viewer: Viewer, form: Query) -> Page | Redirect:
    """Answer ``POST /people/import``: show what a table changes, or take over what was shown."""
    table, wanted = form.get("table", ""), form.get("digest", "")
    if len(table) > CHARS_MAX:
        return ImportPage(table=table[:CHARS_MAX], fault=_TOO_LONG, status=413)
    try:
        if not wanted:
            return _planned(table, service.plan_of(console.store, _bytes(table)))
        with console.store.together():
            plan = service.plan_of(console.store, _bytes(table))
            if wanted != _digest(plan):
                return _planned(table, plan, _CHANGED_MEANWHILE)
            service.take_over(console.store, plan, console.now_us())
    except Refused as refused:
        return ImportPage(table=table, fault=refused.message, status=refused.status)
    return Redirect(f"{PATH}?done={len(plan.changes)}")


_TOO_LONG: Final = (
    f"this table has more than {CHARS_MAX:,} characters; take it over with the command "
    "tollkeeper users import"
)
_CHANGED_MEANWHILE: Final = (
    "people or teams were changed in the meantime; look again at what the table changes now"
)


def _bytes(table: str) -> bytes:
    return table.encode("utf-8", "replace")


def _planned(table: str, plan: Plan, fault: str = "") -> ImportPage:
    shown = plan.changes[:LINES_MAX]
    return ImportPage(
        table=table,
        digest="" if plan.faults or not plan.changes else _digest(plan),
        summary=_summary(plan),
        changes=() if plan.faults else tuple(map(_line, shown)),
        faults=plan.faults[:LINES_MAX],
        more=max(0, len(plan.faults or plan.changes) - LINES_MAX),
        fault=fault,
        status=422 if plan.faults else 409 if fault else 200,
    )


def _line(change: Change) -> ChangeLine:
    fields = tuple(FieldWords(*each) for each in change.fields)
    return ChangeLine(change.line, _WORDS[change.kind], change.who, fields)


def _summary(plan: Plan) -> str:
    """Say in one sentence what the table comes to."""
    if plan.faults:
        count = len(plan.faults)
        lines = "One line is" if count == 1 else f"{count:,} lines are"
        return f"{lines} not good; nothing can be taken over before that is put right"
    counts = {kind: sum(each.kind == kind for each in plan.changes) for kind in _WORDS}
    parts = [
        f"{counts['add']:,} new {'person' if counts['add'] == 1 else 'people'}",
        f"{counts['change']:,} changed",
        f"{plan.same:,} as they should be",
        f"{counts['add team']:,} new {'team' if counts['add team'] == 1 else 'teams'}",
    ]
    return ", ".join(parts)


def _digest(plan: Plan) -> str:
    """Name a plan by all that it changes, from what to what."""
    return hashlib.sha256(repr(plan.changes).encode("utf-8", "replace")).hexdigest()
