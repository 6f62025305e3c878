"""OpenAI's own client through the gateway: what it is told is what the ledger holds."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import BaseModel

from books import Books
from running import Deployment
from sandbox_questions import FLAT_TOOL, MEDIA, TOOL
from sandbox_requests import A_PERSON, HI, SAID
from sdk_clients import OPENAI_MODEL, TIMEOUT_S, of_chat, of_response, require_booked
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.money import usd

TOOL_NAME = "openai-python"
CHAT: Any = {"model": OPENAI_MODEL, "messages": HI}
RESPONSE: Any = {"model": OPENAI_MODEL, "input": HI[0]["content"]}
CHATS = {"provider": "openai", "wire": "openai", "endpoint": "chat/completions"}
RESPONSES = CHATS | {"endpoint": "responses"}


class Answer(BaseModel):
    word: str


# ---------------------------------------------------------------------- chat


def test_a_chat_completion_with_its_headers(openai_sdk: OpenAI, books: Books) -> None:
    raw = openai_sdk.chat.completions.with_raw_response.create(**CHAT)
    reply, entry = raw.parse(), books.entry()
    assert reply.choices[0].message.content == SAID
    require_booked(entry, TOOL_NAME, of_chat(reply.usage), **CHATS, model_requested=OPENAI_MODEL)
    assert raw.headers["x-tollkeeper-call-id"] == entry.call_id
    assert entry.cost_nanos
    assert Decimal(raw.headers["x-tollkeeper-cost-usd"]) == usd(entry.cost_nanos)
    assert raw.request_id == reply._request_id == entry.request_id_upstream
    assert raw.retries_taken == 0


@pytest.mark.parametrize("include_usage", [True, False, None])
def test_a_chat_stream_is_measured_and_shows_usage_only_when_asked(
    openai_sdk: OpenAI, books: Books, include_usage: bool | None
) -> None:
    options = {} if include_usage is None else {"stream_options": {"include_usage": include_usage}}
    raw = openai_sdk.chat.completions.with_raw_response.create(**CHAT, **options, stream=True)
    chunks = list(raw.parse())
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == SAID
    assert all(chunk.choices or chunk.usage for chunk in chunks)
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(usages) == bool(include_usage)
    whole = openai_sdk.chat.completions.create(**CHAT)
    streamed, plain = books.entries(2)
    require_booked(streamed, TOOL_NAME, of_chat(whole.usage), **CHATS, streamed=True)
    assert raw.headers["x-tollkeeper-call-id"] == streamed.call_id
    assert "x-tollkeeper-cost-usd" not in raw.headers
    assert streamed.cost_nanos == plain.cost_nanos


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called(openai_sdk: OpenAI, books: Books, stream: bool) -> None:
    asked: Any = CHAT | TOOL
    if stream:
        with openai_sdk.chat.completions.stream(
            **asked, stream_options={"include_usage": True}
        ) as events:
            reply: Any = events.get_final_completion()
    else:
        reply = openai_sdk.chat.completions.create(**asked)
    (call,) = reply.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("add_person", A_PERSON)
    require_booked(books.entry(), TOOL_NAME, of_chat(reply.usage), **CHATS, streamed=stream)


def test_pictures_and_sounds_in_a_prompt(openai_sdk: OpenAI, books: Books) -> None:
    media: Any = MEDIA
    reply = openai_sdk.chat.completions.create(model="gpt-4o-audio-preview", messages=media)
    seen = of_chat(reply.usage)
    assert seen["input_audio"] > 0
    require_booked(books.entry(), TOOL_NAME, seen, **CHATS)


def test_thinking_and_structured_output(openai_sdk: OpenAI, books: Books) -> None:
    reply = openai_sdk.chat.completions.parse(
        model="gpt-5-mini",
        messages=CHAT["messages"],
        response_format=Answer,
        reasoning_effort="low",
    )
    assert reply.choices[0].message.parsed == Answer(word="text")
    seen = of_chat(reply.usage)
    assert seen["reasoning"] > 0
    require_booked(books.entry(), TOOL_NAME, seen, **CHATS)


def test_a_cached_prompt_is_cheaper_and_says_what_it_saved(
    openai_sdk: OpenAI, books: Books
) -> None:
    long: Any = [{"role": "system", "content": "word " * 2_000}, *HI]
    asked: Any = {"model": OPENAI_MODEL, "messages": long, "prompt_cache_key": "orchard"}
    replies = [openai_sdk.chat.completions.create(**asked) for _ in range(2)]
    first, second = books.entries(2)
    for reply, entry in zip(replies, (first, second), strict=True):
        require_booked(entry, TOOL_NAME, of_chat(reply.usage), **CHATS)
    assert not first.cache_read_tokens
    assert second.cache_read_tokens > 2_000
    assert first.cost_nanos is not None
    assert second.cost_nanos is not None
    assert second.saved_nanos == first.cost_nanos - second.cost_nanos > 0


def test_what_a_caller_says_about_a_call(openai_sdk: OpenAI, books: Books) -> None:
    openai_sdk.chat.completions.create(
        **CHAT,
        extra_body={"metadata": {"tags": ["feature:search"]}},
        extra_headers={
            "x-tollkeeper-tags": "customer=acme",
            "x-tollkeeper-session": "s-17",
            "x-tollkeeper-user": "c-42",
        },
    )
    entry = books.entry()
    assert entry.tags == {"feature": "search", "customer": "acme"}
    assert (entry.session_id, entry.end_customer) == ("s-17", "c-42")


def test_an_alias_goes_to_its_first_target(openai_sdk: OpenAI, books: Books) -> None:
    reply = openai_sdk.chat.completions.create(model="fast", messages=CHAT["messages"])
    assert reply.model == OPENAI_MODEL
    require_booked(books.entry(), TOOL_NAME, of_chat(reply.usage), model_requested="fast", **CHATS)


def test_azures_client_names_the_model_in_the_path(gateway: Deployment, books: Books) -> None:
    with AzureOpenAI(
        azure_endpoint=gateway.url, api_key=gateway.key, api_version="2024-10-21", max_retries=0
    ) as client:
        reply = client.chat.completions.create(**CHAT)
    assert reply.choices[0].message.content == SAID
    require_booked(books.entry(), TOOL_NAME, of_chat(reply.usage), **CHATS)


def test_many_calls_at_once_are_each_booked_once(gateway: Deployment, books: Books) -> None:
    async def one(client: AsyncOpenAI, number: int) -> tuple[str, dict[str, int], bool]:
        messages: Any = [{"role": "user", "content": "word " * number}]
        asked: Any = {"model": OPENAI_MODEL, "messages": messages}
        if number % 2:
            raw = await client.chat.completions.with_raw_response.create(**asked)
            return raw.headers["x-tollkeeper-call-id"], of_chat(raw.parse().usage), False
        opened: Any = await client.chat.completions.with_raw_response.create(
            **asked, stream=True, stream_options={"include_usage": True}
        )
        usages = [chunk.usage async for chunk in opened.parse() if chunk.usage]
        return opened.headers["x-tollkeeper-call-id"], of_chat(usages[-1]), True

    async def work() -> list[tuple[str, dict[str, int], bool]]:
        async with AsyncOpenAI(
            base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=TIMEOUT_S
        ) as client:
            return await asyncio.gather(*(one(client, number) for number in range(1, 31)))

    seen = asyncio.run(work())
    entries = {entry.call_id: entry for entry in books.entries(30)}
    assert len(entries) == 30
    for call_id, quantities, streamed in seen:
        require_booked(entries[call_id], TOOL_NAME, quantities, **CHATS, streamed=streamed)


# ---------------------------------------------------------------------- completions, responses


def test_completions(openai_sdk: OpenAI, books: Books) -> None:
    asked: Any = {"model": "gpt-3.5-turbo-instruct", "prompt": ["a b", "c d"], "max_tokens": 100}
    reply = openai_sdk.completions.create(**asked)
    chunks = list(openai_sdk.completions.create(**asked, stream=True))
    for index, choice in enumerate(reply.choices):
        parts = [it.text for chunk in chunks for it in chunk.choices if it.index == index]
        assert "".join(parts) == choice.text == "You said: c d"
    plain, streamed = books.entries(2)
    expected = CHATS | {"endpoint": "completions"}
    require_booked(plain, TOOL_NAME, of_chat(reply.usage), **expected)
    require_booked(streamed, TOOL_NAME, of_chat(reply.usage), **expected, streamed=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("extra", [{}, FLAT_TOOL, {"reasoning": {"effort": "high"}}])
def test_responses(openai_sdk: OpenAI, books: Books, stream: bool, extra: Any) -> None:
    asked: Any = RESPONSE | extra | ({"model": "gpt-5"} if "reasoning" in extra else {})
    if stream:
        with openai_sdk.responses.stream(**asked) as events:
            assert [event.type for event in events][-1] == "response.completed"
            reply: Any = events.get_final_response()
    else:
        reply = openai_sdk.responses.create(**asked)
    if extra == FLAT_TOOL:
        assert json.loads(reply.output[0].arguments) == A_PERSON
    else:
        assert reply.output_text == SAID
    seen = of_response(reply.usage)
    assert ("reasoning" in seen) == ("reasoning" in extra)
    require_booked(books.entry(), TOOL_NAME, seen, **RESPONSES, streamed=stream)


def test_a_response_by_the_async_client(gateway: Deployment, books: Books) -> None:
    async def work() -> Any:
        async with (
            AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client,
            client.responses.stream(**RESPONSE) as events,
        ):
            return await events.get_final_response()

    reply = asyncio.run(work())
    assert reply.output_text == SAID
    require_booked(books.entry(), TOOL_NAME, of_response(reply.usage), **RESPONSES, streamed=True)


def test_counting_is_free_and_compacting_is_billed(openai_sdk: OpenAI, books: Books) -> None:
    count = openai_sdk.responses.input_tokens.count(**RESPONSE)
    compacted = openai_sdk.responses.compact(**RESPONSE)
    counted, billed = books.entries(2)
    assert count.input_tokens > 0
    require_booked(
        counted, TOOL_NAME, {}, basis="free", cost_nanos=0, endpoint="responses/input_tokens"
    )
    seen = of_response(compacted.usage)
    require_booked(billed, TOOL_NAME, seen, endpoint="responses/compact")


# ---------------------------------------------------------------------- streams that end early


def test_a_stream_that_the_caller_leaves(openai_sdk: OpenAI, books: Books) -> None:
    stream = openai_sdk.chat.completions.create(
        **CHAT,
        stream=True,
        extra_headers={"x-sandbox-chunks": "50", "x-sandbox-gap-ms": "20"},
    )
    for _ in zip(range(3), stream, strict=False):
        pass
    stream.close()
    entry = books.entry()
    assert entry.outcome == Outcome.DISCONNECTED
    assert entry.streamed
    assert entry.cost_nanos
    assert entry.output_tokens
