"""Where a caller stands, in each vendor's own header lines; refusals that make clients wait."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import anthropic
import httpx2 as httpx
import openai
import pytest

from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.rate_limits import (
    NO_STANDING,
    Rate,
    RateLimited,
    RateRule,
    Standing,
    WindowState,
)
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.endpoints import CHAT, MESSAGES, RESPONSES, Endpoint
from tollkeeper.wire.rate_limit_lines import with_standing
from tollkeeper.wire.refusals import Reply, refusal

NOW_US = 1_790_000_000_000_001
STANDING = Standing(WindowState(60, 12, 7), WindowState(150_000, 149_984, 60))
RULE = RateRule("", "agents", BudgetScope.KEY, "*", True, requests_per_minute=60)


def lines(standing: Standing, dialect: Dialect, before: bytes = b"") -> dict[str, str]:
    written = with_standing(before, standing, dialect, NOW_US).decode("ascii")
    pairs = [line.split(": ", 1) for line in written.splitlines()]
    assert len(dict(pairs)) == len(pairs), "a name stands twice"
    return {name.lower(): value for name, value in pairs}


def test_openai_has_durations() -> None:
    assert lines(STANDING, Dialect.OPENAI) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "7s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "1m0s",
    }


def test_anthropic_has_times_that_are_never_early() -> None:
    found = lines(STANDING, Dialect.ANTHROPIC)
    assert found["anthropic-ratelimit-requests-limit"] == "60"
    assert found["anthropic-ratelimit-requests-remaining"] == "12"
    assert found["anthropic-ratelimit-tokens-limit"] == "150000"
    assert found["anthropic-ratelimit-tokens-remaining"] == "149984"
    for kind, after_s in (("requests", 7), ("tokens", 60)):
        at = datetime.fromisoformat(found[f"anthropic-ratelimit-{kind}-reset"])
        assert at.tzinfo is not None
        early_s = NOW_US / 1e6 + after_s - at.timestamp()
        assert -1 < early_s <= 0


@pytest.mark.parametrize("dialect", [Dialect.GEMINI, Dialect.COHERE, Dialect.OLLAMA])
def test_others_have_plain_seconds(dialect: Dialect) -> None:
    found = lines(STANDING, dialect)
    assert found["x-ratelimit-reset-requests"] == "7"
    assert found["x-ratelimit-reset-tokens"] == "60"


def test_what_the_provider_says_of_the_same_gives_way_and_the_rest_stays() -> None:
    before = (
        b"Content-Type: text/plain\r\n"
        b"X-RateLimit-Limit-Requests: 10000\r\n"
        b"x-ratelimit-remaining-requests: 9999\r\n"
        b"x-ratelimit-reset-requests: 8.64s\r\n"
        b"x-ratelimit-limit-tokens: 5\r\n"
        b"anthropic-ratelimit-requests-limit: 4000\r\n"
        b"anthropic-ratelimit-input-tokens-limit: 7\r\n"
        b"request-id: r\r\n"
    )
    found = lines(STANDING._replace(tokens=None), Dialect.OPENAI, before)
    assert found == {
        "content-type": "text/plain",
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "7s",
        "x-ratelimit-limit-tokens": "5",
        "anthropic-ratelimit-input-tokens-limit": "7",
        "request-id": "r",
    }
    assert with_standing(before, NO_STANDING, Dialect.OPENAI, NOW_US) == before


# ------------------------------------------------------------------ refusals


def refused(endpoint: Endpoint, rate: Rate = Rate.REQUESTS, tool: str = "") -> Reply:
    error = RateLimited(RULE, rate, 60, 17, STANDING)
    return refusal(error, endpoint, tool, call_id="call-1", forced_status=422)


def response_of(reply: Reply) -> httpx.Response:
    pairs = dict(line.split(": ", 1) for line in reply.headers.decode().splitlines())
    request = httpx.Request("POST", "http://gateway/v1")
    return httpx.Response(reply.status, headers=pairs, content=reply.body, request=request)


def fields(reply: Reply) -> Any:
    return json.loads(reply.body)


def test_the_openai_sdk_sees_its_own_error() -> None:
    for rate, kind in ((Rate.REQUESTS, "requests"), (Rate.TOKENS, "tokens")):
        reply = refused(CHAT, rate)
        client = openai.OpenAI(api_key="k", base_url="http://gateway/v1")
        error = client._make_status_error_from_response(response_of(reply))
        assert isinstance(error, openai.RateLimitError)
        assert (error.code, error.type) == ("rate_limited", kind)
        assert "rate limit 'agents' allows 60" in error.message
        assert "come back in 17 s" in error.message
        assert client._should_retry(response_of(reply))
        assert client._calculate_retry_timeout(2, _no_options(), response_of(reply).headers) == 17


def _no_options() -> Any:
    return openai._models.FinalRequestOptions(method="post", url="/v1", max_retries=2)


def test_the_anthropic_sdk_sees_its_own_error() -> None:
    reply = refused(MESSAGES)
    client = anthropic.Anthropic(api_key="k", base_url="http://gateway")
    error = client._make_status_error_from_response(response_of(reply))
    assert isinstance(error, anthropic.RateLimitError)
    assert fields(reply)["error"]["type"] == "rate_limit_error"
    assert fields(reply)["error"]["code"] == "rate_limited"
    assert client._should_retry(response_of(reply))


def test_google_is_told_when_to_come_back_in_the_details() -> None:
    reply = refused(Endpoint("generateContent", Dialect.GEMINI, "gemini"))
    error = fields(reply)["error"]
    assert (reply.status, error["code"], error["status"]) == (429, 429, "RESOURCE_EXHAUSTED")
    info, retry = error["details"]
    assert info["reason"] == "RATE_LIMITED"
    assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}


def test_bedrock_is_throttled() -> None:
    reply = refused(Endpoint("converse", Dialect.BEDROCK, "bedrock_converse"))
    assert reply.status == 429
    assert b"x-amzn-errortype: ThrottlingException\r\n" in reply.headers
    assert b"retry-after: 17\r\n" in reply.headers


@pytest.mark.parametrize("tool", ["", "codex", "claude-code", "litellm", "aider", "kimi-code"])
@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES])
def test_every_tool_is_told_to_come_back_and_none_to_stop(endpoint: Endpoint, tool: str) -> None:
    reply = refused(endpoint, Rate.PARALLEL, tool)
    assert reply.status == 429
    assert b"retry-after: 17\r\n" in reply.headers
    assert b"x-should-retry" not in reply.headers
    assert "60 calls at the same time for each key" in fields(reply)["error"]["message"]
