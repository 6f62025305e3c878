"""Errors as the providers themselves word them: whole replies, and events inside a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.domain.routing import Dialect
from tollkeeper.sandbox.faults import Fault
from tollkeeper.sandbox.reply import Identity, Reply, encode, event, json_reply

_MESSAGE: Final = "The sandbox was asked for this error."
_OPENAI: Final[Mapping[int, tuple[str, str | None]]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "service_unavailable"),
}
_ANTHROPIC: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GOOGLE: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_SERVER_ERROR: Final = 500
_RETRIED: Final = frozenset({429, 503, 529})
_OVERLOADED: Final = 529


def error_reply(fault: Fault, dialect: Dialect, identity: Identity, model: str) -> Reply:
    """Answer with a provider's error. Where trying again helps, it says when."""
    status = fault.status
    retry_after = fault.word or ("1" if status in _RETRIED else "")
    headers = f"retry-after: {retry_after}\r\n".encode() if retry_after else b""
    whole = error_object(status, dialect)
    if dialect is Dialect.ANTHROPIC:
        whole["request_id"] = identity.id("req_")
    headers += request_id_header(dialect, identity)
    return json_reply(whole, model=model, headers=headers, status=status)


def error_object(status: int, dialect: Dialect) -> dict[str, Any]:
    """Write the error of a status."""
    is_fault = status >= _SERVER_ERROR
    if dialect is Dialect.ANTHROPIC:
        default = "api_error" if is_fault else "invalid_request_error"
        kind = _ANTHROPIC.get(status, default)
        return {"type": "error", "error": {"type": kind, "message": _MESSAGE}}
    if dialect is Dialect.GEMINI:
        word = _GOOGLE.get(status, "INTERNAL" if is_fault else "FAILED_PRECONDITION")
        return {"error": {"code": status, "message": _MESSAGE, "status": word}}
    default = "server_error" if is_fault else "invalid_request_error"
    kind, code = _OPENAI.get(status, (default, None))
    return {"error": {"message": _MESSAGE, "type": kind, "param": None, "code": code}}


def error_event(reader: str, dialect: Dialect) -> bytes:
    """Write the event with which a provider breaks a stream off."""
    if reader == "openai_responses":
        error = {"code": "server_error", "message": _MESSAGE}
        response = {"object": "response", "status": "failed", "error": error, "usage": None}
        data = {"type": "response.failed", "response": response}
        return event(data, "response.failed")
    if dialect is Dialect.ANTHROPIC:
        return event(error_object(_OVERLOADED, dialect), "error")
    end = b"\r\n" if dialect is Dialect.GEMINI else b"\n"
    return event(error_object(_SERVER_ERROR, dialect), end=end)


def error_element(dialect: Dialect, *, first: bool) -> bytes:
    """Write the error that ends a stream which is an array."""
    comma = b"" if first else b"\n,\r\n"
    return comma + encode(error_object(_SERVER_ERROR, dialect)) + b"\n]\n"


def request_id_header(dialect: Dialect, identity: Identity) -> bytes:
    """Give the header line with the provider's own id of the request."""
    if dialect is Dialect.ANTHROPIC:
        return f"request-id: {identity.id('req_')}\r\n".encode()
    if dialect is Dialect.GEMINI:
        return b""
    return f"x-request-id: {identity.id('req_', 32)}\r\n".encode()
