"""Where a path leads: to one place of one provider, to an answer of our own, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from protocols import ALL, ANTHROPIC, GEMINI, OPENAI, RESPONSES, Protocol
from raw_http import Answer, RawConnection, ask, get, request
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import deployment, usual_configuration
from watched import Watched

OURS = "/v1/projects/ours/locations/europe-west1/publishers/google"


@pytest.fixture(scope="module")
def module_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with RoughUpstream(_short_reply) as rough:
        configuration = usual_configuration(rough.url)
        for name, kind, place in (("openai", "openai", "/v1"), ("lab", "openai", "/deep/v1")):
            configuration["providers"][name] |= {"kind": kind, "base_url": rough.url + place}
        configuration["providers"]["anthropic"]["base_url"] = f"{rough.url}/anthropic-root"
        configuration["providers"]["vertex"] = {
            "api_key": "canary-vertex-paths-1",
            "base_url": f"{rough.url}{OURS}",
        }
        configuration["providers"]["cohere"] = {
            "api_key": "canary-cohere-paths-1",
            "base_url": f"{rough.url}/cohere-root",
        }
        configuration["models"]["gemini-*"] = ["google", "vertex"]
        with deployment(tmp_path_factory.mktemp("paths"), rough.url, configuration) as made:
            yield Watched(made, rough)


def _short_reply(conversation: Conversation) -> None:
    conversation.answer(json_reply({"id": "r"}))


def _ask(
    watched: Watched, path: str, body: Any = b"", *, method: str = "POST", key: str | None = None
) -> Answer:
    headers = {"authorization": f"Bearer {key or watched.key}"}
    with RawConnection(watched.port) as connection:
        connection.send(request(path, body, headers, method=method))
        return connection.answer(head_only=method == "HEAD")


def _target(sent: bytes) -> str:
    method, target, _ = sent.partition(b"\r\n")[0].decode().split(" ")
    return target if method == "POST" else f"{method} {target}"


CHAT, MESSAGES, INPUT, CONTENTS = (
    dict(protocol.body) for protocol in (OPENAI, ANTHROPIC, RESPONSES, GEMINI)
)
PLACES: dict[str, tuple[str, Any, str]] = {
    "chat": ("/v1/chat/completions", CHAT, "/v1/chat/completions"),
    "chat without a version": ("/chat/completions", CHAT, "/v1/chat/completions"),
    "chat with two versions": ("/v1/v1/chat/completions", CHAT, "/v1/chat/completions"),
    "chat under the vendor's name": ("/openai/v1/chat/completions", CHAT, "/v1/chat/completions"),
    "chat with a query": ("/v1/chat/completions?a=1&b=%20", CHAT, "/v1/chat/completions?a=1&b=%20"),
    "messages": ("/v1/messages", MESSAGES, "/anthropic-root/v1/messages"),
    "messages with a query": (
        *("/v1/messages?beta=true", MESSAGES),
        "/anthropic-root/v1/messages?beta=true",
    ),
    "messages under the vendor's name": (
        *("/anthropic/v1/messages", MESSAGES),
        "/anthropic-root/v1/messages",
    ),
    "counting tokens": (
        *("/v1/messages/count_tokens", MESSAGES),
        "/anthropic-root/v1/messages/count_tokens",
    ),
    "responses": ("/v1/responses", INPUT, "/v1/responses"),
    "a stored response": ("GET /v1/responses/resp_1", b"", "GET /v1/responses/resp_1"),
    "Gemini on v1beta": (
        *("/v1beta/models/gemini-2.5-flash:generateContent", CONTENTS),
        "/v1beta/models/gemini-2.5-flash:generateContent",
    ),
    "Gemini on v1": (
        *("/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse", CONTENTS),
        "/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    ),
    "Gemini without a version": (
        *("/models/gemini-2.5-flash:generateContent", CONTENTS),
        "/v1beta/models/gemini-2.5-flash:generateContent",
    ),
    "counting at Gemini": (
        *("/v1beta/models/gemini-2.5-flash:countTokens", CONTENTS),
        "/v1beta/models/gemini-2.5-flash:countTokens",
    ),
    "Vertex": (
        *("/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent", CONTENTS),
        f"{OURS}/models/gemini-2.5-flash:generateContent",
    ),
    "Vertex with a project of the caller's choice": (
        "/v1/projects/p-1/locations/us-east1/publishers/google/models/"
        "gemini-2.5-flash:generateContent",
        CONTENTS,
        f"{OURS}/models/gemini-2.5-flash:generateContent",
    ),
    "a model of one's own server": (
        *("/v1/chat/completions", CHAT | {"model": "lab/qwen3"}),
        "/deep/v1/chat/completions",
    ),
    "through to a provider": (
        *("/providers/openai/v1/chat/completions", CHAT),
        "/v1/chat/completions",
    ),
    "through to a provider below a folder": (
        *("/providers/anthropic/v1/messages", MESSAGES),
        "/anthropic-root/v1/messages",
    ),
    "through to what nobody knows": (
        *("/providers/cohere/v2/chat?x=%2B", {"model": "command-r"}),
        "/cohere-root/v2/chat?x=%2B",
    ),
    "through with another method": (
        "PUT /providers/lab/v1/things/7",
        b"{}",
        "PUT /deep/v1/things/7",
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_path_leads_to_one_place(watched: Watched, name: str) -> None:
    path, body, expected = PLACES[name]
    method, _, rest = path.rpartition(" ")
    answer = _ask(watched, rest, body, method=method or "POST")
    assert answer.status == 200, answer
    assert _target(watched.one()) == expected
    if body:
        ask(watched.port, request(f"/k/{watched.key}{rest}", body, method=method or "POST"))
        assert _target(watched.sent()[1]) == expected, "the same behind a key in the path"


CLIMBING = (
    *("..", ".", "%2e%2e", "%2E%2e", ".%2e", "%2e.", "%252e%252e", "..%2f", "%2e%2e%2f", "..%5c"),
    *("..\\", "\\..", "..;", "..;a=b", ";", "a;b", "%3b", "%00", "a%00b", "%0a", "%0d%0ax:y"),
    *("%09", "a%20b/..", "%2f", "a%2fb", "%5c", "%", "%zz", "%2", "%25", "a%3fb", "a%23b", "//"),
    *("a//b", "{a}", "<a>", "a|b", "`a`", "^", "a%7f"),
)
PREFIXES = (
    *("/providers/lab/v1/", "/providers/cohere/", "/providers/lab/", "/v1/", "/v1beta/models/"),
    *("/openai/deployments/", "/v1/responses/", "/v1/files/", "/v1/messages/batches/", "/"),
    *("/v1/projects/", "/v1internal/operations/", "/backend-api/codex/", "/coding/v1/", "/k/x/"),
)


@pytest.mark.parametrize("step", CLIMBING)
def test_a_path_that_servers_read_differently_leads_nowhere(watched: Watched, step: str) -> None:
    """M15: on every kind of path, in the middle and at the end, with and without a method."""
    for prefix in PREFIXES:
        for path in (f"{prefix}{step}/x", f"{prefix}{step}", f"{prefix}x/{step}/../y"):
            for method in ("GET", "POST"):
                answer = _ask(watched, path, b"" if method == "GET" else b"{}", method=method)
                assert answer.status in {400, 401, 404}, (method, path, answer)
    assert not watched.sent()


MODELS_IN_PATHS = (
    *("..", "%2e%2e", "a%2f..%2fb", "a%2fb%2f..", "a%00", "a%0ab", "a%20", "%20a", "%c3%28"),
    *("a%252fb", "..%2f..%2fv1%2ffiles", "a;b", "a\\b"),
)


@pytest.mark.parametrize("model", MODELS_IN_PATHS)
def test_a_models_name_in_a_path_is_a_name(watched: Watched, model: str) -> None:
    for path in (
        f"/v1beta/models/{model}:generateContent",
        f"/providers/google/v1beta/models/{model}:generateContent",
        f"/v1/publishers/google/models/{model}:generateContent",
        f"/openai/deployments/{model}/chat/completions",
    ):
        answer = _ask(watched, path, CONTENTS)
        assert answer.status in {400, 404}, (path, answer)
    assert not watched.sent()


UNKNOWN = (
    *("/v1/nothing", "/v1/chats", "/v1beta/models/x:doWhatYouWant", "/openai/v1/x", "/providers"),
    *("/providers/", "/providers/lab", "/v1/responses/a/b", "/internal/metrics", "/v3/chat"),
    *("/v1/chat/completions/", "/V1/chat/completions", "/v1/Chat/Completions", "/v1internal:x/y"),
)


@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_path_is_not_found(watched: Watched, path: str) -> None:
    fault = OPENAI.fault(_ask(watched, path, CHAT))
    assert (fault.status, fault.kind) == (404, "not_found_error")
    assert not watched.sent()


def test_an_unknown_provider_is_named_with_those_there_are(watched: Watched) -> None:
    fault = OPENAI.fault(_ask(watched, "/providers/nobody/v1/chat/completions", CHAT))
    assert (fault.status, fault.code) == (404, "provider_not_found")
    assert "lab" in fault.message
    assert watched.entries(1) == [("refused", "provider_not_found")]
    assert not watched.sent()


@pytest.mark.parametrize("protocol", (OPENAI, RESPONSES, ANTHROPIC), ids=lambda each: each.name)
@pytest.mark.parametrize("model", ["no-such-model", "nobody/gpt-4.1", "openai/", "/x"])
def test_an_unknown_model_is_refused_and_recorded(
    watched: Watched, protocol: Protocol, model: str
) -> None:
    fault = protocol.fault(ask(watched.port, protocol.call(watched.key, model=model)))
    assert fault.status in {400, 404}
    ((outcome, code),) = watched.entries(1)
    assert (outcome, code) == ("refused", fault.code or code)
    assert not watched.sent()


# ---------------------------------------------------------------------- our own answers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_claude_codes_greeting_needs_no_key(watched: Watched, method: str) -> None:
    with RawConnection(watched.port) as connection:
        connection.send(request("/api/hello", method=method))
        assert connection.answer(head_only=method == "HEAD").status == 200
        assert get(watched.port, "/healthz").status == 200
    assert not watched.sent()
    assert b'unidentified_refusals_total{code="key_missing"}' not in _counted(watched)


def _counted(watched: Watched) -> bytes:
    lines = get(watched.port, "/metrics").body.splitlines()
    return b"\n".join(line for line in lines if not line.endswith(b" 0.0"))


LISTINGS: dict[str, tuple[str, dict[str, str | None], str]] = {
    "OpenAI": ("/v1/models", {}, "data"),
    "Anthropic, by its version header": ("/v1/models", {"anthropic-version": "2023-06-01"}, "data"),
    "Anthropic, by its path": ("/anthropic/v1/models", {}, "data"),
    "Gemini": ("/v1beta/models", {}, "models"),
    "Codex": ("/v1/models?client_version=0.169.0", {"originator": "codex_exec"}, "models"),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_models_are_listed_in_every_dialect(watched: Watched, name: str) -> None:
    path, headers, member = LISTINGS[name]
    own = {"authorization": f"Bearer {watched.key}"}
    listed = get(watched.port, path, own | headers).json()
    assert isinstance(listed[member], list)
    text = str(listed)
    if name != "Codex":
        assert "qwen3" in text
        assert "claude" in text
    if "Anthropic" in name:
        assert {"has_more", "first_id", "last_id"} <= set(listed)
    few = watched.gateway.issue("few", models=("qwen3",), providers=("lab",))
    shown = str(get(watched.port, path, {"authorization": f"Bearer {few}"} | headers).json())
    assert "claude" not in shown
    for bad in ("", "Bearer tk_live_nonsense"):
        answer = get(watched.port, path, {"authorization": bad or None} | headers)
        assert answer.status in {401, 400}
    assert not watched.sent()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/models", "/", "/login"])
@pytest.mark.parametrize("host", ["x/health?", "a#", "u@b", ""])
def test_a_host_that_is_none_is_refused_on_every_path(
    watched: Watched, path: str, host: str
) -> None:
    """M6"""
    answer = get(watched.port, path, {"host": host, "authorization": f"Bearer {watched.key}"})
    assert (answer.status, answer.headers["connection"]) == (400, "close")


@pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_a_call_with_another_method_is_none(
    watched: Watched, protocol: Protocol, method: str
) -> None:
    with RawConnection(watched.port) as connection:
        data = protocol.call(watched.key).replace(b"POST", method.encode(), 1)
        answer = connection.send(data).answer(head_only=method == "HEAD")
        assert answer.status in {404, 426}
    assert not watched.sent()
