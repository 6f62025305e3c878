"""Names that teams had before they were renamed: they still stand in the ledger.

Entries name their team, and whoever leads a team sees what stands under its name. So a team that
took a name that another one has left would see, and be counted with, that one's past. The audit
log knows each renaming, in the transaction of the renaming itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from tollkeeper.domain.audit import Action, AuditEntry, AuditQuestion
from tollkeeper.domain.errors import Conflict
from tollkeeper.ports import Store

_PAGE: Final = 500


class Former(NamedTuple):
    """A team that has had a name, and what it is called now."""

    team_id: str
    name_now: str


FormerNames = Mapping[str, frozenset[Former]]
"""Who has had a name, by the name as it is compared: without a difference of case."""


def former_names(store: Store) -> FormerNames:
    """Give the names that teams have left."""
    now = {team.team_id: team.name for team in store.teams()}
    found: dict[str, frozenset[Former]] = {}
    for entry in _renamings(store):
        change = entry.data.get("name")
        before = change.get("from") if isinstance(change, dict) else None
        if isinstance(before, str):
            former = Former(entry.target_id, now.get(entry.target_id, ""))
            key = before.casefold()
            found[key] = found.get(key, frozenset()) | {former}
    return found


def require_unused(known: FormerNames, name: str, team_id: str = "") -> None:
    """Raise Conflict for a name that another team than this one has had."""
    others = sorted(
        each.name_now for each in known.get(name.casefold(), ()) if each.team_id != team_id
    )
    if others:
        raise Conflict(
            f"team {others[0]!r} was called {name!r} before, and its calls of then still stand "
            "under that name: another team would see them as its own. Choose another name, or say "
            "that you take it over (take_over, --take-over)",
            code="team_name_used",
        )


def _renamings(store: Store) -> Iterator[AuditEntry]:
    before_seq: int | None = None
    while True:
        asked = AuditQuestion(action=Action.TEAM_RENAME, before_seq=before_seq, most=_PAGE)
        page = store.audit(asked)
        yield from page
        if len(page) < _PAGE:
            return
        before_seq = page[-1].seq
