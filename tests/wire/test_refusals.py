"""Refusals in each protocol, read by the vendors' own libraries where they are installed."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2 as httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import (
    BadRequest,
    KeyRejected,
    NotAllowed,
    Overloaded,
    Refused,
    TollkeeperError,
    TooLarge,
    UnknownRoute,
    UpstreamFailed,
    UpstreamTimeout,
)
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.endpoints import CHAT, MESSAGES, RESPONSES, Endpoint
from tollkeeper.wire.refusals import (
    BUDGET_EXCEEDED,
    FORCED_STATUSES,
    Reply,
    refusal,
    stream_error,
    upgrade_required,
)

GEMINI = Endpoint("streamGenerateContent", Dialect.GEMINI, "gemini")
ENDPOINTS = (CHAT, RESPONSES, MESSAGES, GEMINI)
CALL = "01890a5d-ac96-774b-bcce-b302099a8057"
OVER_BUDGET = Refused("alice spent $10.02 of $10.00 this month. Ask Bob.", code=BUDGET_EXCEEDED)
REFUSALS = (
    (BadRequest("m", code="c"), 400),
    (KeyRejected("m", code="c"), 401),
    (NotAllowed("m", code="c"), 403),
    (UnknownRoute("m", code="c"), 404),
    (TooLarge("m", code="c"), 413),
    (Overloaded("m", code="c"), 503),
    (UpstreamFailed("m", code="c"), 502),
    (UpstreamTimeout("m", code="c"), 504),
    (TollkeeperError("m", code="c"), 500),
)


def headers(reply: Reply) -> dict[str, str]:
    assert reply.headers.endswith(b"\r\n")
    lines = reply.headers.decode("ascii")[:-2].split("\r\n")
    return dict(line.split(": ", 1) for line in lines)


def body(reply: Reply) -> Any:
    return json.loads(reply.body)


@pytest.mark.parametrize(("error", "status"), REFUSALS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_error_has_its_status_shape_and_words(
    endpoint: Endpoint, error: TollkeeperError, status: int
) -> None:
    reply = refusal(error, endpoint, call_id=CALL)
    assert reply.status == status
    fault = body(reply)["error"]
    assert fault["message"] == "m"
    assert CALL in reply.body.decode()
    if endpoint.dialect is Dialect.GEMINI:
        assert fault["code"] == status
        assert fault["status"].isupper()
        assert fault["details"][0]["metadata"]["code"] == "c"
    else:
        assert fault["code"] == "c"
        assert fault["type"]
    assert headers(reply)["content-type"] == "application/json"


def test_the_words_of_each_protocol() -> None:
    rejected = KeyRejected("no key", code="key_missing")
    assert body(refusal(rejected, CHAT, call_id="r1")) == {
        "error": {
            "message": "no key",
            "type": "authentication_error",
            "param": None,
            "code": "key_missing",
            "request_id": "r1",
        }
    }
    assert body(refusal(rejected, MESSAGES, call_id="r1")) == {
        "type": "error",
        "error": {"type": "authentication_error", "message": "no key", "code": "key_missing"},
        "request_id": "r1",
    }
    assert body(refusal(rejected, GEMINI))["error"]["status"] == "UNAUTHENTICATED"


def test_a_refusal_is_not_worth_repeating_but_an_outage_is() -> None:
    for error, status in REFUSALS:
        found = headers(refusal(error, MESSAGES))
        repeat = status >= 500
        assert found.get("x-should-retry") == (None if repeat else "false")
        assert ("retry-after" in found) == (status == 503)
    slow = Overloaded("m", retry_after_s=17)
    assert headers(refusal(slow, CHAT))["retry-after"] == "17"


def test_the_request_id_stands_where_each_vendor_puts_it() -> None:
    error = NotAllowed("m")
    assert headers(refusal(error, MESSAGES, call_id=CALL))["request-id"] == CALL
    assert headers(refusal(error, CHAT, call_id=CALL))["x-request-id"] == CALL


@pytest.mark.parametrize("error", [error for error, status in REFUSALS if status < 500])
def test_codex_gets_one_plain_line(error: TollkeeperError) -> None:
    reply = refusal(error, RESPONSES, "codex", call_id=CALL)
    assert reply.status == 400
    assert headers(reply)["content-type"] == "text/plain; charset=utf-8"
    assert reply.body == f"m (request {CALL})".encode()


def test_codex_is_told_to_come_back_when_the_gateway_is_busy() -> None:
    reply = refusal(Overloaded("m"), RESPONSES, "codex")
    assert reply.status == 503
    assert "retry-after" in headers(reply)


@pytest.mark.parametrize(
    ("endpoint", "tool", "status", "kind"),
    [
        (MESSAGES, "claude-code", 402, "billing_error"),
        (GEMINI, "gemini-cli", 402, None),
        (CHAT, "opencode", 402, "insufficient_quota"),
        (CHAT, "kimi-code", 402, "insufficient_quota"),
        (CHAT, "", 402, "insufficient_quota"),
        (RESPONSES, "opencode", 402, "insufficient_quota"),
        (CHAT, "openai-python", 400, "insufficient_quota"),
        (CHAT, "litellm", 400, "insufficient_quota"),
        (MESSAGES, "litellm", 400, "billing_error"),
        (RESPONSES, "codex", 429, "usage_limit_reached"),
    ],
)
def test_refusals_for_money_have_the_status_that_each_tool_shows_at_once(
    endpoint: Endpoint, tool: str, status: int, kind: str | None
) -> None:
    reply = refusal(OVER_BUDGET, endpoint, tool, call_id=CALL)
    assert reply.status == status
    assert body(reply)["error"].get("type") == kind
    assert body(reply)["error"]["message"] == OVER_BUDGET.message
    assert headers(reply)["x-should-retry"] == "false"


def test_codex_shows_the_reason_from_its_header() -> None:
    reply = refusal(OVER_BUDGET, RESPONSES, "codex")
    shown = "alice spent $10.02 of $10.00 this month. Ask Bob"
    assert headers(reply)["x-codex-promo-message"] == shown


@pytest.mark.parametrize("status", sorted(FORCED_STATUSES))
def test_the_operator_may_force_a_status_for_money_only(status: int) -> None:
    for endpoint in ENDPOINTS:
        for tool in ("", "codex", "litellm", "claude-code"):
            assert refusal(OVER_BUDGET, endpoint, tool, forced_status=status).status == status
        assert refusal(KeyRejected("m"), endpoint, forced_status=status).status == 401


@given(st.text(max_size=40), st.sampled_from(ENDPOINTS), st.sampled_from(["", "codex"]))
def test_no_text_breaks_out_of_its_place(text: str, endpoint: Endpoint, tool: str) -> None:
    text = f"a\r\nSet-Cookie: x\n\n{text}"
    for error in (BadRequest(text), Refused(text, code=BUDGET_EXCEEDED)):
        reply = refusal(error, endpoint, tool, call_id=CALL)
        assert set(headers(reply)) <= {
            "content-type",
            "x-should-retry",
            "request-id",
            "x-request-id",
            "x-codex-promo-message",
        }
        if headers(reply)["content-type"] == "application/json":
            assert body(reply)["error"]["message"] == text
        else:
            assert b"\n" not in reply.body
    event = stream_error(endpoint, UpstreamFailed(text))
    assert event.strip().count(b"\n") == event.count(b"event: ")


def test_a_websocket_is_answered_with_426() -> None:
    reply = upgrade_required()
    assert reply.status == 426
    assert headers(reply)["upgrade"] == "HTTP/1.1"


# ------------------------------------------------------------------------ broken streams


def event(endpoint: Endpoint) -> tuple[bytes, Any]:
    raw = stream_error(endpoint, UpstreamFailed("the provider hung up", code="upstream_failed"))
    assert b"[DONE]" not in raw
    assert not raw.startswith(b":")
    assert b"\n:" not in raw
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    assert lines[-2:] == [b"", b""]
    data = next(line for line in lines if line.startswith(b"data: "))
    return lines[0], json.loads(data[6:])


def test_the_event_that_ends_a_broken_stream() -> None:
    first, chat = event(CHAT)
    assert first.startswith(b"data: ")
    assert chat["error"]["code"] == "upstream_failed"
    first, messages = event(MESSAGES)
    assert first == b"event: error"
    assert messages == {
        "type": "error",
        "error": {"type": "api_error", "message": "the provider hung up"},
    }
    first, responses = event(RESPONSES)
    assert first == b"event: response.failed"
    assert responses["type"] == "response.failed"
    assert responses["response"]["status"] == "failed"
    assert responses["response"]["error"]["code"] == "upstream_failed"
    first, gemini = event(GEMINI)
    assert first.startswith(b"data: ")
    assert gemini["error"]["code"] == 502
    assert gemini["error"]["status"] == "UNAVAILABLE"


# ------------------------------------------------------------------------ the vendors' libraries


def transport(reply: Reply) -> httpx.MockTransport:
    calls: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(1)
        assert len(calls) == 1, "it was repeated"
        return httpx.Response(reply.status, headers=headers(reply), content=reply.body)

    return httpx.MockTransport(answer)


@pytest.mark.parametrize("error", [error for error, status in REFUSALS if status < 500])
def test_openais_library_shows_the_message_and_does_not_repeat(error: TollkeeperError) -> None:
    reply = refusal(error, CHAT, "openai-python", call_id=CALL)
    with httpx.Client(transport=transport(reply)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://gw/v1", http_client=http)
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="m", messages=[])
    assert caught.value.status_code == error.status
    assert caught.value.code == "c"
    assert caught.value.request_id == CALL
    assert "m" in str(caught.value)


@pytest.mark.parametrize("error", [error for error, status in REFUSALS if status < 500])
def test_anthropics_library_shows_the_message_and_does_not_repeat(error: TollkeeperError) -> None:
    reply = refusal(error, MESSAGES, "anthropic-python", call_id=CALL)
    with httpx.Client(transport=transport(reply)) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://gw", http_client=http)
        with pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(model="m", messages=[], max_tokens=1)
    assert caught.value.status_code == error.status
    assert caught.value.request_id == CALL


def test_openais_library_notices_a_broken_stream() -> None:
    content = b'data: {"choices":[]}\n\n' + stream_error(CHAT, UpstreamFailed("hung up"))
    reply = Reply(200, b"content-type: text/event-stream\r\n", content)
    with httpx.Client(transport=transport(reply)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://gw/v1", http_client=http)
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        with pytest.raises(openai.APIError, match="hung up"):
            list(stream)


def test_anthropics_library_notices_a_broken_stream() -> None:
    content = b'event: ping\ndata: {"type":"ping"}\n\n' + stream_error(
        MESSAGES, UpstreamFailed("hung up")
    )
    reply = Reply(200, b"content-type: text/event-stream\r\n", content)
    with httpx.Client(transport=transport(reply)) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://gw", http_client=http)
        stream = client.messages.create(model="m", messages=[], max_tokens=1, stream=True)
        with pytest.raises(anthropic.APIStatusError, match="hung up"):
            list(stream)
