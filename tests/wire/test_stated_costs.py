"""Costs that providers state: read exactly and rounded once, or a fault, never a guess."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_replies import CHAT_USAGE, RESPONSES_USAGE, chat_reply, read, response, text_of
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.lenient_json import ABSENT
from tollkeeper.wire.stated_costs import StatedCost, Statement, stated_cost

UNUSABLE = "stated_cost"


def _stated(
    cost: str = "", ticks: str = "", details: str = "", *, byok: bool = False
) -> StatedCost:
    usd, in_ticks, parts = (
        msgspec.Raw(text.encode()) if text else ABSENT for text in (cost, ticks, details)
    )
    return stated_cost(Statement(usd, in_ticks, parts, is_byok=byok))


def _chat(**fields: Any) -> Usage:
    found = read("openai_chat", chat_reply(usage=CHAT_USAGE | fields)).usage
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0.0004970133333333333", 497_013),
        ("4.1400000000000003e-05", 41_400),
        ("1e-05", 10_000),
        ("0.0000000005", 0),  # half a nano-dollar goes to the even one
        ("0.0000000015", 2),
        ("1E-400", 0),
        ("0", 0),
        ("-0.0", 0),
        ("10000", 10_000_000_000_000),
        ('{"total_cost": 0.00502, "request_cost": 0.005}', 5_020_000),
        ('{"total_cost": 1.2e-08, "currency": "USD"}', 12),
    ],
)
def test_a_cost_in_usd_is_rounded_once(text: str, nanos: int) -> None:
    assert _stated(text) == StatedCost(nanos)


@pytest.mark.parametrize(
    "text",
    [
        *("-1", "-1e-9", "10000.01", "1e400", "NaN", "Infinity", '"0.5"', "true", "[1]"),
        *('{"total_cost": -1}', '{"total_cost": "1"}', '{"total_cost": 1, "currency": "EUR"}'),
        "0." + "1" * 80,
    ],
)
def test_a_cost_that_cannot_be_is_a_fault_and_no_cost(text: str) -> None:
    assert _stated(text) == StatedCost(None, None, UNUSABLE)
    assert _stated(ticks=text.replace("10000.01", "1e15")).nanos is None


@pytest.mark.parametrize("text", ["", "null", "{}", '{"other": 1}', '{"total_cost": null}'])
def test_what_says_nothing_is_no_statement(text: str) -> None:
    assert _stated(text) == StatedCost()


def test_xais_ticks_are_a_tenth_of_a_nano_dollar() -> None:
    assert _stated(ticks="37756005") == StatedCost(3_775_600)  # half to even
    assert _stated(ticks="37756015") == StatedCost(3_775_602)
    assert _stated(ticks="100000000000000") == StatedCost(10_000_000_000_000)
    assert _stated(ticks="0") == StatedCost()  # Azure writes it for everything
    assert _stated("0.5", "0") == StatedCost(500_000_000)
    assert _stated("0.5", "10") == StatedCost(1)


def test_with_a_callers_own_key_the_maker_bills_the_rest() -> None:
    details = '{"upstream_inference_cost": 0.00417}'
    assert _stated("0", details=details, byok=True) == StatedCost(0, 4_170_000)
    assert _stated("0", details=details) == StatedCost(0)
    assert _stated("0.001", details="null", byok=True) == StatedCost(1_000_000)
    assert _stated("0", details='{"upstream_inference_cost": -1}', byok=True).fault == UNUSABLE


def test_every_wire_reads_it() -> None:
    assert _chat(cost=0.5).provider_cost_nanos == 500_000_000
    assert _chat(cost_in_usd_ticks=10).provider_cost_nanos == 1
    own = _chat(cost=0, is_byok=True, cost_details={"upstream_inference_cost": 1})
    assert (own.provider_cost_nanos, own.provider_list_nanos) == (0, 1_000_000_000)
    body = text_of(response(usage=RESPONSES_USAGE | {"cost_in_usd_ticks": 10})).encode()
    usages = [
        read("openai_responses", body).usage,
        read("openai_images", b'{"data":[{}],"usage":{"cost_in_usd_ticks":10}}').usage,
        read(
            "openai_transcription", b'{"usage":{"type":"duration","seconds":2,"cost":1e-9}}'
        ).usage,
        read(
            "openai_transcription", b'{"usage":{"input_tokens":1,"output_tokens":1,"cost":1e-9}}'
        ).usage,
    ]
    assert [usage and usage.provider_cost_nanos for usage in usages] == [1, 1, 1, 1]


def test_a_bad_statement_leaves_good_counts_but_is_a_fault() -> None:
    for change in ({"cost": -1}, {"cost": "0.1"}, {"cost_in_usd_ticks": "x"}, {"cost": True}):
        found = _chat(**change)
        assert (found.fault, found.provider_cost_nanos) == (UNUSABLE, None)
        assert found.quantities
    assert _chat(cost=-1, prompt_tokens=-1).fault == "negative_count"


@given(st.decimals(0, 10_000, allow_nan=False, places=18))
def test_any_amount_is_rounded_half_to_even(amount: Decimal) -> None:
    exact = amount.scaleb(9).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert _stated(f"{amount:f}").nanos == int(exact)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists) | st.integers())
def test_whatever_stands_there_is_an_amount_or_none(value: Any) -> None:
    for found in (_chat(cost=value), _chat(cost_in_usd_ticks=value)):
        cost = found.provider_cost_nanos
        assert cost is None or 0 <= cost <= 10_000 * 10**9
        assert cost is not None or found.fault == UNUSABLE or not value
