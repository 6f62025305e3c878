"""W7: whoever issues, changes or rotates a key gives away no more than they have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stores
from stores import DAY, NOW, Folder, add_person, issue_key
from tollkeeper.domain.access import KeyKind, Role, VirtualKey
from tollkeeper.domain.errors import Refused
from tollkeeper.domain.networks import Networks, address_of
from tollkeeper.domain.self_service import SelfService, cap_of_words
from tollkeeper.services import keys
from tollkeeper.services.key_caps import hard_caps
from tollkeeper.services.key_changes import KeyChange, change
from tollkeeper.services.key_rotation import Rotation, rotate
from tollkeeper.services.key_self_service import Desk, issue, require_end
from tollkeeper.services.keys import Issuer, KeyRequest

MODELS = ["gpt-4.1", "gpt-4.1-mini", "gpt-5", "claude-opus-5", "claude-haiku", "gemini-3", "x"]
ADDRESSES = ["10.0.0.1", "10.1.0.1", "10.1.2.3", "192.0.2.1", "2001:db8::1", "2001:db8:1::1"]
EMAILS = ["alice@acme.com", "bob@acme.com", "mallory@acme.com"]
CAPS = ["1/month", "50/month", "200/month", "5/day", "100 requests/month"]

patterns = st.sampled_from(["*", "gpt-*", "gpt-4.1*", "gpt-?", "*-mini", "claude-*", "[gc]*", "x"])
globs = st.lists(patterns, max_size=2).map(tuple)
some_globs = st.lists(patterns, min_size=1, max_size=2).map(tuple)
networks = st.lists(
    st.sampled_from(
        ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "192.0.2.0/24", "2001:db8::/32", "::/0"]
    ),
    max_size=2,
).map(tuple)
ends = st.sampled_from([None, NOW + DAY, NOW + 80 * DAY, NOW + 400 * DAY])
roles = st.sampled_from(list(Role))
caps = st.sampled_from([None, *CAPS]).map(lambda text: cap_of_words(text) if text else None)
rules = st.lists(
    st.builds(
        SelfService,
        st.frozensets(st.sampled_from([Role.MEMBER, Role.LEAD]), min_size=1),
        some_globs,
        some_globs,
        st.sampled_from([("*",), ("core",), ("sales",)]),
        key_budget_max=caps,
        networks_required=st.booleans(),
        tags=st.sampled_from([{}, {"cost_center": "rd"}]),
    ),
    max_size=2,
)
requests = st.builds(
    KeyRequest,
    st.just("k"),
    kind=st.sampled_from([KeyKind.VIRTUAL, KeyKind.VIRTUAL, KeyKind.ADMIN]),
    email=st.sampled_from(["", *EMAILS]),
    team=st.sampled_from(["", "core", "sales"]),
    expires_at_us=ends,
    models=globs,
    providers=globs,
    networks=networks,
    tags=st.sampled_from([{}, {"cost_center": "rd"}, {"cost_center": "x", "app": "y"}]),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path_factory.mktemp("rights") / "data")
    opened.store.set_org_name("Acme")
    for email, team in zip(EMAILS, ("core", "core", "sales"), strict=True):
        add_person(opened.store, email, team)
    yield opened
    opened.store.close()


def issuer_for(folder: Folder, who: str, role: Role, reach: tuple[object, ...]) -> Issuer:
    user = folder.store.user_with_email(who)
    assert user is not None
    return Issuer(who, role, user.user_id, user.team, *reach)  # type: ignore[arg-type]


def may(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, each) for each in patterns)


def require_within(key: VirtualKey, issuer: Issuer) -> None:
    """Fail unless whatever the key may do its issuer may do as well."""
    for model in MODELS:
        assert not may(key.models, model) or may(issuer.models, model)
        assert not may(key.providers, model) or may(issuer.providers, model)
    for text in ADDRESSES:
        from_there = key.networks is None or address_of(text) in key.networks
        allowed = not issuer.networks or address_of(text) in Networks(issuer.networks)
        assert allowed or not from_there
    if issuer.expires_at_us is not None:
        assert key.expires_at_us is not None
        assert key.expires_at_us <= issuer.expires_at_us
    if issuer.role is not Role.ADMIN:
        assert key.kind is KeyKind.VIRTUAL
        own = key.user_id == issuer.user_id
        assert own or (issuer.role is Role.LEAD and key.team == issuer.team)


reaches = st.tuples(globs, globs, ends, networks)
examples = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@examples
@given(st.sampled_from(EMAILS), roles, reaches, requests, rules, caps)
def test_no_issued_key_has_more_than_its_issuer_and_the_rules_give(
    folder: Folder,
    who: str,
    role: Role,
    reach: tuple[object, ...],
    request: KeyRequest,
    bounds: list[SelfService],
    cap: object,
) -> None:
    issuer = issuer_for(folder, who, role, reach)
    desk = Desk(folder.store, folder.vault, bounds, "UTC")
    with suppress(Refused):
        record = issue(desk, request, cap, issuer, NOW).issued.record  # type: ignore[arg-type]
        keys.revoke(folder.store, record.key.key_id, keys.OPERATOR, NOW)
        require_within(record.key, issuer)
        if role is Role.ADMIN or not bounds:
            return
        rule = next(each for each in bounds if each.fits(role, issuer.team))
        require_within(record.key, Issuer("", role, issuer.user_id, issuer.team, rule.models))
        assert rule.tags.items() <= record.key.tags.items()
        assert record.key.networks is not None or not rule.networks_required
        if record.key.user_id:
            assert record.key.expires_at_us is not None
            assert record.key.expires_at_us <= rule.latest_end_us(NOW)
        if rule.key_budget_max is not None:
            (found,) = hard_caps(folder.store, record.key.key_id, NOW)
            assert found[1:] == rule.key_budget_max[1:]
            assert found.amount <= rule.key_budget_max.amount


@examples
@given(st.sampled_from(EMAILS), roles, reaches, requests, ends, rules)
def test_no_rotated_key_has_more_than_who_rotates_it_and_than_before(
    folder: Folder,
    who: str,
    role: Role,
    reach: tuple[object, ...],
    request: KeyRequest,
    ends_us: int | None,
    bounds: list[SelfService],
) -> None:
    if request.kind is KeyKind.VIRTUAL and not request.email and not request.team:
        return
    wanted = {name: getattr(request, name) for name in ("kind", "models", "providers", "networks")}
    before = issue_key(
        folder, request.email, request.team, expires_at_us=request.expires_at_us, **wanted
    ).record.key
    issuer = issuer_for(folder, who, role, reach)
    with suppress(Refused):
        require_end(folder.store, bounds, issuer, before.key_id, ends_us, NOW)
        rotation = Rotation(before.key_id, 0, ends_us)
        key = rotate(folder.store, folder.vault, rotation, issuer, NOW).record.key
        require_within(key, issuer)
        assert (key.models, key.providers, key.networks) == (
            *(before.models, before.providers, before.networks),
        )
        assert (key.kind, key.user_id, key.team, key.tags) == (
            *(before.kind, before.user_id, before.team, before.tags),
        )
        assert key.expires_at_us == (ends_us or before.expires_at_us)
    keys.revoke(folder.store, before.key_id, keys.OPERATOR, NOW)


one_change = st.one_of(
    st.fixed_dictionaries({"name": st.just("renamed")}),
    st.fixed_dictionaries({"expires_at_us": ends.filter(bool)}),
    st.fixed_dictionaries({"endless": st.just(True)}),
    st.fixed_dictionaries({"models": globs}),
    st.fixed_dictionaries({"providers": globs}),
    st.fixed_dictionaries({"networks": networks}),
    st.fixed_dictionaries({"tags": st.sampled_from([{}, {"cost_center": "rd"}, {"app": "y"}])}),
)
some_changes = st.lists(one_change, min_size=1, max_size=2).map(
    lambda parts: {name: value for part in parts for name, value in part.items()}
)
# Most often one thing is bounded: with all of them nearly every change would be refused.
few_reaches = st.one_of(
    reaches,
    st.just(((), (), None, ())),
    st.tuples(globs, st.just(()), st.none(), st.just(())),
    st.tuples(st.just(()), globs, st.none(), st.just(())),
    st.tuples(st.just(()), st.just(()), ends, st.just(())),
    st.tuples(st.just(()), st.just(()), st.none(), networks),
)
owned = st.builds(
    KeyRequest,
    st.just("k"),
    email=st.just("alice@acme.com"),
    expires_at_us=ends,
    models=st.just(()) | globs,
    providers=st.just(()) | globs,
    networks=st.just(()) | networks,
    tags=st.sampled_from([{}, {"cost_center": "rd"}]),
)


@examples
@given(
    st.sampled_from(["alice@acme.com", *EMAILS]),
    st.sampled_from([Role.MEMBER, *Role]),
    few_reaches,
    owned | requests,
    some_changes,
    st.just([]) | rules,
)
def test_no_changed_key_has_more_than_before_or_than_who_changes_it(
    folder: Folder,
    who: str,
    role: Role,
    reach: tuple[object, ...],
    request: KeyRequest,
    wanted: dict[str, object],
    bounds: list[SelfService],
) -> None:
    if request.kind is KeyKind.VIRTUAL and not request.email and not request.team:
        return
    before = issue(Desk(folder.store, folder.vault, (), "UTC"), request, None, keys.OPERATOR, NOW)
    was = before.issued.record.key
    issuer = issuer_for(folder, who, role, reach)
    desk = Desk(folder.store, folder.vault, bounds, "UTC")
    with suppress(Refused):
        key = change(desk, KeyChange(was.key_id, **wanted), issuer, NOW).key  # type: ignore[arg-type]
        assert (key.kind, key.user_id, key.team) == (was.kind, was.user_id, was.team)
        assert key.secret_hmac == was.secret_hmac
        if not reaches_no_further(key, was):
            require_within(key, issuer)
            require_within_rule(key, role, issuer, bounds)
    keys.revoke(folder.store, was.key_id, keys.OPERATOR, NOW)


def reaches_no_further(key: VirtualKey, was: VirtualKey) -> bool:
    """Tell whether a key may do nothing that it could not do before."""
    ended_us = was.expires_at_us
    return (
        key.tags == was.tags
        and (ended_us is None or (key.expires_at_us or ended_us + 1) <= ended_us)
        and all(not may(key.models, each) or may(was.models, each) for each in MODELS)
        and all(not may(key.providers, each) or may(was.providers, each) for each in MODELS)
        and all(
            key_is_good_from(was, address) or not key_is_good_from(key, address)
            for address in ADDRESSES
        )
    )


def key_is_good_from(key: VirtualKey, text: str) -> bool:
    return key.networks is None or address_of(text) in key.networks


def require_within_rule(
    key: VirtualKey, role: Role, issuer: Issuer, bounds: list[SelfService]
) -> None:
    """Fail unless the first rule that fits whoever changed a key gives all of it."""
    if role is Role.ADMIN or not bounds:
        return
    rule = next(each for each in bounds if each.fits(role, issuer.team))
    within_rule = Issuer("", role, issuer.user_id, issuer.team, rule.models, rule.providers)
    require_within(key, within_rule)
    assert rule.tags.items() <= key.tags.items()
    assert key.networks is not None or not rule.networks_required
    assert rule.key_budget_max is None, "a key without a budget got more"
    if key.user_id:
        assert key.expires_at_us is not None
        assert key.expires_at_us <= rule.latest_end_us(NOW)
