"""Holds: a strict one is never less than the cost, and every hold comes to one end."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain import usage as u
from tollkeeper.domain.budgets import Amounts
from tollkeeper.domain.holds import (
    ENDS,
    HIDDEN_TOKENS,
    NEXT,
    REPLY_TOKENS_FLOOR,
    Asked,
    Ceiling,
    HoldState,
    Size,
    Usual,
    after_crash,
    follow,
)
from tollkeeper.domain.price_data import ModelRow
from tollkeeper.domain.rate_card import Conditions, RateCard
from tollkeeper.domain.usage import Usage

NOW = 1_790_000_000_000_000
ROW: ModelRow = {
    "model": "m",
    "prices": [
        {
            "usd": {
                "input": "3",
                "output": "15",
                "cache_read": "0.3",
                "cache_write": "3.75",
                "cache_write_1h": "6",
                "web_searches": "10",
                "requests": "5",
            },
            "above": [(1_000, {"input": "6", "output": "22.5", "cache_write_1h": "12"})],
        }
    ],
    "variants": [{"when": {"tier": "priority"}, "multiply": {"input": "2", "output": "2"}}],
}
CARD = RateCard("p/m", ROW)
STANDARD, PRIORITY = (CARD.plan(Conditions(tier), NOW) for tier in ("", "priority"))
KINDS = [u.INPUT, u.CACHE_READ, u.CACHE_WRITE, u.CACHE_WRITE_1H, u.INPUT_IMAGE, u.INPUT_TOOL]


@given(
    st.dictionaries(st.sampled_from(KINDS), st.integers(0, 3_000)),
    st.integers(0, 2_000),
    st.integers(0, 2_000),
    st.integers(0, 5),
    st.integers(1, 4),
    st.integers(0, 500),
    st.booleans(),
)
def test_a_strict_hold_is_never_less_than_the_cost(
    prompt: dict[str, int],
    output: int,
    reasoning: int,
    searches: int,
    choices: int,
    spare: int,
    is_priority: bool,
) -> None:
    tokens = sum(prompt.values())
    asked = Asked(
        tokens + spare,
        output_max=-(-(output + reasoning) // choices),
        choices=choices,
        units={u.WEB_SEARCHES: searches},
    )
    size = Ceiling([STANDARD, PRIORITY]).strict(asked)
    used = {**prompt, u.OUTPUT: output, u.REASONING: reasoning, u.WEB_SEARCHES: searches}
    usage = Usage({name: count for name, count in used.items() if count})
    plan = PRIORITY if is_priority else STANDARD
    cost = plan.price(usage).nanos
    assert cost is not None
    assert size.amounts.usd_nanos is not None
    assert size.amounts.tokens is not None
    assert size.amounts.usd_nanos >= cost
    assert size.amounts.tokens >= tokens + output + reasoning


def test_the_dearest_price_is_that_of_long_prompts_only_where_they_can_be() -> None:
    short = Ceiling([STANDARD]).strict(Asked(None, 1_000, output_max=100))
    assert short.amounts == Amounts(6_000_000 + 1_500_000 + 5_000_000, 1_100)
    long = Ceiling([STANDARD]).strict(Asked(None, 1_001, output_max=100))
    assert long.amounts == Amounts(12_012_000 + 2_250_000 + 5_000_000, 1_101)


def test_the_dearest_price_counts_where_long_prompts_are_cheaper() -> None:
    row: ModelRow = {
        "model": "m",
        "prices": [{"usd": {"input": "4", "output": "8"}, "above": [(1_000, {"input": "1"})]}],
    }
    ceiling = Ceiling([RateCard("p/m", row).plan(Conditions(), NOW)])
    size = ceiling.strict(Asked(None, 2_000, output_max=0))
    assert size.amounts.usd_nanos == 8_000_000  # that many tokens were an upper bound


def test_a_hold_is_rounded_up() -> None:
    cheap = RateCard("p/c", {"model": "c", "prices": [{"usd": {"input": "0.0005"}}]})
    plan = cheap.plan(Conditions(), NOW)
    assert plan.price(Usage({u.INPUT: 3})).nanos == 2  # half a nano-dollar each
    for tokens, nanos in ((1, 1), (2, 1), (3, 2), (4, 2)):
        assert Ceiling([plan]).strict(Asked(0, tokens, output_max=0)).amounts.usd_nanos == nanos


def test_bytes_are_counted_as_tokens_and_what_is_hidden_comes_on_top() -> None:
    size = Ceiling([STANDARD]).strict(Asked(100, unseen_tokens=7, output_max=5, choices=2))
    assert size.amounts.tokens == 100 + 7 + HIDDEN_TOKENS + 10


def test_an_exact_count_is_better_than_bytes() -> None:
    size = Ceiling([STANDARD]).strict(Asked(900, prompt_tokens=100, output_max=0))
    assert size.amounts.tokens == 100


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Asked(None, output_max=5), "unbounded:prompt"),
        (Asked(5), "unbounded:output"),
        (Asked(5, output_max=5, units={u.WEB_SEARCHES: None}), "unbounded:web_searches"),
        (Asked(5, output_max=5, units={u.PAGES: 1}), "unknown_dimension:pages"),
        (Asked(5, output_max=10**18), "unbounded:size"),
    ],
)
def test_without_a_bound_there_is_no_strict_hold(asked: Asked, reason: str) -> None:
    size = Ceiling([STANDARD]).strict(asked)
    assert size.reason == reason
    assert size.amounts.usd_nanos is None


def test_without_a_price_there_is_no_hold_in_usd_but_there_is_one_in_tokens() -> None:
    unknown = Ceiling([STANDARD, CARD.plan(Conditions("scale"), NOW)])
    assert unknown.strict(Asked(0, 5, output_max=5)) == Size(
        Amounts(None, 10), "unknown_tier:scale"
    )
    assert unknown.balanced(Asked(40), Usual(4, 300)).amounts == Amounts(None, 310)
    assert Ceiling([]).strict(Asked(5, output_max=5)).reason == "unknown_model"
    only_input = RateCard("p/e", {"model": "e", "prices": [{"usd": {"input": "1"}}]})
    embeddings = Ceiling([only_input.plan(Conditions(), NOW)])
    assert embeddings.strict(Asked(0, 5, output_max=0)).amounts == Amounts(5_000, 5)
    assert embeddings.strict(Asked(5, output_max=1)).reason == "unknown_dimension:output"


def test_a_price_of_nothing_is_a_price() -> None:
    free = RateCard("p/f", {"model": "f", "prices": [{"usd": {"input": "0", "output": "0"}}]})
    size = Ceiling([free.plan(Conditions(), NOW)]).strict(Asked(0, 5, output_max=5))
    assert size == Size(Amounts(0, 10))


def test_a_balanced_hold_is_for_what_is_usual() -> None:
    ceiling = Ceiling([STANDARD])
    usual = Usual(bytes_per_token=4, reply_tokens=800)
    size = ceiling.balanced(Asked(400, output_max=32_000), usual)
    assert size.amounts.tokens == 100 + 800
    assert ceiling.balanced(Asked(400, output_max=10), usual).amounts.tokens == 100 + 10
    few = ceiling.balanced(Asked(0), usual._replace(reply_tokens=3))
    assert few.amounts.tokens == REPLY_TOKENS_FLOOR


@given(
    st.integers(0, 10_000),
    st.integers(0, 5_000),
    st.integers(1, 4),
    st.floats(0, 20),
    st.integers(0, 9_000),
)
def test_a_balanced_hold_is_no_more_than_a_strict_one(
    prompt_bytes: int, output_max: int, choices: int, bytes_per_token: float, reply: int
) -> None:
    asked = Asked(prompt_bytes, output_max=output_max, choices=choices)
    ceiling = Ceiling([STANDARD])
    strict, balanced = ceiling.strict(asked), ceiling.balanced(asked, Usual(bytes_per_token, reply))
    assert strict.amounts.usd_nanos is not None
    assert balanced.amounts.usd_nanos is not None
    assert balanced.amounts.usd_nanos <= strict.amounts.usd_nanos


# --------------------------------------------------------------------- states


def test_every_way_leads_to_exactly_one_end() -> None:
    assert {HoldState.POSTED, HoldState.VOIDED, HoldState.ESTIMATED} == ENDS
    for state, to in product(HoldState, HoldState):
        if to in NEXT[state]:
            assert follow(state, to) is to
        else:
            with pytest.raises(ValueError, match=str(state)):
                follow(state, to)


def test_what_was_sent_is_never_voided() -> None:
    assert HoldState.VOIDED not in NEXT[HoldState.SENT]
    assert after_crash(HoldState.SENT) is HoldState.ESTIMATED
    assert after_crash(HoldState.HELD) is HoldState.VOIDED
    for end in ENDS:
        assert after_crash(end) is end
