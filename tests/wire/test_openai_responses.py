"""Usage in replies of the Responses API."""

from __future__ import annotations

from typing import Any

import pytest

from provider_replies import (
    RESPONSES_QUANTITIES,
    RESPONSES_USAGE,
    SSE,
    read,
    read_cut,
    response,
    response_event,
    responses_stream,
    sse,
    text_of,
)
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import Reading

RESPONSES = "openai_responses"


def _usage(**fields: Any) -> Usage:
    found = read(RESPONSES, text_of(response(**fields)).encode()).usage
    assert found is not None
    return found


def _items(*items: dict[str, Any], **fields: Any) -> dict[str, int]:
    quantities = dict(_usage(output=list(items), **fields).quantities)
    assert {name: quantities.pop(name) for name in RESPONSES_QUANTITIES} == RESPONSES_QUANTITIES
    return quantities


def _search(kind: str = "search") -> dict[str, Any]:
    return {"type": "web_search_call", "status": "completed", "action": {"type": kind}}


def test_a_plain_reply() -> None:
    reading = read(RESPONSES, text_of(response()).encode())
    assert reading.response_id == "resp_1"
    assert reading.usage == Usage(
        RESPONSES_QUANTITIES, "gpt-5.6-sol", "default", raw=text_of(RESPONSES_USAGE)
    )


@pytest.mark.parametrize("last", ["response.completed", "response.incomplete", "response.failed"])
def test_a_stream_ends_with_the_usage(last: str) -> None:
    reader = reader_for(RESPONSES, streamed=True, content_type=SSE)
    reader.feed(responses_stream(last))
    assert reader.finished
    found = reader.close(complete=True).usage
    assert found is not None
    assert found.quantities == RESPONSES_QUANTITIES


def test_the_words_of_the_end_in_a_text_do_not_end_a_stream() -> None:
    reader = reader_for(RESPONSES, streamed=True, content_type=SSE)
    reader.feed(sse(response_event("response.output_text.delta", delta="response.completed")))
    assert not reader.finished


def test_a_failed_response_says_why() -> None:
    error = {"code": "server_error", "message": "x"}
    failed = response(status="failed", usage=None, error=error)
    reading = read(RESPONSES, sse(response_event("response.failed", response=failed)), SSE)
    assert (reading.usage, reading.error_code, reading.response_id) == (
        None,
        "server_error",
        "resp_1",
    )
    reading = read(RESPONSES, sse(response_event("error", code="overloaded", message="x")), SSE)
    assert reading.error_code == "overloaded"


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_background_reply_has_its_usage_later(status: str) -> None:
    body = text_of(response(status=status, background=True, usage=None, output=[])).encode()
    reading = read(RESPONSES, body)
    assert (reading.usage, reading.response_id, reading.pending) == (None, "resp_1", True)
    assert not read(RESPONSES, text_of(response(usage=None)).encode()).pending


def test_a_stream_that_breaks_off_is_sized() -> None:
    body = sse(
        response_event("response.created", response=response(usage=None)),
        response_event("response.output_text.delta", delta="Grüße"),
        response_event("response.function_call_arguments.delta", delta='{"a":1}'),
        response_event("response.reasoning_summary_text.delta", delta="hm"),
        response_event("response.audio.delta", delta="QUJD"),
        response_event("response.output_item.done", item={}),
    )
    sized = len("Grüße".encode()) + 7  # a summary of reasoning is none of the tokens
    broken = read_cut(RESPONSES, body, SSE)
    assert broken == Reading(None, "resp_1", sized, final=False, marked=True)


def test_only_real_searches_are_counted() -> None:
    searches = [_search(), _search("open_page"), _search("find_in_page"), _search()]
    assert _items(*searches, {"type": "web_search_call"}) == {"web_searches": 3}


def test_the_older_search_tool_has_a_unit_of_its_own() -> None:
    old = [{"type": "web_search_preview_2025_03_11"}]
    assert _items(_search(), tools=old) == {"web_searches_preview": 1}
    both = [{"type": "web_search"}, {"type": "web_search_preview"}]
    assert _items(_search(), tools=both) == {"web_searches": 1}


def test_a_stated_number_of_searches_comes_before_our_count() -> None:
    stated = {"web_search": {"num_requests": 5}, "image_gen": None}
    assert _items(_search(), tool_usage=stated) == {"web_searches": 5}
    assert _items(_search(), tool_usage={"web_search": {"num_requests": 0}}) == {}


def test_files_searched_and_containers_used() -> None:
    ran = [{"type": "code_interpreter_call", "container_id": name} for name in ("a", "a", "b")]
    looked = {"type": "file_search_call"}
    assert _items(looked, *ran, looked) == {"file_searches": 2, "code_sessions": 2}
    assert _items({"type": "mcp_call"}, {"type": "function_call"}) == {}


def test_pictures_are_another_models_usage() -> None:
    image_gen = {
        "input_tokens": 60,
        "input_tokens_details": {"image_tokens": 20, "text_tokens": 40},
        "output_tokens": 1056,
        "output_tokens_details": {"image_tokens": 1056, "text_tokens": 0},
        "total_tokens": 1116,
    }
    tools = [{"type": "image_generation", "model": "gpt-image-1.5"}]
    found = _usage(tool_usage={"image_gen": image_gen}, tools=tools)
    assert found.quantities == RESPONSES_QUANTITIES
    assert found.components == (
        Usage({"input": 40, "input_image": 20, "output_image": 1056}, "gpt-image-1.5"),
    )
    nothing = dict.fromkeys(("input_tokens", "output_tokens"), 0)
    assert _usage(tool_usage={"image_gen": nothing}, tools=tools).components == ()


def test_pictures_without_tokens_are_counted_and_so_unpriced() -> None:
    made = [{"type": "image_generation_call"}] * 2
    found = _usage(output=made, tools=[{"type": "image_generation"}])
    assert found.components == (Usage({"images": 2}, "image_generation"),)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"total_tokens": 7}, "contradicts_total"),
        ({"input_tokens_details": {"cached_tokens": 5000}}, "parts_exceed_whole"),
        ({"output_tokens": -1}, "negative_count"),
        ({"input_tokens": "12"}, "not_a_count"),
        ({"input_tokens": None}, "missing_count"),
    ],
)
def test_counts_that_cannot_be_are_faults(change: dict[str, Any], fault: str) -> None:
    assert _usage(usage=RESPONSES_USAGE | change).fault == fault
