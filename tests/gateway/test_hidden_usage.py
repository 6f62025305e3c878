"""Usage that is asked for on the caller's behalf: the caller sees nothing of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from booked import quantities_of
from books import Books
from protocols import MESSAGES, OPENAI
from raw_http import Answer, ask, get, request
from rough_upstream import Conversation
from running import Deployment
from scripted_provider import (
    DONE,
    EVENTS_HEAD,
    EXTRA,
    LAST_CHUNK,
    USAGE,
    Scripted,
    chunk,
    delta,
    event,
    scripted_provider,
)
from tollkeeper.domain.ledger import Basis, Outcome

ASKED = {"stream_options": {"include_usage": True}}
WISH = b'"stream_options":{"include_usage":true}'
CHAT = ("/v1/chat/completions", {"model": "gpt-4.1-mini", "messages": MESSAGES, "stream": True})
LEGACY = ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "hi", "stream": True})
SHAPES = {"x-sandbox-chunks": "3", "x-sandbox-output-tokens": "30"}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted_provider(tmp_path_factory.mktemp("scripted")) as made:
        made.gateway.configure(_with_mistral(made))
        _wait_for_model(made, "known-model")
        yield made


def _with_mistral(made: Scripted) -> dict[str, Any]:
    """Add a provider that states its usage without being asked."""
    lab = {"base_url": f"{made.rough.url}/v1"}
    return {
        "providers": {
            "openai": lab | {"api_key": "sk-canary-openai-0001"},
            "mistral": lab | {"api_key": "sk-canary-mistral-0006"},
        },
        "models": {"known-*": "mistral"},
    }


def _wait_for_model(made: Scripted, model: str) -> None:
    deadline_s = time.monotonic() + 20
    data = OPENAI.call(made.key, model=model)
    while ask(made.port, data).status != 200:
        assert time.monotonic() < deadline_s, "the configuration was not taken over"
        time.sleep(0.1)


def _without_extra(body: bytes, end: bytes) -> bytes:
    """Take out the chunk that has a usage and no choices, by looking at every event."""
    kept = []
    for one in body.split(end):
        data = one.replace(b"\r", b"\n").rpartition(b"data: ")[2]
        value = json.loads(data) if data.startswith(b"{") else {}
        if value.get("choices") != [] or not value.get("usage"):
            kept.append(one)
    return end.join(kept)


# ---------------------------------------------------------------------- with the sandbox


@pytest.mark.parametrize(("path", "body"), [CHAT, LEGACY], ids=["chat", "completions"])
@pytest.mark.parametrize("fault", ["none", "sse-crlf", "sse-cr", "sse-comments"])
@pytest.mark.parametrize("gap_ms", ["0", "3"])
def test_exactly_the_extra_chunk_is_taken_out(
    gateway: Deployment, books: Books, path: str, body: dict[str, Any], fault: str, gap_ms: str
) -> None:
    nonce = f"hidden-{fault}-{gap_ms}-{path}"
    headers = SHAPES | {"x-sandbox-gap-ms": gap_ms, "x-sandbox-fault": fault}
    headers |= {"x-sandbox-nonce": nonce, "authorization": f"Bearer {gateway.key}"}
    answer = ask(gateway.port, request(path, body, headers))
    upstream = int(gateway.upstream.rpartition(":")[2])
    (call,) = get(upstream, f"/sandbox/calls?nonce={nonce}").json()["calls"]
    # Replies of the sandbox follow from the bytes of the request, so these must be the same.
    sent = json.dumps(body).encode().replace(b"{", b"{" + WISH + b",", 1)
    direct = ask(upstream, request(path, sent, headers))
    end = {"sse-crlf": b"\r\n\r\n", "sse-cr": b"\r\r"}.get(fault, b"\n\n")
    assert answer.body == _without_extra(direct.body, end)
    assert answer.body != direct.body
    assert answer.ended
    entry = books.entry()
    assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
    assert quantities_of(entry) == call["billed"]


@pytest.mark.parametrize(("path", "body"), [CHAT, LEGACY], ids=["chat", "completions"])
def test_who_asks_for_the_usage_gets_it(
    gateway: Deployment, books: Books, path: str, body: dict[str, Any]
) -> None:
    headers = SHAPES | {"authorization": f"Bearer {gateway.key}"}
    data = request(path, body | ASKED, headers)
    answer = ask(gateway.port, data)
    assert answer.body == ask(int(gateway.upstream.rpartition(":")[2]), data).body
    assert b'"choices":[]' in answer.body
    assert b'"usage":{' in answer.body
    assert books.entry().basis == Basis.MEASURED


# ---------------------------------------------------------------------- what the provider is asked

NO_WISH = '{"model":"gpt-4.1-mini","stream":true,"x":[1, 2.50,"\\u00e9"]}'
WISHES = {
    NO_WISH: NO_WISH.replace("{", '{"stream_options":{"include_usage":true},', 1),
    '{"model":"gpt-4.1-mini","stream":true,"stream_options":null}': (
        '{"model":"gpt-4.1-mini","stream":true,"stream_options":{"include_usage":true}}'
    ),
    '{"model":"gpt-4.1-mini","stream":true,"stream_options":{}}': (
        '{"model":"gpt-4.1-mini","stream":true,"stream_options":{"include_usage":true}}'
    ),
    '{"model":"gpt-4.1-mini", "stream_options" : {"include_usage":false, "a":1},"stream":true}': (
        '{"model":"gpt-4.1-mini", "stream_options" : {"include_usage":true, "a":1},"stream":true}'
    ),
    # Nothing is to be changed in these.
    '{"model":"gpt-4.1-mini","stream":true,"stream_options":{"include_usage":true}}': "",
    '{"model":"gpt-4.1-mini","stream":false}': "",
    '{"model":"gpt-4.1-mini"}': "",
    '{"model":"known-model","stream":true}': "",
}


@pytest.mark.parametrize("body", WISHES)
def test_only_the_wish_is_added_to_a_request(provider: Scripted, body: str) -> None:
    provider.answers(_stream(event(delta("hi")), event(EXTRA), event(DONE)))
    ask(provider.port, OPENAI.call(provider.key, body=body.encode()))
    provider.entry()
    assert provider.sent == 1
    assert provider.rough.requests[0].partition(b"\r\n\r\n")[2].decode() == WISHES[body] or body


# ---------------------------------------------------------------------- streams, however cut


def _stream(*events: bytes) -> bytes:
    return EVENTS_HEAD + chunk(b"".join(events)) + LAST_CHUNK


def _streamed(provider: Scripted, stream: bytes) -> Answer:
    provider.answers(_stream(stream))
    return ask(provider.port, OPENAI.call(provider.key, stream=True))


BEFORE = event(delta("Gr\u00fc\u00dfe")) + b": note\n\n" + event(delta('"choices":[]', usage=None))
HIDDEN = event(EXTRA)
AFTER = event(DONE)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_chunk_is_hidden_wherever_the_stream_is_cut(provider: Scripted, end: bytes) -> None:
    before, hidden, after = (part.replace(b"\n", end) for part in (BEFORE, HIDDEN, AFTER))
    stream, expected = before + hidden + after, before + after
    cut = 0

    def script(conversation: Conversation) -> None:
        first, second = stream[:cut], stream[cut:]
        conversation.answer(EVENTS_HEAD + (chunk(first) if first else b""))
        time.sleep(0.002)  # so that the gateway reads them apart
        conversation.answer((chunk(second) if second else b"") + LAST_CHUNK)

    provider.plays(script)
    data = OPENAI.call(provider.key, stream=True)
    cuts = range(len(before) - 20, len(stream) + 1)
    for cut in cuts:
        answer = ask(provider.port, data)
        assert (answer.body, answer.ended) == (expected, True), cut
    for entry in provider.entries(len(cuts)):
        assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
        assert (entry.input_tokens, entry.output_tokens) == (20, 10)


KEPT = {
    "filter results without a usage": {"choices": [], "prompt_filter_results": [{"a": 1}]},
    "a usage that is null": {"choices": [], "usage": None},
    "a usage beside content": delta("hi", usage=USAGE),
    "words in a text": delta('{"choices":[],"usage":{"prompt_tokens":1}}'),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_only_looks_like_it_stays(provider: Scripted, name: str) -> None:
    kept = event(KEPT[name])
    answer = _streamed(provider, kept + HIDDEN + AFTER)
    assert answer.body == kept + AFTER
    assert provider.entry().basis == Basis.MEASURED


def test_a_stream_that_breaks_off_in_the_hidden_chunk_shows_nothing_of_it(
    provider: Scripted,
) -> None:
    for cut in range(1, len(HIDDEN), 9):
        provider.answers(EVENTS_HEAD + chunk(BEFORE + HIDDEN[:cut]), close=True)
        answer = ask(provider.port, OPENAI.call(provider.key, stream=True))
        assert answer.body.startswith(BEFORE + b'data: {"error":'), cut
        assert OPENAI.fault_in_stream(answer.body).code == "incomplete"
        assert provider.entry().outcome == Outcome.INCOMPLETE


def test_an_event_of_10_mb_passes_and_the_chunk_behind_it_is_hidden(provider: Scripted) -> None:
    """O6: no line is so long that it is kept back, or hides the usage."""
    long = event(delta("x" * (10 << 20)))
    answer = _streamed(provider, long + HIDDEN + AFTER)
    assert answer.body == long + AFTER
    entry = provider.entry()
    assert (entry.basis, entry.input_tokens) == (Basis.MEASURED, 20)
