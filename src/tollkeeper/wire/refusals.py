"""How the gateway says no: in the caller's own protocol, and so that its tool shows why.

Tools differ in what they do with an error: some retry for a minute in silence, some show
their own words instead of ours. The statuses here are those that each tool was seen to show
at once (observed against the tools themselves, November 2026). Programs are told when to come
back; an agent is never made to wait in silence for a budget.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec

from tollkeeper.domain.errors import (
    BadRequest,
    KeyRejected,
    NotAllowed,
    OverBudget,
    Overloaded,
    Refused,
    TollkeeperError,
    TooLarge,
    UnknownRoute,
    UpstreamFailed,
    UpstreamTimeout,
)
from tollkeeper.domain.holds import UNPRICED
from tollkeeper.domain.key_tokens import without_keys
from tollkeeper.domain.rate_limits import Rate, RateLimited
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.bedrock_refusals import aws_error, aws_status
from tollkeeper.wire.clients import (
    CLAUDE_CODE,
    CODEX,
    GEMINI_CLI,
    KIMI_CODE,
    OPENCODE,
    QWEN_CODE,
)
from tollkeeper.wire.endpoints import Endpoint
from tollkeeper.wire.rate_limit_lines import retry_detail

BUDGET_EXCEEDED: Final = "budget_exceeded"
FOR_MONEY: Final = frozenset({BUDGET_EXCEEDED, UNPRICED})
"""Codes of refusals because of money. Their status depends on who has to show them."""
BUDGET_UNREACHABLE: Final = "budget_unreachable"
"""The code of refusals because nobody knows at the moment what a budget has left."""

FORCED_STATUSES: Final = frozenset({402, 422, 429})
"""What an operator may force for refusals because of money."""

_OVERLOADED_RETRY_S: Final = 2
_SHOWN_FROM_S: Final = 61
"""Claude Code sleeps through shorter waits, and shows an error that asks for this one."""
_TOO_MANY: Final = 429
_SECOND_US: Final = 1_000_000
_JSON: Final = b"content-type: application/json\r\n"
_PLAIN: Final = b"content-type: text/plain; charset=utf-8\r\n"
_STOP: Final = b"x-should-retry: false\r\n"
_LINE_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# They retry for a minute on every other refusal, and end quietly on this one.
_ENDS_ON_400: Final = frozenset({"litellm", "openai-python", "aider"})
# They retry a 503 for a minute in silence, and show this one at once.
_ENDS_ON_402: Final = frozenset({GEMINI_CLI, OPENCODE, KIMI_CODE, QWEN_CODE})
_encode: Final = msgspec.json.encode


class Reply(NamedTuple):
    """A whole reply. ``headers`` are complete lines, without framing ones."""

    status: int
    headers: bytes
    body: bytes


class _Words(NamedTuple):
    """How each dialect calls a kind of error."""

    openai: str
    anthropic: str
    google: str


_NATIVE: Final = frozenset({Dialect.COHERE, Dialect.OLLAMA, Dialect.WATSONX})
_OF_MANY: Final = frozenset({"rerank", "multimodalembeddings", "contextualizedembeddings"})
"""Calls in OpenAI's place that clients of several other vendors make."""

