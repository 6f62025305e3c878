"""The sandbox through Google's own client: content, streams, functions, schemas, vectors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from google.genai import Client, errors, types
from pydantic import BaseModel

from sandbox_requests import A_PERSON, HI, PERSON, SAID, sandbox_running

TEXT = HI[0]["content"]


class Verdict(BaseModel):
    reasoning: str
    score: int


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with sandbox_running() as port:
        options = types.HttpOptions(base_url=f"http://127.0.0.1:{port}")
        with Client(api_key="none", http_options=options) as client:
            yield client


def config(**more: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(**more)


def test_content_and_its_stream_say_and_bill_the_same(client: Client) -> None:
    whole = client.models.generate_content(model="gemini-x", contents=TEXT)
    chunks = list(client.models.generate_content_stream(model="gemini-x", contents=TEXT))
    assert whole.text == SAID == "".join(chunk.text or "" for chunk in chunks)
    assert whole.model_version == "gemini-x"
    assert whole.usage_metadata is not None
    assert whole.usage_metadata == chunks[-1].usage_metadata
    assert whole.usage_metadata.prompt_token_count == math.ceil(len(TEXT.encode()) / 4)
    counts = [
        chunk.usage_metadata.candidates_token_count or 0 for chunk in chunks if chunk.usage_metadata
    ]
    assert counts == sorted(counts)
    assert len(counts) == len(chunks) > 2
    candidates = chunks[-1].candidates or []
    assert candidates[0].finish_reason == types.FinishReason.STOP
    count = client.models.count_tokens(model="gemini-x", contents=TEXT)
    assert count.total_tokens == whole.usage_metadata.prompt_token_count


def test_json_fits_either_kind_of_schema(client: Client) -> None:
    asked = config(response_mime_type="application/json", response_schema=Verdict)
    reply = client.models.generate_content(model="g", contents=TEXT, config=asked)
    assert reply.parsed == Verdict(reasoning="text", score=1)
    written = config(response_mime_type="application/json", response_json_schema=PERSON)
    reply = client.models.generate_content(model="g", contents=TEXT, config=written)
    assert reply.parsed == A_PERSON
    bare = config(response_mime_type="application/json")
    reply = client.models.generate_content(model="g", contents=TEXT, config=bare)
    assert reply.text == "{}"


@pytest.mark.parametrize(
    ("text", "mode", "called"),
    [
        ("use tool add_person", "AUTO", "add_person"),
        ("use tool", "AUTO", "noop"),
        ("hello", "AUTO", None),
        ("hello", "ANY", "add_person"),
        ("use tool", "NONE", None),
    ],
)
def test_a_function_is_called_when_asked_for(
    client: Client, text: str, mode: str, called: str | None
) -> None:
    functions: Any = [
        {"name": "noop", "parameters_json_schema": {"type": "object"}},
        {"name": "add_person", "parameters_json_schema": PERSON},
    ]
    calling: Any = {"mode": mode}
    if mode == "ANY":
        calling["allowed_function_names"] = ["add_person"]
    asked = config(
        tools=[{"function_declarations": functions}],
        tool_config={"function_calling_config": calling},
        automatic_function_calling={"disable": True},
    )
    whole = client.models.generate_content(model="g", contents=text, config=asked)
    stream = client.models.generate_content_stream(model="g", contents=text, config=asked)
    streamed = [call for chunk in stream for call in chunk.function_calls or ()]
    for calls in (whole.function_calls or [], streamed):
        assert [call.name for call in calls] == ([called] if called else [])
        if called == "add_person":
            assert calls[0].args == A_PERSON


def test_a_functions_result_is_answered_in_words(client: Client) -> None:
    answer = types.Part.from_function_response(name="noop", response={"answer": 42})
    contents: Any = [
        types.Content(role="user", parts=[types.Part(text="use tool")]),
        types.Content(role="user", parts=[answer]),
    ]
    reply = client.models.generate_content(model="g", contents=contents)
    assert reply.text == 'The tool said: [{"answer":42}]'


def test_thoughts_stand_beside_the_output(client: Client) -> None:
    asked = config(thinking_config={"include_thoughts": True, "thinking_budget": 100})
    reply = client.models.generate_content(model="g", contents=TEXT, config=asked)
    usage = reply.usage_metadata
    assert usage is not None
    assert usage.thoughts_token_count == 100
    assert usage.total_token_count == (
        (usage.prompt_token_count or 0) + (usage.candidates_token_count or 0) + 100
    )
    parts = (reply.candidates or [])[0].content
    assert parts is not None
    assert [bool(part.thought) for part in parts.parts or ()] == [True, False]
    stream = list(client.models.generate_content_stream(model="g", contents=TEXT, config=asked))
    assert "".join(chunk.text or "" for chunk in stream) == SAID
    quiet = config(thinking_config={"thinking_budget": 0})
    usage = client.models.generate_content(model="g", contents=TEXT, config=quiet).usage_metadata
    assert usage is not None
    assert usage.thoughts_token_count is None


def test_pictures_sounds_and_caches_are_counted_by_kind(client: Client) -> None:
    parts: Any = [
        types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png"),
        types.Part.from_bytes(data=b"\0" * 32_000, mime_type="audio/wav"),
        types.Part(text="what is this?"),
    ]
    reply = client.models.generate_content(
        model="g", contents=parts, config=config(cached_content="cachedContents/abc")
    )
    usage = reply.usage_metadata
    assert usage is not None
    assert usage.cached_content_token_count == 2_048
    kinds = {str(it.modality): it.token_count for it in usage.prompt_tokens_details or ()}
    assert kinds == {
        "MediaModality.TEXT": 2_048 + 4,
        "MediaModality.IMAGE": 258,
        "MediaModality.AUDIO": 10,
    }
    assert usage.prompt_token_count == sum(count or 0 for count in kinds.values())


def test_several_candidates_and_the_callers_limit(client: Client) -> None:
    reply = client.models.generate_content(
        model="g", contents=TEXT, config=config(candidate_count=2, max_output_tokens=3)
    )
    assert reply.candidates is not None
    assert [it.finish_reason for it in reply.candidates] == [types.FinishReason.MAX_TOKENS] * 2
    assert reply.usage_metadata is not None
    assert reply.usage_metadata.candidates_token_count == 6


def test_vectors(client: Client) -> None:
    reply = client.models.embed_content(
        model="gemini-embedding-001", contents=["one", "two"], config={"output_dimensionality": 5}
    )
    assert reply.embeddings is not None
    assert [len(it.values or ()) for it in reply.embeddings] == [5, 5]
    assert reply.embeddings[0].values != reply.embeddings[1].values
    natural = client.models.embed_content(model="gemini-embedding-001", contents="one")
    assert natural.embeddings is not None
    assert len(natural.embeddings[0].values or ()) == 3_072


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ],
)
def test_errors_are_the_providers_own(client: Client, status: int, word: str) -> None:
    asked = config(http_options={"headers": {"x-sandbox-fault": str(status)}})
    with pytest.raises(errors.APIError) as caught:
        client.models.generate_content(model="g", contents=TEXT, config=asked)
    assert (caught.value.code, caught.value.status) == (status, word)


def test_an_error_inside_a_stream_is_raised(client: Client) -> None:
    asked = config(http_options={"headers": {"x-sandbox-fault": "error-event:1"}})
    with pytest.raises(errors.APIError) as caught:
        list(client.models.generate_content_stream(model="g", contents=TEXT, config=asked))
    assert caught.value.status == "INTERNAL"


def test_models_are_listed_in_its_own_shape(client: Client) -> None:
    assert [model.name for model in client.models.list()] == ["models/echo"]
    assert client.models.get(model="gemini-x").name == "models/gemini-x"
