"""Who comes in as whom: by issuer and subject, with the role and team that groups give."""

from __future__ import annotations

from typing import Any

import pytest

from sso_desk import Desk
from stores import HOUR, NOW, add_person
from tollkeeper.domain.access import Role
from tollkeeper.domain.oidc import GroupRule, SignInRefused
from tollkeeper.services import invitations, people, sign_in, single_sign_on
from tollkeeper.services.invitations import Inviter
from wicked_provider import WickedProvider

BY_GROUP = (
    GroupRule("admins", Role.ADMIN),
    GroupRule("core-leads", Role.LEAD, "core"),
    GroupRule("engineers", Role.MEMBER),
    GroupRule("search", None, "search"),
)


def code_of(desk: Desk, **claims: Any) -> str:
    with pytest.raises(SignInRefused) as caught:
        desk.sign_in(**claims)
    return caught.value.code


# ------------------------------------------------------------------ by whom


def test_somebody_is_who_they_were_whatever_they_are_called_now(desk: Desk) -> None:
    first = desk.sign_in(sub="s-1", email="alice@acme.com")
    again = desk.sign_in(sub="s-1", email="alice.married@acme.com", name="Other")
    assert again.user_id == first.user_id
    assert again.email == "alice@acme.com"
    (identity,) = desk.store.identities()
    assert identity.subject == "s-1"


def test_an_address_that_went_to_somebody_else_opens_nothing(desk: Desk) -> None:
    desk.sign_in(sub="s-1", email="alice@acme.com")
    assert code_of(desk, sub="s-2", email="alice@acme.com") == "sign_in_account_bound"
    assert code_of(desk, sub="s-2", email="ALICE@acme.com ") == "sign_in_account_bound"


def test_a_new_account_at_the_provider_takes_a_word_of_ours(desk: Desk) -> None:
    begun = desk.begin()
    query = desk.wicked.code_for(begun.address, sub="s-1", email="alice@acme.com")
    old = desk.finish(begun.carried, query).signed_in
    assert code_of(desk, sub="s-2", email="alice@acme.com") == "sign_in_account_bound"
    assert single_sign_on.unbind(desk.store, "alice@acme.com")[1] == 1
    assert sign_in.visit(desk.store, desk.vault, old.cookie, desk.now_us) is None
    assert desk.sign_in(sub="s-2", email="alice@acme.com").user_id == old.user.user_id
    assert code_of(desk, sub="s-1", email="alice@acme.com") == "sign_in_account_bound"


def test_a_person_who_was_added_before_is_bound_by_a_verified_address(desk: Desk) -> None:
    alice = add_person(desk.store, "alice@acme.com", "core", Role.FINANCE)
    desk.set(rules=(), create_users=False)
    found = desk.sign_in(sub="s-1", email="Alice@Acme.com")
    assert (found.user_id, found.role, found.team) == (alice.user_id, Role.FINANCE, "core")
    (identity,) = desk.store.identities_of(alice.user_id)
    assert (identity.issuer, identity.provider) == (desk.wicked.issuer, "acme")


def test_a_lead_who_opened_the_own_invitation_does_not_become_its_owner(desk: Desk) -> None:
    """The link was for somebody else, who comes by the provider later, and in a higher role."""
    store, vault = desk.store, desk.vault
    lead = add_person(store, "lead@acme.com", "core", Role.LEAD)
    by = Inviter(lead.email, lead.user_id, frozenset({"core"}))
    made = invitations.invite(store, vault, by, "boss@acme.com", Role.MEMBER, "core", NOW)
    token = made.path.partition("=")[2]
    opened = invitations.accept(store, vault, token, "Boss", NOW)
    store.set_password(opened.user.user_id, "a hash of the lead's", NOW)
    desk.set(rules=BY_GROUP)
    boss = desk.sign_in(email="boss@acme.com", groups=["search", "admins"])
    assert (boss.user_id, boss.role) == (opened.user.user_id, Role.ADMIN)
    assert store.password(boss.user_id) is None
    assert sign_in.visit(store, vault, opened.cookie, desk.now_us) is None


