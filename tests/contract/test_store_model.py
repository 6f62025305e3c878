"""People and keys against a model: after any changes, store, directory and model agree."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

import stores
from postgres_cluster import shared
from stores import NOW
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.errors import Conflict, KeyRejected, NotAllowed, Refused
from tollkeeper.services import keys, people

EMAILS = ["alice@acme.com", "bob@acme.com", "carol@acme.com"]
TEAMS = ["core", "search", "sales"]


@dataclass
class ModelUser:
    role: Role
    team: str
    active: bool = True


@dataclass
class ModelKey:
    token: str
    kind: KeyKind
    email: str
    team: str  # "" when it follows its person
    expires_at_us: int | None
    revoked: bool = False


@dataclass
class Model:
    users: dict[str, ModelUser] = field(default_factory=dict)
    teams: dict[str, bool] = field(default_factory=dict)
    keys: dict[str, ModelKey] = field(default_factory=dict)

    def team_of(self, key: ModelKey) -> str:
        return key.team or (self.users[key.email].team if key.email else "")

    def is_active(self, key: ModelKey) -> bool:
        owner_works = not key.email or self.users[key.email].active
        team = self.team_of(key)
        return not key.revoked and owner_works and (not team or self.teams[team])

    def admins(self) -> list[str]:
        return [e for e, u in self.users.items() if u.active and u.role is Role.ADMIN]


class PeopleAndKeys(RuleBasedStateMachine):
    """Every rule does one thing to the store and the same to the model."""

    issued = Bundle("issued")

    def new_store_url(self) -> str:
        """Say where the store is to be: here in the data folder."""
        return ""

    @initialize()
    def start(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = stores.open_folder(Path(self.scratch.name) / "data", self.new_store_url())
        self.store = self.folder.store
        self.store.set_org_name("Acme")
        self.model = Model()
        self.now = NOW
        self.directory = stores.key_directory(self.folder.data)
        self.loop = asyncio.Runner()

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()
            self.directory.close()
            self.store.close()
            self.scratch.cleanup()

    # ------------------------------------------------------------- changes

    @rule(name=st.sampled_from(TEAMS))
    def add_team(self, name: str) -> None:
        if name in self.model.teams:
            with pytest.raises(Conflict):
                people.add_team(self.store, name.upper(), self.now)
        else:
            people.add_team(self.store, name, self.now)
            self.model.teams[name] = True

    @rule(name=st.sampled_from(TEAMS), active=st.booleans())
    def switch_team(self, name: str, active: bool) -> None:
        if name not in self.model.teams:
            with pytest.raises(Refused):
                people.set_team_active(self.store, name, active)
        else:
            people.set_team_active(self.store, name, active)
            self.model.teams[name] = active

    @rule(
        email=st.sampled_from(EMAILS),
        role=st.sampled_from(Role),
        team=st.sampled_from(["", *TEAMS]),
    )
    def add_user(self, email: str, role: Role, team: str) -> None:
        if email in self.model.users or (team and not self.model.teams.get(team)):
            with pytest.raises(Refused):
                people.add_user(self.store, email, self.now, role=role, team=team)
        else:
            people.add_user(self.store, email, self.now, role=role, team=team)
            self.model.users[email] = ModelUser(role, team)

    @precondition(lambda self: self.model.users)
    @rule(data=st.data(), team=st.sampled_from(["", *TEAMS]))
    def move_user(self, data: st.DataObject, team: str) -> None:
        email = data.draw(st.sampled_from(sorted(self.model.users)))
        if team and not self.model.teams.get(team):
            with pytest.raises(Refused):
                people.move_user(self.store, email, team, self.now)
        else:
            people.move_user(self.store, email, team, self.now)
            self.model.users[email].team = team

    @precondition(lambda self: self.model.users)
    @rule(data=st.data(), role=st.sampled_from(Role))
    def change_role(self, data: st.DataObject, role: Role) -> None:
        email = data.draw(st.sampled_from(sorted(self.model.users)))
        user = self.model.users[email]
        others = [admin for admin in self.model.admins() if admin != email]
        demoted = user.role is Role.ADMIN and role is not Role.ADMIN
        if demoted and not others:
            with pytest.raises(Conflict):
                people.change_role(self.store, email, role, self.now)
            return
        people.change_role(self.store, email, role, self.now)
        user.role = role
        if demoted:
            self._revoke_all(email, KeyKind.ADMIN)

    @precondition(lambda self: self.model.users)
    @rule(data=st.data(), active=st.booleans())
    def switch_user(self, data: st.DataObject, active: bool) -> None:
        email = data.draw(st.sampled_from(sorted(self.model.users)))
        if active:
            people.activate_user(self.store, email, self.now)
            self.model.users[email].active = True
        elif self.model.admins() == [email]:
            with pytest.raises(Conflict):
                people.deactivate_user(self.store, email, self.now)
        else:
            people.deactivate_user(self.store, email, self.now)
            self.model.users[email].active = False
            self._revoke_all(email)

    @rule(
        target=issued,
        email=st.sampled_from(["", *EMAILS]),
        team=st.sampled_from(["", *TEAMS]),
        kind=st.sampled_from(KeyKind),
        lifetime_us=st.none() | st.integers(1, 5),
    )
    def issue(self, email: str, team: str, kind: KeyKind, lifetime_us: int | None) -> Any:
        expires_at_us = None if lifetime_us is None else self.now + lifetime_us
        request = keys.KeyRequest("key", kind, email, team, expires_at_us)
        user = self.model.users.get(email)
        possible = (
            (not email or (user is not None and user.active))
            and (not team or self.model.teams.get(team, False))
            and (bool(email or team) or kind is KeyKind.ADMIN)
        )
        if not possible:
            with pytest.raises(Refused):
                self._issue(request)
            return multiple()
        made = self._issue(request)
        own = team if user is None or user.team != team else ""
        key_id = made.record.key.key_id
        self.model.keys[key_id] = ModelKey(made.token, kind, email, own, expires_at_us)
        return key_id

    @rule(key_id=issued)
    def revoke(self, key_id: str) -> None:
        keys.revoke(self.store, key_id, keys.OPERATOR, self.now)
        self.model.keys[key_id].revoked = True

    @rule(key_id=consumes(issued))
    def forget(self, key_id: str) -> None:
        """Leave this key alone from now on; it stays under observation."""

    @rule(microseconds=st.integers(1, 3))
    def wait(self, microseconds: int) -> None:
        self.now += microseconds

    # ------------------------------------------------------------- agreement

    @invariant()
    def the_directory_agrees_after_one_refresh(self) -> None:
        if not hasattr(self, "model"):
            return
        self.loop.run(self.directory.refresh())
        for key_id, key in self.model.keys.items():
            for kind in KeyKind:
                outcome = self.loop.run(self._outcome(key.token, kind))
                assert outcome == self._expected(key, kind), key_id
            found = self.directory.known(key_id)
            assert found is not None
            assert found.team == self.model.team_of(key)

    @invariant()
    def the_store_agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        stored = {record.key.key_id: record for record in self.store.keys()}  # noqa: SIM118
        assert stored.keys() == self.model.keys.keys()
        for key_id, key in self.model.keys.items():
            assert stored[key_id].key.active == self.model.is_active(key)
            assert (stored[key_id].revoked_at_us is not None) == key.revoked
        assert {
            user.email: ModelUser(user.role, user.team, user.active) for user in self.store.users()
        } == self.model.users
        assert {team.name: team.active for team in self.store.teams()} == self.model.teams

    def _expected(self, key: ModelKey, kind: KeyKind) -> str:
        if not self.model.is_active(key):
            return "key_revoked"
        if key.expires_at_us is not None and self.now >= key.expires_at_us:
            return "key_expired"
        return "good" if key.kind is kind else "wrong_key_kind"

    async def _outcome(self, token: str, kind: KeyKind) -> str:
        try:
            await keys.verify(token, self.directory, self.folder.vault, self.now, kind)
        except (KeyRejected, NotAllowed) as error:
            return error.code
        return "good"

    def _issue(self, request: keys.KeyRequest) -> keys.IssuedKey:
        return keys.issue(self.store, self.folder.vault, request, keys.OPERATOR, self.now)

    def _revoke_all(self, email: str, kind: KeyKind | None = None) -> None:
        for key in self.model.keys.values():
            if key.email == email and kind in {None, key.kind}:
                key.revoked = True


class OnPostgresql(PeopleAndKeys):
    """The same on a server."""

    def new_store_url(self) -> str:
        return shared().url(shared().new_database().options["dbname"])


OnPostgresql.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
PeopleAndKeys.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_people_and_keys = PeopleAndKeys.TestCase
test_people_and_keys_on_postgresql = OnPostgresql.TestCase
