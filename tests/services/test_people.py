"""Teams and people: what a change means for keys, sessions and other people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from stores import NOW, Folder, add_person, issue_key
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.services import people, sign_in


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    opened.store.set_org_name("Acme")
    yield opened
    opened.store.close()


def signed_in(folder: Folder, email: str) -> str:
    user = people.find_user(folder.store, email)
    link = sign_in.make_link(folder.store, folder.vault, user, NOW)
    token = link.path.removeprefix(sign_in.LINK_PATH)
    return sign_in.sign_in(folder.store, folder.vault, token, NOW).cookie


def test_teams_are_added_found_renamed_and_switched(folder: Folder) -> None:
    store = folder.store
    people.add_team(store, "  Core ", NOW)
    assert people.find_team(store, "core").name == "Core"
    people.add_team(store, "search", NOW)
    with pytest.raises(Conflict, match="CORE"):
        people.add_team(store, "CORE", NOW)
    with pytest.raises(Conflict):
        people.rename_team(store, "search", "core", NOW)
    assert people.rename_team(store, "core", "CORE", NOW).name == "CORE"
    assert not people.set_team_active(store, "core", active=False).active
    assert people.set_team_active(store, "core", active=True).active
    with pytest.raises(NotFound, match="nobody"):
        people.rename_team(store, "nobody", "x", NOW)


def test_people_are_added_with_sensible_defaults(folder: Folder) -> None:
    user = people.add_user(folder.store, " Alice@Acme.COM ", NOW)
    assert (user.email, user.name, user.role, user.team) == (
        "alice@acme.com",
        "alice@acme.com",
        Role.MEMBER,
        "",
    )
    with pytest.raises(Conflict):
        people.add_user(folder.store, "ALICE@acme.com", NOW)
    with pytest.raises(NotFound, match="core"):
        people.add_user(folder.store, "bob@acme.com", NOW, team="core")
    assert folder.store.user_with_email("bob@acme.com") is None


def test_an_id_from_elsewhere_is_kept_and_is_nobody_elses(folder: Folder) -> None:
    store = folder.store
    team = people.add_team(store, "core", NOW, team_id="de35b29e-6ca8-4f47-b804-2b79d07aa99a")
    assert store.teams() == [team]
    assert team.team_id == "de35b29e-6ca8-4f47-b804-2b79d07aa99a"
    user = people.add_user(store, "alice@acme.com", NOW, team="core", user_id="alice-1")
    assert store.user("alice-1") == user
    with pytest.raises(Conflict, match="id"):
        people.add_team(store, "other", NOW, team_id=team.team_id)
    with pytest.raises(Conflict, match="id"):
        people.add_user(store, "bob@acme.com", NOW, user_id="alice-1")
    for bad in ("x" * 37, "a b", "-a", "a/b", "a\n"):
        with pytest.raises(BadRequest, match="id"):
            people.add_user(store, "bob@acme.com", NOW, user_id=bad)
        with pytest.raises(BadRequest, match="id"):
            people.add_team(store, "other", NOW, team_id=bad)


@pytest.mark.parametrize(
    "email", ["", "alice", "@acme.com", "a@", "a b@acme.com", "a@b@c", "a@acme..com", "a@.", "é@\n"]
)
def test_what_is_no_address_is_refused(folder: Folder, email: str) -> None:
    with pytest.raises(BadRequest):
        people.add_user(folder.store, email, NOW)


@pytest.mark.parametrize("email", ["admin@localhost", "o'neil@acme.com", "ü@bücher.example"])
def test_unusual_addresses(folder: Folder, email: str) -> None:
    if "'" in email:
        with pytest.raises(BadRequest):
            people.add_user(folder.store, email, NOW)
    else:
        assert people.add_user(folder.store, email, NOW).email == email


def test_a_switched_off_person_loses_keys_and_sessions_for_good(folder: Folder) -> None:
    add_person(folder.store)
    bob = add_person(folder.store, "bob@acme.com")
    cookie, bobs_cookie = signed_in(folder, "alice@acme.com"), signed_in(folder, "bob@acme.com")
    issue_key(folder, email="alice@acme.com")
    issue_key(folder, email="alice@acme.com", kind=KeyKind.ADMIN)
    issue_key(folder, email="bob@acme.com")
    team_key = issue_key(folder, team="core").record.key.key_id
    alice, revoked = people.deactivate_user(folder.store, "alice@acme.com", NOW + 5)
    assert (alice.active, revoked) == (False, 2)
    assert sign_in.visit(folder.store, folder.vault, cookie, NOW + 5) is None
    people.activate_user(folder.store, "alice@acme.com", NOW + 6)
    assert sign_in.visit(folder.store, folder.vault, cookie, NOW + 5) is None
    dead = folder.store.keys_of(alice.user_id)
    assert [record.revoked_at_us for record in dead] == [NOW + 5] * 2
    assert folder.store.keys_of(bob.user_id)[0].key.active
    team_record = folder.store.key(team_key)
    assert team_record is not None
    assert team_record.key.active
    assert sign_in.visit(folder.store, folder.vault, bobs_cookie, NOW + 5) is not None


def test_the_last_active_admin_stays(folder: Folder) -> None:
    add_person(folder.store, "admin@acme.com", "", Role.ADMIN)
    add_person(folder.store, "bob@acme.com")
    for change in (
        lambda: people.deactivate_user(folder.store, "admin@acme.com", NOW),
        lambda: people.change_role(folder.store, "admin@acme.com", Role.MEMBER, NOW),
    ):
        with pytest.raises(Conflict, match="last active admin"):
            change()
    people.change_role(folder.store, "bob@acme.com", Role.ADMIN, NOW)
    people.deactivate_user(folder.store, "admin@acme.com", NOW)
    with pytest.raises(Conflict):
        people.deactivate_user(folder.store, "bob@acme.com", NOW)


def test_another_role_ends_sessions_and_a_former_admin_loses_management_keys(
    folder: Folder,
) -> None:
    add_person(folder.store, "admin@acme.com", "", Role.ADMIN)
    alice = add_person(folder.store, "alice@acme.com", role=Role.ADMIN)
    cookie = signed_in(folder, "alice@acme.com")
    issue_key(folder, email="alice@acme.com", kind=KeyKind.ADMIN)
    issue_key(folder, email="alice@acme.com")
    assert people.change_role(folder.store, "alice@acme.com", Role.ADMIN, NOW).role is Role.ADMIN
    assert sign_in.visit(folder.store, folder.vault, cookie, NOW) is not None
    people.change_role(folder.store, "alice@acme.com", Role.LEAD, NOW)
    assert sign_in.visit(folder.store, folder.vault, cookie, NOW) is None
    states = {r.key.kind: r.key.active for r in folder.store.keys_of(alice.user_id)}
    assert states == {KeyKind.ADMIN: False, KeyKind.VIRTUAL: True}


def test_a_person_moves_with_their_keys(folder: Folder) -> None:
    alice = add_person(folder.store)
    issue_key(folder, email="alice@acme.com")
    people.add_team(folder.store, "search", NOW)
    assert people.move_user(folder.store, "alice@acme.com", "SEARCH", NOW).team == "search"
    assert folder.store.keys_of(alice.user_id)[0].key.team == "search"
    assert people.move_user(folder.store, "alice@acme.com", "", NOW).team == ""
    people.set_team_active(folder.store, "core", active=False)
    with pytest.raises(BadRequest, match="deactivated"):
        people.move_user(folder.store, "alice@acme.com", "core", NOW)
    with pytest.raises(NotFound):
        people.move_user(folder.store, "nobody@acme.com", "search", NOW)


def test_ensuring_adds_once(folder: Folder) -> None:
    assert people.ensure_team(folder.store, "core", NOW) == people.ensure_team(
        folder.store, "CORE", NOW + 1
    )
    first = people.ensure_user(folder.store, "alice@acme.com", "core", NOW)
    assert people.ensure_user(folder.store, "ALICE@acme.com", "other", NOW + 1) == first


def test_teams_are_nested_one_level(folder: Folder) -> None:
    store = folder.store
    people.add_team(store, "engineering", NOW)
    assert people.add_team(store, "search", NOW, parent="Engineering").parent == "engineering"
    people.add_team(store, "sales", NOW)
    for team, parent, why in (
        ("sales", "search", "part of 'engineering'"),
        ("engineering", "sales", "has parts"),
        ("sales", "SALES", "itself"),
    ):
        with pytest.raises(BadRequest, match=why):
            people.nest_team(store, team, parent)
    with pytest.raises(NotFound):
        people.add_team(store, "new", NOW, parent="nobody")
    assert store.team_named("new") is None
    assert people.nest_team(store, "search", "").parent == ""


def test_a_person_is_called_something_else(folder: Folder) -> None:
    people.add_user(folder.store, "alice@acme.com", NOW)
    assert people.rename_user(folder.store, "alice@acme.com", " Alice A. ").name == "Alice A."
    with pytest.raises(BadRequest):
        people.rename_user(folder.store, "alice@acme.com", " ")
