"""The vendors' own clients of Cohere, Mistral and Ollama through the gateway.

A script plays the vendor: the sandbox speaks none of these languages. What the client makes
of the reply is compared, and what the ledger says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import cohere
import ollama
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

import native_replies as replies
from booked import quantities_of
from rough_upstream import RoughUpstream, json_reply
from running import deployment
from scripted_provider import LAST_CHUNK, Scripted, chunk, good

BILLED = {"input": 62, "output": 35}
RAN = {"input": 17, "output": 63, "gpu_ms": 3723}
HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with RoughUpstream(good) as rough:
        providers = {
            name: {"api_key": f"canary-{name}-sdk-1", "base_url": rough.url}
            for name in ("cohere", "mistral")
        }
        configuration = {"providers": providers | {"ollama": {"base_url": rough.url}}}
        folder = tmp_path_factory.mktemp("sdks")
        with deployment(folder, rough.url, configuration) as gateway:
            yield Scripted(gateway, rough)


def _streams(vendor: Scripted, kind: bytes, stream: bytes, *, end: bool = True) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % kind
    parts = [chunk(stream[:60]), chunk(stream[60:])] + ([LAST_CHUNK] if end else [])
    vendor.answers(head, *parts, gap_s=0.02, close=not end)


# ---------------------------------------------------------------------------------- Cohere


@pytest.fixture(scope="module")
def cohere_v2(vendor: Scripted) -> Iterator[cohere.ClientV2]:
    with cohere.ClientV2(vendor.key, base_url=vendor.gateway.url) as client:
        yield client


@pytest.fixture(scope="module")
def cohere_v1(vendor: Scripted) -> Iterator[cohere.Client]:
    with cohere.Client(vendor.key, base_url=vendor.gateway.url) as client:
        yield client


def test_cohere_chats(vendor: Scripted, cohere_v2: cohere.ClientV2) -> None:
    vendor.answers(json_reply(replies.cohere_chat()))
    reply = cohere_v2.chat(model="command-a-03-2025", messages=HELLO)
    assert reply.usage is not None
    assert reply.usage.billed_units is not None
    assert reply.usage.billed_units.input_tokens == 62
    entry = vendor.entry()
    assert (quantities_of(entry), entry.wire, entry.cost_nanos) == (BILLED, "cohere", 505_000)
    _streams(vendor, b"text/event-stream", replies.cohere_events())
    seen = list(cohere_v2.chat_stream(model="command-a-03-2025", messages=HELLO))
    assert seen[-1].type == "message-end"
    entry = vendor.entry()
    assert (quantities_of(entry), entry.streamed, entry.outcome) == (BILLED, True, "ok")


def test_cohere_embeds_and_reranks(vendor: Scripted, cohere_v2: cohere.ClientV2) -> None:
    embedded = {"embeddings": {"float": [[0.1, 0.2]]}, "texts": ["a"]}
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7}}
    vendor.answers(json_reply({"id": "e", "meta": meta, **embedded}))
    made = cohere_v2.embed(
        model="embed-v4.0", input_type="search_query", embedding_types=["float"], texts=["a"]
    )
    assert made.embeddings.float_ == [[0.1, 0.2]]
    assert quantities_of(vendor.entry()) == {"input": 7}
    searched = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    found = [{"index": 1, "relevance_score": 0.9}]
    vendor.answers(json_reply({"id": "r", "results": found, "meta": searched}))
    ranked = cohere_v2.rerank(model="rerank-v3.5", query="q", documents=["a", "b"])
    assert ranked.results[0].index == 1
    entry = vendor.entry()
    assert (quantities_of(entry), entry.endpoint) == ({"rerank_searches": 1}, "rerank")


def test_cohere_of_the_first_version(vendor: Scripted, cohere_v1: cohere.Client) -> None:
    searched = {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}}
    found = [{"index": 1, "relevance_score": 0.9}]
    vendor.answers(json_reply({"id": "r", "results": found, "meta": searched}))
    ranked = cohere_v1.rerank(model="rerank-v3.5", query="q", documents=["a", "b"])
    assert ranked.results[0].index == 1
    assert quantities_of(vendor.entry()) == {"rerank_searches": 1}
    _streams(vendor, b"application/stream+json", replies.cohere_lines())
    seen = list(cohere_v1.chat_stream(model="command-a-03-2025", message="hello"))
    assert seen[-1].event_type == "stream-end"
    entry = vendor.entry()
    assert (quantities_of(entry), entry.streamed) == (BILLED, True)


def test_cohere_shows_why_it_is_refused(vendor: Scripted) -> None:
    vendor.plays(good)
    with (
        cohere.ClientV2("no-key", base_url=vendor.gateway.url) as stranger,
        pytest.raises(cohere.UnauthorizedError, match="not a Tollkeeper key"),
    ):
        stranger.chat(model="command-a-03-2025", messages=HELLO)
    assert vendor.sent == 0


# ---------------------------------------------------------------------------------- Ollama


def _ollama(vendor: Scripted, key: str) -> ollama.Client:
    return ollama.Client(vendor.gateway.url, headers={"authorization": f"Bearer {key}"})


@pytest.fixture(scope="module")
def ollama_sdk(vendor: Scripted) -> Iterator[ollama.Client]:
    with _ollama(vendor, vendor.key) as client:
        yield client


def test_ollama_chats(vendor: Scripted, ollama_sdk: ollama.Client) -> None:
    vendor.answers(json_reply(replies.ollama_end()))
    reply = ollama_sdk.chat("llama3", HELLO)
    assert (reply.prompt_eval_count, reply.eval_count) == (17, 63)
    entry = vendor.entry()
    assert (quantities_of(entry), entry.streamed, entry.wire) == (RAN, False, "ollama")
    assert entry.unpriced_reason == "unknown_model"
    _streams(vendor, b"application/x-ndjson", replies.ollama_stream())
    seen = list(ollama_sdk.chat("llama3", HELLO, stream=True))
    assert [part.done for part in seen] == [False, False, True]
    entry = vendor.entry()
    assert (quantities_of(entry), entry.streamed, entry.outcome) == (RAN, True, "ok")


def test_ollama_generates_embeds_and_lists(vendor: Scripted, ollama_sdk: ollama.Client) -> None:
    vendor.answers(json_reply(json.loads(replies.ollama_generated())))
    assert ollama_sdk.generate("llama3", "hello").response == "Grüße"
    assert quantities_of(vendor.entry()) == RAN
    vendor.answers(json_reply(json.loads(replies.ollama_embedded())))
    assert len(ollama_sdk.embed("all-minilm", ["a", "b"]).embeddings) == 2
    assert quantities_of(vendor.entry()) == {"input": 8, "gpu_ms": 14}
    vendor.answers(json_reply({"models": [{"model": "llama3", "size": 1}]}))
    assert [model.model for model in ollama_sdk.list().models] == ["llama3"]
    assert vendor.entry().basis == "free"


def test_ollama_shows_why_it_is_refused_and_what_broke(
    vendor: Scripted, ollama_sdk: ollama.Client
) -> None:
    vendor.plays(good)
    with (
        _ollama(vendor, "none") as stranger,
        pytest.raises(ollama.ResponseError, match="not a Tollkeeper key") as refused,
    ):
        stranger.chat("llama3", HELLO)
    assert (refused.value.status_code, vendor.sent) == (401, 0)
    cut = replies.lines(replies.ollama_line("Grüße"))
    _streams(vendor, b"application/x-ndjson", cut, end=False)
    with pytest.raises(ollama.ResponseError) as broken:
        list(ollama_sdk.chat("llama3", HELLO, stream=True))
    assert "provider" in broken.value.error
    assert vendor.entry().outcome == "incomplete"


# --------------------------------------------------------------------------------- Mistral


@pytest.fixture(scope="module")
def mistral_sdk(vendor: Scripted) -> Iterator[Mistral]:
    with Mistral(vendor.key, server_url=vendor.gateway.url) as client:
        yield client


@pytest.fixture(scope="module")
def mistral_below(vendor: Scripted) -> Iterator[Mistral]:
    """Gives a client of what only a path with Mistral's name leads to."""
    with Mistral(vendor.key, server_url=f"{vendor.gateway.url}/providers/mistral") as client:
        yield client


