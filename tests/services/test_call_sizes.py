"""What calls hold before they are sent, and what is learned for the next."""

from __future__ import annotations

import json
from typing import Any

import pytest

from budget_desks import CENT
from recorded_replies import shipped_price_book
from tollkeeper.domain.budgets import Amounts
from tollkeeper.domain.holds import REPLY_TOKENS_FLOOR
from tollkeeper.domain.usage import IMAGES, INPUT_CHARACTERS, Usage
from tollkeeper.services.call_sizes import COST_FLOOR_NANOS, CallKind, CallSizes, HoldSizes
from tollkeeper.services.hold_sizes import UsualReplies
from tollkeeper.services.model_habits import ModelHabits

AT = 1_795_000_000_000_000
NOTHING: dict[str, int] = {}
CHAT = json.dumps({"messages": [{"role": "user", "content": "Hello, " * 100}]}).encode()


def sizes_of(**fields: Any) -> CallSizes:
    usual: dict[str, Any] = {
        "price_provider": "openai",
        "model": "gpt-4.1-mini",
        "key_id": "k1",
        "tool": "t",
        "tier": "",
        "costless": False,
        "flat_rate": False,
        "has_prompt": True,
        "has_output": True,
    }
    sizes = HoldSizes(shipped_price_book(), ModelHabits(), UsualReplies())
    return sizes.of(CallKind(**usual | fields))


def balanced(sizes: CallSizes, body: bytes = CHAT, **more: Any) -> Amounts:
    given = {"prompt_bytes": len(body), "output_max": None, "choices": 1, "units": NOTHING} | more
    return Amounts._make(
        sizes.balanced(
            body, given["prompt_bytes"], given["output_max"], given["choices"], given["units"], AT
        )
    )


def price(quantities: dict[str, int], model: str = "gpt-4.1-mini", tier: str = "") -> int:
    nanos = shipped_price_book().price("openai", model, Usage(quantities, tier=tier), AT).nanos
    assert nanos is not None
    return nanos


def test_a_small_chat_holds_its_prompt_and_a_usual_reply() -> None:
    prompt = len(CHAT) // 4
    held = balanced(sizes_of())
    assert held.usd_nanos == pytest.approx(price({"input": prompt, "output": 256}), abs=1)
    assert (held.tokens, held.requests) == (prompt + REPLY_TOKENS_FLOOR, 1)


def test_the_callers_limit_and_the_number_of_replies_count() -> None:
    sizes = sizes_of()
    assert balanced(sizes, output_max=10).tokens == len(CHAT) // 4 + 10
    assert balanced(sizes, choices=3).tokens == len(CHAT) // 4 + 3 * REPLY_TOKENS_FLOOR


def test_long_replies_are_learned() -> None:
    sizes = sizes_of()
    for _ in range(50):
        sizes.learn(9_000, CENT)
    assert balanced(sizes).tokens == len(CHAT) // 4 + 9_000


def test_all_calls_are_learned_from_at_first_then_some() -> None:
    sizes = sizes_of()
    for _ in range(64):
        assert sizes.unlearned == 1
        sizes.learn(100, CENT)
    assert sizes.unlearned == 16


def test_a_dearer_tier_that_is_asked_for_is_held_for() -> None:
    plain = balanced(sizes_of()).usd_nanos or 0
    priority = balanced(sizes_of(tier="priority")).usd_nanos or 0
    assert priority > plain
    assert balanced(sizes_of(tier="auto")).usd_nanos == plain
    assert balanced(sizes_of(tier="no-such-tier")).usd_nanos is None


def test_what_costs_nothing_or_is_paid_otherwise_holds_no_money() -> None:
    assert balanced(sizes_of(costless=True)) == Amounts(0, 0)
    flat = balanced(sizes_of(flat_rate=True))
    assert (flat.usd_nanos, flat.requests) == (0, 1)
    assert (flat.tokens or 0) > REPLY_TOKENS_FLOOR
    unknown = balanced(sizes_of(flat_rate=True, model="no-such-model"))
    assert unknown.usd_nanos == 0


def test_a_model_without_a_price_has_no_size_and_says_why() -> None:
    sizes = sizes_of(model="no-such-model")
    assert balanced(sizes).usd_nanos is None
    assert sizes.why_unknown(AT) == "unknown_model"


def test_embeddings_have_a_prompt_and_no_reply() -> None:
    sizes = sizes_of(model="text-embedding-3-small", has_output=False)
    assert balanced(sizes).tokens == len(CHAT) // 4


def test_pictures_in_a_prompt_are_not_taken_for_text() -> None:
    url = {"url": "data:image/png;base64," + "A" * 400_000}
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": url}]
    body = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    assert (balanced(sizes_of(), body).tokens or 0) < 5_000


def test_what_is_no_text_holds_a_cent_what_it_asks_for_or_what_such_calls_cost() -> None:
    sizes = sizes_of(model="gpt-image-1", has_prompt=False, has_output=False)
    assert balanced(sizes, prompt_bytes=0).usd_nanos == COST_FLOOR_NANOS
    for _ in range(30):
        sizes.learn(0, 25 * CENT)
    assert balanced(sizes, prompt_bytes=0).usd_nanos == 25 * CENT
    speech = sizes_of(model="tts-1", has_prompt=False, has_output=False)
    held = balanced(speech, prompt_bytes=0, units={INPUT_CHARACTERS: 100_000})
    assert held.usd_nanos == price({INPUT_CHARACTERS: 100_000}, "tts-1")
    assert IMAGES != INPUT_CHARACTERS


def test_a_strict_hold_is_the_dearest_that_may_be_served_and_bounded() -> None:
    sizes = sizes_of()
    held = sizes.strict(CHAT, 1_000, 1, NOTHING, AT)
    assert (held.usd_nanos or 0) >= price({"input": len(CHAT), "output": 1_000}, tier="priority")
    assert sizes.strict(CHAT, None, 1, NOTHING, AT).usd_nanos is None
    assert sizes.why_unknown(AT) == "unbounded:output"
    elsewhere = json.dumps({"input": "x", "previous_response_id": "r"}).encode()
    assert sizes.strict(elsewhere, 10, 1, NOTHING, AT).usd_nanos is None


def test_a_batch_in_the_body_is_held_for_one_in_a_file_has_no_size() -> None:
    kind = {"model": "", "price_provider": "anthropic", "batch": True, "has_output": False}
    sizes = sizes_of(**kind, has_prompt=False)
    one = {"custom_id": "a", "params": {"model": "claude-sonnet-4-5", "max_tokens": 100}}
    body = json.dumps({"requests": [one] * 20}).encode()
    held = balanced(sizes, body)
    assert (held.usd_nanos or 0) >= 20 * 256 * 7_500  # half of $15 for a million tokens
    assert balanced(sizes, b'{"input_file_id":"file-1"}').usd_nanos is None
    assert sizes.why_unknown(AT) == "unbounded:prompt"
