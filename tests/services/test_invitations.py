"""Invitations: made, sent again, revoked, accepted once, and backed by who made them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import stores
from stores import DAY, NOW, Folder, add_person
from tollkeeper.domain.access import Role
from tollkeeper.domain.audit import Action, AuditQuestion
from tollkeeper.domain.errors import BadRequest, Conflict, KeyRejected, NotAllowed, NotFound
from tollkeeper.domain.invitations import LIFETIME_US, InvitationState
from tollkeeper.services import invitations, people, sign_in
from tollkeeper.services.invitations import OPERATOR, Inviter, Made


@pytest.fixture
def folder(tmp_path: Path, store_url: str) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path, store_url)
    opened.store.set_org_name("Acme")
    yield opened
    opened.store.close()


def invite(
    folder: Folder,
    email: str = "new@acme.com",
    role: Role = Role.MEMBER,
    team: str = "",
    by: Inviter = OPERATOR,
) -> Made:
    return invitations.invite(folder.store, folder.vault, by, email, role, team, NOW)


def token(made: Made) -> str:
    return made.path.partition("=")[2]


def accept(folder: Folder, made: Made, at_us: int = NOW + 1) -> sign_in.SignedIn:
    return invitations.accept(folder.store, folder.vault, token(made), "New One", at_us)


def lead_of(folder: Folder, team: str = "core") -> Inviter:
    lead = add_person(folder.store, "lead@acme.com", team, Role.LEAD)
    return Inviter(lead.email, lead.user_id, frozenset({team}))


def test_a_link_makes_an_account_once(folder: Folder) -> None:
    people.add_team(folder.store, "core", NOW)
    made = invite(folder, " NEW@Acme.com ", Role.LEAD, "Core")
    assert invitations.look(folder.store, folder.vault, token(made), NOW) == made.invitation
    found = accept(folder, made)
    user = folder.store.user(found.session.user_id)
    assert user is not None
    assert (user.email, user.name, user.role, user.team) == (
        "new@acme.com",
        "New One",
        Role.LEAD,
        "core",
    )
    assert sign_in.visit(folder.store, folder.vault, found.cookie, NOW + 2) is not None
    with pytest.raises(KeyRejected):
        accept(folder, made)
    assert folder.store.invitations()[0].state(NOW + 2) is InvitationState.ACCEPTED


def test_of_many_who_use_a_link_at_once_one_gets_in(folder: Folder) -> None:
    made = invite(folder)

    def tried(_: int) -> bool:
        try:
            accept(folder, made)
        except KeyRejected:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(tried, range(16))) == 1
    assert len(folder.store.users()) == 1


def test_a_link_ends_after_seven_days_when_revoked_and_when_made_again(folder: Folder) -> None:
    first = invite(folder)
    with pytest.raises(KeyRejected):
        accept(folder, first, NOW + LIFETIME_US)
    again = invitations.resend(
        folder.store, folder.vault, OPERATOR, first.invitation.invitation_id, NOW + 8 * DAY
    )
    for old in (
        first,
        Made(first.invitation, "/join?token=" + "x" * 43),
        Made(again.invitation, "="),
    ):
        with pytest.raises(KeyRejected):
            accept(folder, old, NOW + 8 * DAY)
    newer = invite(folder)
    assert [each.state(NOW) for each in folder.store.invitations()].count(InvitationState.OPEN) == 1
    invitations.revoke(folder.store, OPERATOR, newer.invitation.invitation_id, NOW + 1)
    with pytest.raises(KeyRejected):
        accept(folder, newer)
    with pytest.raises(Conflict, match="revoked"):
        invitations.resend(
            folder.store, folder.vault, OPERATOR, newer.invitation.invitation_id, NOW + 2
        )
    with pytest.raises(NotFound):
        invitations.revoke(folder.store, OPERATOR, "nobody", NOW)


def test_an_account_in_use_is_never_opened(folder: Folder) -> None:
    add_person(folder.store, "alice@acme.com")
    with pytest.raises(Conflict):
        invite(folder, "ALICE@acme.com")
    made = invite(folder)
    people.add_user(folder.store, "new@acme.com", NOW, role=Role.ADMIN)
    with pytest.raises(KeyRejected):
        accept(folder, made)


def test_somebody_switched_off_comes_back_by_an_admins_invitation_alone(folder: Folder) -> None:
    lead = lead_of(folder)
    add_person(folder.store, "admin@acme.com", "", Role.ADMIN)
    add_person(folder.store, "gone@acme.com", "", Role.ADMIN)
    people.deactivate_user(folder.store, "gone@acme.com", NOW)
    with pytest.raises(Conflict):
        invite(folder, "gone@acme.com", team="core", by=lead)
    accept(folder, invite(folder, "gone@acme.com", team="core"))
    user = people.find_user(folder.store, "gone@acme.com")
    assert (user.active, user.role, user.team, user.name) == (True, Role.MEMBER, "core", "New One")


@pytest.mark.parametrize("by_lead", [False, True])
def test_an_invitation_of_before_switches_nobody_on_again(folder: Folder, by_lead: bool) -> None:
    """Somebody came in another way while their link lay unused, and was let go."""
    people.add_team(folder.store, "core", NOW)
    made = invite(folder, team="core", by=lead_of(folder) if by_lead else OPERATOR)
    other = invite(folder, "other@acme.com")
    for email in ("new@acme.com", "other@acme.com"):
        people.add_user(folder.store, email, NOW, role=Role.FINANCE)
        people.deactivate_user(folder.store, email, NOW)
    assert made.invitation._replace(revoked_at_us=NOW) in folder.store.invitations()
    with pytest.raises(KeyRejected):
        accept(folder, made)
    with pytest.raises(KeyRejected):
        accept(folder, other)
    assert not people.find_user(folder.store, "new@acme.com").active
    again = invite(folder, "new@acme.com", team="core")
    assert accept(folder, again).user.active


def test_a_leads_link_switches_nobody_on_again(folder: Folder) -> None:
    made = invite(folder, team="core", by=lead_of(folder))
    user = people.add_user(folder.store, "new@acme.com", NOW)
    folder.store.set_user_active(user.user_id, False, NOW)
    with pytest.raises(KeyRejected):
        accept(folder, made)


def test_a_lead_invites_members_into_the_own_team_alone(folder: Folder) -> None:
    lead = lead_of(folder)
    people.add_team(folder.store, "other", NOW)
    invite(folder, team="CORE", by=lead)
    for role, team in ((Role.LEAD, "core"), (Role.ADMIN, "core"), (Role.MEMBER, "other")):
        with pytest.raises(NotAllowed):
            invite(folder, "x@acme.com", role, team, lead)
    with pytest.raises(NotAllowed):
        invite(folder, "x@acme.com", Role.MEMBER, "", lead)
    admins = invite(folder, "boss@acme.com", Role.ADMIN, "core")
    assert [each.email for each in invitations.seen_invitations(folder.store, lead)] == [
        "new@acme.com"
    ]
    with pytest.raises(NotFound):
        invitations.revoke(folder.store, lead, admins.invitation.invitation_id, NOW)
    with pytest.raises(Conflict):
        invite(folder, "boss@acme.com", team="core", by=lead)


def test_a_lead_floods_nobody_with_mails(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "LINKS_PER_HOUR_MAX", 3)
    store, vault, lead = folder.store, folder.vault, lead_of(folder)
    made = invite(folder, team="core", by=lead)
    with pytest.raises(Conflict, match="wait a minute"):
        invitations.resend(store, vault, lead, made.invitation.invitation_id, NOW + 1)
    with pytest.raises(Conflict, match="wait a minute"):
        invite(folder, team="core", by=lead)
    revoked = invitations.revoke(store, lead, made.invitation.invitation_id, NOW)
    with pytest.raises(Conflict, match="wait a minute"):
        invite(folder, revoked.email, team="core", by=lead)
    invite(folder, team="core")  # an admin knows what they do
    for number in range(2):
        invite(folder, f"{number}@acme.com", team="core", by=lead)
    with pytest.raises(Conflict, match="in an hour"):
        invite(folder, "one.more@acme.com", team="core", by=lead)
    later = NOW + invitations.AGAIN_US + 60 * 60 * 1_000_000
    assert invitations.invite(
        store, vault, lead, "one.more@acme.com", Role.MEMBER, "core", later
    ).invitation


def test_a_link_opens_nothing_once_its_maker_may_no_longer_invite(folder: Folder) -> None:
    lead = lead_of(folder)
    people.add_team(folder.store, "other", NOW)
    made = invite(folder, team="core", by=lead)
    people.move_user(folder.store, "lead@acme.com", "other", NOW)
    with pytest.raises(KeyRejected):
        accept(folder, made)
    people.move_user(folder.store, "lead@acme.com", "core", NOW)
    people.deactivate_user(folder.store, "lead@acme.com", NOW)
    with pytest.raises(KeyRejected):
        accept(folder, made)
    people.activate_user(folder.store, "lead@acme.com", NOW)
    assert accept(folder, made).user.team == "core"


def test_revoking_twice_is_told_once(folder: Folder) -> None:
    made = invite(folder)
    for _ in range(3):
        invitations.revoke(folder.store, OPERATOR, made.invitation.invitation_id, NOW)
    told = folder.store.audit(AuditQuestion(action=Action.INVITE_REVOKE))
    assert [each.target_id for each in told] == [made.invitation.invitation_id]


def test_a_team_that_is_off_takes_nobody(folder: Folder) -> None:
    people.add_team(folder.store, "core", NOW)
    made = invite(folder, team="core")
    people.set_team_active(folder.store, "core", active=False)
    with pytest.raises(BadRequest):
        invite(folder, "x@acme.com", team="core")
    with pytest.raises(BadRequest):
        accept(folder, made)
    people.set_team_active(folder.store, "core", active=True)
    assert accept(folder, made).user.email == "new@acme.com"


def test_the_store_holds_no_token(folder: Folder) -> None:
    made = invite(folder)
    assert token(made) not in repr(made)
    if isinstance(folder.data.root, Path):
        for file in folder.data.root.rglob("*"):
            if file.is_file():
                assert token(made).encode() not in file.read_bytes()