_INTERNAL: Final = _Words("server_error", "api_error", "INTERNAL")
_WORDS: Final[tuple[tuple[type[TollkeeperError], _Words], ...]] = (
    (KeyRejected, _Words("authentication_error", "authentication_error", "UNAUTHENTICATED")),
    (NotAllowed, _Words("permission_error", "permission_error", "PERMISSION_DENIED")),
    (UnknownRoute, _Words("not_found_error", "not_found_error", "NOT_FOUND")),
    (TooLarge, _Words("invalid_request_error", "request_too_large", "INVALID_ARGUMENT")),
    (Overloaded, _Words("server_error", "overloaded_error", "UNAVAILABLE")),
    (
        BadRequest,
        _Words("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    ),
    (UpstreamTimeout, _Words("server_error", "timeout_error", "DEADLINE_EXCEEDED")),
    (UpstreamFailed, _Words("server_error", "api_error", "UNAVAILABLE")),
    (
        Refused,
        _Words("invalid_request_error", "invalid_request_error", "FAILED_PRECONDITION"),
    ),
)
_MONEY: Final = _Words("insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED")


def refusal(
    error: TollkeeperError,
    endpoint: Endpoint,
    tool: str = "",
    *,
    call_id: str = "",
    forced_status: int | None = None,
) -> Reply:
    """Answer an error in the shape and with the status that the caller's tool understands.

    ``tool`` is the client's name from the client table. ``forced_status`` is the operator's
    choice for refusals because of money.
    """
    if error.code in FOR_MONEY and not (error.code == UNPRICED and tool == CODEX):
        return _for_money(error, endpoint, tool, call_id, forced_status)
    if error.code == BUDGET_UNREACHABLE:
        return _for_want_of_an_answer(error, endpoint, tool, call_id)
    if isinstance(error, RateLimited):
        return _for_a_while(error, endpoint, call_id)
    if tool == CODEX and isinstance(error, Refused) and not isinstance(error, Overloaded):
        # Codex repeats every other status six times, and shows only this one word for word.
        return _plain(400, _message(error), call_id)
    headers = b""
    if isinstance(error, Overloaded):
        headers = _come_back(error)
    elif isinstance(error, Refused):
        headers = _STOP
    if endpoint.dialect is Dialect.BEDROCK:
        return _in_aws_words(error, aws_status(error, tool), headers, call_id)
    body = _body(endpoint, error.status, _words(error), error, call_id)
    return _shaped(endpoint.dialect, error.status, headers, body, call_id)


def upgrade_required() -> Reply:
    """Refuse a WebSocket: the one status after which Codex uses plain requests at once."""
    message = "WebSockets are not spoken here; use plain requests"
    body = {"error": {"message": message, "type": "invalid_request_error", "code": "no_websocket"}}
    return Reply(426, _JSON + b"upgrade: HTTP/1.1\r\n", _encode(body))


def stream_error(endpoint: Endpoint, error: TollkeeperError, *, lines: bool = False) -> bytes:
    """Give the event that ends a broken stream, for a reply of server-sent events or of
    JSON ``lines``.

    It is no comment and no end marker, because a stream that broke must not look complete.
    """
    fault: dict[str, Any]
    words = _words(error)
    message, code = _message(error), error.code
    if endpoint.dialect in _NATIVE:
        native = _encode(_native_body(endpoint.dialect, error.status, error, ""))
        return native + b"\n" if lines else b"event: error\ndata: " + native + b"\n\n"
    if lines:
        fault = {"message": message, "type": words.openai, "code": code}
        return _encode({"error": fault}) + b"\n"
    if endpoint.dialect is Dialect.ANTHROPIC:
        event = {"type": "error", "error": {"type": words.anthropic, "message": message}}
        return b"event: error\ndata: " + _encode(event) + b"\n\n"
    if endpoint.dialect is Dialect.GEMINI:
        fault = {"code": error.status, "message": message, "status": words.google}
        return b"data: " + _encode({"error": fault}) + b"\r\n\r\n"
    if endpoint.reader == "openai_responses":
        failed = {
            "type": "response.failed",
            "sequence_number": 0,
            "response": {
                "object": "response",
                "status": "failed",
                "error": {"code": code, "message": message},
                "output": [],
            },
        }
        return b"event: response.failed\ndata: " + _encode(failed) + b"\n\n"
    fault = {"message": message, "type": words.openai, "param": None, "code": code}
    return b"data: " + _encode({"error": fault}) + b"\n\n"


def _for_money(
    error: TollkeeperError, endpoint: Endpoint, tool: str, call_id: str, forced: int | None
) -> Reply:
    """Refuse for money, so that nobody repeats the call and everybody reads why."""
    dialect = endpoint.dialect
    if tool == CODEX and forced in {None, _TOO_MANY}:
        return _for_codex(error, dialect, call_id)
    status = forced or (400 if tool in _ENDS_ON_400 else 402)
    headers = _STOP
    if status == _TOO_MANY and tool == CLAUDE_CODE:
        headers += b"retry-after: %d\r\n" % _SHOWN_FROM_S
    if dialect is Dialect.BEDROCK:
        for_money = error.code == BUDGET_EXCEEDED
        return _in_aws_words(error, status, headers, call_id, for_money=for_money)
    body = _body(endpoint, status, _MONEY, error, call_id)
    return _shaped(dialect, status, headers, body, call_id)


def _for_codex(error: TollkeeperError, dialect: Dialect, call_id: str) -> Reply:
    """Refuse for money in the one way that Codex takes for an end, and not for a pause.

    It puts the header, not the message, into the sentence that it shows, and the time (epoch
    seconds) at its end.
    """
    shown = _one_line(_message(error)).rstrip(".").encode("ascii", "replace")
    headers = b"x-codex-promo-message: " + shown + b"\r\n" + _STOP
    fault: dict[str, Any] = {
        "type": "usage_limit_reached",
        "message": _message(error),
        "code": error.code,
        "request_id": call_id,
    }
    if isinstance(error, OverBudget) and error.resets_at_us is not None:
        fault["resets_at"] = error.resets_at_us // _SECOND_US
    return _shaped(dialect, _TOO_MANY, headers, _encode({"error": fault}), call_id)


def _for_want_of_an_answer(
    error: TollkeeperError, endpoint: Endpoint, tool: str, call_id: str
) -> Reply:
    """Refuse because nobody knows what a budget has left: programs shall come back, and
    whoever sits before an agent shall read it instead of waiting.
    """
    if tool == CODEX:
        return _plain(400, _message(error), call_id)
    status, headers = error.status, _come_back(error)
    if tool in _ENDS_ON_402:
        status, headers = 402, _STOP
    elif tool == CLAUDE_CODE:
        headers += _STOP
    if endpoint.dialect is Dialect.BEDROCK:
        return _in_aws_words(error, status, headers, call_id)
    body = _body(endpoint, status, _words(error), error, call_id)
    return _shaped(endpoint.dialect, status, headers, body, call_id)


def _come_back(error: TollkeeperError) -> bytes:
    after_s = error.retry_after_s if isinstance(error, Overloaded) else None
    return b"retry-after: %d\r\n" % (after_s or _OVERLOADED_RETRY_S)


def _for_a_while(error: RateLimited, endpoint: Endpoint, call_id: str) -> Reply:
    """Refuse for a rate limit, in the one way after which every tool waits and comes again."""
    headers = b"retry-after: %d\r\n" % (error.retry_after_s or 1)
    if endpoint.dialect is Dialect.BEDROCK:
        return _in_aws_words(error, error.status, headers, call_id)
    # OpenAI's own types say what there was too much of.
    kind = Rate.TOKENS if error.rate is Rate.TOKENS else Rate.REQUESTS
    words = _Words(kind, "rate_limit_error", "RESOURCE_EXHAUSTED")
    body = _body(endpoint, error.status, words, error, call_id)
    return _shaped(endpoint.dialect, error.status, headers, body, call_id)


def _in_aws_words(
    error: TollkeeperError, status: int, headers: bytes, call_id: str, *, for_money: bool = False
) -> Reply:
    lines, body = aws_error(error, _message(error), call_id, for_money=for_money)
    return Reply(status, _JSON + headers + lines, body)


def _message(error: TollkeeperError) -> str:
    """Give the error's sentence; a path or a name that it quotes could hold a key."""
    return without_keys(error.message)


def _words(error: TollkeeperError) -> _Words:
    if error.code in FOR_MONEY:
        return _MONEY
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    return _INTERNAL


def _body(
    endpoint: Endpoint, status: int, words: _Words, error: TollkeeperError, call_id: str
) -> bytes:
    fault: dict[str, Any]
    dialect = endpoint.dialect
    if dialect in _NATIVE:
        return _encode(_native_body(dialect, status, error, call_id))
    if dialect is Dialect.ANTHROPIC:
        fault = {"type": words.anthropic, "message": _message(error), "code": error.code}
        return _encode({"type": "error", "error": fault, "request_id": call_id})
    if dialect is Dialect.GEMINI:
        info = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": error.code.upper(),
            "domain": "tollkeeper",
            "metadata": {"code": error.code, "request_id": call_id},
        }
        fault = {"code": status, "message": _message(error), "status": words.google}
        retry = [retry_detail(error)] if isinstance(error, RateLimited) else []
        return _encode({"error": {**fault, "details": [info, *retry]}})
    kind = words.openai
    code = "insufficient_quota" if error.code == BUDGET_EXCEEDED else error.code
    fault = {"message": _message(error), "type": kind, "param": None, "code": code}
    body: dict[str, Any] = {"error": {**fault, "request_id": call_id}}
    if endpoint.name in _OF_MANY:
        # Cohere's clients look for a message, Voyage's and Jina's for a detail.
        body |= {"message": _message(error), "detail": _message(error)}
    return _encode(body)


def _native_body(
    dialect: Dialect, status: int, error: TollkeeperError, call_id: str
) -> dict[str, Any]:
    """Say it as Cohere, Ollama or watsonx do."""
    message, code = _message(error), error.code
    if dialect is Dialect.COHERE:
        return {"id": call_id, "message": message, "code": code}
    if dialect is Dialect.OLLAMA:
        return {"error": message, "code": code}
    fault = {"code": code, "message": message}
    return {"errors": [fault], "trace": call_id, "status_code": status}


def _shaped(dialect: Dialect, status: int, headers: bytes, body: bytes, call_id: str) -> Reply:
    if call_id:
        name = b"request-id" if dialect is Dialect.ANTHROPIC else b"x-request-id"
        headers += name + b": " + call_id.encode("ascii", "replace") + b"\r\n"
    return Reply(status, _JSON + headers, body)


def _plain(status: int, message: str, call_id: str) -> Reply:
    headers = _PLAIN + _STOP
    if call_id:
        headers += b"x-request-id: " + call_id.encode("ascii", "replace") + b"\r\n"
        message = f"{message} (request {call_id})"
    return Reply(status, headers, _one_line(message).encode())


def _one_line(text: str) -> str:
    return _LINE_BREAKS.sub(" ", text)
