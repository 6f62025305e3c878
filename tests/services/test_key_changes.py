"""What may be changed of a key, by whom, and what is left alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import stores
from stores import DAY, NOW, Folder, add_person, issue_key
from tollkeeper.domain.access import KeyKind, Role, VirtualKey
from tollkeeper.domain.audit import AuditQuestion
from tollkeeper.domain.errors import BadRequest, Conflict, NotAllowed, NotFound
from tollkeeper.domain.self_service import SelfService, cap_of_words
from tollkeeper.services import keys
from tollkeeper.services.key_caps import make_cap
from tollkeeper.services.key_changes import KeyChange, change
from tollkeeper.services.key_self_service import Desk
from tollkeeper.services.keys import Issuer

ALICE = "alice@acme.com"
RULE = SelfService(frozenset({Role.MEMBER}), ("gpt-*",), ("openai",), tags={"cost_center": "rd"})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    opened.store.set_org_name("Acme")
    yield opened
    opened.store.close()


@pytest.fixture
def alice(folder: Folder) -> Issuer:
    return keys.issuer_of_user(add_person(folder.store))


def given(folder: Folder, email: str = ALICE, **request: object) -> VirtualKey:
    return issue_key(folder, email, **request).record.key  # type: ignore[arg-type]


def changed(
    folder: Folder,
    key: VirtualKey,
    issuer: Issuer,
    rules: Sequence[SelfService] = (),
    **wanted: object,
) -> VirtualKey:
    desk = Desk(folder.store, folder.vault, rules, "UTC")
    return change(desk, KeyChange(key.key_id, **wanted), issuer, NOW).key  # type: ignore[arg-type]


def test_what_is_not_named_stays_and_nothing_new_is_not_recorded(
    folder: Folder, alice: Issuer
) -> None:
    key = given(folder, models=("gpt-*",), networks=("10.0.0.0/8",), expires_at_us=NOW + DAY)
    after = changed(folder, key, alice, name=" desktop ")
    assert (after.name, after.models, after.networks) == ("desktop", ("gpt-*",), key.networks)
    assert after.expires_at_us == key.expires_at_us
    newest = folder.store.audit(AuditQuestion(most=1))[0]
    assert newest.data == {"name": {"from": key.name, "to": "desktop"}}
    changed(folder, key, alice, name="desktop", models=["gpt-*"])
    assert folder.store.audit(AuditQuestion(most=1)) == [newest]


def test_limits_and_the_end_are_taken_away_by_saying_so(folder: Folder, alice: Issuer) -> None:
    key = given(folder, models=("gpt-*",), networks=("10.0.0.0/8",), expires_at_us=NOW + DAY)
    after = changed(folder, key, alice, models=[], networks=[], endless=True)
    assert (after.models, after.networks, after.expires_at_us) == ((), None, None)


def test_a_bounded_member_takes_from_a_key_and_adds_nothing(folder: Folder, alice: Issuer) -> None:
    key = given(folder, models=("claude-*",))  # by an admin, beyond the member's rule
    assert changed(folder, key, alice, [RULE], models=["claude-haiku-*"]).models == (
        "claude-haiku-*",
    )
    for wanted in ({"models": ["claude-*"]}, {"providers": ["openai"], "models": ["gpt-*"]}):
        with pytest.raises(NotAllowed):
            changed(folder, key, alice, [RULE], **wanted)
    with pytest.raises(NotAllowed) as refused:
        changed(folder, key, alice, [RULE], tags={"app": "chat"})
    assert refused.value.code == "rights_exceeded"


def test_wide_models_of_one_and_wide_networks_of_the_other_do_not_join(
    folder: Folder, alice: Issuer
) -> None:
    key = given(folder, models=("gpt-*",))
    bounded = Issuer(alice.name, alice.role, alice.user_id, alice.team, networks=("10.0.0.0/8",))
    with pytest.raises(NotAllowed) as refused:
        changed(folder, key, bounded, models=[])
    assert refused.value.code == "rights_exceeded"
    assert "its networks" in refused.value.message
    after = changed(folder, key, bounded, models=[], networks=["10.1.0.0/16"])
    assert after.networks is not None
    assert (after.models, after.networks.texts) == ((), ("10.1.0.0/16",))


def test_a_rule_gives_no_more_to_a_key_without_a_budget(folder: Folder, alice: Issuer) -> None:
    rule = RULE._replace(key_budget_max=cap_of_words("50/month"), lifetime_max_us=90 * DAY)
    key = given(folder, models=("gpt-4.1",), providers=("openai",), expires_at_us=NOW + DAY)
    with pytest.raises(NotAllowed) as refused:
        changed(folder, key, alice, [rule], models=["gpt-*"])
    assert refused.value.code == "budget_ceiling"
    record = folder.store.key(key.key_id)
    assert record is not None
    make_cap(folder.store, record, cap_of_words("50/month"), "UTC", "root", NOW)
    after = changed(folder, key, alice, [rule], models=[], endless=True)
    assert (after.models, after.tags) == (("gpt-*",), {"cost_center": "rd"})
    assert after.expires_at_us == rule.latest_end_us(NOW)


def test_others_keys_and_keys_that_are_over_are_left_alone(folder: Folder, alice: Issuer) -> None:
    add_person(folder.store, "bob@acme.com")
    with pytest.raises(NotFound):
        changed(folder, given(folder, "bob@acme.com"), alice, name="mine")
    key = given(folder)
    keys.revoke(folder.store, key.key_id, keys.OPERATOR, NOW)
    with pytest.raises(Conflict) as over:
        changed(folder, key, alice, name="again")
    assert over.value.code == "key_ended"
    managing = given(folder, kind=KeyKind.ADMIN)
    with pytest.raises(NotAllowed):
        changed(folder, managing, alice, name="mine")
    assert changed(folder, managing, keys.OPERATOR, name="terraform").name == "terraform"


def test_an_end_that_is_over_or_said_twice_makes_no_sense(folder: Folder, alice: Issuer) -> None:
    key = given(folder)
    for wanted in ({"expires_at_us": NOW}, {"expires_at_us": NOW + DAY, "endless": True}):
        with pytest.raises(BadRequest):
            changed(folder, key, alice, **wanted)
