"""What every engine of the Store port must do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stores
from stores import DAY, MINUTE, NOW, new_key
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.months import ClosedMonth
from tollkeeper.domain.people import NewUser
from tollkeeper.domain.price_rules import PriceRule, StoredRule
from tollkeeper.domain.repricing import PricingRun
from tollkeeper.ports import KeyRecord, Membership, Session, Store, Team

HASH = b"h" * 32


@pytest.fixture
def store(tmp_path: Path, store_url: str) -> Iterator[Store]:
    opened = stores.open_folder(tmp_path, store_url).store
    yield opened
    opened.close()


def person(store: Store, email: str = "alice@acme.com", team: Team | None = None) -> str:
    team_id = None if team is None else team.team_id
    return store.add_user(email, "Alice", Role.MEMBER, team_id, NOW).user_id


def every_key(store: Store) -> list[KeyRecord]:
    return store.keys()


# --------------------------------------------------------------------- organisation


def test_an_organisation_has_no_name_before_it_is_given_one(store: Store) -> None:
    with pytest.raises(LookupError):
        store.org_name()
    store.set_org_name("Acme")
    store.set_org_name("Acme Inc")
    assert store.org_name() == "Acme Inc"


# --------------------------------------------------------------------- teams


def test_teams_are_listed_by_name_and_found_whatever_the_case(store: Store) -> None:
    search = store.add_team("search", NOW)
    core = store.add_team("Core", NOW + 1)
    assert store.teams() == [core, search]
    assert store.team_named("cORE") == core == replace(core, name="Core", active=True)
    assert store.team_named("nobody") is None
    assert core.created_at_us == NOW + 1
    assert core.team_id != search.team_id


def test_a_team_name_is_given_once(store: Store) -> None:
    core = store.add_team("core", NOW)
    other = store.add_team("other", NOW)
    with pytest.raises(ValueError, match="CORE"):
        store.add_team("CORE", NOW)
    with pytest.raises(ValueError, match="Core"):
        store.rename_team(other.team_id, "Core", NOW)
    store.rename_team(core.team_id, "CORE", NOW)
    assert [team.name for team in store.teams()] == ["CORE", "other"]


def test_a_renamed_team_is_found_by_its_new_name_only(store: Store) -> None:
    team = store.add_team("core", NOW)
    store.rename_team(team.team_id, "platform", NOW)
    assert store.team_named("core") is None
    assert store.team_named("platform") == replace(team, name="platform")


def test_a_team_is_switched_off_and_on(store: Store) -> None:
    team = store.add_team("core", NOW)
    store.set_team_active(team.team_id, False)
    assert store.teams() == [replace(team, active=False)]
    store.set_team_active(team.team_id, True)
    assert store.teams() == [team]


# --------------------------------------------------------------------- people


def test_a_person_is_kept_as_given_and_found_by_id_and_address(store: Store) -> None:
    team = store.add_team("core", NOW)
    user = store.add_user("Alice@Acme.com", "Alice", Role.LEAD, team.team_id, NOW)
    assert (user.email, user.name, user.role, user.team) == (
        "alice@acme.com",
        "Alice",
        Role.LEAD,
        "core",
    )
    assert user.active
    assert user.created_at_us == NOW
    assert store.user(user.user_id) == store.user_with_email("ALICE@acme.com") == user
    assert store.users() == [user]
    assert store.user("nobody") is None
    assert store.user_with_email("bob@acme.com") is None


def test_an_address_belongs_to_one_person(store: Store) -> None:
    person(store)
    with pytest.raises(ValueError, match="alice@acme"):
        person(store, "ALICE@acme.com")


@pytest.mark.parametrize("role", Role)
def test_every_role_can_be_given(store: Store, role: Role) -> None:
    user_id = person(store)
    store.set_user_role(user_id, role)
    found = store.user(user_id)
    assert found is not None
    assert found.role is role


def test_a_person_moves_between_teams_and_out_of_all(store: Store) -> None:
    core, search = store.add_team("core", NOW), store.add_team("search", NOW)
    user_id = person(store, team=core)
    for team_id, name in ((search.team_id, "search"), (None, ""), (core.team_id, "core")):
        store.set_user_team(user_id, team_id, NOW)
        found = store.user(user_id)
        assert found is not None
        assert found.team == name


def test_a_move_changes_nothing_of_the_memberships_before(store: Store) -> None:
    core, search = store.add_team("core", NOW), store.add_team("search", NOW)
    user_id = person(store, team=core)
    nobody_moves = store.memberships()
    store.set_user_team(user_id, core.team_id, NOW + 1)
    store.set_user_active(user_id, True, NOW + 1)
    assert store.memberships() == nobody_moves == [Membership(user_id, "core", NOW, None)]
    store.set_user_team(user_id, search.team_id, NOW + DAY)
    store.rename_team(core.team_id, "kernel", NOW + DAY)
    store.rename_team(search.team_id, "discovery", NOW + 2 * DAY)
    store.set_user_active(user_id, False, NOW + 3 * DAY)
    store.set_user_team(user_id, None, NOW + 4 * DAY)
    store.set_user_active(user_id, True, NOW + 5 * DAY)
    assert store.memberships() == [
        Membership(user_id, "core", NOW, NOW + DAY),
        Membership(user_id, "search", NOW + DAY, NOW + 2 * DAY),
        Membership(user_id, "discovery", NOW + 2 * DAY, NOW + 3 * DAY),
        Membership(user_id, "", NOW + 5 * DAY, None),
    ]


def test_memberships_never_overlap_though_the_clock_goes_back(store: Store) -> None:
    core, search = store.add_team("core", NOW), store.add_team("search", NOW)
    user_id = person(store, team=core)
    store.set_user_team(user_id, search.team_id, NOW - MINUTE)
    assert store.memberships() == [Membership(user_id, "search", NOW, None)]
    store.set_user_active(user_id, False, NOW + MINUTE)
    store.set_user_active(user_id, True, NOW - MINUTE)
    assert store.memberships() == [
        Membership(user_id, "search", NOW, NOW + MINUTE),
        Membership(user_id, "search", NOW + MINUTE, None),
    ]


def test_many_people_are_added_at_once_or_none(store: Store) -> None:
    core = store.add_team("core", NOW)
    new = [
        NewUser("a@acme.com", "A", Role.LEAD, core.team_id),
        NewUser("b@acme.com", "B", Role.MEMBER, None),
    ]
    ids = store.add_users(new, NOW)
    assert [(u.user_id, u.email, u.role, u.team, u.active) for u in store.users()] == [
        (ids[0], "a@acme.com", Role.LEAD, "core", True),
        (ids[1], "b@acme.com", Role.MEMBER, "", True),
    ]
    assert store.memberships() == [
        Membership(ids[0], "core", NOW, None),
        Membership(ids[1], "", NOW, None),
    ]
    before = store.users()
    for wrong in (new[0], NewUser("d@acme.com", "D", Role.MEMBER, "nobody")):
        with pytest.raises((ValueError, LookupError)):
            store.add_users([NewUser("c@acme.com", "C", Role.MEMBER, None), wrong], NOW)
    assert store.users() == before
    assert store.add_users([], NOW) == []


def test_a_team_is_part_of_another_one_and_of_none_again(store: Store) -> None:
    core, search = store.add_team("core", NOW), store.add_team("search", NOW)
    store.set_team_parent(search.team_id, core.team_id)
    store.set_team_parent(search.team_id, core.team_id)
    store.rename_team(core.team_id, "platform", NOW)
    assert [(each.name, each.parent) for each in store.teams()] == [
        ("platform", ""),
        ("search", "platform"),
    ]
    store.set_team_parent(search.team_id, None)
    assert store.team_named("search") == search
    for wrong in ((core.team_id, "nobody"), ("nobody", core.team_id)):
        with pytest.raises(LookupError):
            store.set_team_parent(*wrong)


def test_unknown_ids_raise_lookup_errors(store: Store) -> None:
    user_id = person(store)
    for attempt in (
        lambda: store.set_team_active("nobody", False),
        lambda: store.rename_team("nobody", "name", NOW),
        lambda: store.set_user_active("nobody", False, NOW),
        lambda: store.set_user_role("nobody", Role.ADMIN),
        lambda: store.set_user_team("nobody", None, NOW),
        lambda: store.set_user_team(user_id, "nobody", NOW),
        lambda: store.add_user("bob@acme.com", "Bob", Role.MEMBER, "nobody", NOW),
        lambda: store.add_key(new_key("AAAAAAAA", user_id="nobody"), NOW),
        lambda: store.add_key(new_key("AAAAAAAA", team_id="nobody"), NOW),
        lambda: store.revoke_key("AAAAAAAA", NOW),
        lambda: store.add_login_link(HASH, "nobody", NOW, NOW + 1),
        lambda: store.add_session(Session(HASH, "nobody", NOW, NOW, NOW + 1)),
        lambda: store.touch_session(HASH, NOW),
        lambda: store.remove_provider_secret("nobody"),
    ):
        revision = store.revision()
        with pytest.raises(LookupError):
            attempt()  # type: ignore[no-untyped-call]
        assert store.revision() == revision


# --------------------------------------------------------------------- keys


def test_a_key_is_kept_as_given(store: Store) -> None:
    store.set_org_name("Acme")
    team = store.add_team("core", NOW)
    user_id = person(store, team=team)
    new = new_key(
        "8hLWYrAX",
        user_id=user_id,
        expires_at_us=NOW + DAY,
        models=("gpt-4.1*", "claude-[!2]*"),
        providers=("openai",),
        tags={"feature": "Suche", "größe": "“x”"},
    )
    record = store.add_key(new, NOW)
    assert store.key("8hLWYrAX") == record
    key = record.key
    assert (record.created_at_us, record.created_by, record.revoked_at_us) == (NOW, "test", None)
    assert (key.key_id, key.name, key.kind) == ("8hLWYrAX", "key 8hLWYrAX", KeyKind.VIRTUAL)
    assert (key.org, key.team, key.user_id, key.user_name) == ("Acme", "core", user_id, "Alice")
    assert (key.secret_hmac, key.expires_at_us) == (new.secret_hmac, NOW + DAY)
    assert (key.models, key.providers) == (new.models, new.providers)
    assert key.tags == new.tags
    assert key.active


def test_keys_are_listed_oldest_first_and_by_person(store: Store) -> None:
    alice, bob = person(store), person(store, "bob@acme.com")
    for number, (key_id, user_id) in enumerate(
        [("CCCCCCCC", alice), ("AAAAAAAA", bob), ("BBBBBBBB", alice)]
    ):
        store.add_key(new_key(key_id, user_id=user_id), NOW + number)
    assert [record.key.key_id for record in every_key(store)] == [
        "CCCCCCCC",
        "AAAAAAAA",
        "BBBBBBBB",
    ]
    assert [record.key.key_id for record in store.keys_of(alice)] == ["CCCCCCCC", "BBBBBBBB"]
    assert store.keys_of("nobody") == []
    assert store.key("DDDDDDDD") is None


def test_a_key_id_is_given_once(store: Store) -> None:
    user_id = person(store)
    store.add_key(new_key("AAAAAAAA", user_id=user_id), NOW)
    with pytest.raises(ValueError, match="AAAAAAAA"):
        store.add_key(new_key("AAAAAAAA", user_id=user_id), NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_id": "SHORT"},
        {"secret_hmac": b"short"},
        {"name": ""},
        {"name": "x" * 201},
        {"pepper_version": 0},
        {"expires_at_us": -1},
        {"expires_at_us": 2**62},
    ],
    ids=str,
)
def test_a_key_with_impossible_values_is_refused(store: Store, wrong: dict[str, object]) -> None:
    user_id = person(store)
    good = new_key("AAAAAAAA", user_id=user_id)
    with pytest.raises(ValueError, match="refuses"):
        store.add_key(replace(good, **wrong), NOW)  # type: ignore[arg-type]
    assert store.keys() == []


def test_a_revoked_key_is_dead_for_good_and_keeps_its_first_date(store: Store) -> None:
    store.add_key(new_key("AAAAAAAA", user_id=person(store)), NOW)
    store.revoke_key("AAAAAAAA", NOW + 5)
    store.revoke_key("AAAAAAAA", NOW + 9)
    record = store.key("AAAAAAAA")
    assert record is not None
    assert record.revoked_at_us == NOW + 5
    assert not record.key.active


def test_all_keys_of_a_person_are_revoked_at_once(store: Store) -> None:
    alice, bob = person(store), person(store, "bob@acme.com")
    for key_id, user_id in (("AAAAAAAA", alice), ("BBBBBBBB", alice), ("CCCCCCCC", bob)):
        store.add_key(new_key(key_id, user_id=user_id), NOW)
    store.revoke_key("AAAAAAAA", NOW + 1)
    assert store.revoke_keys_of(alice, NOW + 2) == 1
    assert store.revoke_keys_of(alice, NOW + 3) == 0
    assert [record.revoked_at_us for record in every_key(store)] == [NOW + 1, NOW + 2, None]


def test_a_key_works_only_while_its_person_and_its_team_do(store: Store) -> None:
    team = store.add_team("core", NOW)
    user_id = person(store, team=team)
    store.add_key(new_key("AAAAAAAA", user_id=user_id), NOW)
    store.add_key(new_key("BBBBBBBB", team_id=team.team_id), NOW)
    store.add_key(new_key("CCCCCCCC", kind=KeyKind.ADMIN), NOW)

    def working() -> list[str]:
        return [record.key.key_id for record in every_key(store) if record.key.active]

    assert working() == ["AAAAAAAA", "BBBBBBBB", "CCCCCCCC"]
    store.set_user_active(user_id, False, NOW)
    assert working() == ["BBBBBBBB", "CCCCCCCC"]
    store.set_team_active(team.team_id, False)
    assert working() == ["CCCCCCCC"]
    store.set_user_active(user_id, True, NOW)
    assert working() == ["CCCCCCCC"]
    store.set_team_active(team.team_id, True)
    assert working() == ["AAAAAAAA", "BBBBBBBB", "CCCCCCCC"]


def test_a_key_follows_its_person_unless_it_names_a_team(store: Store) -> None:
    core, search = store.add_team("core", NOW), store.add_team("search", NOW)
    user_id = person(store, team=core)
    store.add_key(new_key("AAAAAAAA", user_id=user_id), NOW)
    store.add_key(new_key("BBBBBBBB", user_id=user_id, team_id=core.team_id), NOW)
    store.set_user_team(user_id, search.team_id, NOW)
    store.rename_team(search.team_id, "discovery", NOW)
    assert [record.key.team for record in every_key(store)] == ["discovery", "core"]


# --------------------------------------------------------------------- sign-in


def test_a_link_works_once(store: Store) -> None:
    user_id = person(store)
    store.add_login_link(HASH, user_id, NOW, NOW + MINUTE)
    assert store.use_login_link(b"x" * 32, NOW) is None
    assert store.use_login_link(HASH, NOW + 1) == store.user(user_id)
    assert store.use_login_link(HASH, NOW + 2) is None


def test_a_link_does_not_work_from_its_end_on(store: Store) -> None:
    store.add_login_link(HASH, person(store), NOW, NOW + MINUTE)
    assert store.use_login_link(HASH, NOW + MINUTE) is None
    assert store.use_login_link(HASH, NOW + MINUTE - 1) is not None


def test_a_link_of_somebody_switched_off_is_spent_in_vain(store: Store) -> None:
    user_id = person(store)
    store.add_login_link(HASH, user_id, NOW, NOW + MINUTE)
    store.set_user_active(user_id, False, NOW)
    assert store.use_login_link(HASH, NOW) is None
    store.set_user_active(user_id, True, NOW)
    assert store.use_login_link(HASH, NOW) is None


def test_of_fifty_who_use_a_link_at_once_one_gets_in(store: Store) -> None:
    store.add_login_link(HASH, person(store), NOW, NOW + MINUTE)
    start = threading.Barrier(50)

    def try_it(_: int) -> bool:
        start.wait()
        return store.use_login_link(HASH, NOW) is not None

    with ThreadPoolExecutor(50) as threads:
        assert sum(threads.map(try_it, range(50))) == 1


def test_a_session_is_kept_touched_and_ended(store: Store) -> None:
    user_id = person(store)
    session = Session(HASH, user_id, NOW, NOW, NOW + DAY)
    store.add_session(session)
    assert store.session(HASH) == session
    store.touch_session(HASH, NOW + 7)
    assert store.session(HASH) == replace(session, last_seen_at_us=NOW + 7)
    store.end_session(HASH)
    store.end_session(HASH)
    assert store.session(HASH) is None


def test_all_sessions_of_one_person_end_together(store: Store) -> None:
    alice, bob = person(store), person(store, "bob@acme.com")
    for number, user_id in enumerate((alice, alice, bob)):
        store.add_session(Session(bytes([number]) * 32, user_id, NOW, NOW, NOW + DAY))
    store.end_sessions_of(alice)
    left = [store.session(bytes([number]) * 32) for number in range(3)]
    assert [session is not None for session in left] == [False, False, True]


def test_what_has_expired_is_forgotten_when_something_new_comes(store: Store) -> None:
    user_id = person(store)
    store.add_session(Session(HASH, user_id, NOW, NOW, NOW + DAY))
    store.add_session(Session(b"n" * 32, user_id, NOW + DAY, NOW + DAY, NOW + 2 * DAY))
    assert store.session(HASH) is None
    store.add_login_link(HASH, user_id, NOW, NOW + MINUTE)
    store.add_login_link(b"n" * 32, user_id, NOW + DAY, NOW + 2 * DAY)
    assert store.use_login_link(HASH, NOW) is None


# --------------------------------------------------------------------- provider secrets


def test_provider_secrets_are_kept_replaced_and_removed(store: Store) -> None:
    store.set_provider_secret("openai", b"\x00\xffone", NOW)
    store.set_provider_secret("anthropic", b"two", NOW + 1)
    store.set_provider_secret("openai", b"three", NOW + 2)
    assert store.provider_secrets() == {"anthropic": b"two", "openai": b"three"}
    assert store.provider_secrets_set_at() == {"anthropic": NOW + 1, "openai": NOW + 2}
    store.remove_provider_secret("openai")
    assert store.provider_secrets() == {"anthropic": b"two"}


# --------------------------------------------------------------------- transactions


def test_every_write_raises_the_revision_and_nothing_else_does(store: Store) -> None:
    team = store.add_team("core", NOW)
    user_id = person(store)
    writes: list[Callable[[], object]] = [
        lambda: store.set_org_name("Acme"),
        lambda: store.add_team("search", NOW),
        lambda: store.set_team_active(team.team_id, True),
        lambda: store.rename_team(team.team_id, "kernel", NOW),
        lambda: store.add_user("bob@acme.com", "Bob", Role.MEMBER, None, NOW),
        lambda: store.set_user_active(user_id, True, NOW),
        lambda: store.set_user_role(user_id, Role.LEAD),
        lambda: store.set_user_team(user_id, team.team_id, NOW),
        lambda: store.set_user_name(user_id, "Al"),
        lambda: store.set_team_parent(team.team_id, None),
        lambda: store.add_key(new_key("AAAAAAAA", user_id=user_id), NOW),
        lambda: store.revoke_key("AAAAAAAA", NOW),
        lambda: store.revoke_keys_of(user_id, NOW),
        lambda: store.add_login_link(HASH, user_id, NOW, NOW + 1),
        lambda: store.use_login_link(HASH, NOW),
        lambda: store.add_session(Session(HASH, user_id, NOW, NOW, NOW + 1)),
        lambda: store.touch_session(HASH, NOW),
        lambda: store.end_session(HASH),
        lambda: store.end_sessions_of(user_id),
        lambda: store.set_provider_secret("openai", b"sealed", NOW),
        lambda: store.remove_provider_secret("openai"),
    ]
    for number, write in enumerate(writes):
        before = store.revision()
        write()
        assert store.revision() > before, number
    before = store.revision()
    for read in (store.teams, store.users, store.keys, store.provider_secrets, store.probe):
        read()
    assert store.revision() == before


def test_what_is_done_together_happens_or_does_not(store: Store) -> None:
    class Stop(Exception):
        pass

    before = store.revision()
    with pytest.raises(Stop), store.together():
        team = store.add_team("core", NOW)
        person(store, team=team)
        assert [user.team for user in store.users()] == ["core"]
        raise Stop
    assert store.teams() == []
    assert store.users() == []
    assert store.revision() == before


def test_a_failure_inside_undoes_only_its_own_part_when_it_is_caught(store: Store) -> None:
    with store.together():
        store.add_team("core", NOW)
        with pytest.raises(ValueError, match="core"):
            store.add_team("core", NOW)
        with store.together():
            store.add_team("search", NOW)
    assert [team.name for team in store.teams()] == ["core", "search"]


def test_others_neither_see_nor_disturb_what_is_done_together(store: Store) -> None:
    inside, look_done = threading.Event(), threading.Event()

    def other() -> tuple[int, int]:
        inside.wait(10)
        seen = len(store.teams())
        look_done.set()
        store.add_team("theirs", NOW)  # waits for its turn
        return seen, len(store.teams())

    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(other)
        with store.together():
            store.add_team("ours", NOW)
            inside.set()
            assert look_done.wait(10)
            assert [team.name for team in store.teams()] == ["ours"]
        assert answer.result(10) == (0, 2)


def test_many_threads_write_at_once(store: Store) -> None:
    before = store.revision()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: store.add_team(f"team {number}", NOW), range(64)))
    assert len({team.team_id for team in store.teams()}) == 64
    assert store.revision() == before + 64


def _stored(rule_id: str, rule: PriceRule, created_at_us: int = NOW) -> StoredRule:
    return StoredRule(rule_id, rule, created_at_us, "alice@acme.com")


def test_price_rules_come_back_newest_first_as_they_went_in(store: Store) -> None:
    own = PriceRule("own", model="ft-*", usd={"input": "0.1", "output": "0.30"}, reason="ä\n")
    contract = PriceRule(
        "acme", "openai-eu", "gpt-*", "core", {}, -250, NOW - DAY, NOW + DAY, "contract 17"
    )
    rules = [_stored("a", own), _stored("b", contract, NOW + 1), _stored("c", own, NOW + 1)]
    for stored in rules:
        store.add_price_rule(stored)
    assert store.price_rules() == [rules[2], rules[1], rules[0]]


def test_a_price_rule_ends_when_it_is_told_to(store: Store) -> None:
    stored = _stored("a", PriceRule("acme", discount_bp=1))
    store.add_price_rule(stored)
    before = store.revision()
    store.end_price_rule("a", NOW + 5)
    assert store.price_rules() == [stored._replace(rule=stored.rule._replace(until_us=NOW + 5))]
    assert store.revision() > before
    with pytest.raises(LookupError):
        store.end_price_rule("b", NOW)


@pytest.mark.parametrize(
    "rule",
    [
        PriceRule("x" * 201, discount_bp=1),
        PriceRule("", discount_bp=1),
        PriceRule("x", discount_bp=10_001),
        PriceRule("x", usd={"input": "1" * 5_000}),
        PriceRule("x", discount_bp=1, since_us=-1),
    ],
)
def test_a_price_rule_beyond_its_bounds_is_not_kept(store: Store, rule: PriceRule) -> None:
    with pytest.raises(ValueError, match="the store refuses this value"):
        store.add_price_rule(_stored("a", rule))
    assert store.price_rules() == []


# --------------------------------------------------------------------- bookkeeping


def test_a_month_is_closed_once_and_can_be_opened_again(store: Store) -> None:
    october = ClosedMonth("2026-10", "Europe/Berlin", NOW, NOW + 31 * DAY, NOW + 40 * DAY, "cfo")
    september = october._replace(month="2026-09", start_us=NOW - 30 * DAY, end_us=NOW)
    for each in (october, september):
        store.close_month(each)
    assert store.closed_months() == [september, october]
    with pytest.raises(ValueError, match="refuses"):
        store.close_month(october._replace(closed_by="somebody else"))
    store.reopen_month("2026-09")
    assert store.closed_months() == [october]
    with pytest.raises(LookupError):
        store.reopen_month("2026-09")


def test_the_last_pricing_run_is_kept(store: Store) -> None:
    assert store.last_pricing_run() is None
    store.keep_pricing_run(PricingRun(NOW + 1, None, "book-2"))
    store.keep_pricing_run(PricingRun(NOW, NOW + 9, "book-1", 3, 4))
    assert store.last_pricing_run() == PricingRun(NOW + 1, None, "book-2", 0, 0)
    store.keep_pricing_run(PricingRun(NOW + 1, NOW + 2, "book-2", 5, 6))
    assert store.last_pricing_run() == PricingRun(NOW + 1, NOW + 2, "book-2", 5, 6)


def test_a_probe_passes_on_a_healthy_store(store: Store) -> None:
    store.probe()
    store.probe()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.text(min_size=1, max_size=60).filter(lambda text: "\0" not in text),
    tags=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4),
)
def test_any_text_comes_back_as_it_went_in(store: Store, name: str, tags: dict[str, str]) -> None:
    if store.team_named(name) is None:
        store.add_team(name, NOW)
    found = store.team_named(name)
    assert found is not None
    assert found.name.casefold() == name.casefold()
    key_id = f"{store.revision():08d}"
    store.add_key(replace(new_key(key_id, team_id=found.team_id), name=name, tags=tags), NOW)
    record = store.key(key_id)
    assert record is not None
    assert (record.key.name, record.key.tags, record.key.team) == (name, tags, found.name)
