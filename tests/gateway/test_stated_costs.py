"""Providers that state their own cost, reached by name with a key, through a running gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from raw_http import Answer, ask, request
from rough_upstream import RoughUpstream, json_reply
from running import deployment
from scripted_provider import (
    DONE,
    EVENTS_HEAD,
    LAST_CHUNK,
    Scripted,
    chunk,
    delta,
    event,
    good,
)
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
LIST_NANOS = 100 * 400 + 10 * 1_600  # of gpt-4.1-mini


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with RoughUpstream(good) as rough:
        upstream = rough.url
        providers = {
            "openrouter": {"api_key": "sk-or-canary-0001", "base_url": f"{upstream}/api/v1"},
            "perplexity": {"api_key": "pplx-canary-0002", "base_url": upstream},
            "xai": {"api_key": "xai-canary-00003", "base_url": f"{upstream}/v1"},
            "groq": {"api_key": "gsk-canary-00004", "base_url": f"{upstream}/openai/v1"},
        }
        folder = tmp_path_factory.mktemp("stated")
        with deployment(folder, upstream, {"providers": providers}) as gateway:
            yield Scripted(gateway, rough)


def _ask(provider: Scripted, model: str, **fields: Any) -> Answer:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]} | fields
    headers = {"authorization": f"Bearer {provider.key}"}
    answer = ask(provider.port, request("/v1/chat/completions", body, headers))
    assert answer.status == 200, answer.body
    return answer


def _reply(model: str, usage: dict[str, Any], **fields: Any) -> bytes:
    message = {"role": "assistant", "content": "hello"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return json_reply({"id": "1", "model": model, "choices": choices, "usage": usage} | fields)


def _costs(entry: LedgerEntry) -> tuple[str, int | None, int | None]:
    return entry.basis, entry.cost_nanos, entry.list_cost_nanos


def test_openrouters_cost_is_booked_with_the_list_beside_it(provider: Scripted) -> None:
    model = "openai/gpt-4.1-mini"
    provider.answers(_reply(model, USAGE | {"cost": 0.0000123456789}))
    answer = _ask(provider, f"openrouter/{model}")
    assert answer.headers["x-tollkeeper-cost-usd"] == "0.000012346"
    entry = provider.entry()
    assert provider.rough.requests[0].startswith(b"POST /api/v1/chat/completions ")
    assert entry.provider == "openrouter"
    assert _costs(entry) == (Basis.PROVIDER_REPORTED, 12_346, LIST_NANOS)


def test_with_a_callers_own_key_nothing_is_paid_to_openrouter(provider: Scripted) -> None:
    details = {"upstream_inference_cost": 0.000056}
    usage = USAGE | {"cost": 0, "is_byok": True, "cost_details": details}
    provider.answers(_reply("openai/gpt-4.1-mini", usage))
    _ask(provider, "openrouter/openai/gpt-4.1-mini")
    assert _costs(provider.entry()) == (Basis.PROVIDER_REPORTED, 0, 56_000)


@pytest.mark.parametrize("cost", [-1, "0.5", 1e9, True, [1]])
def test_a_cost_that_cannot_be_leaves_the_call_unpriced(provider: Scripted, cost: Any) -> None:
    provider.answers(_reply("openai/gpt-4.1-mini", USAGE | {"cost": cost}))
    answer = _ask(provider, "openrouter/openai/gpt-4.1-mini")
    assert "x-tollkeeper-cost-usd" not in answer.headers
    entry = provider.entry()
    assert _costs(entry) == (Basis.UNPRICED, None, None)
    assert entry.unpriced_reason == "inconsistent_usage:stated_cost"
    assert json.loads(entry.usage_raw)["cost"] == cost


def test_openrouters_streams_pass_unchanged_with_the_usage_that_nobody_asked_for(
    provider: Scripted,
) -> None:
    last = {
        "id": "1",
        "model": "openai/gpt-4.1-mini",
        "choices": [],
        "usage": USAGE | {"cost": 0.5},
    }
    data = b": OPENROUTER PROCESSING\n\n" + event(delta("hi")) + event(last) + event(DONE)
    provider.answers(EVENTS_HEAD + chunk(data) + LAST_CHUNK)
    assert _ask(provider, "openrouter/openai/gpt-4.1-mini", stream=True).body == data
    assert b"stream_options" not in provider.rough.requests[0]
    entry = provider.entry()
    assert (entry.outcome, entry.cost_nanos) == (Outcome.OK, 500_000_000)


def test_perplexity_states_its_total_in_every_chunk(provider: Scripted) -> None:
    def growing(count: int) -> bytes:
        cost = {"request_cost": 0.005, "total_cost": 0.005 + count / 100}
        used = {"prompt_tokens": 8, "completion_tokens": count, "total_tokens": 8 + count}
        usage = used | {"search_context_size": "low", "cost": cost}
        return event(delta("x") | {"model": "sonar", "usage": usage})

    end = event(delta("") | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    data = growing(1) + growing(2) + growing(3) + end + event(DONE)
    provider.answers(EVENTS_HEAD + chunk(data) + LAST_CHUNK)
    assert _ask(provider, "sonar", stream=True).body == data
    assert provider.rough.requests[0].startswith(b"POST /chat/completions ")
    entry = provider.entry()
    assert (entry.provider, entry.output_tokens) == ("perplexity", 3)
    assert _costs(entry) == (Basis.PROVIDER_REPORTED, 35_000_000, 8_000 * 1 + 3_000 + 5_000_000)


def test_xais_ticks_are_its_bill_and_azures_zeros_are_none(provider: Scripted) -> None:
    provider.answers(_reply("grok-4.3", USAGE | {"cost_in_usd_ticks": 12_345}))
    _ask(provider, "grok-4.3")
    entry = provider.entry()
    assert (entry.provider, entry.cost_nanos) == ("xai", 1_234)  # half to even
    provider.answers(_reply("grok-4.3", USAGE | {"cost_in_usd_ticks": 0}))
    _ask(provider, "grok-4.3")
    assert _costs(provider.entry()) == (Basis.MEASURED, 150_000, 150_000)


def test_groqs_compound_system_is_an_entry_for_each_model(provider: Scripted) -> None:
    models = [
        {"model": "openai/gpt-oss-120b", "usage": USAGE},
        {"model": "meta-llama/llama-4-scout-17b-16e-instruct", "usage": USAGE},
    ]
    whole = {name: 2 * count for name, count in USAGE.items()}
    tools = [{"index": 0, "type": "search"}]
    message = {"role": "assistant", "content": "hi", "executed_tools": tools}
    more = {"choices": [{"message": message}], "usage_breakdown": {"models": models}, "x_groq": {}}
    provider.answers(_reply("groq/compound", whole, **more))
    answer = _ask(provider, "groq/groq/compound")
    assert provider.rough.requests[0].startswith(b"POST /openai/v1/chat/completions ")
    first, big, small = provider.entries(3)
    assert [one.part for one in (first, big, small)] == [0, 1, 2]
    assert (first.units, first.cost_nanos) == ({"web_searches": 1}, 5_000_000)
    assert (big.model_served, big.cost_nanos) == ("openai/gpt-oss-120b", 100 * 150 + 10 * 600)
    assert small.cost_nanos == 100 * 110 + 10 * 340
    total = 5_000_000 + 21_000 + 14_400
    assert answer.headers["x-tollkeeper-cost-usd"] == f"{total / 10**9:.9f}"
