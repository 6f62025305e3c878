"""What the audit log says of people who were added many at once: a few entries, not thousands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from tollkeeper.domain.audit import Action, Target
from tollkeeper.storage.store.audit_lines import Said, Told

if TYPE_CHECKING:
    from tollkeeper.storage.store.store import SqlStore

_IDS_IN_ENTRY: Final = 150


def team_names(store: SqlStore, said: Said) -> dict[str, str]:
    """Give the names of the teams by their ids."""
    return {team.team_id: team.name for team in store.teams()}


def people_added(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say who was added in which role to which team, up to 150 people in an entry."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for user_id, new in zip(result, said["new"], strict=True):
        groups[new.role.value, before.get(new.team_id, "")].append(user_id)
    for (role, team), ids in groups.items():
        for start in range(0, len(ids), _IDS_IN_ENTRY):
            some = ids[start : start + _IDS_IN_ENTRY]
            detail = {"role": role, "team": team, "user_ids": some}
            yield Told(Action.USER_ADD, Target("users", some[0]), detail)