@pytest.mark.parametrize("role", [Role.MEMBER, Role.LEAD])
def test_who_had_a_password_before_keeps_it_where_no_lead_had_their_link(
    desk: Desk, role: Role
) -> None:
    user = add_person(desk.store, "alice@acme.com", "core", role)
    desk.store.set_password(user.user_id, "a hash", NOW)
    desk.sign_in(email="alice@acme.com")
    assert desk.store.password(user.user_id) is not None
    desk.sign_in(email="alice@acme.com")  # nor later
    assert desk.store.password(user.user_id) is not None


@pytest.mark.parametrize("verified", [False, None, "false", "True", 1, [], {}])
def test_nobody_is_bound_or_added_by_an_address_that_is_not_verified(
    desk: Desk, verified: object
) -> None:
    add_person(desk.store, "alice@acme.com", "", Role.ADMIN)
    for email in ("alice@acme.com", "stranger@acme.com"):
        code = code_of(desk, email=email, email_verified=verified)
        assert code == "sign_in_email_unverified"
    assert desk.store.identities() == []


def test_a_provider_that_says_nothing_of_verification_may_be_trusted(desk: Desk) -> None:
    desk.set(trusts_emails=True)
    desk.wicked.left_out = ("email_verified",)
    assert desk.sign_in(email="alice@acme.com").email == "alice@acme.com"
    desk.wicked.left_out = ()
    code = code_of(desk, sub="s-2", email="bob@acme.com", email_verified=False)
    assert code == "sign_in_email_unverified"


def test_verification_is_of_the_claim_email_alone(desk: Desk) -> None:
    desk.set(email_claim="preferred_username")
    claims = {"email": "mallory@acme.com", "preferred_username": "alice@acme.com"}
    assert code_of(desk, **claims) == "sign_in_email_unverified"
    desk.set(trusts_emails=True)
    assert desk.sign_in(**claims).email == "alice@acme.com"


def test_verification_is_believed_of_the_address_beside_it_alone(
    desk: Desk, wicked: WickedProvider
) -> None:
    wicked.userinfo = {"sub": "s-1", "email": "mallory@evil.example", "email_verified": True}
    wicked.left_out = ("email_verified",)
    desk.set(rules=(GroupRule("*", Role.MEMBER), GroupRule("x", Role.LEAD)))  # asks userinfo
    assert code_of(desk, email="alice@acme.com") == "sign_in_email_unverified"
    assert wicked.asked["/realm/userinfo"] == 1


@pytest.mark.parametrize("email", ["", None, 7, "nobody", "a@b@c", "x" * 301 + "@acme.com"])
def test_an_address_that_is_none_adds_nobody(desk: Desk, email: object) -> None:
    assert code_of(desk, email=email) == "sign_in_email_unverified"


def test_strangers_stay_out_where_nobody_is_added(desk: Desk) -> None:
    desk.set(create_users=False)
    assert code_of(desk) == "sign_in_no_account"
    assert desk.store.users() == []


def test_only_addresses_of_the_domains_come_in(desk: Desk) -> None:
    desk.set(domains=frozenset({"acme.com"}))
    assert code_of(desk, email="a@evil.example") == "sign_in_domain"
    assert code_of(desk, email="a@sub.acme.com") == "sign_in_domain"
    assert code_of(desk, email="a@acme.com", email_verified=False) == "sign_in_domain"
    assert desk.sign_in(email="a@ACME.com", email_verified=True)
    # Who was let in once does not stay in with an address from elsewhere.
    assert code_of(desk, email="a@evil.example") == "sign_in_domain"


@pytest.mark.parametrize("name", ["", "\0", "‮evil", "x" * 200, None, 7])
def test_a_strange_name_keeps_nobody_out(desk: Desk, name: object) -> None:
    assert desk.sign_in(name=name).email == "newcomer@acme.com"


# ------------------------------------------------------------------ switched off


