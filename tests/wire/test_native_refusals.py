"""The gateway says no as Cohere, Ollama and watsonx do, so that their clients show why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollkeeper.domain.errors import (
    KeyRejected,
    NotAllowed,
    Overloaded,
    Refused,
    TollkeeperError,
    UnknownRoute,
    UpstreamFailed,
)
from tollkeeper.wire.endpoints import Endpoint, match
from tollkeeper.wire.refusals import BUDGET_EXCEEDED, refusal, stream_error

ERRORS = [
    (KeyRejected("no key", code="key_missing"), 401),
    (NotAllowed("not that one", code="model_not_allowed"), 403),
    (UnknownRoute("no such model", code="model_not_found"), 404),
    (Overloaded("later", code="too_many_calls"), 503),
    (Refused("it is spent", code=BUDGET_EXCEEDED), 402),
]
CALL_ID = "0123456789abcdef"


def _endpoint(path: str) -> Endpoint:
    found = match("POST", path)
    assert found is not None
    return found.endpoint


def _body(error: TollkeeperError, path: str) -> tuple[int, Any]:
    reply = refusal(error, _endpoint(path), call_id=CALL_ID)
    assert b"content-type: application/json" in reply.headers
    assert f"x-request-id: {CALL_ID}".encode() in reply.headers
    return reply.status, json.loads(reply.body)


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_each_in_its_own_words(error: TollkeeperError, status: int) -> None:
    message, code = error.message, error.code
    for path in ("/v1/chat", "/v2/chat", "/v2/rerank", "/v1/tokenize"):
        assert _body(error, path) == (
            status,
            {"id": CALL_ID, "message": message, "code": code},
        )
    for path in ("/api/chat", "/api/show"):
        assert _body(error, path) == (status, {"error": message, "code": code})
    assert _body(error, "/ml/v1/text/chat") == (
        status,
        {
            "errors": [{"code": code, "message": message}],
            "trace": CALL_ID,
            "status_code": status,
        },
    )


def test_a_call_of_many_vendors_is_refused_so_that_each_client_finds_it() -> None:
    for path in ("/v1/rerank", "/v1/multimodalembeddings", "/v1/contextualizedembeddings"):
        status, body = _body(ERRORS[1][0], path)
        assert status == 403
        assert body["message"] == body["detail"] == body["error"]["message"] == "not that one"
    _, body = _body(ERRORS[1][0], "/v1/embeddings")
    assert body.keys() == {"error"}


@pytest.mark.parametrize(
    ("path", "lines", "expected"),
    [
        ("/api/chat", True, b'{"error":"it broke","code":"reset"}\n'),
        ("/v1/chat", True, b'{"id":"","message":"it broke","code":"reset"}\n'),
        (
            "/v2/chat",
            False,
            b'event: error\ndata: {"id":"","message":"it broke","code":"reset"}\n\n',
        ),
        (
            "/ml/v1/text/generation_stream",
            False,
            b'event: error\ndata: {"errors":[{"code":"reset","message":"it broke"}],'
            b'"trace":"","status_code":502}\n\n',
        ),
        (
            "/v1/chat/completions",
            True,
            b'{"error":{"message":"it broke","type":"server_error","code":"reset"}}\n',
        ),
    ],
)
def test_a_broken_stream_ends_in_its_own_frame(path: str, lines: bool, expected: bytes) -> None:
    error = UpstreamFailed("it broke", code="reset")
    assert stream_error(_endpoint(path), error, lines=lines) == expected
