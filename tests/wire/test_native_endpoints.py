"""Paths of the smaller families: whose they are, and what they are at which provider."""

from __future__ import annotations

import pytest

from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.controls import read_controls
from tollkeeper.wire.endpoints import CHAT, Match, match
from tollkeeper.wire.native_endpoints import at_kind
from tollkeeper.wire.rewrite import with_model

OPENAI, COHERE, OLLAMA, WATSONX = (
    Dialect.OPENAI,
    Dialect.COHERE,
    Dialect.OLLAMA,
    Dialect.WATSONX,
)


def _match(method: str, path: str) -> Match:
    found = match(method, path)
    assert found is not None, path
    return found


@pytest.mark.parametrize(
    ("path", "dialect", "name", "reader", "kind"),
    [
        ("/v1/chat", COHERE, "chat", "cohere_chat", "cohere"),
        ("/v2/chat", COHERE, "chat", "cohere_chat", "cohere"),
        ("/v1/generate", COHERE, "generate", "cohere_chat", "cohere"),
        ("/v2/embed", COHERE, "embed", "cohere_embed", "cohere"),
        ("/v2/rerank", COHERE, "rerank", "rerank", "cohere"),
        ("/v1/classify", COHERE, "classify", "rerank", "cohere"),
        ("/api/chat", OLLAMA, "chat", "ollama_chat", "ollama"),
        ("/api/generate", OLLAMA, "generate", "ollama_chat", "ollama"),
        ("/api/embed", OLLAMA, "embed", "ollama_embed", "ollama"),
        ("/api/embeddings", OLLAMA, "embed", "ollama_embed", "ollama"),
        ("/v1/ocr", OPENAI, "ocr", "mistral_ocr", "mistral"),
        ("/v1/agents/completions", OPENAI, "agents/completions", "openai_chat", "mistral"),
        ("/v1/multimodalembeddings", OPENAI, "multimodalembeddings", "voyage_multimodal", "voyage"),
        ("/ml/v1/text/generation", WATSONX, "text/generation", "watsonx_text", "watsonx"),
        ("/ml/v1/text/chat", WATSONX, "text/chat", "openai_chat", "watsonx"),
        ("/ml/v1/deployments/d-1/text/chat", WATSONX, "text/chat", "openai_chat", "watsonx"),
        ("/ml/v1-beta/generation/text", WATSONX, "text/generation", "watsonx_text", "watsonx"),
    ],
)
def test_a_path_that_one_vendor_has(
    path: str, dialect: Dialect, name: str, reader: str, kind: str
) -> None:
    found = _match("POST", path)
    endpoint = found.endpoint
    assert (endpoint.dialect, endpoint.name, endpoint.reader) == (dialect, name, reader)
    upstream = path.removeprefix("/v1") if dialect is OPENAI else path
    assert (found.kind, found.upstream_path, found.streamed) == (kind, upstream, False)
    assert not endpoint.free
    below = _match("POST", f"/providers/mine{path}")
    assert (below.endpoint, below.upstream_path, below.provider) == (endpoint, path, "mine")


@pytest.mark.parametrize(
    "path",
    [
        "/ml/v1/text/generation_stream",
        "/ml/v1/text/chat_stream",
        "/ml/v1/deployments/d-1/text/generation_stream",
        "/ml/v1-beta/generation/text_stream",
    ],
)
def test_watsonx_streams_where_the_path_says_so(path: str) -> None:
    found = _match("POST", path)
    assert found.streamed
    assert found.endpoint.name in {"text/generation", "text/chat"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", f"/api/{name}") for name in ("tags", "ps", "version")),
        ("POST", "/api/show"),
        ("POST", "/v1/tokenize"),
        ("POST", "/v1/detokenize"),
        ("POST", "/ml/v1/text/tokenization"),
    ],
)
def test_calls_that_cost_nothing(method: str, path: str) -> None:
    assert _match(method, path).endpoint.free


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/chat"),
        ("POST", "/api/pull"),
        ("DELETE", "/api/delete"),
        ("GET", "/api/v1/calls"),
        ("POST", "/ml/v1/text/what"),
        ("GET", "/ml/v1/text/chat"),
        ("POST", "/ml/v1/text/generation_strea"),
        ("POST", "/v3/chat"),
    ],
)
def test_what_is_no_call(method: str, path: str) -> None:
    assert match(method, path) is None


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v1/v1/rerank"])
def test_a_rerank_goes_where_its_model_is(path: str) -> None:
    found = _match("POST", path)
    assert (found.endpoint.dialect, found.upstream_path, found.kind) == (OPENAI, "/rerank", "")
    assert at_kind("voyage", found) == found
    there = at_kind("cohere", found)
    assert (there.endpoint.dialect, there.upstream_path) == (COHERE, "/v1/rerank")
    own = _match("POST", "/v2/rerank")
    assert at_kind("cohere", own) == own
    below = _match("POST", f"/providers/cohere{path}")
    assert at_kind("cohere", below).upstream_path == path


