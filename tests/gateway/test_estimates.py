"""What is booked when a provider never says what its reply used: counted from both texts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from struct import pack
from typing import Any

import pytest

from booked import quantities_of
from protocols import OPENAI
from raw_http import ask
from rough_upstream import json_reply
from scripted_provider import (
    CHAT,
    DONE,
    EVENTS_HEAD,
    LAST_CHUNK,
    USAGE,
    Scripted,
    chunk,
    delta,
    event,
    scripted_provider,
)
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.services import vocabulary

SAID = "The capital of France is Paris, and it has been so for a thousand years."
ASKED = "What is the capital of France?"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}]
PROMPT = vocabulary.count("Be brief." + ASKED) + 2 * 4 + 3
PHOTO_HEAD = b"\x89PNG\r\n\x1a\n" + pack(">I4sII", 13, b"IHDR", 1_024, 1_024)
SILENT = {name: value for name, value in CHAT.items() if name != "usage"}


@pytest.fixture
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted_provider(tmp_path_factory.mktemp("silent")) as made:
        yield made


def _call(provider: Scripted, *, stream: bool = False, **members: Any) -> LedgerEntry:
    asked = {"model": "gpt-4.1-mini", "messages": MESSAGES} | members
    answer = ask(provider.port, OPENAI.call(provider.key, stream=stream, **asked))
    assert answer.status == 200
    return provider.entry()


def _said(text: str) -> list[dict[str, Any]]:
    return [{"index": 0, "message": {"role": "assistant", "content": text}}]


def test_a_plain_reply_without_usage(provider: Scripted) -> None:
    provider.answers(json_reply(SILENT | {"choices": _said(SAID)}))
    entry = _call(provider)
    assert (entry.outcome, entry.basis, entry.stated) == (Outcome.OK, Basis.ESTIMATED, False)
    assert quantities_of(entry) == {"input": PROMPT, "output": vocabulary.count(SAID)}
    assert entry.cost_nanos


def test_a_stream_without_usage(provider: Scripted) -> None:
    pieces = [event(delta(word + " ")) for word in SAID.split(" ")]
    provider.answers(EVENTS_HEAD, chunk(b"".join(pieces) + event(DONE)), LAST_CHUNK)
    entry = _call(provider, stream=True)
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.ESTIMATED)
    assert quantities_of(entry) == {"input": PROMPT, "output": vocabulary.count(SAID + " ")}


def test_a_stream_that_breaks_off(provider: Scripted) -> None:
    provider.answers(EVENTS_HEAD, chunk(event(delta(SAID))), close=True)
    entry = _call(provider, stream=True)
    assert (entry.outcome, entry.basis) == (Outcome.INCOMPLETE, Basis.ESTIMATED)
    assert quantities_of(entry) == {"input": PROMPT, "output": vocabulary.count(SAID)}


def test_an_error_costs_nothing_and_is_not_estimated(provider: Scripted) -> None:
    provider.answers(json_reply({"error": {"message": "no", "code": "no"}}, status="500 Oops"))
    answer = ask(provider.port, OPENAI.call(provider.key, messages=MESSAGES))
    assert answer.status == 500
    entry = provider.entry()
    assert (entry.basis, entry.cost_nanos, quantities_of(entry)) == (Basis.FREE, 0, {})


def test_a_large_request_goes_by_what_measured_calls_have_taught(provider: Scripted) -> None:
    large = [{"role": "user", "content": "All work and no play. " * 3_000}]
    provider.answers(json_reply(SILENT | {"choices": _said(SAID)}))
    before = _call(provider, messages=large).input_tokens
    thought = {"completion_tokens": 70, "total_tokens": 13_270, "prompt_tokens": 13_200}
    details = {"completion_tokens_details": {"reasoning_tokens": 60}}
    provider.answers(json_reply(CHAT | {"usage": USAGE | thought | details}))
    _call(provider, messages=large)
    provider.answers(json_reply(SILENT | {"choices": _said(SAID)}))
    after = _call(provider, messages=large)
    assert before == pytest.approx(66_000 / 4, rel=0.05)  # four bytes a token
    assert after.input_tokens == pytest.approx(13_200, abs=1)
    assert quantities_of(after)["reasoning"] == 60


def test_a_photo_in_a_large_request_counts_by_its_pixels(provider: Scripted) -> None:
    photo = b64encode(PHOTO_HEAD + bytes(200_000)).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{photo}"}}
    asked = [{"role": "user", "content": [{"type": "text", "text": ASKED}, picture]}]
    provider.answers(json_reply(SILENT | {"choices": _said(SAID)}))
    entry = _call(provider, messages=asked, model="gpt-4o")
    assert entry.input_tokens == vocabulary.count(ASKED) + 4 + 3 + 85 + 4 * 170


def test_what_was_learned_outlives_the_gateway(provider: Scripted) -> None:
    large = [{"role": "user", "content": "All work and no play. " * 3_000}]
    counts = {"completion_tokens": 10, "total_tokens": 13_210, "prompt_tokens": 13_200}
    provider.answers(json_reply(CHAT | {"usage": USAGE | counts}))
    _call(provider, messages=large)
    provider.gateway.stop()
    assert provider.gateway.folder.habits.stat().st_mode & 0o777 == 0o600
    provider.gateway.start()
    provider.answers(json_reply(SILENT | {"choices": _said(SAID)}))
    assert _call(provider, messages=large).input_tokens == pytest.approx(13_200, abs=1)
