"""Keys within an admin's bounds: nothing that is not allowed, and each with its budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

import stores
from budget_desks import DOLLAR
from stores import DAY, HOUR, NOW, Folder, add_person, issue_key
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.budgets import Amounts, BudgetScope, Mode
from tollkeeper.domain.errors import BadRequest, Conflict, NotAllowed, NotFound
from tollkeeper.domain.leases import Charge
from tollkeeper.domain.self_service import Cap, SelfService, cap_of_words, cap_words
from tollkeeper.services import keys
from tollkeeper.services.idempotent_keys import IssuedOnce
from tollkeeper.services.key_caps import caps_of_keys
from tollkeeper.services.key_self_service import Desk, bounds_words, issue, require_end
from tollkeeper.services.keys import Issuer, KeyRequest
from tollkeeper.storage.store.sqlite_budgets import open_sqlite_budgets

ALICE = "alice@acme.com"
RULE = SelfService(
    frozenset({Role.MEMBER, Role.LEAD}),
    ("gpt-*",),
    ("openai",),
    keys_max=3,
    key_budget_max=cap_of_words("50/month"),
    total_budget_max=cap_of_words("80/month"),
    tags={"cost_center": "rd"},
)
FREE = SelfService(frozenset({Role.MEMBER, Role.LEAD}), ("*",), ("*",))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    opened.store.set_org_name("Acme")
    yield opened
    opened.store.close()


@pytest.fixture
def alice(folder: Folder) -> Issuer:
    return keys.issuer_of_user(add_person(folder.store))


def wanted(
    folder: Folder,
    issuer: Issuer,
    budget: str = "",
    rules: Sequence[SelfService] = (RULE,),
    once: str = "",
    at_us: int = NOW,
    **request: object,
) -> IssuedOnce:
    fields = {"email": ALICE, **request}
    desk = Desk(folder.store, folder.vault, rules, "Europe/Berlin")
    cap = cap_of_words(budget) if budget else None
    return issue(desk, KeyRequest("laptop", **fields), cap, issuer, at_us, once)  # type: ignore[arg-type]


def refused(folder: Folder, issuer: Issuer, code: str, budget: str = "", **more: object) -> str:
    before = len(folder.store.keys()), len(folder.store.budgets())
    with pytest.raises(NotAllowed) as found:
        wanted(folder, issuer, budget, **more)  # type: ignore[arg-type]
    assert found.value.code == code
    assert (len(folder.store.keys()), len(folder.store.budgets())) == before
    return found.value.message


def test_without_rules_everything_is_as_roles_allow(folder: Folder, alice: Issuer) -> None:
    key = wanted(folder, alice, rules=()).issued.record.key
    assert (key.models, key.expires_at_us, dict(key.tags)) == ((), None, {})
    assert folder.store.budgets() == []


def test_a_key_gets_the_bounds_where_nothing_is_asked_for(folder: Folder, alice: Issuer) -> None:
    key = wanted(folder, alice).issued.record.key
    assert (key.models, key.providers) == (("gpt-*",), ("openai",))
    assert key.expires_at_us == ((NOW + 90 * DAY) // DAY + 1) * DAY
    assert key.tags == {"cost_center": "rd"}
    (budget,) = folder.store.budgets()
    assert (budget.scope, budget.match, budget.mode) == (BudgetScope.KEY, key.key_id, Mode.HARD)
    assert budget.window.zone == "Europe/Berlin"
    assert cap_words(Cap(budget.limit, budget.unit, budget.window.kind)) == "50 USD/month"


def test_nothing_beyond_the_bounds_is_issued(folder: Folder, alice: Issuer) -> None:
    for code, more in (
        ("rights_exceeded", {"models": ["claude-*"]}),
        ("rights_exceeded", {"models": ["*"]}),
        ("rights_exceeded", {"providers": ["anthropic"]}),
        ("lifetime_exceeded", {"expires_at_us": NOW + 92 * DAY}),
        ("tag_fixed", {"tags": {"cost_center": "sales"}}),
        ("not_your_key", {"email": "", "team": "core"}),
        ("role_too_low", {"kind": KeyKind.ADMIN, "email": ""}),
    ):
        refused(folder, alice, code, **more)
    for budget in ("51/month", "50/day", "1 request/month", "10/week"):
        refused(folder, alice, "budget_ceiling", budget)
    narrow = wanted(folder, alice, "0.5/month", models=["gpt-5"], tags={"app": "x"}).issued
    assert narrow.record.key.tags == {"app": "x", "cost_center": "rd"}


@pytest.mark.parametrize(
    "spelt", [" cost_center", "cost_center ", "\tcost_center", "\u00a0cost_center"]
)
def test_a_fixed_tag_has_no_other_spelling(folder: Folder, alice: Issuer, spelt: str) -> None:
    for tags in ({"cost_center": "rd", spelt: "sales"}, {spelt: "sales"}):
        try:
            key = wanted(folder, alice, "0.01/month", tags=tags).issued.record.key
        except (NotAllowed, BadRequest):
            continue
        assert key.tags["cost_center"] == "rd"


def test_whoever_no_rule_fits_issues_nothing(folder: Folder, alice: Issuer) -> None:
    leads = RULE._replace(roles=frozenset({Role.LEAD}))
    elsewhere = RULE._replace(teams=("sales",))
    refused(folder, alice, "self_service_denied", rules=(leads, elsewhere))
    assert wanted(folder, keys.OPERATOR, rules=(leads,)).issued.record.key.models == ()


def test_all_keys_of_a_person_together_stay_below_the_total(folder: Folder, alice: Issuer) -> None:
    first = wanted(folder, alice).issued
    message = refused(folder, alice, "budget_ceiling")
    assert "30.00 USD" in message or "30 USD" in message
    wanted(folder, alice, "30/month")
    refused(folder, alice, "budget_ceiling", "0.01/month")
    keys.revoke(folder.store, first.record.key.key_id, keys.OPERATOR, NOW)
    wanted(folder, alice, "50/month")


def spend(folder: Folder, key_id: str, amount: int) -> None:
    """Let a key spend by its own budget, as a gateway books it."""
    ((_, row),) = caps_of_keys(folder.store, NOW + HOUR)[key_id]
    with closing(open_sqlite_budgets(folder.data.store)) as authority:
        charges = [Charge(row.key, row.window_end_us, amount)]
        assert authority.hold(f"call of {key_id}", "gateway", charges, NOW + HOUR) is None
        assert authority.settle(f"call of {key_id}", Amounts(amount, 0, 1), NOW + HOUR)


def test_what_a_revoked_key_has_spent_is_not_given_again(folder: Folder, alice: Issuer) -> None:
    """Otherwise a person revokes a key when its budget is spent, and issues the next one."""
    first = wanted(folder, alice).issued.record.key.key_id
    spend(folder, first, 40 * DOLLAR)
    keys.revoke(folder.store, first, alice, NOW + HOUR)
    assert "40" in refused(folder, alice, "budget_ceiling", at_us=NOW + HOUR)  # of 80, 50 wanted
    wanted(folder, alice, "40/month", at_us=NOW + HOUR)
    refused(folder, alice, "budget_ceiling", "0.01/month", at_us=NOW + HOUR)
    wanted(folder, alice, "40/month", at_us=NOW + 40 * DAY)  # the next month is another


def test_an_address_is_the_same_however_it_is_composed(folder: Folder) -> None:
    person = keys.issuer_of_user(add_person(folder.store, "ren\u00e9@acme.com"))
    rules = (FREE._replace(keys_max=1),)
    for email in ("ren\u00e9@acme.com", "REN\u00c9@acme.com ", "rene\u0301@acme.com"):
        if folder.store.keys():
            refused(folder, person, "too_many_keys", rules=rules, email=email)
        else:
            wanted(folder, person, rules=rules, email=email)


def test_a_key_without_a_budget_leaves_nothing_for_another(folder: Folder, alice: Issuer) -> None:
    issue_key(folder, ALICE)
    assert "without such a bound" in refused(folder, alice, "budget_ceiling", "1/month")


def test_a_person_has_so_many_keys_and_no_more(folder: Folder, alice: Issuer) -> None:
    rules = (FREE._replace(keys_max=2),)
    first = wanted(folder, alice, rules=rules).issued
    wanted(folder, alice, rules=rules)
    refused(folder, alice, "too_many_keys", rules=rules)
    keys.revoke(folder.store, first.record.key.key_id, alice, NOW)
    wanted(folder, alice, rules=rules)
    late_us = NOW + 100 * DAY
    wanted(folder, alice, rules=rules, at_us=late_us)  # the others have expired by then
    refused(folder, alice, "too_many_keys", rules=(FREE._replace(keys_max=0),))


def test_networks_may_be_required(folder: Folder, alice: Issuer) -> None:
    rules = (FREE._replace(networks_required=True),)
    refused(folder, alice, "networks_required", rules=rules)
    assert wanted(folder, alice, rules=rules, networks=["10.0.0.0/8"]).issued


def test_the_same_request_gives_the_same_key_and_one_budget(folder: Folder, alice: Issuer) -> None:
    rules = (RULE._replace(keys_max=1),)
    first = wanted(folder, alice, rules=rules, once="form")
    again = wanted(folder, alice, rules=rules, once="form")
    assert (first.repeated, again.repeated) == (False, True)
    assert first.issued.token == again.issued.token
    assert len(folder.store.budgets()) == 1
    with pytest.raises(Conflict):
        wanted(folder, alice, rules=rules, once="form", models=["gpt-5"])


def test_a_lead_issues_for_the_team_within_bounds(folder: Folder, alice: Issuer) -> None:
    lead = keys.issuer_of_user(add_person(folder.store, "lead@acme.com", "core", Role.LEAD))
    service = wanted(folder, lead, email="", team="core").issued.record.key
    assert (service.team, service.user_id) == ("core", "")
    assert (service.expires_at_us, service.models) == (None, ("gpt-*",))
    assert wanted(folder, lead).issued.record.key.user_id == alice.user_id
    refused(folder, lead, "rights_exceeded", models=["x"], email="", team="core")


def test_an_operator_gives_any_key_a_budget_and_no_manager_one(
    folder: Folder, alice: Issuer
) -> None:
    record = wanted(folder, keys.OPERATOR, "5/day", rules=()).issued.record
    later_us = NOW + DAY
    ((budget, row),) = caps_of_keys(folder.store, later_us)[record.key.key_id]
    assert (row.left, row.posted, row.held) == (budget.limit, 0, 0)
    with pytest.raises(BadRequest):
        wanted(folder, keys.OPERATOR, "5/day", rules=(), email="", kind=KeyKind.ADMIN)


def test_a_rotation_gets_no_end_beyond_the_bounds(folder: Folder, alice: Issuer) -> None:
    key_id = wanted(folder, alice, rules=()).issued.record.key.key_id
    for rules, ends_us in (((RULE,), None), ((RULE,), NOW + 90 * DAY), ((), NOW + 900 * DAY)):
        require_end(folder.store, rules, alice, key_id, ends_us, NOW)
    with pytest.raises(NotAllowed):
        require_end(folder.store, (RULE,), alice, key_id, NOW + 92 * DAY, NOW)


def test_no_key_comes_back_beyond_the_bounds_by_a_rotation(folder: Folder, alice: Issuer) -> None:
    """It would be one key more than there may be, with models and a budget of another time."""
    made = wanted(folder, alice, rules=(FREE,), expires_at_us=NOW + DAY).issued.record
    late_us, ends_us = NOW + 2 * DAY, NOW + 30 * DAY
    with pytest.raises(NotAllowed, match="expired"):
        require_end(folder.store, (RULE,), alice, made.key.key_id, ends_us, late_us)
    for rules, issuer in (((), alice), ((RULE,), keys.OPERATOR)):
        require_end(folder.store, rules, issuer, made.key.key_id, ends_us, late_us)
    stranger = keys.issuer_of_user(add_person(folder.store, "bob@acme.com"))
    with pytest.raises(NotFound):
        require_end(folder.store, (RULE,), stranger, made.key.key_id, ends_us, late_us)


def test_bounds_are_told_in_sentences() -> None:
    said = " ".join(bounds_words(RULE._replace(networks_required=True)))
    for part in (
        "gpt-*",
        "openai",
        "At most 3 keys",
        "90 days",
        "50 USD a month",
        "80 USD a month",
    ):
        assert part in said
    assert "cost_center=rd" in said
    assert "Models: all; providers: all." in bounds_words(FREE)