def test_who_is_switched_off_stays_out(desk: Desk) -> None:
    user = desk.sign_in()
    add_person(desk.store, "bob@acme.com")
    for email in (user.email, "bob@acme.com"):
        people.deactivate_user(desk.store, email, desk.now_us)
    assert code_of(desk) == "user_inactive"
    assert code_of(desk, sub="s-2", email="bob@acme.com") == "user_inactive"
    assert len(desk.store.identities()) == 1  # nobody is bound to an account that is off


# ------------------------------------------------------------------ groups


def test_the_first_rule_that_fits_gives_the_role_and_the_first_with_a_team_the_team(
    desk: Desk,
) -> None:
    desk.set(rules=BY_GROUP)
    found = desk.sign_in(groups=["search", "engineers", "core-leads"])
    assert (found.role, found.team) == (Role.LEAD, "core")


def test_groups_change_role_and_team_and_end_older_sessions(desk: Desk) -> None:
    desk.set(rules=BY_GROUP)
    add_person(desk.store, "root@acme.com", "", Role.ADMIN)
    begun = desk.begin()
    query = desk.wicked.code_for(begun.address, groups=["core-leads"])
    old = desk.finish(begun.carried, query).signed_in
    assert sign_in.visit(desk.store, desk.vault, old.cookie, desk.now_us)
    found = desk.sign_in(groups=["engineers", "search"])
    assert (found.role, found.team) == (Role.MEMBER, "search")
    assert sign_in.visit(desk.store, desk.vault, old.cookie, desk.now_us) is None


def test_who_has_no_group_with_a_role_stays_out_and_loses_what_is_open(desk: Desk) -> None:
    desk.set(rules=BY_GROUP)
    for groups in ([], ["strangers"], "strangers", 7, None, {"admins": True}, ["search"]):
        assert code_of(desk, groups=groups) == "sign_in_no_role"
    begun = desk.begin()
    query = desk.wicked.code_for(begun.address, groups="engineers")
    old = desk.finish(begun.carried, query).signed_in
    assert code_of(desk, groups=[]) == "sign_in_no_role"
    assert sign_in.visit(desk.store, desk.vault, old.cookie, desk.now_us) is None


def test_the_last_admin_stays_one(desk: Desk) -> None:
    desk.set(rules=BY_GROUP)
    root = desk.sign_in(groups=["admins"])
    assert desk.sign_in(groups=["engineers"]).role is Role.ADMIN
    add_person(desk.store, "second@acme.com", "", Role.ADMIN)
    assert desk.sign_in(groups=["engineers"]).role is Role.MEMBER
    assert root.role is Role.ADMIN


def test_a_team_that_is_switched_off_is_not_given(desk: Desk) -> None:
    desk.set(rules=BY_GROUP)
    people.ensure_team(desk.store, "search", desk.now_us)
    people.set_team_active(desk.store, "search", False)
    assert desk.sign_in(groups=["engineers", "search"]).team == ""


def test_a_group_gives_no_team_that_was_another_ones_name(desk: Desk) -> None:
    desk.set(rules=BY_GROUP)
    people.ensure_team(desk.store, "search", desk.now_us)
    people.rename_team(desk.store, "search", "find", desk.now_us)
    assert desk.sign_in(groups=["engineers", "search"]).team == ""
    assert [team.name for team in desk.store.teams()] == ["find"]


def test_without_rules_roles_are_ours(desk: Desk) -> None:
    desk.set(rules=(), create_users=False)
    add_person(desk.store, "alice@acme.com", "core", Role.LEAD)
    found = desk.sign_in(email="alice@acme.com", groups=["admins"])
    assert (found.role, found.team) == (Role.LEAD, "core")


def test_a_rule_for_everybody_alone_is_for_new_people(desk: Desk) -> None:
    desk.set(rules=(GroupRule("*", Role.MEMBER, "core"),))
    invited = add_person(desk.store, "fred@acme.com", "", Role.FINANCE)
    found = desk.sign_in(sub="s-1", email=invited.email)
    assert (found.role, found.team) == (Role.FINANCE, "")
    new = desk.sign_in(sub="s-2", email="new@acme.com")
    assert (new.role, new.team) == (Role.MEMBER, "core")
    people.change_role(desk.store, new.email, Role.AUDITOR, desk.now_us)
    assert desk.sign_in(sub="s-2", email="new@acme.com").role is Role.AUDITOR


