"""OpenAI's own client through the gateway: vectors, pictures, sounds, models and moderation."""

from __future__ import annotations

import io
import wave
from base64 import b64decode
from typing import Any

import openai
import pytest
from openai import OpenAI

from books import Books
from running import Deployment
from sdk_clients import openai_client, require_booked
from tollkeeper.domain import usage as u

TOOL_NAME = "openai-python"
SOUND = ("sound.wav", b"\0" * 70_000, "audio/wav")


def test_embeddings(openai_sdk: OpenAI, books: Books) -> None:
    reply = openai_sdk.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    assert [len(item.embedding) for item in reply.data] == [1_536, 1_536]
    seen = {u.INPUT: reply.usage.prompt_tokens}
    require_booked(books.entry(), TOOL_NAME, seen, endpoint="embeddings")


@pytest.mark.parametrize("stream", [False, True])
def test_pictures_are_made(openai_sdk: OpenAI, books: Books, stream: bool) -> None:
    asked: Any = {"model": "gpt-image-1", "prompt": "a red dot", "quality": "low"}
    if stream:
        *_, reply = openai_sdk.images.generate(**asked, stream=True)
        picture = reply.b64_json
    else:
        reply = openai_sdk.images.generate(**asked)
        picture = reply.data[0].b64_json
    assert b64decode(picture).startswith(b"\x89PNG")
    seen = {u.INPUT: reply.usage.input_tokens, u.OUTPUT_IMAGE: reply.usage.output_tokens}
    entry = books.entry()
    require_booked(entry, TOOL_NAME, seen, endpoint="images/generations", streamed=stream)


def test_a_picture_is_uploaded_to_be_changed(openai_sdk: OpenAI, books: Books) -> None:
    picture = ("dot.png", b"\x89PNG" + b"\0" * 200_000, "image/png")
    reply = openai_sdk.images.edit(model="gpt-image-1", image=picture, prompt="bigger")
    assert reply.usage is not None
    details = reply.usage.input_tokens_details
    seen = {
        u.INPUT: details.text_tokens,
        u.INPUT_IMAGE: details.image_tokens,
        u.OUTPUT_IMAGE: reply.usage.output_tokens,
    }
    entry = books.entry()
    require_booked(entry, TOOL_NAME, seen, endpoint="images/edits", model_requested="gpt-image-1")


@pytest.mark.parametrize("stream", [False, True])
def test_transcripts_billed_by_tokens(openai_sdk: OpenAI, books: Books, stream: bool) -> None:
    asked: Any = {"model": "gpt-4o-transcribe", "file": SOUND}
    if stream:
        *_, reply = openai_sdk.audio.transcriptions.create(**asked, stream=True)
    else:
        reply = openai_sdk.audio.transcriptions.create(**asked)
    usage: Any = reply.usage
    details = usage.input_token_details
    seen = {
        u.INPUT: details.text_tokens,
        u.INPUT_AUDIO: details.audio_tokens,
        u.OUTPUT: usage.output_tokens,
    }
    entry = books.entry()
    seen = {name: count for name, count in seen.items() if count}
    require_booked(entry, TOOL_NAME, seen, endpoint="audio/transcriptions", streamed=stream)


def test_transcripts_billed_by_the_second(openai_sdk: OpenAI, books: Books) -> None:
    reply: Any = openai_sdk.audio.transcriptions.create(model="whisper-1", file=SOUND)
    seen = {u.AUDIO_MS: int(reply.usage.seconds * 1_000)}
    require_booked(books.entry(), TOOL_NAME, seen, endpoint="audio/transcriptions")


def test_a_translation_tells_its_length(openai_sdk: OpenAI, books: Books) -> None:
    with pytest.warns(DeprecationWarning):  # the call has gone out of fashion, and is billed
        reply: Any = openai_sdk.audio.translations.create(
            model="whisper-1", file=SOUND, response_format="verbose_json"
        )
    seen = {u.AUDIO_MS: int(float(reply.duration) * 1_000)}
    require_booked(books.entry(), TOOL_NAME, seen, endpoint="audio/translations")


def test_speech_is_streamed_as_it_is(openai_sdk: OpenAI, books: Books) -> None:
    asked: Any = {"model": "tts-1", "voice": "alloy", "input": "Hello there"}
    with openai_sdk.audio.speech.with_streaming_response.create(**asked) as spoken:
        sound = b"".join(spoken.iter_bytes())
        call_id = spoken.headers["x-tollkeeper-call-id"]
    with wave.open(io.BytesIO(sound)) as opened:
        assert opened.getnframes() > 0
    entry = books.entry()
    assert entry.call_id == call_id
    # Speech states no usage: it is billed by the characters of its request.
    assert (entry.endpoint, entry.basis) == ("audio/speech", "measured")
    assert entry.units == {u.INPUT_CHARACTERS: len(asked["input"])}
    assert entry.cost_nanos == len(asked["input"]) * 15_000


def test_moderation_is_free(openai_sdk: OpenAI, books: Books) -> None:
    reply = openai_sdk.moderations.create(model="omni-moderation-latest", input=["a", "b"])
    assert [result.flagged for result in reply.results] == [False, False]
    require_booked(books.entry(), TOOL_NAME, {}, basis="free", cost_nanos=0, endpoint="moderations")


def test_models_are_those_of_the_configuration(openai_sdk: OpenAI, books: Books) -> None:
    listed = {model.id: model.owned_by for model in openai_sdk.models.list()}
    assert listed["gpt-4.1-mini"] == "openai"
    assert listed["claude-sonnet-4-6"] == "anthropic"
    assert {"fast", "echo", "qwen3"} <= listed.keys()
    assert openai_sdk.models.retrieve("gpt-4.1-mini").id == "gpt-4.1-mini"
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-0'"):
        openai_sdk.models.retrieve("gpt-0")
    books.require_untouched()


def test_a_key_sees_only_its_own_models(gateway: Deployment) -> None:
    key = gateway.issue("narrow", models=("gpt-4.1*",))
    with openai_client(gateway.url, key) as client:
        listed = [model.id for model in client.models.list()]
    assert "gpt-4.1" in listed
    assert all(model.startswith("gpt-4.1") for model in listed)
