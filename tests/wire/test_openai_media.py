"""Usage in replies with pictures, transcripts and speech."""

from __future__ import annotations

from typing import Any

import pytest

from provider_replies import (
    AUDIO_QUANTITIES,
    AUDIO_USAGE,
    IMAGES_QUANTITIES,
    IMAGES_USAGE,
    SSE,
    images_reply,
    images_stream,
    read,
    read_cut,
    sse,
    text_of,
    transcription_stream,
)
from tollkeeper.domain.usage import Usage


def _transcript(**fields: Any) -> Usage | None:
    return read("openai_transcription", text_of({"text": "hi", **fields}).encode()).usage


def test_pictures_by_tokens() -> None:
    expected = Usage(IMAGES_QUANTITIES, raw=text_of(IMAGES_USAGE))
    assert read("openai_images", images_reply()).usage == expected
    assert read("openai_images", images_stream(), SSE).usage == expected


def test_pictures_without_details_are_all_picture() -> None:
    usage = {
        "input_tokens": 432,
        "input_tokens_details": {"image_tokens": 388, "text_tokens": 44},
        "output_tokens": 4160,
        "total_tokens": 4592,
    }
    found = read("openai_images", images_reply(usage=usage)).usage
    assert found is not None
    assert found.quantities == {"input": 44, "input_image": 388, "output_image": 4160}


def test_pictures_without_tokens_are_counted() -> None:
    body = images_reply(usage=None, data=[{"url": "https://x"}, {"url": "https://y"}])
    assert read("openai_images", body).usage == Usage({"images": 2})
    assert read("openai_images", b'{"created":1}').usage is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [({"total_tokens": 9}, "contradicts_total"), ({"input_tokens": -1}, "negative_count")],
)
def test_pictures_with_counts_that_cannot_be(change: dict[str, Any], fault: str) -> None:
    found = read("openai_images", images_reply(usage=IMAGES_USAGE | change)).usage
    assert found is not None
    assert found.fault == fault


def test_transcripts_by_tokens() -> None:
    expected = Usage(AUDIO_QUANTITIES, raw=text_of(AUDIO_USAGE))
    assert _transcript(usage=AUDIO_USAGE) == expected
    assert read("openai_transcription", transcription_stream(), SSE).usage == expected


def test_transcripts_by_the_second() -> None:
    usage = {"type": "duration", "seconds": 7}
    assert _transcript(usage=usage) == Usage({"audio_ms": 7_000}, raw=text_of(usage))
    found = _transcript(usage={"type": "duration", "seconds": 7.25})
    assert found is not None
    assert found.quantities == {"audio_ms": 7_250}
    found = _transcript(duration=8.470000267028809)  # whisper's own length, without a usage
    assert found is not None
    assert found.quantities == {"audio_ms": 8_000}


@pytest.mark.parametrize("seconds", [-1, "7", True, 1e300])
def test_seconds_that_cannot_be(seconds: Any) -> None:
    found = _transcript(usage={"type": "duration", "seconds": seconds})
    assert found is not None
    assert (found.fault, found.quantities) == ("not_a_count", {})


def test_transcripts_as_plain_text_say_nothing() -> None:
    assert _transcript() is None
    assert read("openai_transcription", b"hello", "text/plain; charset=utf-8").usage is None


def test_spoken_text_is_sound() -> None:
    usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    body = sse(
        {"type": "speech.audio.delta", "audio": "QUJD"},
        {"type": "speech.audio.done", "usage": usage},
    )
    found = read("openai_speech", body, SSE).usage
    assert found == Usage({"input": 14, "output_audio": 101}, raw=text_of(usage))
    assert read("openai_speech", b"\xff\xfb\x90", "audio/mpeg").usage is None


def test_an_error_within_a_stream() -> None:
    body = sse({"type": "error", "error": {"code": "moderation_blocked"}})
    reading = read_cut("openai_images", body, SSE)
    assert (reading.usage, reading.error_code) == (None, "moderation_blocked")