def test_beside_named_groups_a_rule_for_everybody_is_what_is_left(desk: Desk) -> None:
    desk.set(rules=(*BY_GROUP, GroupRule("*", Role.MEMBER)))
    add_person(desk.store, "root@acme.com", "", Role.ADMIN)
    assert desk.sign_in(groups=["admins"]).role is Role.ADMIN
    assert desk.sign_in(groups=[]).role is Role.MEMBER


@pytest.mark.parametrize(
    ("place", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["engineers"]}}),
        ("https://acme.com/groups", {"https://acme.com/groups": ["engineers"]}),
        ("roles", {"roles": "engineers"}),
    ],
)
def test_groups_may_stand_elsewhere(desk: Desk, place: str, claims: dict[str, Any]) -> None:
    desk.set(rules=BY_GROUP, groups_claim=place)
    assert desk.sign_in(**claims).role is Role.MEMBER


# ------------------------------------------------------------------ userinfo


def test_what_the_token_leaves_out_userinfo_tells(desk: Desk, wicked: WickedProvider) -> None:
    desk.set(rules=BY_GROUP)
    wicked.left_out = ("email", "email_verified", "name")
    wicked.userinfo = {
        "sub": "s-1",
        "email": "alice@acme.com",
        "email_verified": "true",
        "name": "Alice",
        "groups": ["core-leads"],
    }
    found = desk.sign_in()
    assert (found.email, found.name, found.role) == ("alice@acme.com", "Alice", Role.LEAD)


@pytest.mark.parametrize("subject", ["s-2", "", None, "S-1"])
def test_userinfo_of_somebody_else_is_refused(
    desk: Desk, wicked: WickedProvider, subject: str | None
) -> None:
    wicked.left_out = ("email",)
    wicked.userinfo = {"sub": subject, "email": "alice@acme.com", "email_verified": True}
    assert code_of(desk) == "sign_in_not_verified"


def test_what_is_signed_wins_over_userinfo(desk: Desk, wicked: WickedProvider) -> None:
    desk.set(rules=BY_GROUP)
    wicked.left_out = ("email",)
    wicked.userinfo = {
        "sub": "s-1",
        "email": "alice@acme.com",
        "email_verified": True,
        "groups": ["admins"],
    }
    assert desk.sign_in(groups=["engineers"]).role is Role.MEMBER


# ------------------------------------------------------------------ one browser, once


def test_a_code_and_a_state_work_once(desk: Desk, wicked: WickedProvider) -> None:
    begun = desk.begin("/calls?x=1")
    query = wicked.code_for(begun.address)
    assert desk.finish(begun.carried, query).next == "/calls?x=1"
    asked = wicked.asked["/realm/token"]
    with pytest.raises(SignInRefused) as caught:
        desk.finish(begun.carried, query)
    assert (caught.value.code, wicked.asked["/realm/token"]) == ("sign_in_over", asked)
    again = desk.begin()
    used = {"code": query["code"], "state": wicked.code_for(again.address)["state"]}
    with pytest.raises(SignInRefused) as caught:
        desk.finish(again.carried, used)
    assert caught.value.code == "sign_in_not_verified"


def test_what_another_browser_carries_fits_nothing(desk: Desk, wicked: WickedProvider) -> None:
    mine, theirs = desk.begin(), desk.begin()
    query = wicked.code_for(theirs.address)
    damaged = theirs.carried[:-2] + ("AA" if theirs.carried[-2:] != "AA" else "BB")
    for carried in (mine.carried, "", "nonsense", damaged, "é", "A" * 5_000):
        with pytest.raises(SignInRefused) as caught:
            desk.finish(carried, query)
        assert caught.value.code == "sign_in_over"
    for state in ("", "x", query["state"][:-1], "é"):
        with pytest.raises(SignInRefused) as caught:
            desk.finish(theirs.carried, query | {"state": state})
        assert caught.value.code == "sign_in_over"
    assert wicked.asked["/realm/token"] == 0
    assert desk.finish(theirs.carried, query)


