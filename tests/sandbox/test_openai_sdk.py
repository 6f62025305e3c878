"""The sandbox through OpenAI's own client: every call that it plays, plain and streaming."""

from __future__ import annotations

import io
import json
import math
import wave
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from sandbox_requests import A_PERSON, HI, PERSON, SAID, sandbox_running

TOOL: Any = {
    "type": "function",
    "function": {"name": "add_person", "parameters": PERSON},
}
OTHER_TOOL: Any = {"type": "function", "function": {"name": "noop", "parameters": {}}}
FLAT_TOOL: Any = {"type": "function", "name": "add_person", "parameters": PERSON, "strict": True}
FIRST: Any = HI


class Person(BaseModel):
    name: str
    age: int
    mood: Literal["good", "bad"]
    friends: list[str]


@pytest.fixture(scope="module")
def client() -> Iterator[OpenAI]:
    with (
        sandbox_running() as port,
        OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


# ---------------------------------------------------------------------- chat


def test_a_chat_completion_echoes_and_bills(client: OpenAI) -> None:
    reply = client.chat.completions.create(model="anything/at-all", messages=FIRST)
    assert reply.model == "anything/at-all"
    assert reply.choices[0].message.content == SAID
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == math.ceil(len(HI[0]["content"].encode()) / 4)
    assert reply.usage.completion_tokens == math.ceil(len(SAID.encode()) / 4)
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_chat_stream_says_the_same(client: OpenAI, include_usage: bool) -> None:
    whole = client.chat.completions.create(model="echo", messages=FIRST)
    stream = client.chat.completions.create(
        model="echo",
        messages=FIRST,
        stream=True,
        stream_options={"include_usage": include_usage},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == SAID
    assert len({chunk.id for chunk in chunks}) == 1
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert usages == ([whole.usage] if include_usage else [])
    assert (chunks[-1].choices == []) == include_usage


def test_several_choices_are_all_billed(client: OpenAI) -> None:
    one = client.chat.completions.create(model="echo", messages=FIRST)
    three = client.chat.completions.create(model="echo", messages=FIRST, n=3)
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert one.usage is not None
    assert three.usage is not None
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens
    streamed = client.chat.completions.create(model="echo", messages=FIRST, n=2, stream=True)
    texts = {0: "", 1: ""}
    for chunk in streamed:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == {0: SAID, 1: SAID}


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("use tool add_person now", "auto", "add_person"),
        ("Use tool please", "auto", "noop"),
        ("hello", "auto", None),
        ("hello", "required", "noop"),
        ("use tool add_person", "none", None),
        ("hello", {"type": "function", "function": {"name": "add_person"}}, "add_person"),
    ],
)
def test_a_tool_is_called_when_asked_for(
    client: OpenAI, text: str, choice: Any, called: str | None
) -> None:
    asked: Any = {
        "model": "echo",
        "messages": [{"role": "user", "content": text}],
        "tools": [OTHER_TOOL, TOOL],
        "tool_choice": choice,
    }
    reply = client.chat.completions.create(**asked)
    calls = reply.choices[0].message.tool_calls
    assert (calls[0].function.name if calls else None) == called
    assert reply.choices[0].finish_reason == ("tool_calls" if called else "stop")
    name, arguments = "", ""
    for chunk in client.chat.completions.create(**asked, stream=True):
        for part in chunk.choices[0].delta.tool_calls or ():
            name += part.function.name or ""
            arguments += part.function.arguments or ""
    assert name == (called or "")
    if calls:
        assert json.loads(arguments) == json.loads(calls[0].function.arguments)
    if called == "add_person":
        assert json.loads(arguments) == A_PERSON


def test_after_a_tool_has_answered_it_is_not_called_again(client: OpenAI) -> None:
    messages: Any = [
        {"role": "user", "content": "use tool add_person"},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function"}]},
        {"role": "tool", "tool_call_id": "1", "content": "done"},
    ]
    reply = client.chat.completions.create(model="echo", messages=messages, tools=[TOOL])
    assert reply.choices[0].message.content == "The tool said: done"


