"""Google's own client through the gateway: what it is told is what the ledger holds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.genai import Client, errors, types
from pydantic import BaseModel

from books import Books
from running import Deployment
from sandbox_requests import A_PERSON, HI, PERSON, SAID
from sdk_clients import GOOGLE_MODEL, google_client, of_content, require_booked
from tollkeeper.domain.ledger import Outcome

TOOL_NAME = "google-genai-python"
TEXT = HI[0]["content"]
CONTENT = {
    "provider": "google",
    "wire": "gemini",
    "endpoint": "generateContent",
    "model_requested": GOOGLE_MODEL,
}
STREAMED = CONTENT | {"endpoint": "streamGenerateContent", "streamed": True}


class Verdict(BaseModel):
    reasoning: str
    score: int


def config(**more: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(**more)


def test_content_with_its_headers(google_sdk: Client, books: Books) -> None:
    reply = google_sdk.models.generate_content(model=GOOGLE_MODEL, contents=TEXT)
    assert reply.text == SAID
    entry = books.entry()
    require_booked(entry, TOOL_NAME, of_content(reply.usage_metadata), **CONTENT)
    assert reply.sdk_http_response is not None
    headers = reply.sdk_http_response.headers or {}
    assert headers["x-tollkeeper-call-id"] == entry.call_id
    assert headers["x-tollkeeper-cost-usd"]


def test_a_stream(google_sdk: Client, books: Books) -> None:
    chunks = list(google_sdk.models.generate_content_stream(model=GOOGLE_MODEL, contents=TEXT))
    assert "".join(chunk.text or "" for chunk in chunks) == SAID
    require_booked(books.entry(), TOOL_NAME, of_content(chunks[-1].usage_metadata), **STREAMED)


FUNCTIONS: Any = [{"name": "add_person", "parameters_json_schema": PERSON}]


@pytest.mark.parametrize("stream", [False, True])
def test_a_function_is_called(google_sdk: Client, books: Books, stream: bool) -> None:
    asked: Any = {
        "model": GOOGLE_MODEL,
        "contents": TEXT,
        "config": config(
            tools=[{"function_declarations": FUNCTIONS}],
            tool_config={"function_calling_config": {"mode": "ANY"}},
        ),
    }
    if stream:
        chunks = list(google_sdk.models.generate_content_stream(**asked))
        (call,) = [call for chunk in chunks for call in chunk.function_calls or ()]
        usage = chunks[-1].usage_metadata
    else:
        reply = google_sdk.models.generate_content(**asked)
        (call,) = reply.function_calls or ()
        usage = reply.usage_metadata
    assert (call.name, call.args) == ("add_person", A_PERSON)
    expected = STREAMED if stream else CONTENT
    require_booked(books.entry(), TOOL_NAME, of_content(usage), **expected)


def test_a_function_that_the_client_runs_by_itself_is_two_calls(
    google_sdk: Client, books: Books
) -> None:
    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"fine in {city}"

    reply = google_sdk.models.generate_content(
        model=GOOGLE_MODEL, contents="use tool weather", config=config(tools=[weather])
    )
    assert "fine in" in (reply.text or "")
    first, second = books.entries(2)
    require_booked(second, TOOL_NAME, of_content(reply.usage_metadata), **CONTENT)
    assert first.cost_nanos


def test_thoughts_schemas_and_several_candidates(google_sdk: Client, books: Books) -> None:
    asked = config(
        response_mime_type="application/json",
        response_schema=Verdict,
        thinking_config={"include_thoughts": True, "thinking_budget": 100},
        candidate_count=2,
    )
    reply = google_sdk.models.generate_content(model=GOOGLE_MODEL, contents=TEXT, config=asked)
    assert reply.parsed == Verdict(reasoning="text", score=1)
    seen = of_content(reply.usage_metadata)
    assert seen["reasoning"] >= 100
    require_booked(books.entry(), TOOL_NAME, seen, **CONTENT)


def test_pictures_sounds_and_a_cached_prompt(google_sdk: Client, books: Books) -> None:
    parts: Any = [
        types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png"),
        types.Part.from_bytes(data=b"\0" * 32_000, mime_type="audio/wav"),
        types.Part(text="what is this?"),
    ]
    reply = google_sdk.models.generate_content(
        model=GOOGLE_MODEL, contents=parts, config=config(cached_content="cachedContents/abc")
    )
    seen = of_content(reply.usage_metadata)
    assert seen.keys() == {"input", "cache_read", "input_image", "input_audio", "output"}
    require_booked(books.entry(), TOOL_NAME, seen, **CONTENT)


def test_many_calls_at_once_are_each_booked_once(gateway: Deployment, books: Books) -> None:
    async def one(client: Client, number: int) -> tuple[dict[str, int], bool]:
        asked: Any = {"model": GOOGLE_MODEL, "contents": "word " * number}
        if number % 2:
            reply = await client.aio.models.generate_content(**asked)
            return of_content(reply.usage_metadata), False
        usage: Any = None
        async for chunk in await client.aio.models.generate_content_stream(**asked):
            usage = chunk.usage_metadata
        return of_content(usage), True

    async def work() -> list[tuple[dict[str, int], bool]]:
        client = google_client(gateway.url, gateway.key)
        try:
            return await asyncio.gather(*(one(client, number) for number in range(1, 31)))
        finally:
            await client.aio.aclose()
            client.close()

    seen = asyncio.run(work())
    entries = books.entries(30)
    assert len({entry.call_id for entry in entries}) == 30
    left = {(entry.input_tokens, entry.streamed): entry for entry in entries}
    assert len(left) == 30  # each prompt is of another length
    for quantities, streamed in seen:
        entry = left[quantities["input"], streamed]
        require_booked(entry, TOOL_NAME, quantities, **(STREAMED if streamed else CONTENT))


def test_vectors_and_counting(google_sdk: Client, books: Books) -> None:
    model = "gemini-embedding-001"
    reply = google_sdk.models.embed_content(model=model, contents=["one", "two"])
    assert [len(it.values or ()) for it in reply.embeddings or ()] == [3_072, 3_072]
    count = google_sdk.models.count_tokens(model=GOOGLE_MODEL, contents=TEXT)
    embedded, counted = books.entries(2)
    assert (embedded.endpoint, embedded.model_requested) == ("batchEmbedContents", model)
    assert embedded.input_tokens
    assert embedded.cost_nanos
    assert count.total_tokens
    require_booked(counted, TOOL_NAME, {}, basis="free", cost_nanos=0, endpoint="countTokens")


def test_models_come_in_its_own_shape(google_sdk: Client, books: Books) -> None:
    listed = {model.name for model in google_sdk.models.list()}
    assert {f"models/{GOOGLE_MODEL}", "models/echo"} <= listed
    assert google_sdk.models.get(model=GOOGLE_MODEL).name == f"models/{GOOGLE_MODEL}"
    with pytest.raises(errors.ClientError, match="no model 'gemini-0'"):
        google_sdk.models.get(model="gemini-0")
    books.require_untouched()


def test_a_stream_that_the_caller_leaves(gateway: Deployment, books: Books) -> None:
    slow = config(http_options={"headers": {"x-sandbox-chunks": "50", "x-sandbox-gap-ms": "20"}})
    with google_client(gateway.url, gateway.key) as client:
        stream: Any = client.models.generate_content_stream(
            model=GOOGLE_MODEL, contents=TEXT, config=slow
        )
        for _ in zip(range(3), stream, strict=False):
            pass
        stream.close()
    entry = books.entry()
    assert entry.outcome == Outcome.DISCONNECTED
    assert entry.cost_nanos