def test_what_is_carried_for_one_provider_is_not_for_another(
    desk: Desk, wicked: WickedProvider
) -> None:
    begun = desk.begin()
    query = wicked.code_for(begun.address)
    desk.set(name="other")
    with pytest.raises(SignInRefused) as caught:
        desk.finish(begun.carried, query)
    assert caught.value.code == "sign_in_over"


def test_a_code_that_another_sign_in_got_is_not_taken(desk: Desk, wicked: WickedProvider) -> None:
    """An attacker's code, put into the victim's own sign-in: PKCE and nonce differ."""
    victim, attacker = desk.begin(), desk.begin()
    code = wicked.code_for(attacker.address)["code"]
    query = wicked.code_for(victim.address) | {"code": code}
    with pytest.raises(SignInRefused) as caught:
        desk.finish(victim.carried, query)
    assert caught.value.code == "sign_in_not_verified"


def test_an_answer_names_its_issuer_where_the_provider_says_so(
    desk: Desk, wicked: WickedProvider
) -> None:
    wicked.metadata = {"authorization_response_iss_parameter_supported": True}
    for issuer, is_good in (("", False), ("https://evil.example", False), (wicked.issuer, True)):
        begun = desk.begin()
        query = wicked.code_for(begun.address) | {"iss": issuer}
        if is_good:
            assert desk.finish(begun.carried, query)
            continue
        with pytest.raises(SignInRefused) as caught:
            desk.finish(begun.carried, query)
        assert caught.value.code == "sign_in_not_verified"


@pytest.mark.parametrize("error", ["access_denied", "<script>", "x" * 500])
def test_an_error_of_the_provider_is_told_in_one_word(
    desk: Desk, wicked: WickedProvider, error: str
) -> None:
    begun = desk.begin()
    query = {"error": error, "state": wicked.code_for(begun.address)["state"]}
    with pytest.raises(SignInRefused) as caught:
        desk.finish(begun.carried, query)
    told = "access_denied" if error == "access_denied" else "an error"
    assert caught.value.message == f"Acme did not sign you in ({told})"


def test_spent_states_are_forgotten_when_they_could_not_be_used_anyway(desk: Desk) -> None:
    assert desk.store.spend_state(b"s" * 32, desk.now_us, desk.now_us + HOUR)
    assert not desk.store.spend_state(b"s" * 32, desk.now_us + 1, desk.now_us + HOUR)
    assert desk.store.spend_state(b"s" * 32, desk.now_us + HOUR, desk.now_us + 2 * HOUR)


# ------------------------------------------------------------------ the client


def test_the_secret_goes_where_the_provider_wants_it(desk: Desk, wicked: WickedProvider) -> None:
    desk.sign_in()
    assert wicked.credentials[-1].startswith("Basic ")
    assert "client_secret" not in wicked.forms[-1]
    wicked.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    desk.set(label="Acme")
    desk.sign_in()
    assert wicked.credentials[-1] == ""
    assert wicked.forms[-1]["client_secret"] == desk.provider.client_secret
    desk.set(client_secret="")
    desk.sign_in()
    assert "client_secret" not in wicked.forms[-1]
    assert wicked.forms[-1]["client_id"] == desk.provider.client_id


def test_a_way_out_leads_to_the_provider_only_where_it_is_wanted(
    desk: Desk, wicked: WickedProvider
) -> None:
    wicked.metadata = {"end_session_endpoint": f"{wicked.issuer}/out?x=1"}
    assert desk.client.farewell() == ""
    desk.set(signs_out=True)
    assert desk.client.farewell() == (
        f"{wicked.issuer}/out?x=1&client_id=tollkeeper"
        "&post_logout_redirect_uri=https%3A%2F%2Ftk.acme.com%2Flogin"
    )
    wicked.metadata = {}
    desk.set(signs_out=True)
    assert desk.client.farewell() == ""
