"""Savings: every finding against amounts that were multiplied by hand, to the nano-dollar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savings_desks import BOOK, DAY_US, MINUTE_US, NOW_US, PRICES, call
from tollkeeper.domain.access import Scope
from tollkeeper.domain.calls import Part
from tollkeeper.domain.corrections import bookings_of, correction
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.domain.model_siblings import bare_name, cheaper_sibling
from tollkeeper.domain.price_rules import PriceRule, PriceRules
from tollkeeper.ports import Ledger, Position
from tollkeeper.reports.parameters import savings_question
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.savings import Savings, savings
from tollkeeper.reports.savings_answers import savings_document, savings_rows
from tollkeeper.reports.savings_findings import Finding

_orgs = count()
TODAY = NOW_US - 3 * MINUTE_US * 60  # 09:00
BEFORE_US = 30 * DAY_US
BIG = "claude-opus-9"


def store(ledger: Ledger, entries: Sequence[LedgerEntry]) -> Scope:
    org = f"savings-{next(_orgs)}"
    own = [
        entry._replace(
            org=org,
            entry_id=f"{org}/{entry.entry_id}",
            corrects=entry.corrects and f"{org}/{entry.corrects}",
        )
        for entry in entries
    ]
    ledger.append(own, Position(org, 1))
    return Scope(org)


def ask(ledger: Ledger, entries: Sequence[LedgerEntry], **asked: str) -> Savings:
    question = savings_question({"period": "30d", **asked}, NOW_US)
    return savings(ledger, store(ledger, entries), question, PRICES)


def finding(found: Savings, name: str) -> Finding:
    return next(each for each in found.findings if each.name == name)


def usd(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("0.000000001"))


# ------------------------------------------------------------------ caches


def test_what_caches_saved_and_what_writing_cost(ledger: Ledger) -> None:
    found = ask(
        ledger,
        [
            call(TODAY, BIG, {"input": 1_000, "cache_write": 2_000, "output": 5}),
            call(TODAY + 1, BIG, {"cache_write_1h": 100, "output": 5}, team="other"),
            call(TODAY + 2, BIG, {"input": 10, "cache_read": 2_000, "output": 5}),
            call(TODAY + 3, BIG, {"cache_read": 9_000, "output": 5}, flat_rate=True),
            call(TODAY - BEFORE_US, BIG, {"cache_read": 1_000, "output": 5}),
        ],
    ).caches
    # Written: 2,000 x $0.75 and 100 x $3 a million; read: 2,000 x $2.70 a million.
    assert found.written_usd == usd("0.0018")
    assert found.read_usd == usd("0.0054")
    assert (found.now.usd, found.now.calls, found.now.unknown) == (usd("0.0036"), 3, 0)
    assert (found.before.usd, found.before.calls) == (usd("0.0027"), 1)
    assert (found.read_tokens, found.written_tokens, found.flat_rate) == (2_000, 2_100, 1)
    assert found.own_usd is None
    by_team = {group.keys["team"]: group.stake.usd for group in found.groups["team"]}
    assert by_team == {"core": usd("0.0039"), "other": usd("-0.0003")}


def test_cached_tokens_without_a_price_are_unknown_and_no_zero(ledger: Ledger) -> None:
    found = ask(ledger, [call(TODAY, "ray-made-up", {"cache_read": 5_000, "output": 5})])
    assert (found.caches.now.usd, found.caches.now.unknown) == (None, 1)
    assert savings_document(found)["prompt_caches"]["now"]["usd"] is None


# ------------------------------------------------------------------ caches that ran out


@pytest.mark.parametrize(
    ("minutes", "millionth"),
    [
        (4, None),  # within five minutes nothing expires
        (6, "3.15"),  # 3.75 - 0.30, less one reading in between
        (21, "2.25"),  # less four readings: 1.20 is less than 2.25 for an hour's life
        (59, "1.20"),  # eleven readings would be 3.30; an hour's life costs 2.25 more
        (61, "0"),  # an hour is too short, and twelve readings cost more than they save
    ],
)
def test_a_cache_that_ran_out(ledger: Ledger, minutes: int, millionth: str | None) -> None:
    tokens = {"cache_write": 10_000, "output": 5}
    back_us = TODAY + minutes * MINUTE_US + 30_000_000
    found = finding(
        ask(ledger, [call(TODAY, BIG, tokens), call(back_us, BIG, tokens)]), "expired_caches"
    )
    assert found.now.calls == (millionth is not None)
    assert found.now.usd == usd(millionth or "0") / 100


def test_only_what_was_kept_before_can_run_out(ledger: Ledger) -> None:
    short = {"cache_write": 2_000, "output": 5}
    longer = {"cache_write": 50_000, "output": 5}
    back_us = TODAY + 7 * MINUTE_US
    found = finding(
        ask(
            ledger,
            [
                *(call(TODAY, BIG, short), call(back_us, BIG, longer)),  # 2,000 of 50,000
                *(
                    call(TODAY, BIG, short, session_id=""),
                    call(back_us, BIG, longer, session_id=""),
                ),
                *(
                    call(TODAY, BIG, short, session_id="x"),
                    call(back_us, BIG, longer, session_id="y"),
                ),
            ],
        ),
        "expired_caches",
    )
    assert (found.now.calls, found.now.usd) == (1, usd("3.15") * 2_000 / 1_000_000)
    (group,) = found.groups
    assert group.keys == {"tool": "claude-code", "model": BIG, "team": "core"}


def test_an_hours_cache_runs_out_after_an_hour(ledger: Ledger) -> None:
    tokens = {"cache_write_1h": 10_000, "output": 5}
    for minutes, amount in ((50, "0"), (70, "0.054")):  # 6 - 0.30 - 0.30 a million
        calls = [call(TODAY, BIG, tokens), call(TODAY + minutes * MINUTE_US, BIG, tokens)]
        assert finding(ask(ledger, calls), "expired_caches").now.usd == usd(amount)


# ------------------------------------------------------------------ storms and duplicates


def test_a_key_that_ran_away_is_named_with_its_time(ledger: Ledger) -> None:
    minute = TODAY // MINUTE_US * MINUTE_US
    same = {"input": 1_000, "output": 10}  # 0.00208 since the change
    found = finding(
        ask(
            ledger,
            [
                *(
                    call(minute + MINUTE_US * number + at * 1_000_000, "ray-large-2", same)
                    for number in (0, 1, 3)
                    for at in range(10)
                ),
                *(call(minute + at, "ray-large-2", same, key_id="calmonly") for at in range(9)),
                *(
                    call(minute + at, "ray-large-2", same, key_id="embedder", endpoint="embeddings")
                    for at in range(50)
                ),
            ],
        ),
        "retry_storms",
    )
    (group,) = found.groups
    assert group.keys["key"] == "abcdefgh"
    assert (group.name, group.note) == ("laptop", "30 calls of one size")
    assert (group.first_us, group.last_us) == (minute, minute + 4 * MINUTE_US)
    assert (found.now.calls, found.now.usd) == (29, usd("0.00204") * 29)


def test_failures_are_a_storm_that_cost_nothing(ledger: Ledger) -> None:
    minute = TODAY // MINUTE_US * MINUTE_US
    failed = [
        call(minute + at, "ray-large-2", {}, outcome=Outcome.UPSTREAM_ERROR) for at in range(5)
    ]
    found = finding(ask(ledger, failed), "retry_storms")
    assert (found.now.calls, found.now.usd, found.now.unknown) == (4, usd("0"), 0)
    assert found.groups[0].note == "5 of 5 failed"
    lost = [
        entry._replace(cost_nanos=None, basis=Basis.UNPRICED, outcome=Outcome.INTERRUPTED)
        for entry in failed
    ]
    found = finding(ask(ledger, lost), "retry_storms")
    assert (found.now.calls, found.now.usd, found.now.unknown) == (4, None, 4)


def test_calls_that_look_alike(ledger: Ledger) -> None:
    window = TODAY // (10 * MINUTE_US) * 10 * MINUTE_US
    tokens = {"input": 1_000, "output": 100}  # 0.0024
    found = finding(
        ask(
            ledger,
            [
                *(call(window + at, "ray-large-2", tokens) for at in range(3)),
                call(window + 11 * MINUTE_US, "ray-large-2", tokens),
                call(window + 5, "ray-large-2", {"input": 1_000, "output": 101}),
                *(call(window + at, "ray-large-2", {"input": 5, "output": 1}) for at in range(4)),
                *(
                    call(window - BEFORE_US + at, "ray-large-2", tokens, team="other")
                    for at in range(2)
                ),
            ],
        ),
        "duplicate_calls",
    )
    assert (found.now.calls, found.now.usd) == (2, usd("0.0024") * 2)
    assert (found.before.calls, found.before.usd) == (1, usd("0.0048"))  # before the change
    assert [group.stake.calls for group in found.groups] == [2]


# ------------------------------------------------------------------ small calls


def test_small_calls_of_a_dear_model(ledger: Ledger) -> None:
    found = finding(
        ask(
            ledger,
            [
                call(TODAY, "ray-large-2", {"input": 500, "output": 10}),
                call(TODAY - 10 * DAY_US, "ray-large-2", {"input": 500, "output": 10}),
                call(TODAY, "ray-large-2", {"input": 500, "output": 65}),
                call(TODAY, "ray-large-2", {"input": 2_001, "output": 10}),
                call(TODAY, "ray-small-2", {"input": 500, "output": 10}),
                call(TODAY, "ray-large-2", {"input": 500, "output": 9}, flat_rate=True),
            ],
        ),
        "small_calls",
    )
    # 500 x (2 - 0.2) + 10 x (4 - 0.8) and, before the change, twice as much, a million.
    assert (found.now.calls, found.now.usd) == (2, usd("0.000932") * 3)
    (group,) = found.groups
    assert (group.keys["model"], group.note) == ("ray-large-2", "ray-small-2, in use here")


def test_siblings_are_sizes_of_one_model_or_in_use() -> None:
    assert bare_name("gpt-4.1-mini-2025-04-14") == bare_name("gpt-4.1") == ("gpt", "4.1")
    assert bare_name("claude-sonnet-4-20250514") == ("claude", "4")
    assert cheaper_sibling(BOOK, "lab", "ray-large-2", NOW_US, ()) == ("ray-small-2", False)
    assert cheaper_sibling(BOOK, "lab", "ray-small-2", NOW_US, ("ray-large-2",)) is None
    assert cheaper_sibling(BOOK, "lab", "made-up", NOW_US, ()) is None
    assert cheaper_sibling(BOOK, "nobody", "x", NOW_US, ()) is None


# ------------------------------------------------------------------ what if


def what_if(ledger: Ledger, entries: Sequence[LedgerEntry], **asked: str) -> Any:
    return ask(ledger, entries, **asked).what_if


def test_each_call_is_moved_at_the_price_of_its_time_and_size(ledger: Ledger) -> None:
    old_us = TODAY - 10 * DAY_US
    found = what_if(
        ledger,
        [
            call(TODAY, "ray-large-2", {"input": 5_000, "output": 100}),
            call(old_us, "ray-large-2", {"input": 1_000, "output": 100}),
            call(old_us, "ray-large-2", {"input": 1_001, "output": 100}),
            call(TODAY, BIG, {"input": 7, "output": 7}),
        ],
        from_model="lab/ray-large-2",
        to_model="lab/ray-small-2",
    )
    now = (5_000 * 2 + 100 * 4) + (1_000 * 4 + 800) + (1_001 * 4 + 800)
    then = (5_000 * Decimal("0.2") + 80) + (400 + 160) + (1_001 * Decimal("0.8") + 160)
    assert (found.calls, found.now_usd) == (3, usd(str(now)) / 1_000_000)
    assert found.then_usd == usd(str(then)) / 1_000_000
    assert found.difference_usd < 0
    assert found.left == ()


def test_what_cannot_be_moved_is_said(ledger: Ledger) -> None:
    found = what_if(
        ledger,
        [
            call(TODAY, BIG, {"input": 100, "cache_write": 50, "cache_read": 20, "output": 10}),
            call(TODAY, BIG, {"input": 100, "output": 1, "code_sessions": 1}),
            call(TODAY, "ray-made-up", {"input": 100, "output": 1}),
            call(TODAY, BIG, {"input": 100, "output": 1}, flat_rate=True),
        ],
        to_model="lab/ray-large-2",
    )
    # 170 tokens of input, however they were cached, and 10 of output.
    assert (found.calls, found.then_usd) == (1, usd("380") / 1_000_000)
    assert found.now_usd == usd("643.5") / 1_000_000
    assert found.as_input == 50
    left = {each.reason: (each.calls, each.cost_usd) for each in found.left}
    assert left == {"cost_not_known": (2, None), "flat_rate": (1, Decimal(0))}


def test_pieces_are_moved_where_they_have_a_price(ledger: Ledger) -> None:
    searched = {"input": 1_000, "output": 10, "web_searches": 3}
    old_us = TODAY - 10 * DAY_US
    entries = [call(at, "ray-small-2", searched) for at in (old_us, old_us + 1)]
    assert [entry.cost_nanos for entry in entries] == [30_416_000] * 2
    same = what_if(ledger, entries, to_model="lab/ray-small-2")
    assert same.then_usd == same.now_usd == usd("0.060832")
    moved = what_if(ledger, entries, to_model="lab/ray-large-2")
    assert moved.calls == 0
    assert [(each.reason, each.calls) for each in moved.left] == [
        ("unknown_dimension:web_searches", 2)
    ]


def test_a_corrected_call_is_moved_once(ledger: Ledger) -> None:
    first = call(TODAY, "ray-large-2", {"input": 1_000, "output": 100})
    (booking,) = bookings_of([first])
    part = Part(
        "ray-large-2",
        {},
        Basis.MEASURED,
        9_000_000,
        9_000_000,
        0,
        price_key="lab/ray-large-2 rule=exact",
    )
    pair = correction(booking, part, "test-2", NOW_US)
    found = what_if(ledger, [first, *pair], to_model="lab/ray-small-2")
    assert (found.calls, found.now_usd) == (1, usd("0.009"))
    assert found.then_usd == usd("280") / 1_000_000
    assert finding(ask(ledger, [first, *pair]), "duplicate_calls").now.calls == 0


def test_calls_of_a_provider_that_is_no_more_are_moved_too(ledger: Ledger) -> None:
    gone = call(TODAY, "ray-large-2", {"input": 1_000, "output": 100})._replace(provider="gone")
    found = what_if(ledger, [gone], from_model="gone/*", to_model="lab/ray-small-2")
    assert (found.calls, found.then_usd) == (1, usd("280") / 1_000_000)


def test_own_terms_count_with_the_model_that_they_are_for(ledger: Ledger) -> None:
    rules = PriceRules((PriceRule("half", "lab", "ray-small-*", "core", discount_bp=5_000),))
    entries = [
        call(TODAY, BIG, {"input": 1_000, "output": 100}),
        call(TODAY, BIG, {"input": 1_000, "output": 100}, team="other"),
    ]
    question = savings_question({"period": "30d", "to_model": "lab/ray-small-2"}, NOW_US)
    prices = PRICES._replace(book=BOOK.with_rules(rules))
    found = savings(ledger, store(ledger, entries), question, prices).what_if
    assert found is not None
    assert found.then_usd == usd("140") / 1_000_000 + usd("280") / 1_000_000


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([BIG, "ray-large-2", "ray-small-2"]),
            st.integers(0, 25 * 24 * 60),
            st.integers(0, 3_000),
            st.integers(0, 90),
        ),
        max_size=8,
    )
)
def test_the_same_model_costs_the_same(
    ledger: Ledger, made: list[tuple[str, int, int, int]]
) -> None:
    entries = [
        call(TODAY - minutes * MINUTE_US, model, {"input": tokens_in, "output": tokens_out})
        for model, minutes, tokens_in, tokens_out in made
    ]
    for model in ("anthropic/claude-opus-9", "lab/ray-large-2", "lab/ray-small-2"):
        found = what_if(ledger, entries, from_model=model, to_model=model)
        booked = [entry.cost_nanos or 0 for entry in entries if model.endswith(entry.model_served)]
        assert found.then_usd == found.now_usd == Decimal(sum(booked)).scaleb(-9)


# ------------------------------------------------------------------ questions, scope, nothing


def test_nothing_was_called(ledger: Ledger) -> None:
    found = ask(ledger, [], to_model="lab/ray-small-2")
    assert found.cost_usd == 0
    assert all(each.now == each.before and not each.groups for each in found.findings)
    assert {each.now for each in found.findings} == {found.caches.now}
    assert found.what_if is not None
    assert (found.what_if.calls, found.what_if.then_usd) == (0, Decimal(0))
    assert savings_rows(found) == []


def test_each_sees_the_waste_of_their_own_scope(ledger: Ledger) -> None:
    tokens = {"input": 1_000, "output": 100}
    entries = [
        call(TODAY + at, "ray-large-2", tokens, user_id=user, team=team, key_id=key)
        for user, team, key in (("u_1", "core", "aaaaaaaa"), ("u_2", "other", "bbbbbbbb"))
        for at in range(12)
    ]
    seen = store(ledger, entries)
    question = savings_question({"period": "30d", "to_model": "lab/ray-small-2"}, NOW_US)
    for scope, calls in (
        (seen, 24),
        (replace(seen, teams=frozenset({"core"})), 12),
        (replace(seen, user_id="u_2"), 12),
        (replace(seen, teams=frozenset()), 0),
    ):
        found = savings(ledger, scope, question, PRICES)
        assert found.what_if is not None
        assert found.what_if.calls == calls
        assert len(finding(found, "retry_storms").groups) == calls // 12


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ({"period": "93d"}, "period"),
        ({"from_model": "lab/ray-large-2"}, "to_model"),
        ({"to_model": "lab/ray-unheard-of"}, "to_model"),
        ({"to_model": "lab/*"}, "to_model"),
        ({"to_model": "'; DROP TABLE entries; --"}, "to_model"),
        ({"to_model": "lab/ray-small-2", "from_model": "nobody"}, "from_model"),
        ({"made_up": "1"}, "'made_up'"),
    ],
)
def test_what_cannot_be_asked(ledger: Ledger, asked: dict[str, str], parameter: str) -> None:
    with pytest.raises(BadQuestion) as bad:
        ask(ledger, [], **asked)
    assert bad.value.parameter == parameter