def test_moderations_and_conversations_are_free_but_at_mistral() -> None:
    for path in ("/v1/moderations", "/v1/conversations"):
        found = _match("POST", path)
        assert found.endpoint.free
        assert at_kind("openai", found) == found
        assert not at_kind("mistral", found).endpoint.free
    on = _match("POST", "/v1/conversations/conv_1")
    assert on.upstream_path == "/conversations/conv_1"
    assert at_kind("mistral", on).endpoint.reader == "mistral_conversations"
    again = _match("POST", "/providers/mistral/v1/conversations/conv_1/restart")
    assert at_kind("mistral", again).endpoint.reader == "mistral_conversations"


def test_writer_has_openais_chat_under_a_shorter_path() -> None:
    for path in ("/v1/chat/completions", "/v1/chat"):
        there = at_kind("writer", _match("POST", path))
        assert (there.endpoint.reader, there.upstream_path) == ("openai_chat", "/chat")
    below = at_kind("writer", _match("POST", "/providers/writer/v1/chat"))
    assert (below.endpoint.reader, below.upstream_path) == ("openai_chat", "/v1/chat")
    assert at_kind("openai", _match("POST", "/v1/chat/completions")).endpoint is CHAT


@pytest.mark.parametrize(
    ("path", "reader"),
    [
        ("/providers/databricks/serving-endpoints/chat/completions", "openai_chat"),
        ("/providers/databricks/serving-endpoints/gpt-oss/invocations", "openai_chat"),
        ("/providers/snowflake/api/v2/cortex/v1/chat/completions", "openai_chat"),
        ("/providers/snowflake/api/v2/cortex/inference:complete", "openai_chat"),
        ("/providers/hf/together/v1/chat/completions", "openai_chat"),
        ("/providers/hf/hf-inference/models/x/v1/embeddings", "openai_embeddings"),
        ("/providers/cf/client/v4/accounts/a1/ai/v1/chat/completions", "openai_chat"),
        ("/providers/gw/router/v2/anthropic/v1/messages", "anthropic_messages"),
        ("/providers/gw/router/v2/google/v1beta/models/g-2:generateContent", "gemini"),
        ("/providers/portkey/v1/prompts/p-1/completions", "openai_completions"),
        ("/providers/azure/providers/mistral/azure/ocr", "mistral_ocr"),
        ("/providers/lab/deep/v1/rerank", "rerank"),
    ],
)
def test_a_call_below_a_providers_own_path_is_metered(path: str, reader: str) -> None:
    found = _match("POST", path)
    assert found.endpoint.reader == reader
    assert found.upstream_path == "/" + path.split("/", 3)[3]


@pytest.mark.parametrize(
    "path",
    [
        "/providers/lab/v1/assistants/a/chat",
        "/providers/lab/things/completions/7",
        "/providers/lab/x/files",
        "/providers/lab/x/conversations",
        "/providers/lab/x/moderations",
    ],
)
def test_what_only_looks_like_a_call_is_passed_on(path: str) -> None:
    assert _match("POST", path).endpoint.reader == "none"


# ---------------------------------------------------------------------------- the request


def test_ollama_streams_unless_it_is_told_not_to() -> None:
    chat = _match("POST", "/api/chat").endpoint
    assert read_controls(b'{"model":"llama3"}', chat).stream
    assert read_controls(b'{"model":"llama3","stream":null}', chat).stream
    assert not read_controls(b'{"model":"llama3","stream":false}', chat).stream
    embed = _match("POST", "/api/embed").endpoint
    assert not read_controls(b'{"model":"all-minilm"}', embed).stream
    assert not read_controls(b'{"model":"m"}', _match("POST", "/v2/chat").endpoint).stream


def test_watsonx_names_its_model_otherwise() -> None:
    text = _match("POST", "/ml/v1/text/generation").endpoint
    assert read_controls(b'{"model_id":"ibm/granite","input":"x"}', text).model == "ibm/granite"
    assert read_controls(b'{"input":"x"}', text).model == ""
    for body in (b'{"model":"a","model_id":"b"}', b'{"Model_ID":"a"}', b'{"modelId":"a"}'):
        with pytest.raises(BadRequest, match="model"):
            read_controls(body, text)
    assert with_model(b'{"model_id":"a","x":1}', "b", "model_id") == b'{"model_id":"b","x":1}'
    assert with_model(b"{}", "b", "model_id") == b'{"model_id":"b"}'