def test_json_fits_the_schema(client: OpenAI) -> None:
    parsed = client.chat.completions.parse(model="echo", messages=FIRST, response_format=Person)
    assert parsed.choices[0].message.parsed == Person(
        name="text", age=1, mood="good", friends=["text"]
    )
    plain = client.chat.completions.create(
        model="echo", messages=FIRST, response_format={"type": "json_object"}
    )
    assert json.loads(plain.choices[0].message.content or "") == {}


def test_thinking_is_billed_as_part_of_the_output(client: OpenAI) -> None:
    quick = client.chat.completions.create(model="echo", messages=FIRST)
    slow = client.chat.completions.create(model="echo", messages=FIRST, reasoning_effort="high")
    assert quick.usage is not None
    assert slow.usage is not None
    assert slow.usage.completion_tokens_details is not None
    assert slow.usage.completion_tokens_details.reasoning_tokens == 512
    assert slow.usage.completion_tokens == quick.usage.completion_tokens + 512


def test_the_callers_limit_is_kept(client: OpenAI) -> None:
    reply = client.chat.completions.create(
        model="echo", messages=FIRST, max_completion_tokens=5, reasoning_effort="high"
    )
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 5
    assert reply.choices[0].finish_reason == "length"


def test_a_repeated_prompt_with_a_key_comes_from_the_cache(client: OpenAI) -> None:
    long: Any = [{"role": "system", "content": "word " * 2_000}]
    asked: Any = {"model": "echo", "prompt_cache_key": "session-1"}
    first = client.chat.completions.create(messages=long + FIRST, **asked)
    more: Any = [*long, *HI, {"role": "user", "content": "and now?"}]
    second = client.chat.completions.create(messages=more, **asked)
    other = client.chat.completions.create(messages=more, model="echo", prompt_cache_key="2")
    cached = []
    for reply in (first, second, other):
        assert reply.usage is not None
        assert reply.usage.prompt_tokens_details is not None
        cached.append(reply.usage.prompt_tokens_details.cached_tokens)
    prompt = first.usage.prompt_tokens if first.usage else 0
    assert cached == [0, prompt - prompt % 128, 0]


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, openai.BadRequestError, None),
        (401, openai.AuthenticationError, "invalid_api_key"),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, None),
        (503, openai.InternalServerError, "service_unavailable"),
    ],
)
def test_errors_are_the_providers_own(
    client: OpenAI, status: int, error: type[openai.APIStatusError], code: str | None
) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(
            model="echo", messages=FIRST, extra_headers={"x-sandbox-fault": str(status)}
        )
    assert caught.value.status_code == status
    assert caught.value.code == code
    assert caught.value.request_id
    assert ("retry-after" in caught.value.response.headers) == (status in {429, 503})


def test_a_request_without_messages_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="echo", messages=[])
    with pytest.raises(openai.BadRequestError, match="model"):
        client.chat.completions.create(model="", messages=FIRST)


def test_an_error_inside_a_stream_is_raised(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="echo",
        messages=FIRST,
        stream=True,
        extra_headers={"x-sandbox-fault": "error-event:2"},
    )
    seen = []
    with pytest.raises(openai.APIError, match="asked for this error"):
        seen += [chunk.choices[0].delta.content for chunk in stream]
    with pytest.raises(openai.APIError):
        list(
            client.responses.create(
                model="echo",
                input="hi",
                stream=True,
                extra_headers={"x-sandbox-fault": "eof-after:1"},
            )
        )


# ---------------------------------------------------------------------- completions


