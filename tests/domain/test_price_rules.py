"""An operator's own terms: which rule decides, from when to when, and what it makes of a price."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain import usage as u
from tollkeeper.domain.price_data import ProviderRow
from tollkeeper.domain.price_rules import PriceRule, PriceRules, base_of
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.rate_card import instant_us
from tollkeeper.domain.usage import Usage

NOW_US = instant_us("2026-11-20")
PROVIDERS: dict[str, ProviderRow] = {
    "openai": {
        "provider": "openai",
        "name": "OpenAI",
        "models": [
            {
                "model": "gpt-4.1",
                "prices": [
                    {
                        "usd": {"input": "2", "output": "8", "web_searches": "10"},
                        "above": [(100_000, {"input": "4"})],
                    }
                ],
                "variants": [{"when": {"tier": "flex"}, "multiply": {"input": "0.5"}}],
            },
            {"model": "per-call", "prices": [{"usd": {"input": "1", "requests": "25"}}]},
        ],
    }
}
BOOK = PriceBook("book", PROVIDERS)
MILLION = Usage({u.INPUT: 50_000, u.OUTPUT: 1_000_000})
PLAIN_NANOS = 8_100_000_000


def _nanos(
    rules: list[PriceRule],
    usage: Usage = MILLION,
    *,
    account: str = "openai",
    team: str = "core",
    model: str = "gpt-4.1",
    at_us: int = NOW_US,
) -> int | None:
    assert not [rule.problem() for rule in rules if rule.problem()]
    book = BOOK.with_rules(PriceRules(rules))
    return book.price(book.place("openai", account, team), model, usage, at_us).nanos


def test_without_rules_nothing_changes() -> None:
    assert _nanos([]) == PLAIN_NANOS
    assert BOOK.with_rules(PriceRules()) is BOOK
    assert BOOK.place("openai", "anything", "core") == "openai"


def test_a_discount_is_taken_off_every_price() -> None:
    contract = PriceRule("acme", discount_bp=1250)
    assert _nanos([contract]) == PLAIN_NANOS * 875 // 1000
    searched = Usage({u.INPUT: 50_000, u.WEB_SEARCHES: 1000})
    assert _nanos([contract], searched) == 10_100_000_000 * 875 // 1000
    assert _nanos([contract], Usage({u.INPUT: 1}), model="per-call") == 25_001_000 * 875 // 1000


def test_a_surcharge_is_a_negative_discount() -> None:
    assert _nanos([PriceRule("reseller", discount_bp=-500)]) == PLAIN_NANOS * 105 // 100


def test_everything_off_is_a_price_of_zero() -> None:
    assert _nanos([PriceRule("gift", discount_bp=10_000)]) == 0


def test_a_discount_keeps_tiers_and_long_prompts() -> None:
    contract = PriceRule("acme", discount_bp=1000)
    flex = Usage({u.INPUT: 1_000}, tier="flex")
    assert _nanos([contract], flex) == 1_000_000 * 9 // 10
    assert _nanos([contract], Usage({u.INPUT: 200_000})) == 800_000_000 * 9 // 10


def test_a_discount_does_not_price_what_has_no_price() -> None:
    contract = PriceRule("acme", discount_bp=1000)
    assert _nanos([contract], model="gpt-unheard-of") is None
    assert _nanos([contract], Usage({u.INPUT: 1}, tier="scale")) is None
    assert _nanos([contract], Usage({u.PAGES: 1})) is None


def test_own_prices_hold_whatever_was_served() -> None:
    own = PriceRule("deal", usd={"input": "1", "output": "3"})
    assert _nanos([own]) == 3_050_000_000
    assert _nanos([own], Usage({u.INPUT: 1_000_000}, tier="scale")) == 1_000_000_000
    assert _nanos([own], Usage({u.INPUT: 1_000_000})) == 1_000_000_000, "no long-prompt price"
    assert _nanos([own], Usage({u.CACHE_READ: 1_000_000})) == 1_000_000_000


def test_own_prices_of_tokens_leave_tools_at_the_books_price() -> None:
    own = PriceRule("deal", usd={"input": "1", "output": "3"})
    assert _nanos([own], Usage({u.INPUT: 1_000_000, u.WEB_SEARCHES: 100})) == 2_000_000_000


def test_own_prices_price_a_model_that_the_book_lacks() -> None:
    own = PriceRule("tuned", model="acme-*", usd={"input": "1", "output": "3"})
    assert _nanos([own], model="acme-support-7b") == 3_050_000_000
    assert _nanos([own], model="gpt-4.1") == PLAIN_NANOS


@pytest.mark.parametrize(
    ("rule", "concerned"),
    [
        (PriceRule("r", provider="openai", discount_bp=1000), True),
        (PriceRule("r", provider="open*", discount_bp=1000), True),
        (PriceRule("r", provider="azure-eu", discount_bp=1000), False),
        (PriceRule("r", team="core", discount_bp=1000), True),
        (PriceRule("r", team="search", discount_bp=1000), False),
        (PriceRule("r", team="c?re", provider="openai", discount_bp=1000), True),
        (PriceRule("r", model="GPT-4.1", discount_bp=1000), True),
        (PriceRule("r", model="gpt-4.1-mini", discount_bp=1000), False),
    ],
)
def test_a_rule_concerns_what_it_names(rule: PriceRule, concerned: bool) -> None:
    assert _nanos([rule]) == (PLAIN_NANOS * 9 // 10 if concerned else PLAIN_NANOS)


def test_two_accounts_of_one_vendor_have_contracts_of_their_own() -> None:
    rules = [
        PriceRule("eu", provider="openai-eu", discount_bp=2000),
        PriceRule("us", provider="openai-us", discount_bp=1000),
    ]
    assert _nanos(rules, account="openai-eu") == PLAIN_NANOS * 8 // 10
    assert _nanos(rules, account="openai-us") == PLAIN_NANOS * 9 // 10
    assert _nanos(rules, account="openai") == PLAIN_NANOS


def test_the_first_rule_decides_alone() -> None:
    rules = [PriceRule("a", discount_bp=1000), PriceRule("b", discount_bp=5000)]
    assert _nanos(rules) == PLAIN_NANOS * 9 // 10
    assert _nanos(rules[::-1]) == PLAIN_NANOS * 5 // 10


def test_a_rule_begins_and_ends_to_the_microsecond() -> None:
    since_us, until_us = instant_us("2026-11-01"), instant_us("2026-12-01")
    book = BOOK.with_rules(
        PriceRules([PriceRule("nov", discount_bp=1000, since_us=since_us, until_us=until_us)])
    )
    place = book.place("openai", "openai", "core")
    expected = {
        since_us - 1: PLAIN_NANOS,
        since_us: PLAIN_NANOS * 9 // 10,
        until_us - 1: PLAIN_NANOS * 9 // 10,
        until_us: PLAIN_NANOS,
    }
    # Both ways round, since a remembered plan must not outlive its time.
    for at_us in (*expected, *reversed(expected)):
        assert book.price(place, "gpt-4.1", MILLION, at_us).nanos == expected[at_us]


def test_the_key_names_the_rule_and_what_it_replaces() -> None:
    book = BOOK.with_rules(PriceRules([PriceRule("acme 2026", discount_bp=1250)]))
    key = book.price(book.place("openai", "openai", ""), "gpt-4.1", MILLION, NOW_US).key
    assert key == "custom:acme 2026 -1250bp openai/gpt-4.1 rule=exact"


def test_the_lines_of_a_discounted_cost_add_up() -> None:
    book = BOOK.with_rules(PriceRules([PriceRule("acme", discount_bp=333)]))
    place = book.place("openai", "openai", "core")
    lines = book.explain(place, "gpt-4.1", MILLION, NOW_US)
    total = sum(Fraction(line.cost or 0) for line in lines)
    assert total * 10**9 == book.price(place, "gpt-4.1", MILLION, NOW_US).nanos


def test_the_version_tells_the_rules_but_not_their_names() -> None:
    def version(*rules: PriceRule) -> str:
        return BOOK.with_rules(PriceRules(rules)).version

    one = version(PriceRule("a", discount_bp=1000))
    assert one != BOOK.version
    assert one == version(PriceRule("b", discount_bp=1000, reason="renamed"))
    assert one != version(PriceRule("a", discount_bp=1001))
    assert one != version(PriceRule("a", discount_bp=1000, team="core"))


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (PriceRule("", discount_bp=1), "a price rule needs a name"),
        (PriceRule("x"), "set prices"),
        (PriceRule("x", usd={"input": "1"}, discount_bp=1), "not both"),
        (PriceRule("x", discount_bp=10_001), "basis points"),
        (PriceRule("x", discount_bp=1, since_us=5, until_us=5), "ends before"),
        (PriceRule("x", usd={"inputs": "1"}), "no such quantity"),
        (PriceRule("x", usd={"input": "NaN"}), ""),
        (PriceRule("x", usd={"input": "-1"}), ""),
    ],
)
def test_a_rule_that_cannot_be_used_says_why(rule: PriceRule, problem: str) -> None:
    assert rule.problem()
    assert problem in rule.problem()


@given(
    bp=st.integers(-10_000, 10_000),
    counts=st.dictionaries(
        st.sampled_from([u.INPUT, u.OUTPUT, u.WEB_SEARCHES, u.CACHE_READ]),
        st.integers(0, 10**9),
    ),
)
def test_a_discount_is_exact(bp: int, counts: dict[str, int]) -> None:
    usage = Usage(counts)
    lines = BOOK.explain("openai", "gpt-4.1", usage, NOW_US)
    exact = sum(Fraction(line.cost or 0) for line in lines) * (10_000 - bp) / 10_000 * 10**9
    rules = [PriceRule("r", discount_bp=bp)] if bp else []
    assert _nanos(rules, usage) == round(exact)


@given(
    account=st.text("abc*?[]-.", min_size=1, max_size=6),
    team=st.text(max_size=12),
)
def test_a_place_leads_back_to_its_rules(account: str, team: str) -> None:
    """Whatever a team is called: its name comes last, and an account's has neither mark."""
    rules = PriceRules([PriceRule("t", team="?*", discount_bp=1)])
    place = rules.place("openai", account, team)
    assert base_of(place) == "openai"
    assert (rules.deciding(place, "m", NOW_US) is not None) == bool(team)
    assert rules.place(place, account, team) == place
