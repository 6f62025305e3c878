"""What a line of the audit log's table of changes is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tollkeeper.domain.audit import Action, Target

if TYPE_CHECKING:
    from tollkeeper.storage.store.store import SqlStore

Said = Mapping[str, Any]
"""The arguments of a method by their names."""


class Told(NamedTuple):
    """What an entry says, all but who did it. ``by_user_id`` names a person who acts by being
    the one whom it is about: whoever has just signed in."""

    action: Action
    target: Target
    detail: Mapping[str, Any] = {}
    by_user_id: str = ""


class Line(NamedTuple):
    """How a change is told: ``after`` gets the arguments, what ``before`` saw, and the result."""

    after: Callable[[Said, Any, Any], Iterable[Told]]
    before: Callable[[SqlStore, Said], Any] = lambda store, said: None