def test_mistral_reads_documents(vendor: Scripted, mistral_sdk: Mistral) -> None:
    page = {"index": 0, "markdown": "# Grüße", "images": [], "dimensions": None}
    body = {"pages": [page], "model": "mistral-ocr-2505", "usage_info": replies.PAGES}
    vendor.answers(json_reply(body))
    place = "https://example.com/a.pdf"
    document: Any = {"type": "document_url", "document_url": place}
    reply = mistral_sdk.ocr.process(model="mistral-ocr-2505", document=document)
    assert reply.usage_info.pages_processed == 3
    entry = vendor.entry()
    assert (quantities_of(entry), entry.cost_nanos) == ({"pages": 3}, 3_000_000)


def test_mistral_converses(vendor: Scripted, mistral_below: Mistral) -> None:
    conversations = mistral_below.beta.conversations
    vendor.answers(json_reply(json.loads(replies.conversation())))
    reply = conversations.start(inputs="hi", agent_id="ag_1")
    assert reply.usage.connector_tokens == 5000
    talked = {"input": 100, "input_tool": 5000, "output": 20}
    tools = {"web_searches": 2, "code_executions": 1}
    assert quantities_of(vendor.entry()) == talked | tools
    _streams(vendor, b"text/event-stream", replies.conversation_events())
    with conversations.start_stream(inputs="hi", agent_id="ag_1") as stream:
        seen = [event.event for event in stream]
    assert seen[-1] == "conversation.response.done"
    entry = vendor.entry()
    assert (quantities_of(entry), entry.streamed) == (talked | tools, True)


def test_mistral_hears(vendor: Scripted, mistral_sdk: Mistral) -> None:
    text = {"model": "voxtral-mini-latest", "text": "Grüße", "language": None}
    vendor.answers(json_reply(text | {"usage": replies.HEARD_USAGE}))
    reply = mistral_sdk.audio.transcriptions.complete(
        model="voxtral-mini-latest", file={"content": b"\0" * 4000, "file_name": "a.wav"}
    )
    assert reply.usage.prompt_audio_seconds == 3
    entry = vendor.entry()
    assert quantities_of(entry) == {"audio_ms": 3000}
    assert entry.cost_nanos == 150_000  # three seconds at $0.18 an hour


def test_mistral_shows_why_it_is_refused(vendor: Scripted) -> None:
    vendor.plays(good)
    document: Any = {"type": "document_url", "document_url": "https://example.com/a.pdf"}
    with (
        Mistral("no-key", server_url=vendor.gateway.url) as stranger,
        pytest.raises(SDKError, match="not a Tollkeeper key"),
    ):
        stranger.ocr.process(model="mistral-ocr-2505", document=document)
    assert vendor.sent == 0
