"""Calls in the own languages of the smaller families, through a running gateway.

One script plays all providers: what reaches it is compared, and what the ledger says of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import native_replies as replies
from booked import quantities_of
from raw_http import Answer, RawConnection, request
from rough_upstream import RoughUpstream, json_reply
from running import deployment
from scripted_provider import CHAT, LAST_CHUNK, Scripted, chunk, good

NAMES = ("cohere", "mistral", "voyage", "jina", "together", "writer", "databricks", "watsonx")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with RoughUpstream(good) as rough:
        providers: dict[str, Any] = {
            name: {"api_key": f"canary-{name}-native-1", "base_url": rough.url} for name in NAMES
        }
        prices = {"input": "1", "output": "2"}
        providers["ollama"] = {"base_url": rough.url, "prices": prices}
        configuration = {
            "providers": providers,
            "models": {"house": "ollama/llama3", "granite": "watsonx/ibm/granite-3-8b"},
        }
        folder = tmp_path_factory.mktemp("native")
        with deployment(folder, rough.url, configuration) as gateway:
            yield Scripted(gateway, rough)


def _ask(provider: Scripted, path: str, body: Any, method: str = "POST") -> Answer:
    headers = {"authorization": f"Bearer {provider.key}"}
    with RawConnection(provider.port) as connection:
        connection.send(request(path, body, headers, method=method))
        return connection.answer()


class Call(NamedTuple):
    """A call, the provider's reply, where it must arrive, and how it must be booked."""

    path: str
    body: dict[str, Any]
    reply: bytes
    target: str
    provider: str
    booked: tuple[str, str, dict[str, int]]


