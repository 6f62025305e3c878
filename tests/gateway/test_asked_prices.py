"""Calls whose price stands in the request: speech by its characters, pictures by their size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raw_http import RawConnection, ask, request
from rough_upstream import json_reply
from scripted_provider import Scripted, scripted_provider
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome

SOUND = b"\xff\xfb\x90" + b"\0" * 2_000
SOUND_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: %d\r\n\r\n" % len(
    SOUND
)
TEXT = 'Grüße, "世界" 🌍\n'
BOUNDARY = "a-boundary-of-its-own"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted_provider(tmp_path_factory.mktemp("asked")) as made:
        yield made


def _ask(provider: Scripted, path: str, **body: object) -> LedgerEntry:
    data = request(path, body, {"authorization": f"Bearer {provider.key}"})
    assert ask(provider.port, data).status == 200
    return provider.entry()


def test_speech_is_measured_by_the_characters_of_the_request(provider: Scripted) -> None:
    provider.answers(SOUND_HEAD + SOUND)
    entry = _ask(provider, "/v1/audio/speech", model="tts-1", input=TEXT, voice="alloy")
    assert (entry.basis, entry.units) == (Basis.MEASURED, {"input_characters": len(TEXT)})
    assert entry.cost_nanos == len(TEXT) * 15_000
    provider.answers(SOUND_HEAD + SOUND)
    entry = _ask(provider, "/v1/audio/speech", model="tts-1-hd", input=TEXT, voice="alloy")
    assert entry.cost_nanos == len(TEXT) * 30_000


def test_speech_that_is_billed_by_tokens_says_so_when_it_can(provider: Scripted) -> None:
    provider.answers(SOUND_HEAD + SOUND)
    entry = _ask(provider, "/v1/audio/speech", model="gpt-4o-mini-tts", input=TEXT, voice="alloy")
    assert (entry.basis, entry.cost_nanos) == (Basis.UNPRICED, None)
    assert entry.unpriced_reason == "unknown_dimension:input_characters"
    usage = b'{"input_tokens":14,"output_tokens":101,"total_tokens":115}'
    done = b'data: {"type":"speech.audio.done","usage":%b}\n\n' % usage
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    provider.answers(head % len(done) + done)
    fields = {"model": "gpt-4o-mini-tts", "input": TEXT, "stream_format": "sse"}
    entry = _ask(provider, "/v1/audio/speech", **fields)
    assert (entry.input_tokens, entry.output_audio_tokens, entry.units) == (14, 101, {})
    assert entry.basis == Basis.MEASURED


def test_speech_that_broke_off_was_spoken_nevertheless(provider: Scripted) -> None:
    provider.answers(SOUND_HEAD + SOUND[:100], close=True)
    body = {"model": "tts-1", "input": TEXT, "voice": "alloy"}
    data = request("/v1/audio/speech", body, {"authorization": f"Bearer {provider.key}"})
    with RawConnection(provider.port) as connection:
        assert not connection.send(data).answer().ended
    entry = provider.entry()
    assert entry.outcome == Outcome.INCOMPLETE
    assert (entry.basis, entry.cost_nanos) == (Basis.MEASURED, len(TEXT) * 15_000)


@pytest.mark.parametrize("status", ["400 Bad Request", "200 OK"])
def test_speech_that_was_refused_costs_nothing(provider: Scripted, status: str) -> None:
    """Also where the error is one in all but its status."""
    provider.answers(json_reply({"error": {"code": "bad_voice"}}, status))
    body = {"model": "tts-1", "input": TEXT, "voice": "nobody"}
    data = request("/v1/audio/speech", body, {"authorization": f"Bearer {provider.key}"})
    assert str(ask(provider.port, data).status) in status
    entry = provider.entry()
    assert (entry.basis, entry.cost_nanos, entry.units) == (Basis.FREE, 0, {})


@pytest.mark.parametrize(
    ("model", "fields", "pictures", "nanos"),
    [
        ("dall-e-3", {}, 1, 40_000_000),
        ("dall-e-3", {"quality": "hd"}, 1, 80_000_000),
        ("dall-e-3", {"size": "1792x1024"}, 1, 80_000_000),
        ("dall-e-3", {"size": "1024x1792", "quality": "hd"}, 1, 120_000_000),
        ("dall-e-2", {"n": 3, "size": "256x256"}, 3, 48_000_000),
        ("dall-e-2", {"n": 2}, 2, 40_000_000),
    ],
)
def test_pictures_cost_what_their_size_and_quality_cost(
    provider: Scripted, model: str, fields: dict[str, object], pictures: int, nanos: int
) -> None:
    provider.answers(json_reply({"created": 1, "data": [{"url": "https://x"}] * pictures}))
    entry = _ask(provider, "/v1/images/generations", model=model, prompt="a cat", **fields)
    assert (entry.basis, entry.units) == (Basis.MEASURED, {"images": pictures})
    assert entry.cost_nanos == nanos


def test_pictures_that_state_their_tokens_are_billed_by_them(provider: Scripted) -> None:
    usage = {"input_tokens": 10, "output_tokens": 272, "total_tokens": 282}
    provider.answers(json_reply({"created": 1, "data": [{}], "usage": usage}))
    fields = {"model": "gpt-image-1", "prompt": "a cat", "quality": "low"}
    entry = _ask(provider, "/v1/images/generations", **fields)
    assert (entry.units, entry.output_image_tokens) == ({}, 272)
    assert entry.cost_nanos == 10 * 5_000 + 272 * 40_000


def test_a_size_behind_the_picture_counts_too(provider: Scripted) -> None:
    """A large form is on its way before its last fields are known."""
    provider.answers(json_reply({"created": 1, "data": [{"url": "https://x"}]}))
    parts = [
        b'name="model"\r\n\r\ndall-e-2',
        b'name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n' + b"\0" * 300_000,
        b'name="size"\r\n\r\n512x512',
    ]
    mark = BOUNDARY.encode()
    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\n" % (mark, part) for part in parts
    )
    data = request(
        "/v1/images/edits",
        body + b"--%b--\r\n" % mark,
        {
            "authorization": f"Bearer {provider.key}",
            "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        },
    )
    assert ask(provider.port, data).status == 200
    entry = provider.entry()
    assert (entry.units, entry.cost_nanos) == ({"images": 1}, 18_000_000)
