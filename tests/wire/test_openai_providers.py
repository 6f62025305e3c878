"""What each provider adds to OpenAI's shapes, as it documents it or as it was recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provider_replies import (
    CHAT_QUANTITIES,
    CHAT_USAGE,
    RESPONSES_QUANTITIES,
    RESPONSES_USAGE,
    SSE,
    chat_reply,
    chunk,
    read,
    response,
    sse,
    text_of,
    usage_chunk,
)
from tollkeeper.domain.usage import Usage

CHAT = "openai_chat"
PLAIN = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _chat(usage: Any, model: str = "m", **reply: Any) -> Usage:
    found = read(CHAT, chat_reply(usage=usage, model=model, **reply)).usage
    assert found is not None
    return found


def _stream(*chunks: dict[str, Any]) -> Usage:
    found = read(CHAT, sse(*chunks, "data: [DONE]"), SSE).usage
    assert found is not None
    return found


def _responses(**fields: Any) -> Usage:
    found = read("openai_responses", text_of(response(**fields)).encode()).usage
    assert found is not None
    return found


# ------------------------------------------------------------------------------ Groq


def _compound(**changes: Any) -> dict[str, Any]:
    models = [
        {"model": "llama-4-scout", "usage": PLAIN},
        {"model": "llama-4-scout", "usage": PLAIN},
        {"model": "gpt-oss-120b", "usage": CHAT_USAGE},
    ]
    whole = {"prompt_tokens": 1220, "completion_tokens": 44, "total_tokens": 1264}
    fields = {"usage": whole, "usage_breakdown": {"models": models}, "x_groq": {"id": "r"}}
    return {"model": "groq/compound", "service_tier": "on_demand"} | fields | changes


EXECUTED = [
    {"index": 0, "type": "search", "arguments": "{}"},
    {"index": 1, "type": "visit"},
    {"index": 2, "type": "python"},
    {"index": 3, "type": "mcp"},
    {"index": 4, "type": "browser_automation"},
]
TOOLS = {"web_searches": 1, "web_fetches": 1, "code_executions": 1, "tool_calls": 1}


def test_groqs_compound_system_is_billed_by_each_model_and_by_its_tools() -> None:
    message = {"role": "assistant", "content": "x", "executed_tools": EXECUTED}
    found = read(CHAT, chat_reply(choices=[{"message": message}], **_compound())).usage
    assert found is not None
    assert (found.model, found.quantities, found.fault) == ("groq/compound", TOOLS, "")
    assert [(part.model, part.quantities, part.tier) for part in found.components] == [
        ("llama-4-scout", {"input": 10, "output": 5}, "on_demand"),
        ("llama-4-scout", {"input": 10, "output": 5}, "on_demand"),
        ("gpt-oss-120b", CHAT_QUANTITIES, "on_demand"),
    ]


def test_a_streamed_compound_system_says_what_it_did_on_the_way() -> None:
    ran = [chunk(None) | {"choices": [{"delta": {"executed_tools": [tool]}}]} for tool in EXECUTED]
    last = usage_chunk(**_compound())
    assert _stream(chunk("a"), *ran, *ran, last).quantities == TOOLS
    inner = _compound()
    inner["x_groq"] = {"usage": inner["usage"], "usage_breakdown": inner.pop("usage_breakdown")}
    found = _stream(chunk("a"), *ran, usage_chunk(**inner))
    assert (found.quantities, len(found.components)) == (TOOLS, 3)


def test_what_a_compound_system_did_is_counted_once_wherever_it_stands() -> None:
    ran = {"choices": [{"delta": {"executed_tools": EXECUTED}}]}
    last = usage_chunk(**_compound()) | ran
    assert _stream(chunk("a"), last).quantities == TOOLS
    assert _stream(chunk("a"), chunk(None) | ran, last).quantities == TOOLS


def test_models_that_do_not_add_up_to_the_whole_contradict_it() -> None:
    found = _chat(**_compound(usage=PLAIN))
    assert found.fault == "contradicts_total"
    assert _chat(**_compound(usage_breakdown={"models": []})).components == ()
    assert _chat(**_compound(usage_breakdown=7)).components == ()
    broken = [{"model": "a", "usage": PLAIN | {"prompt_tokens": -1}}]
    assert _chat(**_compound(usage_breakdown={"models": broken})).fault == "negative_count"


def test_copies_in_x_groq_are_not_added() -> None:
    found = _chat(CHAT_USAGE, x_groq={"id": "req", "usage": CHAT_USAGE})
    assert (found.quantities, found.components) == (CHAT_QUANTITIES, ())


# ------------------------------------------------------------------------------ DeepSeek, Moonshot


def test_deepseeks_hits_and_misses_are_the_prompt() -> None:
    usage = PLAIN | {"prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2}
    assert _chat(usage).quantities == {"input": 2, "cache_read": 8, "output": 5}
    usage = usage | {"prompt_tokens_details": {"cached_tokens": 8}}
    assert _chat(usage).quantities == {"input": 2, "cache_read": 8, "output": 5}


def test_moonshots_cached_tokens_stand_at_the_top_and_its_usage_in_a_choice() -> None:
    usage = PLAIN | {"cached_tokens": 8}
    last = {"id": "1", "model": "kimi-k3", "choices": [{"index": 0, "delta": {}, "usage": usage}]}
    found = _stream(chunk("a"), last)
    assert (found.model, found.quantities) == (
        "kimi-k3",
        {"input": 2, "cache_read": 8, "output": 5},
    )


# ------------------------------------------------------------------------------ xAI


def test_xais_chat_has_reasoning_beside_the_output_and_a_cost() -> None:
    usage = PLAIN | {
        "total_tokens": 115,
        "completion_tokens_details": {"reasoning_tokens": 100},
        "num_sources_used": 0,
        "cost_in_usd_ticks": 1_466_250,
    }
    found = _chat(usage, "grok-3-mini")
    assert found.quantities == {"input": 10, "output": 5, "reasoning": 100}
    assert found.provider_cost_nanos == 146_625
    growing = [usage_chunk(usage=usage | {"cost_in_usd_ticks": ticks}) for ticks in (10, 20, 30)]
    assert _stream(chunk("a"), *growing).provider_cost_nanos == 3


def test_sources_of_xais_older_search_are_counted() -> None:
    usage = PLAIN | {"num_sources_used": 7}
    assert _chat(usage, "grok-4").quantities == {"input": 10, "output": 5, "web_sources": 7}


def test_xai_counts_its_own_tools() -> None:
    details = {
        "web_search_calls": 2,
        "x_search_calls": 3,
        "code_interpreter_calls": 4,
        "file_search_calls": 5,
        "document_search_calls": 6,
        "mcp_calls": 7,
        "image_generation_calls": 0,
    }
    usage = RESPONSES_USAGE | {"server_side_tool_usage_details": details}
    items = [{"type": "web_search_call"}, {"type": "x_search_call"}, {"type": "file_search_call"}]
    assert _responses(usage=usage, output=items).quantities == RESPONSES_QUANTITIES | {
        "web_searches": 2,
        "social_searches": 3,
        "code_executions": 4,
        "file_searches": 5,
        "document_searches": 6,
    }


def test_without_its_counts_xais_tools_are_those_of_the_output() -> None:
    kinds = ["web_search_call", "x_search_call", "x_search_call", "code_interpreter_call"]
    found = _responses(output=[{"type": kind} for kind in kinds]).quantities
    assert found == RESPONSES_QUANTITIES | {
        "web_searches": 1,
        "social_searches": 2,
        "code_executions": 1,
    }


def test_grok_on_azure_counts_cached_tokens_that_no_prompt_had() -> None:
    """Nothing says what they cost: the total does not contain them."""
    usage = PLAIN | {"prompt_tokens_details": {"cached_tokens": 161}, "cost_in_usd_ticks": 0}
    found = _chat(usage, "grok-4-1-fast-non-reasoning")
    assert (found.quantities, found.fault) == ({}, "parts_exceed_whole")
    assert found.provider_cost_nanos is None


@pytest.mark.parametrize("reasoning", [0, 40])
def test_cached_tokens_beside_the_prompt_count_where_the_total_proves_them(reasoning: int) -> None:
    usage = PLAIN | {
        "total_tokens": 10 + 5 + 161 + reasoning,
        "prompt_tokens_details": {"cached_tokens": 161},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    found = _chat(usage)
    expected = {"input": 10, "cache_read": 161, "output": 5} | (
        {"reasoning": reasoning} if reasoning else {}
    )
    assert (found.quantities, found.fault) == (expected, "")


# ------------------------------------------------------------------------------ OpenRouter


def test_openrouter_states_the_cost_and_its_searches() -> None:
    usage = PLAIN | {
        "cost": 0.066407,
        "is_byok": False,
        "cost_details": {"upstream_inference_cost": 0.066407},
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3, "video_tokens": 1},
        "server_tool_use_details": {"web_search_requests": 3, "tool_calls_executed": 3},
    }
    found = _chat(usage, "openai/gpt-5.2")
    assert found.quantities == {
        "input": 2,
        "cache_read": 4,
        "cache_write": 3,
        "input_video": 1,
        "output": 5,
        "web_searches": 3,
    }
    assert (found.provider_cost_nanos, found.provider_list_nanos) == (66_407_000, None)
    older = PLAIN | {"cost": 0, "server_tool_use": {"web_search_requests": 2}}
    assert _chat(older).quantities["web_searches"] == 2


def test_an_error_in_the_chunk_with_the_usage_is_told() -> None:
    last = usage_chunk(error={"code": 400, "message": "Token limit reached"})
    reading = read(CHAT, sse(chunk("a"), last, "data: [DONE]"), SSE)
    assert reading.error_code == "400"
    assert reading.usage is not None
    plain = read(CHAT, chat_reply(error={"code": "overloaded"}))
    assert (plain.error_code, plain.usage is not None) == ("overloaded", True)
    assert read(CHAT, chat_reply(error=None)).error_code == ""


def test_openrouters_pictures_are_counted_like_a_chat() -> None:
    usage = {
        "prompt_tokens": 1125,
        "completion_tokens": 1120,
        "total_tokens": 2245,
        "cost": 0.03388125,
        "completion_tokens_details": {"image_tokens": 1120},
    }
    body = text_of({"created": 0, "data": [{"b64_json": "x"}], "usage": usage}).encode()
    found = read("openai_images", body).usage
    assert found is not None
    assert found.quantities == {"input": 1125, "output_image": 1120}
    assert found.provider_cost_nanos == 33_881_250


# ------------------------------------------------------------------------------ Perplexity


def test_perplexity_states_the_cost_and_how_much_it_searched() -> None:
    cost = {"input_tokens_cost": 1e-5, "request_cost": 0.008, "total_cost": 0.00802}
    usage = PLAIN | {"search_context_size": "Medium", "cost": cost}
    found = _chat(usage, "sonar-pro")
    assert (found.terms, found.provider_cost_nanos) == ("search_context=medium", 8_020_000)
    assert found.quantities == {"input": 10, "output": 5}


def test_a_search_that_says_nothing_of_its_context_had_the_least() -> None:
    assert _chat(PLAIN, "sonar").terms == "search_context=low"
    assert _chat(PLAIN, "r1-1776").terms == ""
    odd = _chat(PLAIN | {"search_context_size": "vast"}, "sonar")
    assert odd.fault == "unknown_search_context"


def test_perplexitys_usage_grows_in_every_chunk() -> None:
    growing = [
        chunk("a", model="sonar", usage=PLAIN | {"completion_tokens": n, "total_tokens": 10 + n})
        for n in (1, 2, 3)
    ]
    found = _stream(*growing)
    assert (found.quantities, found.terms) == ({"input": 10, "output": 3}, "search_context=low")


def test_deep_research_pays_for_searches_citations_and_reasoning_beside_the_answer() -> None:
    usage = {
        "prompt_tokens": 33,
        "completion_tokens": 7163,
        "total_tokens": 7196,
        "citation_tokens": 20016,
        "num_search_queries": 18,
        "reasoning_tokens": 73997,
        "cost": {"total_cost": 0.409},
    }
    found = _chat(usage, "sonar-deep-research")
    assert found.quantities == {
        "input": 33,
        "output": 7163,
        "citation_tokens": 20016,
        "reasoning": 73997,
        "web_searches": 18,
    }
    assert (found.terms, found.provider_cost_nanos) == ("", 409_000_000)
    within = usage | {"completion_tokens_details": {"reasoning_tokens": 7}}
    quantities = _chat(within, "sonar-deep-research").quantities
    assert (quantities["output"], quantities["reasoning"]) == (7156, 73997 + 7)


# ------------------------------------------------------------------------------ everybody else


@pytest.mark.parametrize(
    ("usage", "quantities"),
    [
        # Together, Hugging Face: at the top; null details
        (
            PLAIN | {"cached_tokens": 4, "prompt_tokens_details": None},
            {"input": 6, "cache_read": 4, "output": 5},
        ),
        # Cerebras, Z.AI, Qwen, MiniMax, Fireworks: in OpenAI's own place
        (
            PLAIN | {"prompt_tokens_details": {"cached_tokens": 4}},
            {"input": 6, "cache_read": 4, "output": 5},
        ),
        (
            PLAIN | {"completion_tokens_details": {"reasoning_tokens": 3}},
            {"input": 10, "output": 2, "reasoning": 3},
        ),
        # Qwen: parts that are only text, and writes to the cache
        (
            PLAIN
            | {"prompt_tokens_details": {"text_tokens": 10, "cache_creation_input_tokens": 6}},
            {"input": 4, "cache_write": 6, "output": 5},
        ),
        # MiniMax: characters of the answer beside the tokens
        (PLAIN | {"total_characters": 0}, {"input": 10, "output": 5}),
        # vLLM, LM Studio, Ollama, llama.cpp: plain, with times of their own
        (PLAIN | {"prompt_tokens_details": None}, {"input": 10, "output": 5}),
        (PLAIN | {"time_to_first_token": 0.2}, {"input": 10, "output": 5}),
        # Anthropic's compatible endpoint
        (PLAIN | {"completion_tokens_details": None}, {"input": 10, "output": 5}),
        # OpenAI: predicted output that was rejected is in the completion, and is paid
        (
            PLAIN
            | {
                "completion_tokens_details": {
                    "accepted_prediction_tokens": 1,
                    "rejected_prediction_tokens": 3,
                }
            },
            {"input": 10, "output": 5},
        ),
    ],
)
def test_a_plain_chat_of(usage: dict[str, Any], quantities: dict[str, int]) -> None:
    assert _chat(usage).quantities == quantities
    assert _stream(chunk("a", usage=None), chunk("", usage=usage)).quantities == quantities
    assert _stream(chunk("a"), usage_chunk(usage=usage)).quantities == quantities


def test_audio_in_and_out() -> None:
    usage = {
        "prompt_tokens": 64,
        "completion_tokens": 100,
        "total_tokens": 164,
        "prompt_tokens_details": {"audio_tokens": 44, "text_tokens": 20},
        "completion_tokens_details": {"audio_tokens": 80, "text_tokens": 20},
    }
    assert _chat(usage).quantities == {
        "input": 20,
        "input_audio": 44,
        "output": 20,
        "output_audio": 80,
    }


def test_hosted_shells_run_in_containers_as_code_does() -> None:
    there = {"type": "container_reference", "container_id": "cntr_1"}
    items = [
        {"type": "shell_call", "environment": there},
        {"type": "shell_call", "environment": there},
        {"type": "code_interpreter_call", "container_id": "cntr_1"},
        {"type": "code_interpreter_call", "container_id": "cntr_2"},
        {"type": "shell_call", "environment": {"type": "local"}},
        {"type": "local_shell_call"},
        {"type": "compaction", "encrypted_content": "x"},
    ]
    assert _responses(output=items).quantities == RESPONSES_QUANTITIES | {"code_sessions": 2}


def test_pictures_whose_parts_exceed_the_whole_are_a_fault() -> None:
    image_gen = {"input_tokens": 5, "input_tokens_details": {"image_tokens": 6}, "output_tokens": 1}
    (picture,) = _responses(tool_usage={"image_gen": image_gen}).components
    assert (picture.quantities, picture.fault) == ({}, "parts_exceed_whole")
    usage = text_of({"data": [{}], "usage": image_gen | {"total_tokens": 6}}).encode()
    found = read("openai_images", usage).usage
    assert found is not None
    assert found.fault == "parts_exceed_whole"


def test_raw_usage_is_kept_whatever_was_read_of_it() -> None:
    usage = PLAIN | {"cost": {"total_cost": 1}, "search_context_size": "low", "new": [1, {"a": 2}]}
    assert json.loads(_chat(usage, "sonar").raw) == usage