MODEL = {"model": "command-r-08-2024"}
RERANK = {"query": "q", "documents": ["a", "b"]}
COHERE_SEARCH = replies.reranked(meta={"billed_units": {"search_units": 1}})
TOKENS = replies.reranked(usage={"total_tokens": 43})
BILLED = {"input": 62, "output": 35}
CHATTED = {"input": 20, "output": 10}
TALKED = {"input": 100, "input_tool": 5000, "output": 20, "web_searches": 2, "code_executions": 1}
_ROWS: dict[str, tuple[Any, ...]] = {
    "cohere chat": (
        *("/v2/chat", MODEL | {"messages": []}, replies.compact(replies.cohere_chat())),
        *("/v2/chat", "cohere", ("cohere", "chat", BILLED)),
    ),
    "cohere chat of the first version": (
        *("/v1/chat", {"message": "hi"} | MODEL),
        replies.compact({"response_id": "r", "text": "x", "meta": replies.COHERE_META}),
        *("/v1/chat", "cohere", ("cohere", "chat", BILLED)),
    ),
    "cohere embed": (
        *("/v2/embed", {"model": "embed-v4.0", "texts": ["a"]}),
        replies.compact({"id": "e", "meta": {"billed_units": {"input_tokens": 7}}}),
        *("/v2/embed", "cohere", ("cohere", "embed", {"input": 7})),
    ),
    "cohere rerank": (
        *("/v2/rerank", RERANK | {"model": "rerank-v3.5"}, COHERE_SEARCH),
        *("/v2/rerank", "cohere", ("cohere", "rerank", {"rerank_searches": 1})),
    ),
    "cohere rerank where others have it": (
        *("/v1/rerank", RERANK | {"model": "cohere/rerank-v3.5"}, COHERE_SEARCH),
        *("/v1/rerank", "cohere", ("cohere", "rerank", {"rerank_searches": 1})),
    ),
    "voyage rerank": (
        *("/v1/rerank", RERANK | {"model": "voyage/rerank-2"}, TOKENS),
        *("/v1/rerank", "voyage", ("openai", "rerank", {"input": 43})),
    ),
    "jina rerank": (
        *("/v1/rerank", RERANK | {"model": "jina/jina-reranker-v3"}, TOKENS),
        *("/v1/rerank", "jina", ("openai", "rerank", {"input": 43})),
    ),
    "together rerank": (
        *("/v1/rerank", RERANK | {"model": "together/Salesforce/Llama-Rank-V1"}, TOKENS),
        *("/v1/rerank", "together", ("openai", "rerank", {"input": 43})),
    ),
    "voyage embeddings": (
        *("/v1/embeddings", {"model": "voyage-3.5", "input": "a"}),
        replies.compact({"model": "voyage-3.5", "data": [], "usage": {"total_tokens": 3}}),
        *("/v1/embeddings", "voyage", ("openai", "embeddings", {"input": 3})),
    ),
    "voyage pictures": (
        *("/v1/multimodalembeddings", {"model": "voyage-multimodal-3", "inputs": []}),
        *(replies.multimodal(), "/v1/multimodalembeddings", "voyage"),
        ("openai", "multimodalembeddings", {"input": 5, "image_pixels": 2_000_000}),
    ),
    "mistral document": (
        *("/v1/ocr", {"model": "mistral-ocr-2505", "document": {}}, replies.document()),
        *("/v1/ocr", "mistral", ("openai", "ocr", {"pages": 3})),
    ),
    "mistral agent, which names no model": (
        *("/v1/agents/completions", {"agent_id": "ag_1", "messages": []}, replies.compact(CHAT)),
        *("/v1/agents/completions", "mistral", ("openai", "agents/completions", CHATTED)),
    ),
    "mistral conversation": (
        *("/v1/conversations", {"model": "mistral-medium-latest", "inputs": "hi"}),
        *(replies.conversation(), "/v1/conversations", "mistral"),
        (
            *("openai", "conversations"),
            TALKED,
        ),
    ),
    "mistral conversation of an agent": (
        *("/providers/mistral/v1/conversations/conv_1", {"inputs": "and?"}),
        *(replies.conversation(usage=CHAT["usage"]), "/v1/conversations/conv_1", "mistral"),
        ("openai", "conversations", CHATTED),
    ),
    "ollama chat": (
        *("/api/chat", {"model": "gemma3:1b", "stream": False}),
        *(replies.compact(replies.ollama_end(model="gemma3:1b")), "/api/chat", "ollama"),
        ("ollama", "chat", {"input": 17, "output": 63, "gpu_ms": 3723}),
    ),
    "ollama chat by an alias": (
        *("/api/chat", {"model": "house", "stream": False}),
        *(replies.compact(replies.ollama_end()), "/api/chat", "ollama"),
        ("ollama", "chat", {"input": 17, "output": 63, "gpu_ms": 3723}),
    ),
    "ollama with a model that somebody else owns": (
        *("/api/generate", {"model": "mistral-small:24b", "stream": False}),
        *(replies.ollama_generated(), "/api/generate", "ollama"),
        ("ollama", "generate", {"input": 17, "output": 63, "gpu_ms": 3723}),
    ),
    "ollama embed": (
        *("/api/embed", {"model": "all-minilm", "input": "a"}),
        *(replies.ollama_embedded(), "/api/embed", "ollama"),
        ("ollama", "embed", {"input": 8, "gpu_ms": 14}),
    ),
    "watsonx": (
        *("/ml/v1/text/generation?version=2024-02-15", {"model_id": "ibm/granite-3-8b"}),
        *(replies.watsonx(), "/ml/v1/text/generation?version=2024-02-15", "watsonx"),
        ("watsonx", "text/generation", {"input": 7, "output": 2}),
    ),
    "watsonx by an alias": (
        *("/ml/v1/text/chat?version=1", {"model_id": "granite", "messages": []}),
        *(replies.compact(CHAT), "/ml/v1/text/chat?version=1", "watsonx"),
        ("watsonx", "text/chat", CHATTED),
    ),
    "writer": (
        *("/v1/chat/completions", {"model": "writer/palmyra-x5", "messages": []}),
        *(replies.compact(CHAT), "/v1/chat", "writer"),
        ("openai", "chat/completions", CHATTED),
    ),
    "databricks": (
        *("/providers/databricks/serving-endpoints/chat/completions", MODEL | {"messages": []}),
        *(replies.compact(CHAT), "/serving-endpoints/chat/completions", "databricks"),
        ("openai", "chat/completions", CHATTED),
    ),
}
CALLS = {name: Call(*row) for name, row in _ROWS.items()}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_arrives_and_is_booked(provider: Scripted, name: str) -> None:
    call = CALLS[name]
    provider.answers(json_reply(json.loads(call.reply)))
    answer = _ask(provider, call.path, call.body)
    assert answer.status == 200, answer.body
    assert json.loads(answer.body) == json.loads(call.reply)
    (sent,) = provider.rough.requests
    assert sent.startswith(f"POST {call.target} HTTP/1.1\r\n".encode()), sent[:200]
    if call.provider == "ollama":
        assert b"authorization" not in sent.lower()
    else:
        assert f"\r\nauthorization: Bearer canary-{call.provider}-native-1\r\n".encode() in sent
    entry = provider.entry()
    wire, endpoint, quantities = call.booked
    assert (entry.provider, entry.wire, entry.endpoint) == (call.provider, wire, endpoint)
    assert quantities_of(entry) == quantities
    assert (entry.outcome, entry.streamed) == ("ok", False)
    assert entry.model_requested == (call.body.get("model") or call.body.get("model_id") or "")
    if call.provider == "ollama":  # prices of the operator: the machine's time is not billed
        bill = quantities.get("input", 0) * 1000 + quantities.get("output", 0) * 2000
        assert entry.cost_nanos == bill


