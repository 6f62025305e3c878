"""Refusals because of budgets: every protocol, every tool, and the vendors' own libraries."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2 as httpx
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import OverBudget, Overloaded, TollkeeperError
from tollkeeper.domain.holds import UNPRICED
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.clients import (
    CLAUDE_CODE,
    CODEX,
    GEMINI_CLI,
    KIMI_CODE,
    OPENCODE,
    QWEN_CODE,
)
from tollkeeper.wire.endpoints import CHAT, MESSAGES, RESPONSES, Endpoint
from tollkeeper.wire.refusals import (
    BUDGET_EXCEEDED,
    BUDGET_UNREACHABLE,
    FORCED_STATUSES,
    Reply,
    refusal,
)

CALL = "01890a5d-ac96-774b-bcce-b302099a8057"
OPENS_S = 1_796_079_600
TOLD = 'Budget "Core" is used up. Ask at https://tk.acme.com/budgets/ask?budget=b1 or wait'
EXCEEDED = OverBudget(TOLD, code=BUDGET_EXCEEDED, resets_at_us=OPENS_S * 1_000_000 + 999_999)
NO_PRICE = OverBudget("the model has no price", code=UNPRICED)
AWAY = Overloaded("nobody answers", code=BUDGET_UNREACHABLE, retry_after_s=5)
ERRORS = (EXCEEDED, NO_PRICE, AWAY)

GEMINI = Endpoint("streamGenerateContent", Dialect.GEMINI, "gemini")
ENDPOINTS = (
    CHAT,
    RESPONSES,
    MESSAGES,
    GEMINI,
    Endpoint("chat", Dialect.COHERE, "cohere_chat"),
    Endpoint("chat", Dialect.OLLAMA, "ollama_chat"),
    Endpoint("generation", Dialect.WATSONX, "watsonx_text"),
    Endpoint("converse", Dialect.BEDROCK, "bedrock_converse"),
    Endpoint("rerank", Dialect.OPENAI, "rerank"),
)
AGENTS = (CLAUDE_CODE, CODEX, GEMINI_CLI, OPENCODE, KIMI_CODE, QWEN_CODE)
PROGRAMS = (
    *("", "aider", "litellm", "openai-python", "openai-node", "anthropic-python", "cohere-python"),
    *("google-genai-python", "mistral-python", "nightlyreport"),
)


def headers(reply: Reply) -> dict[str, str]:
    assert reply.headers.endswith(b"\r\n")
    lines = reply.headers.decode("ascii")[:-2].split("\r\n")
    return dict(line.split(": ", 1) for line in lines)


def stops(reply: Reply, tool: str) -> bool:
    """Tell whether a tool was seen to end, and to show why, on such a reply."""
    if tool == CODEX:
        shown = headers(reply).get("x-codex-promo-message")
        return (reply.status, bool(shown)) in {(429, True), (400, False)}
    if tool == CLAUDE_CODE:
        return reply.status == 402 or headers(reply).get("x-should-retry") == "false"
    return reply.status == 402


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda it: f"{it.dialect}-{it.name}")
@pytest.mark.parametrize("tool", AGENTS)
def test_every_agent_shows_every_refusal_at_once(
    tool: str, endpoint: Endpoint, error: TollkeeperError
) -> None:
    reply = refusal(error, endpoint, tool, call_id=CALL)
    assert stops(reply, tool)
    assert error.message in told(reply)
    assert CALL in reply.body.decode() + reply.headers.decode()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda it: f"{it.dialect}-{it.name}")
@pytest.mark.parametrize("tool", PROGRAMS)
def test_programs_repeat_only_what_may_help(tool: str, endpoint: Endpoint) -> None:
    for error in (EXCEEDED, NO_PRICE):
        reply = refusal(error, endpoint, tool, call_id=CALL)
        ends_on_400 = tool in {"aider", "litellm", "openai-python"}
        assert reply.status == (400 if ends_on_400 else 402)
        assert headers(reply)["x-should-retry"] == "false"
        assert "retry-after" not in headers(reply)
        assert error.message in told(reply)
    away = refusal(AWAY, endpoint, tool, call_id=CALL)
    assert (away.status, headers(away)["retry-after"]) == (503, "5")
    assert "x-should-retry" not in headers(away)


def told(reply: Reply) -> str:
    """Give all that a reply says in words."""
    if headers(reply)["content-type"].startswith("text/plain"):
        return reply.body.decode()
    return "\n".join(_texts(json.loads(reply.body)))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("status", sorted(FORCED_STATUSES))
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda it: f"{it.dialect}-{it.name}")
def test_the_operators_status_is_for_money_and_not_for_an_outage(
    endpoint: Endpoint, status: int
) -> None:
    for tool in (*AGENTS, *PROGRAMS):
        reply = refusal(EXCEEDED, endpoint, tool, forced_status=status)
        assert reply.status == status
        away = refusal(AWAY, endpoint, tool, forced_status=status)
        assert away == refusal(AWAY, endpoint, tool)
    forced = refusal(NO_PRICE, endpoint, CLAUDE_CODE, forced_status=status)
    assert forced.status == status


def test_claude_code_shows_a_forced_429_at_once() -> None:
    found = headers(refusal(EXCEEDED, MESSAGES, CLAUDE_CODE, forced_status=429))
    assert (found["x-should-retry"], found["retry-after"]) == ("false", "61")
    assert "retry-after" not in headers(refusal(EXCEEDED, CHAT, OPENCODE, forced_status=429))


@pytest.mark.parametrize("forced", [None, 429])
def test_codex_is_told_when_it_opens_again(forced: int | None) -> None:
    reply = refusal(EXCEEDED, RESPONSES, CODEX, call_id=CALL, forced_status=forced)
    assert headers(reply)["x-codex-promo-message"] == TOLD
    assert json.loads(reply.body)["error"] == {
        "type": "usage_limit_reached",
        "message": TOLD,
        "code": "budget_exceeded",
        "request_id": CALL,
        "resets_at": OPENS_S,
    }
    never = OverBudget("m", code=BUDGET_EXCEEDED)
    assert "resets_at" not in json.loads(refusal(never, RESPONSES, CODEX).body)["error"]


def test_what_each_protocol_calls_it() -> None:
    chat = json.loads(refusal(EXCEEDED, CHAT).body)["error"]
    assert (chat["type"], chat["code"]) == ("insufficient_quota", "insufficient_quota")
    chat = json.loads(refusal(NO_PRICE, CHAT).body)["error"]
    assert (chat["type"], chat["code"]) == ("insufficient_quota", "budget_unpriced")
    messages = json.loads(refusal(NO_PRICE, MESSAGES).body)["error"]
    assert (messages["type"], messages["code"]) == ("billing_error", "budget_unpriced")
    gemini = json.loads(refusal(EXCEEDED, GEMINI).body)["error"]
    assert (gemini["code"], gemini["status"]) == (402, "RESOURCE_EXHAUSTED")
    assert gemini["details"][0]["metadata"]["code"] == "budget_exceeded"
    gemini = json.loads(refusal(AWAY, GEMINI, GEMINI_CLI).body)["error"]
    assert (gemini["code"], gemini["status"]) == (402, "UNAVAILABLE")


# ------------------------------------------------------------------ the vendors' own libraries


class Answering:
    """Answers every request with one reply, and counts them."""

    def __init__(self, reply: Reply) -> None:
        self.asked = 0
        self._reply = reply
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        reply = self._reply
        return httpx.Response(reply.status, headers=headers(reply), content=reply.body)


@pytest.mark.parametrize("error", [EXCEEDED, NO_PRICE], ids=lambda error: error.code)
@pytest.mark.parametrize("forced", [None, *sorted(FORCED_STATUSES)])
def test_openais_library_raises_its_own_error_once(
    error: TollkeeperError, forced: int | None
) -> None:
    for endpoint in (CHAT, RESPONSES):
        reply = refusal(error, endpoint, "openai-python", call_id=CALL, forced_status=forced)
        served = Answering(reply)
        with httpx.Client(transport=served.transport) as http:
            client = openai.OpenAI(api_key="k", base_url="http://gw/v1", http_client=http)
            with pytest.raises(openai.APIStatusError, match=error.message[:20]) as caught:
                if endpoint is CHAT:
                    client.chat.completions.create(model="m", messages=[])
                else:
                    client.responses.create(model="m", input="hi")
        assert (caught.value.status_code, served.asked) == (forced or 400, 1)


@pytest.mark.parametrize("error", [EXCEEDED, NO_PRICE], ids=lambda error: error.code)
@pytest.mark.parametrize("forced", [None, *sorted(FORCED_STATUSES)])
def test_anthropics_library_raises_its_own_error_once(
    error: TollkeeperError, forced: int | None
) -> None:
    reply = refusal(error, MESSAGES, "anthropic-python", call_id=CALL, forced_status=forced)
    served = Answering(reply)
    with httpx.Client(transport=served.transport) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://gw", http_client=http)
        with pytest.raises(anthropic.APIStatusError, match=error.message[:20]) as caught:
            client.messages.create(model="m", messages=[], max_tokens=1)
    assert (caught.value.status_code, served.asked) == (forced or 402, 1)
    assert caught.value.request_id == CALL


@pytest.mark.parametrize("error", [EXCEEDED, NO_PRICE], ids=lambda error: error.code)
@pytest.mark.parametrize("forced", [None, *sorted(FORCED_STATUSES)])
def test_googles_library_raises_its_own_error_once(
    error: TollkeeperError, forced: int | None
) -> None:
    reply = refusal(error, GEMINI, "google-genai-python", call_id=CALL, forced_status=forced)
    served = Answering(reply)
    with httpx.Client(transport=served.transport) as http:
        options = genai_types.HttpOptions(base_url="http://gw", httpx_client=http)
        client = genai.Client(api_key="k", http_options=options)
        with pytest.raises(genai_errors.ClientError, match=error.message[:20]) as caught:
            client.models.generate_content(model="m", contents="hi")
    assert (caught.value.code, served.asked) == (forced or 402, 1)


@given(
    st.text(max_size=60),
    st.sampled_from(ENDPOINTS),
    st.sampled_from([*AGENTS, *PROGRAMS]),
    st.sampled_from([BUDGET_EXCEEDED, UNPRICED, BUDGET_UNREACHABLE]),
)
def test_no_text_breaks_out_of_its_place(
    text: str, endpoint: Endpoint, tool: str, code: str
) -> None:
    text = f"a\r\nset-cookie: x\n\n{text}"
    kind = Overloaded if code == BUDGET_UNREACHABLE else OverBudget
    reply = refusal(kind(text, code=code), endpoint, tool, call_id=CALL)
    assert "set-cookie" not in headers(reply)
    if headers(reply)["content-type"] == "application/json":
        assert text in told(reply)
    else:
        assert b"\n" not in reply.body