def test_completions(client: OpenAI) -> None:
    reply = client.completions.create(model="echo", prompt=["a b", "c d"], max_tokens=100)
    assert [choice.text for choice in reply.choices] == ["You said: c d"] * 2
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (2, 8)
    chunks = list(client.completions.create(model="echo", prompt="a b", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "You said: a b"
    tokens = client.completions.create(model="echo", prompt=[[1, 2, 3], [4]], max_tokens=9)
    assert tokens.usage is not None
    assert tokens.usage.prompt_tokens == 4
    short = client.completions.create(model="echo", prompt="x" * 100)
    assert short.choices[0].finish_reason == "length"
    assert short.usage is not None
    assert short.usage.completion_tokens == 16


# ---------------------------------------------------------------------- responses


def test_a_response(client: OpenAI) -> None:
    reply = client.responses.create(
        model="gpt-x", input=HI[0]["content"], instructions="Be brief.", reasoning={"effort": "low"}
    )
    assert reply.output_text == SAID
    assert reply.status == "completed"
    assert reply.usage is not None
    assert reply.usage.output_tokens_details.reasoning_tokens == 32
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    assert [item.type for item in reply.output] == ["reasoning", "message"]


def test_a_streamed_response_has_every_event_in_order(client: OpenAI) -> None:
    with client.responses.stream(model="gpt-x", input=HI[0]["content"]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    deltas = kinds.count("response.output_text.delta")
    assert deltas > 1
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [getattr(event, "sequence_number", None) for event in events] == list(range(len(events)))
    assert final.output_text == SAID
    assert final.usage == client.responses.create(model="gpt-x", input=HI[0]["content"]).usage


def test_a_function_call_of_the_responses_api(client: OpenAI) -> None:
    asked: Any = {"model": "gpt-x", "input": "use tool add_person", "tools": [FLAT_TOOL]}
    reply = client.responses.create(**asked)
    call: Any = reply.output[0]
    assert (call.type, call.name, json.loads(call.arguments)) == (
        "function_call",
        "add_person",
        A_PERSON,
    )
    with client.responses.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output[0].to_dict()["arguments"] == call.arguments
    assert kinds[2] == "response.output_item.added"
    assert kinds[-3:] == [
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    answered: Any = [
        {"role": "user", "content": "use tool"},
        call.to_dict(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "42"},
    ]
    after = client.responses.create(model="gpt-x", input=answered, tools=[FLAT_TOOL])
    assert after.output_text == "The tool said: 42"


def test_a_parsed_and_an_incomplete_response(client: OpenAI) -> None:
    parsed = client.responses.parse(model="gpt-x", input="hi", text_format=Person)
    assert parsed.output_parsed == Person(name="text", age=1, mood="good", friends=["text"])
    short = client.responses.create(model="gpt-x", input="hi" * 100, max_output_tokens=16)
    assert short.status == "incomplete"
    assert short.incomplete_details is not None
    assert short.incomplete_details.reason == "max_output_tokens"
    events = list(
        client.responses.create(model="gpt-x", input="hi" * 100, max_output_tokens=16, stream=True)
    )
    assert events[-1].type == "response.incomplete"


def test_counting_and_compacting(client: OpenAI) -> None:
    whole = client.responses.create(model="gpt-x", input=HI[0]["content"])
    count = client.responses.input_tokens.count(model="gpt-x", input=HI[0]["content"])
    assert whole.usage is not None
    assert count.input_tokens == whole.usage.input_tokens
    compacted = client.responses.compact(model="gpt-x", input="hi")
    assert compacted.output[0].type == "compaction"


# ---------------------------------------------------------------------- the others


def test_embeddings(client: OpenAI) -> None:
    coded = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    plain = client.embeddings.create(
        model="text-embedding-3-small", input="one", encoding_format="float"
    )
    assert [len(item.embedding) for item in coded.data] == [1_536, 1_536]
    assert coded.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert coded.data[0].embedding != coded.data[1].embedding
    assert math.hypot(*plain.data[0].embedding) == pytest.approx(1)
    assert coded.usage.prompt_tokens == 2
    small = client.embeddings.create(model="x", input=[[1, 2, 3]], dimensions=7)
    assert len(small.data[0].embedding) == 7
    assert small.usage.prompt_tokens == 3
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        client.embeddings.create(model="x", input="a", dimensions=0)
    with pytest.raises(openai.BadRequestError, match="input"):
        client.embeddings.create(model="x", input=[])


def test_images(client: OpenAI) -> None:
    reply = client.images.generate(
        model="gpt-image-1", prompt="a red dot", n=2, quality="low", size="1024x1536"
    )
    assert reply.data is not None
    assert len(reply.data) == 2
    picture = b64decode(reply.data[0].b64_json or "")
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert reply.usage is not None
    assert reply.usage.output_tokens == 2 * 408
    assert reply.usage.input_tokens == 3
    edited = client.images.edit(
        model="gpt-image-1", image=("dot.png", picture, "image/png"), prompt="bigger"
    )
    assert edited.usage is not None
    assert edited.usage.input_tokens_details.image_tokens == 388
    older = client.images.generate(model="dall-e-3", prompt="a red dot")
    assert older.usage is None
    events = list(client.images.generate(model="gpt-image-1", prompt="dot", stream=True))
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]


def test_transcripts(client: OpenAI) -> None:
    sound = ("sound.wav", b"\0" * 70_000, "audio/wav")
    tokens: Any = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound)
    assert tokens.text == "This is what the sandbox heard in 3 s of sound."
    assert tokens.usage.input_token_details.audio_tokens == 30
    seconds: Any = client.audio.transcriptions.create(model="whisper-1", file=sound)
    assert (seconds.usage.type, seconds.usage.seconds) == ("duration", 3)
    verbose = client.audio.transcriptions.create(
        model="whisper-1", file=sound, response_format="verbose_json"
    )
    assert verbose.duration == 3.0
    text = client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="text")
    assert text == tokens.text
    stream = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound, stream=True)
    events: Any = list(stream)
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == tokens.text
    assert events[-1].usage.total_tokens == tokens.usage.total_tokens