def test_an_aliased_model_is_asked_for_by_its_own_name(provider: Scripted) -> None:
    for name, sent in (("ollama chat by an alias", "llama3"), ("watsonx by an alias", None)):
        call = CALLS[name]
        provider.answers(json_reply(json.loads(call.reply)))
        _ask(provider, call.path, call.body)
        provider.entry()
        body = json.loads(provider.rough.requests[0].partition(b"\r\n\r\n")[2])
        assert body["model" if sent else "model_id"] == (sent or "ibm/granite-3-8b")


# --------------------------------------------------------------------------------- streams

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
STREAMS = {
    "ollama": (
        *("/api/chat", {"model": "llama3"}, b"application/x-ndjson", replies.ollama_stream()),
        {"input": 17, "output": 63, "gpu_ms": 3723},
    ),
    "cohere": (
        *("/v2/chat", MODEL | {"stream": True}, b"text/event-stream", replies.cohere_events()),
        BILLED,
    ),
    "cohere, first version": (
        *("/v1/chat", MODEL | {"stream": True, "message": "hi"}),
        *(b"application/stream+json", replies.cohere_lines(), BILLED),
    ),
    "watsonx": (
        *("/ml/v1/text/generation_stream?version=1", {"model_id": "ibm/granite-3-8b"}),
        *(b"text/event-stream", replies.watsonx_events(), {"input": 8, "output": 3}),
    ),
    "mistral": (
        *("/providers/mistral/v1/conversations", {"agent_id": "ag_1", "stream": True}),
        *(b"text/event-stream", replies.conversation_events()),
        TALKED,
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_passed_on_and_booked(provider: Scripted, name: str) -> None:
    path, body, kind, stream, quantities = STREAMS[name]
    parts = [chunk(stream[:40]), chunk(stream[40:41]), chunk(stream[41:])]
    provider.answers(HEAD % kind, *parts, LAST_CHUNK, gap_s=0.01)
    answer = _ask(provider, path, body)
    assert (answer.status, answer.body, answer.ended) == (200, stream, True)
    entry = provider.entry()
    assert quantities_of(entry) == quantities
    assert (entry.outcome, entry.streamed) == ("ok", True)


CUT = {
    "ollama": (
        *("/api/chat", {"model": "llama3"}, b"application/x-ndjson"),
        replies.lines(replies.ollama_line("Grüße, Welt")),
    ),
    "cohere": (
        *("/v2/chat", MODEL | {"stream": True}, b"text/event-stream"),
        replies.cohere_events(end=None).removesuffix(b"data: [DONE]\n\n"),
    ),
    "watsonx": (
        *("/ml/v1/text/generation_stream", {"model_id": "ibm/granite-3-8b"}),
        *(b"text/event-stream", replies.watsonx_events(end=False)),
    ),
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("within", [False, True])
def test_a_stream_that_breaks_off_says_so_in_its_own_words(
    provider: Scripted, name: str, within: bool
) -> None:
    path, body, kind, stream = CUT[name]
    shown = stream + b'{"mo' if within else stream
    provider.answers(HEAD % kind, chunk(shown), gap_s=0.05, close=True)
    answer = _ask(provider, path, body)
    assert answer.body.startswith(shown)
    said = answer.body[len(shown) :].decode()
    end = "\n" if kind.endswith(b"ndjson") else "\n\n"
    assert said.startswith(end) == within
    (text,) = [line for line in said.splitlines() if '"code"' in line]
    error = json.loads(text.removeprefix("data: "))
    assert error.keys() & {"error", "message", "errors"}
    assert said.endswith(end)
    entry = provider.entry()
    assert (entry.outcome, entry.basis) in {
        ("incomplete", "estimated"),
        ("incomplete", "unpriced"),  # where there is no price
    }
    assert quantities_of(entry)["output"] > 0


# -------------------------------------------------------------------------------- the rest


def test_what_is_asked_of_ollama_beside_models_is_free(provider: Scripted) -> None:
    for method, path, body in (
        ("GET", "/api/tags", b""),
        ("GET", "/api/version", b""),
        ("POST", "/api/show", {"model": "llama3"}),
    ):
        provider.answers(json_reply({"models": []}))
        assert _ask(provider, path, body, method).status == 200
        entry = provider.entry()
        assert (entry.provider, entry.basis, entry.cost_nanos) == ("ollama", "free", 0)


def test_a_caller_without_a_key_is_told_in_each_ones_words(provider: Scripted) -> None:
    for path, field in (("/api/chat", "error"), ("/v2/chat", "message"), ("/v1/rerank", "detail")):
        with RawConnection(provider.port) as connection:
            answer = connection.send(request(path, {"model": "x"})).answer()
        assert answer.status == 401
        assert "no Tollkeeper key" in json.loads(answer.body)[field]


def test_a_model_that_is_somewhere_else_by_name_stays_there(provider: Scripted) -> None:
    provider.plays(good)
    answer = _ask(provider, "/api/chat", {"model": "voyage/voyage-3"})
    assert answer.status == 400
    assert "has no ollama endpoint" in json.loads(answer.body)["error"]
    assert provider.entry().error_code == "dialect_not_spoken"
    assert provider.sent == 0


def test_a_cached_prompt_of_ollama_has_no_price(provider: Scripted) -> None:
    reply = replies.ollama_end()
    del reply["prompt_eval_count"]
    provider.answers(json_reply(reply))
    _ask(provider, "/api/chat", {"model": "llama3", "stream": False})
    entry = provider.entry()
    assert (entry.basis, entry.cost_nanos) == ("unpriced", None)
    assert entry.unpriced_reason == "inconsistent_usage:missing_count"
    assert quantities_of(entry) == {"output": 63, "gpu_ms": 3723}


def test_moderations_of_mistral_are_billed_and_estimated(provider: Scripted) -> None:
    provider.answers(json_reply({"id": "m", "results": []}))
    body = {"model": "mistral-moderation-latest", "input": "Is this sentence harmless? " * 20}
    assert _ask(provider, "/v1/moderations", body).status == 200
    entry = provider.entry()
    assert entry.provider == "mistral"
    assert entry.basis in {"estimated", "unpriced"}
    assert quantities_of(entry)["input"] > 80


def test_a_vendor_that_is_not_there_is_missed_in_its_own_words(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with RoughUpstream(good) as rough:
        folder = tmp_path_factory.mktemp("bare")
        providers = {"openai": {"api_key": "canary-openai-bare-1", "base_url": f"{rough.url}/v1"}}
        with deployment(folder, rough.url, {"providers": providers}) as gateway:
            bare = Scripted(gateway, rough)
            answer = _ask(bare, "/v2/chat", {"model": "aya", "messages": []})
            assert answer.status == 404
            assert "no configured provider serves model 'aya'" in json.loads(answer.body)["message"]
            answer = _ask(bare, "/api/tags", b"", "GET")
            assert (answer.status, bare.sent) == (404, 0)
            assert json.loads(answer.body)["error"] == "no configured provider speaks ollama"
