"""Budgets: which calls they count, on whose balance, and what cannot be one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_desks import CENT, DAILY, DOLLAR, NOW, SECOND, budget, profile
from tollkeeper.domain.budget_book import Book, Drift, booked_sums, drifts
from tollkeeper.domain.budget_windows import EARLIEST_US, WindowKind, WindowRule
from tollkeeper.domain.budgets import (
    ENTITY_CHARS_MAX,
    LIMIT_MAX,
    Amounts,
    Balance,
    BalanceKey,
    Budget,
    BudgetScope,
    Unit,
    entity_text,
)

SCOPED = [
    (BudgetScope.TEAM, "team", "core"),
    (BudgetScope.USER, "user_id", "u-alice"),
    (BudgetScope.KEY, "key_id", "k1"),
    (BudgetScope.MODEL, "model", "claude-sonnet-4-5"),
    (BudgetScope.PROVIDER, "provider", "anthropic"),
    (BudgetScope.ENDPOINT, "endpoint", "messages"),
    (BudgetScope.TOOL, "tool", "claude-code"),
    (BudgetScope.END_CUSTOMER, "end_customer", "c-7"),
    (BudgetScope.SESSION, "session_id", "s1"),
]


@pytest.mark.parametrize(("scope", "field", "value"), SCOPED)
def test_a_budget_counts_calls_of_its_value_only(
    scope: BudgetScope, field: str, value: str
) -> None:
    one = budget(scope=scope, match=value)
    assert one.problem() == ""
    assert one.entity_of(profile(**{field: value})) == ""
    assert one.entity_of(profile(**{field: value + "x"})) is None
    assert one.entity_of(profile(**{field: ""})) is None


@pytest.mark.parametrize(("scope", "field", "value"), SCOPED)
def test_each_value_may_have_a_balance_of_its_own(
    scope: BudgetScope, field: str, value: str
) -> None:
    each = budget(scope=scope, each=True)
    assert each.entity_of(profile(**{field: value})) == value
    assert each.entity_of(profile(**{field: ""})) is None
    together = budget(scope=scope)
    assert together.entity_of(profile(**{field: value})) == ""
    assert together.entity_of(profile(**{field: ""})) == ""


def test_tags_are_told_apart_by_key_and_value() -> None:
    one = budget(scope=BudgetScope.TAG, tag="feature", match="search")
    assert one.entity_of(profile(tags={"feature": "search"})) == ""
    assert one.entity_of(profile(tags={"feature": "chat"})) is None
    assert one.entity_of(profile(tags={"other": "search"})) is None
    each = budget(scope=BudgetScope.TAG, tag="feature", each=True)
    assert each.entity_of(profile(tags={"feature": "chat"})) == "chat"
    assert each.entity_of(profile()) is None


def test_models_are_matched_by_patterns_and_names_of_people_are_not() -> None:
    models = budget(scope=BudgetScope.MODEL, match="Claude-*")
    assert models.entity_of(profile(model="claude-opus-4-6")) == ""
    assert models.entity_of(profile(model="anthropic/claude-opus-4-6")) is None
    team = budget(scope=BudgetScope.TEAM, match="c[o]re")
    assert team.entity_of(profile(team="core")) is None
    assert team.entity_of(profile(team="c[o]re")) == ""


def test_exempt_models_are_not_counted() -> None:
    one = budget(exempt_models=("*-free", "GEMMA*"))
    assert one.entity_of(profile(model="llama-3-free")) is None
    assert one.entity_of(profile(model="gemma-3")) is None
    assert one.entity_of(profile(model="gpt-5")) == ""


def test_a_call_concerns_all_that_match_in_the_order_of_their_ids() -> None:
    made = [
        budget("c", scope=BudgetScope.TEAM, match="core", window=DAILY),
        budget("a"),
        budget("b", scope=BudgetScope.TEAM, match="search"),
        budget("d", scope=BudgetScope.USER, each=True),
    ]
    found = Book(made).concerns(profile(), NOW)
    assert [it.key.budget_id for it in found] == ["a", "c", "d"]
    window = DAILY.around(NOW)
    assert found[1].key == BalanceKey("c", "", window.start_us)
    assert found[1].window_end_us == window.end_us
    assert found[2].key.entity == "u-alice"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(BudgetScope),
            st.sampled_from(["*", "core", "search", "k1", "u-alice", "claude-*", "s1", "x"]),
            st.booleans(),
            st.sampled_from([WindowKind.HOUR, WindowKind.DAY, WindowKind.LIFETIME]),
        ),
        max_size=12,
    ),
    st.sampled_from(["core", "search", ""]),
    st.integers(NOW, NOW + 10**12),
)
def test_looking_budgets_up_finds_what_trying_each_does(
    made: list[tuple[BudgetScope, str, bool, WindowKind]], team: str, at_us: int
) -> None:
    budgets = [
        budget(
            f"b{number}",
            scope=scope,
            match=match,
            each=each,
            tag="feature" if scope is BudgetScope.TAG else "",
            window=WindowRule(kind),
        )
        for number, (scope, match, each, kind) in enumerate(made)
    ]
    call = profile(team=team, tags={"feature": "x"})
    book = Book(budgets)
    book.concerns(profile(), NOW)  # its windows are remembered, and must not be used for others
    found = book.concerns(call, at_us)
    tried = [(it.budget_id, it.entity_of(call), it.window.around(at_us)) for it in budgets]
    assert [
        (it.key.budget_id, it.key.entity, (it.key.window_start_us, it.window_end_us))
        for it in found
    ] == sorted(it for it in tried if it[1] is not None)


def test_a_budget_counts_from_its_beginning_to_its_end() -> None:
    book = Book([budget(since_us=NOW, until_us=NOW + SECOND)])
    assert [len(book.concerns(profile(), NOW + at)) for at in (-1, 0, SECOND - 1, SECOND)] == [
        *(0, 1, 1, 0)
    ]
    assert book.edges_around(NOW - 1) == (EARLIEST_US, NOW)
    assert book.edges_around(NOW) == (NOW, NOW + SECOND)


@given(st.text(max_size=400), st.text(max_size=400))
def test_values_name_rows_that_can_be_kept_and_are_told_apart(one: str, other: str) -> None:
    names = [entity_text(value) for value in (one, other)]
    for name in names:
        assert len(name) <= ENTITY_CHARS_MAX
        assert name.isprintable()
        name.encode()
    if one != other:
        assert names[0] != names[1]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"limit": -1}, "whole number"),
        ({"limit": LIMIT_MAX + 1}, "whole number"),
        ({"limit": 1e400}, "whole number"),
        ({"limit": 2.5}, "whole number"),
        ({"limit": True}, "whole number"),
        ({"limit": "5"}, "whole number"),
        ({"limit": None}, "whole number"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"scope": "planet"}, "planet"),
        ({"unit": "euros"}, "euros"),
        ({"mode": "soft"}, "soft"),
        ({"sizing": "guess"}, "guess"),
        ({"match": ""}, "whose"),
        ({"match": "core"}, "organisation"),
        ({"each": True}, "organisation"),
        ({"tag": "feature"}, "tag"),
        ({"scope": BudgetScope.TAG}, "tag"),
        ({"exempt_models": ("",)}, "exempt"),
        ({"exempt_models": ("x",) * 51}, "exempt"),
        ({"rollover_max": 1}, "next window"),
        ({"rollover_max": 6 * DOLLAR, "window": DAILY}, "rolls over"),
        ({"rollover_max": -1, "window": DAILY}, "rolls over"),
        ({"thresholds_bp": (5_000, 5_000)}, "grow"),
        ({"thresholds_bp": (0,)}, "threshold"),
        ({"thresholds_bp": tuple(range(1, 18))}, "thresholds"),
        ({"window": WindowRule(WindowKind.DAY, "Mars/Olympus")}, "time zone"),
        ({"since_us": 2, "until_us": 1}, "ends before"),
    ],
)
def test_what_cannot_be_a_budget_says_why(wrong: dict[str, object], word: str) -> None:
    assert word in budget()._replace(**wrong).problem()  # type: ignore[arg-type]


def test_what_can_be_one_has_no_problem() -> None:
    assert budget(limit=0).problem() == ""
    assert budget(limit=LIMIT_MAX, window=DAILY, rollover_max=LIMIT_MAX).problem() == ""
    assert budget(thresholds_bp=(5_000, 8_000, 10_000, 20_000)).problem() == ""


def test_rows_are_compared_with_the_sums_of_their_entries() -> None:
    cap: Budget = budget(unit=Unit.USD, scope=BudgetScope.TEAM, each=True)
    entries = [
        (profile(), NOW, Amounts(3 * CENT, 10)),
        (profile(), NOW, Amounts(None, 10)),
        (profile(team="search"), NOW, Amounts(CENT, 10)),
    ]
    booked = booked_sums(Book([cap]), entries)
    keys = [BalanceKey("b1", team, cap.window.around(NOW).start_us) for team in ("core", "search")]
    assert booked == {keys[0]: 3 * CENT, keys[1]: CENT}

    def row(key: BalanceKey, posted: int, leased: int = 0) -> Balance:
        return Balance(key, 0, posted, leased, leased, DOLLAR)

    assert drifts([row(keys[0], 3 * CENT), row(keys[1], CENT)], booked) == []
    assert drifts([row(keys[0], 2 * CENT, CENT), row(keys[1], CENT)], booked) == []
    assert drifts([row(keys[0], 4 * CENT)], booked) == [
        Drift(keys[0], 4 * CENT, 3 * CENT, 0),
        Drift(keys[1], 0, CENT, 0),
    ]
