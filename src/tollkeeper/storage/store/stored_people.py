"""The Store port's part about teams, people and memberships, on SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tollkeeper.domain.access import Role
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.people import Membership, NewUser, Team, User
from tollkeeper.storage.store import memberships, teams, users
from tollkeeper.storage.store.transactions import Touches, Transactions


class StoredPeople:
    """Implements ``domain.people.People``."""

    _transactions: Transactions
    _ids: IdMint

    # ------------------------------------------------------------- teams

    def add_team(self, name: str, now_us: int, team_id: str = "") -> Team:
        with self._transactions.write(Touches.PEOPLE) as (db, _):
            return teams.add_team(db, self._mint(now_us, team_id), name, now_us)

    def teams(self) -> list[Team]:
        with self._transactions.read() as db:
            return teams.all_teams(db)

    def team_named(self, name: str) -> Team | None:
        with self._transactions.read() as db:
            return teams.team_named(db, name)

    def set_team_active(self, team_id: str, active: bool) -> None:
        with self._transactions.write(Touches.PEOPLE) as (db, _):
            teams.set_team_active(db, team_id, active)

    def rename_team(self, team_id: str, name: str, now_us: int) -> None:
        with self._transactions.write(Touches.PEOPLE) as (db, _):
            teams.rename_team(db, team_id, name)
            memberships.note_team(db, team_id, now_us)

    def set_team_parent(self, team_id: str, parent_id: str | None) -> None:
        with self._transactions.write() as (db, _):
            teams.set_team_parent(db, team_id, parent_id)

    # ------------------------------------------------------------- people

    def add_user(
        self,
        email: str,
        name: str,
        role: Role,
        team_id: str | None,
        now_us: int,
        user_id: str = "",
    ) -> User:
        with self._transactions.write(Touches.PEOPLE) as (db, _):
            mint_id = self._mint(now_us, user_id)
            added = users.add_user(db, mint_id, email, name, role, team_id, now_us)
            memberships.note(db, added.user_id, now_us)
            return added

    def add_users(self, new: Sequence[NewUser], now_us: int) -> list[str]:
        with self._transactions.write(Touches.PEOPLE) as (db, _):
            ids = users.add_users(db, self._mint(now_us), new, now_us)
            memberships.note_new(db, ids, new, now_us)
            return ids

    def users(self) -> list[User]:
        with self._transactions.read() as db:
            return users.all_users(db)

    def user(self, user_id: str) -> User | None:
        with self._transactions.read() as db:
            return users.user(db, user_id)

    def user_with_email(self, email: str) -> User | None:
        with self._transactions.read() as db:
            return users.user_with_email(db, email)

    def set_user_active(self, user_id: str, active: bool, now_us: int) -> None:
        with self._transactions.write(Touches.PEOPLE) as (db, _):
            users.change_user(db, user_id, active=active)
            memberships.note(db, user_id, now_us)

    def set_user_role(self, user_id: str, role: Role) -> None:
        with self._transactions.write(Touches.PEOPLE) as (db, _):
            users.change_user(db, user_id, role=role.value)

    def set_user_name(self, user_id: str, name: str) -> None:
        with self._transactions.write(Touches.PEOPLE) as (db, _):
            users.change_user(db, user_id, name=name)

    def set_user_team(self, user_id: str, team_id: str | None, now_us: int) -> None:
        with self._transactions.write(Touches.PEOPLE) as (db, _):
            if team_id is not None:
                teams.require_team(db, team_id)
            users.change_user(db, user_id, team_id=team_id)
            memberships.note(db, user_id, now_us)

    def memberships(self) -> list[Membership]:
        with self._transactions.read() as db:
            return memberships.all_memberships(db)

    def _mint(self, now_us: int, given: str = "") -> Callable[[], str]:
        return (lambda: given) if given else partial(self._ids.next, now_us // 1000)
