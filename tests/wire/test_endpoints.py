"""Recognising a call by its method and path, and refusing paths that can be read in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.endpoints import Body, body_kind, match


@pytest.mark.parametrize(
    ("path", "name", "upstream"),
    [
        ("/v1/chat/completions", "chat/completions", "/chat/completions"),
        ("/chat/completions", "chat/completions", "/chat/completions"),
        ("/v1/v1/chat/completions", "chat/completions", "/chat/completions"),
        ("/openai/v1/chat/completions", "chat/completions", "/chat/completions"),
        ("/v1beta/openai/chat/completions", "chat/completions", "/chat/completions"),
        ("/v1/responses", "responses", "/responses"),
        ("/openai/v1/responses", "responses", "/responses"),
        ("/v1/responses/compact", "responses/compact", "/responses/compact"),
        ("/v1/completions", "completions", "/completions"),
        ("/v1/embeddings", "embeddings", "/embeddings"),
        ("/v1/images/generations", "images/generations", "/images/generations"),
        ("/v1/images/edits", "images/edits", "/images/edits"),
        ("/v1/images/variations", "images/variations", "/images/variations"),
        ("/v1/audio/transcriptions", "audio/transcriptions", "/audio/transcriptions"),
        ("/v1/audio/translations", "audio/translations", "/audio/translations"),
        ("/v1/audio/speech", "audio/speech", "/audio/speech"),
        ("/v1/moderations", "moderations", "/moderations"),
        ("/v1/batches", "batches", "/batches"),
        ("/v1/files", "files", "/files"),
        ("/v1/messages", "messages", "/messages"),
        ("/messages", "messages", "/messages"),
        ("/v1/v1/messages", "messages", "/messages"),
        ("/anthropic/v1/messages", "messages", "/messages"),
        ("/v1/messages/count_tokens", "messages/count_tokens", "/messages/count_tokens"),
        ("/v1/messages/batches", "messages/batches", "/messages/batches"),
        (
            "/v1/messages/batches/msgbatch_1/cancel",
            "messages/batches",
            "/messages/batches/msgbatch_1/cancel",
        ),
        ("/v1/responses/resp_1/cancel", "responses/stored", "/responses/resp_1/cancel"),
        ("/v1/batches/batch_1/cancel", "batches", "/batches/batch_1/cancel"),
        ("/v1/uploads/upload_1/parts", "uploads", "/uploads/upload_1/parts"),
    ],
)
def test_posts(path: str, name: str, upstream: str) -> None:
    found = match(b"POST", path)
    assert found is not None
    assert (found.endpoint.name, found.upstream_path) == (name, upstream)
    assert found == match("POST", path)
    assert not found.endpoint.local


@pytest.mark.parametrize(
    ("method", "path", "name", "upstream"),
    [
        ("GET", "/v1/responses/resp_1", "responses/stored", "/responses/resp_1"),
        (
            "GET",
            "/v1/responses/resp_1/input_items",
            "responses/stored",
            "/responses/resp_1/input_items",
        ),
        ("DELETE", "/v1/responses/resp_1", "responses/stored", "/responses/resp_1"),
        ("GET", "/v1/files", "files", "/files"),
        ("GET", "/v1/files/file-1/content", "files", "/files/file-1/content"),
        ("DELETE", "/v1/files/file-1", "files", "/files/file-1"),
        ("GET", "/v1/batches", "batches", "/batches"),
        ("GET", "/v1/batches/batch_1", "batches", "/batches/batch_1"),
        ("GET", "/v1/messages/batches", "messages/batches", "/messages/batches"),
        (
            "GET",
            "/v1/messages/batches/b/results",
            "messages/batches",
            "/messages/batches/b/results",
        ),
        ("DELETE", "/anthropic/v1/messages/batches/b", "messages/batches", "/messages/batches/b"),
    ],
)
def test_stored_things_cost_nothing(method: str, path: str, name: str, upstream: str) -> None:
    found = match(method, path)
    assert found is not None
    assert (found.endpoint.name, found.upstream_path) == (name, upstream)
    assert found.endpoint.free


@pytest.mark.parametrize(
    ("path", "upstream", "model", "streamed"),
    [
        (
            "/v1beta/models/gemini-3.8-flash:streamGenerateContent",
            "/v1beta/models/gemini-3.8-flash:streamGenerateContent",
            "gemini-3.8-flash",
            True,
        ),
        (
            "/v1/models/gemini-x:generateContent",
            "/v1/models/gemini-x:generateContent",
            "gemini-x",
            False,
        ),
        (
            "/models/gemini-x:streamGenerateContent",
            "/v1beta/models/gemini-x:streamGenerateContent",
            "gemini-x",
            True,
        ),
        (
            "/google/v1beta/models/gemini-2.5-pro:streamGenerateContent",
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent",
            "gemini-2.5-pro",
            True,
        ),
        (
            "/v1beta/v1beta/models/gemini-x:embedContent",
            "/v1beta/models/gemini-x:embedContent",
            "gemini-x",
            False,
        ),
        (
            "/v1beta/tunedModels/my-model:generateContent",
            "/v1beta/tunedModels/my-model:generateContent",
            "tunedModels/my-model",
            False,
        ),
        (
            "/v1beta/models/lab/qwen3:generateContent",
            "/v1beta/models/lab/qwen3:generateContent",
            "lab/qwen3",
            False,
        ),
        (
            "/v1beta/models/qwen3%3Afree:generateContent",
            "/v1beta/models/qwen3%3Afree:generateContent",
            "qwen3:free",
            False,
        ),
        (
            "/v1beta1/publishers/google/models/gemini-3.8-flash:streamGenerateContent",
            "/v1beta1/publishers/google/models/gemini-3.8-flash:streamGenerateContent",
            "gemini-3.8-flash",
            True,
        ),
        (
            "/v1/projects/p-1/locations/europe-west4/publishers/google/models/g:generateContent",
            "/v1/projects/p-1/locations/europe-west4/publishers/google/models/g:generateContent",
            "g",
            False,
        ),
    ],
)
def test_gemini_calls(path: str, upstream: str, model: str, streamed: bool) -> None:
    found = match(b"POST", path)
    assert found is not None
    assert found.upstream_path == upstream
    assert (found.model, found.streamed, found.provider) == (model, streamed, "")
    assert found.endpoint.dialect is Dialect.GEMINI
    assert found.endpoint.name == path.rpartition(":")[2]


def test_a_path_with_a_publisher_is_vertexs_own() -> None:
    for place in ("", "/projects/p-1/locations/global"):
        found = match("POST", f"/v1{place}/publishers/google/models/g:generateContent")
        assert found is not None
        assert found.kind == "vertex"
    plain = match("POST", "/v1/models/g:generateContent")
    assert plain is not None
    assert plain.kind == ""


def test_counting_tokens_is_free_on_every_wire() -> None:
    for path in ("/v1/messages/count_tokens", "/v1beta/models/g:countTokens"):
        found = match("POST", path)
        assert found is not None
        assert found.endpoint.free


def test_other_publishers_on_vertex_keep_their_path_and_their_own_reader() -> None:
    path = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x:streamRawPredict"
    found = match("POST", path)
    assert found is not None
    assert (found.provider, found.upstream_path, found.model) == ("vertex", path, "claude-x")
    assert found.endpoint.reader == "anthropic_messages"
    assert found.streamed


def test_code_assist_goes_to_its_own_service() -> None:
    called = match("POST", "/v1internal:streamGenerateContent")
    assert called is not None
    assert (called.provider, called.streamed) == ("code-assist", True)
    assert called.upstream_path == "/v1internal:streamGenerateContent"
    assert not called.endpoint.free
    for path in ("/v1internal:loadCodeAssist", "/v1internal:retrieveUserQuota"):
        side = match("POST", path)
        assert side is not None
        assert side.endpoint.free
        assert side.endpoint.body is Body.OPAQUE


def test_azure_deployments_name_the_model() -> None:
    found = match("POST", "/openai/deployments/gpt-4.1-mini/chat/completions")
    assert found is not None
    assert (found.model, found.upstream_path) == ("gpt-4.1-mini", "/chat/completions")
    assert found.query_dropped == ("api-version",)
    assert match("POST", "/openai/deployments/gpt-4.1-mini/extensions/x") is None


@pytest.mark.parametrize("name", ["chat/completions", "embeddings"])
def test_azures_inference_api_has_paths_of_its_own(name: str) -> None:
    found = match("POST", f"/models/{name}")
    assert found is not None
    assert (found.endpoint.name, found.upstream_path) == (name, f"/{name}")
    assert found.query_dropped == ("api-version",)
    passed = match("POST", f"/providers/azure/models/{name}")
    assert passed is not None
    assert (passed.endpoint.name, passed.upstream_path) == (name, f"/models/{name}")
    assert (passed.provider, passed.query_dropped) == ("azure", ())


@pytest.mark.parametrize(
    ("path", "name", "provider", "upstream"),
    [
        ("/providers/openai/v1/chat/completions", "chat/completions", "openai", None),
        ("/providers/groq/openai/v1/chat/completions", "chat/completions", "groq", None),
        ("/providers/anthropic/v1/messages", "messages", "anthropic", None),
        ("/providers/google/v1beta/models/g:generateContent", "generateContent", "google", None),
        ("/providers/cohere/v2/datasets", "passthrough", "cohere", None),
        ("/providers/lab/anything/at/all", "passthrough", "lab", None),
        ("/coding/v1/chat/completions", "chat/completions", "kimi-code", "same"),
        ("/coding/v1/messages", "messages", "kimi-code", "same"),
        ("/coding/v1/usages", "passthrough", "kimi-code", "same"),
        ("/backend-api/codex/responses", "responses", "chatgpt", "same"),
        ("/backend-api/wham/accounts/check", "chatgpt", "chatgpt", "same"),
    ],
)
def test_paths_that_name_their_provider_are_passed_on_whole(
    path: str, name: str, provider: str, upstream: str | None
) -> None:
    found = match("POST", path)
    assert found is not None
    assert (found.endpoint.name, found.provider) == (name, provider)
    expected = path if upstream else path.removeprefix(f"/providers/{provider}")
    assert found.upstream_path == expected


def test_a_passed_on_listing_is_not_answered_here() -> None:
    found = match("GET", "/providers/openai/v1/models")
    assert found is not None
    assert found.endpoint.name == "models"
    assert not found.endpoint.local
    assert found.endpoint.free


def test_an_unknown_passed_on_call_is_refused_in_its_providers_words() -> None:
    found = match("POST", "/providers/google/v1beta/corpora")
    assert found is not None
    assert found.endpoint.dialect is Dialect.GEMINI
    assert found.endpoint.body is Body.OPAQUE
    assert not found.endpoint.free


@pytest.mark.parametrize(
    ("method", "path", "dialect", "model"),
    [
        ("GET", "/v1/models", Dialect.OPENAI, ""),
        ("GET", "/openai/v1/models", Dialect.OPENAI, ""),
        ("GET", "/v1/models/gpt-5", Dialect.OPENAI, "gpt-5"),
        ("GET", "/v1/models/openai/gpt-5", Dialect.OPENAI, "openai/gpt-5"),
        ("GET", "/anthropic/v1/models/claude-x", Dialect.ANTHROPIC, "claude-x"),
        ("GET", "/v1beta/models", Dialect.GEMINI, ""),
        ("GET", "/v1beta/models/gemini-x", Dialect.GEMINI, "gemini-x"),
    ],
)
def test_listings_are_answered_here(method: str, path: str, dialect: Dialect, model: str) -> None:
    found = match(method, path)
    assert found is not None
    assert found.endpoint.local
    assert found.endpoint.free
    assert (found.endpoint.dialect, found.model) == (dialect, model)


def test_claude_codes_greeting_is_answered_here() -> None:
    found = match(b"HEAD", "/api/hello")
    assert found is not None
    assert found.endpoint.local


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/openai/v1/responses"])
def test_a_websocket_is_recognised(path: str) -> None:
    found = match("GET", path)
    assert found is not None
    assert found.endpoint.name == "responses/websocket"
    assert found.endpoint.local


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/models"),
        ("GET", "/files"),
        ("GET", "/static/app.js"),
        ("GET", "/api/v1/usage"),
        ("POST", "/login"),
        ("GET", "/v1/chat/completions"),
        ("PUT", "/v1/messages"),
        ("DELETE", "/v1/models/gpt-5"),
        ("POST", "/v1/fine_tuning/jobs"),
        ("POST", "/v3/chat"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/V1/chat/completions"),
        ("POST", "/v1beta/models/g:batchDelete"),
        ("BREW", "/v1/messages"),
        ("POST", "/providers/openai"),
        ("POST", "/v1internalx"),
    ],
)
def test_everything_else_is_not_a_call(method: str, path: str) -> None:
    assert match(method, path) is None
    assert match(method.encode(), path) is None


TRICKS = (
    "/..",
    "/../",
    "/./x",
    "/%2e%2e/x",
    "/%2E%2E/x",
    "/.%2e/x",
    "/%252e%252e/x",
    "//x",
    "/x//",
    "/\\x",
    "/%5cx",
    "/;x=1",
    "/x;y",
    "/%00",
    "/x%0d%0aHost:y",
    "/x%2fy",
    "/x%2Fy",
    "/x?y",
    "/x#y",
    "/x%3fy",
    "/x%23y",
    "/%",
    "/%g1",
    "/%u002e",
    "/\u00e9",
    "/x y",
    "/x\ty",
    "/\x00",
    "/\uff0e\uff0e/x",
)


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize(
    "start", ["/providers/openai", "/providers/openai/v1", "/coding", "/backend-api", "/v1"]
)
def test_ambiguous_paths_are_refused(start: str, trick: str) -> None:
    with pytest.raises(BadRequest) as caught:
        match("POST", start + trick)
    assert caught.value.code == "path_ambiguous"


@pytest.mark.parametrize(
    "named",
    [
        "..",
        "a/../b",
        "a%2Fb",
        "a%2fb",
        "%2e%2e",
        "a%00b",
        "a?b",
        "a#b",
        "a\\b",
        "a//b",
        "a%25b",
        "a%0ab",
        "a%e9",
        "%20a",
        "a%20",
        "a%e2%80%8bb",
        "a%e2%80%aeb",
        "a" * 300,
    ],
)
def test_model_ids_in_paths_hide_nothing(named: str) -> None:
    for path in (
        f"/v1beta/models/{named}:generateContent",
        f"/v1/projects/p/locations/l/publishers/google/models/{named}:generateContent",
        f"/openai/deployments/{named}/chat/completions",
    ):
        try:
            found = match("POST", path)
        except BadRequest:
            continue
        assert found is None, path


@given(st.text(max_size=40))
def test_a_passed_on_path_never_leaves_its_root(tail: str) -> None:
    try:
        found = match("POST", f"/providers/lab/{tail}")
    except BadRequest:
        return
    if found is not None:
        assert found.upstream_path == f"/{tail}"
        assert found.upstream_path.isascii()
        assert ".." not in found.upstream_path.split("/")


def test_a_form_may_be_json_where_the_api_takes_both() -> None:
    edits = match("POST", "/v1/images/edits")
    chat = match("POST", "/v1/chat/completions")
    assert edits is not None
    assert chat is not None
    assert body_kind(edits.endpoint, b"application/json") is Body.JSON
    assert body_kind(edits.endpoint, b"multipart/form-data; boundary=x") is Body.MULTIPART
    assert body_kind(chat.endpoint, b"text/plain") is Body.JSON
