"""Price rules that people make: what is kept, from when it holds, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from stores import DAY, NOW
from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.domain.price_rules import ALWAYS_US, PriceRule
from tollkeeper.ports import Store
from tollkeeper.services import price_terms

RULE = PriceRule("acme", "openai", discount_bp=1250)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = stores.open_folder(tmp_path).store
    yield opened
    opened.close()


def test_a_rule_holds_from_now_on_unless_it_says_otherwise(store: Store) -> None:
    made = price_terms.make_rule(store, RULE, "alice@acme.com", NOW)
    assert made.rule == RULE._replace(since_us=NOW)
    assert (made.created_at_us, made.created_by) == (NOW, "alice@acme.com")
    earlier = RULE._replace(since_us=NOW - DAY)
    assert price_terms.make_rule(store, earlier, "alice@acme.com", NOW).rule == earlier
    assert len({stored.rule_id for stored in store.price_rules()}) == 2


def test_blanks_around_words_are_dropped_and_an_empty_pattern_is_any(store: Store) -> None:
    rule = PriceRule("  acme ", " ", " gpt-* ", "", discount_bp=1, reason=" why ")
    made = price_terms.make_rule(store, rule, "alice", NOW).rule
    assert made[:4] == ("acme", "*", "gpt-*", "*")
    assert made.reason == "why"


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (RULE._replace(name=" "), "needs a name"),
        (RULE._replace(name="a\x1b[2J"), "needs a name"),
        (RULE._replace(discount_bp=0), "set prices"),
        (RULE._replace(until_us=NOW), "ends before it begins"),
        (RULE._replace(model="x" * 201), "longer than 200"),
        (RULE._replace(reason="x" * 1_001), "too long"),
        (RULE._replace(discount_bp=0, usd={"input": "x"}), ""),
    ],
)
def test_what_cannot_be_used_is_refused_and_not_kept(
    store: Store, rule: PriceRule, says: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        price_terms.make_rule(store, rule, "alice", NOW)
    assert says in refused.value.message
    assert store.price_rules() == []


def test_there_is_an_end_to_rules(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_terms, "RULES_MAX", 2)
    for _ in range(2):
        price_terms.make_rule(store, RULE, "alice", NOW)
    with pytest.raises(Conflict, match="2 price rules"):
        price_terms.make_rule(store, RULE, "alice", NOW)


def test_a_rule_ends_once(store: Store) -> None:
    made = price_terms.make_rule(store, RULE, "alice", NOW)
    ended = price_terms.end_rule(store, made.rule_id, "bob", NOW + 5)
    assert ended.rule.until_us == NOW + 5
    assert price_terms.end_rule(store, made.rule_id, "bob", NOW + 9) == ended
    assert store.price_rules() == [ended]
    with pytest.raises(NotFound):
        price_terms.end_rule(store, "nothing", "bob", NOW)


def test_a_planned_rule_that_is_ended_never_holds(store: Store) -> None:
    made = price_terms.make_rule(store, RULE._replace(since_us=NOW + DAY), "alice", NOW)
    assert price_terms.state_of(made.rule, NOW) == "planned"
    ended = price_terms.end_rule(store, made.rule_id, "alice", NOW + 5).rule
    assert ended.since_us == ended.until_us == NOW + DAY
    assert price_terms.state_of(ended, NOW + 2 * DAY) == "ended"


def test_a_rule_as_data_says_when_it_has_no_end(store: Store) -> None:
    made = price_terms.make_rule(store, RULE, "alice", NOW)
    document = price_terms.rule_document(made, NOW)
    assert (document["state"], document["until"]) == ("active", None)
    assert document["since"] == "2026-09-21T14:13:20Z"
    assert made.rule.until_us == ALWAYS_US


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (RULE, "12.5% off"),
        (RULE._replace(discount_bp=-500), "5% on top"),
        (PriceRule("x", usd={"input": "0.40", "output": "1"}), "input $0.40, output $1"),
    ],
)
def test_a_rule_in_words(rule: PriceRule, words: str) -> None:
    assert price_terms.in_words(rule) == words