def test_speech_is_a_valid_wav(client: OpenAI) -> None:
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello there")
    with wave.open(io.BytesIO(spoken.read())) as sound:
        assert sound.getnframes() == sound.getframerate() == 8_000


def test_moderations_and_models(client: OpenAI) -> None:
    results = client.moderations.create(input=["a", "b"]).results
    assert [result.flagged for result in results] == [False, False]
    assert [model.id for model in client.models.list()] == ["echo"]
    assert client.models.retrieve("any-model").id == "any-model"


def test_files_and_batches(client: OpenAI) -> None:
    lines = [
        {
            "custom_id": f"call-{number}",
            "method": "POST",
            "url": path,
            "body": {"model": "echo", "messages": [{"role": "user", "content": str(number)}]},
        }
        for number, path in enumerate(["/v1/chat/completions", "/v1/nothing"])
    ]
    lines.append({"custom_id": "call-2", "url": "/v1/chat/completions", "body": {"model": "m"}})
    content = "\n".join([*(json.dumps(line) for line in lines), "no JSON"]).encode()
    file = client.files.create(file=("calls.jsonl", content), purpose="batch")
    assert client.files.retrieve(file.id).bytes == len(content)
    assert client.files.content(file.id).read() == content
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert client.batches.retrieve(batch.id).status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 3)
    assert batch.output_file_id is not None
    results = [json.loads(line) for line in client.files.content(batch.output_file_id).iter_lines()]
    assert [result["custom_id"] for result in results] == ["call-0", "call-1", "call-2", ""]
    assert [it["response"]["status_code"] for it in results] == [200, 404, 400, 400]
    message = results[0]["response"]["body"]["choices"][0]["message"]
    assert message["content"] == "You said: 0"
    assert file.id in {item.id for item in client.files.list()}
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
