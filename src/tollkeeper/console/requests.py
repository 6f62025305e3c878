"""Reads requests: parameters, forms and JSON bodies, each once, each within bounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from tollkeeper.console.access import FORM_FIELD, FORM_HEADER, OPERATOR_HEADER, Asked
from tollkeeper.domain.errors import BadRequest, TooLarge
from tollkeeper.reports.questions import BadQuestion, quoted

BODY_BYTES_MAX: Final = 64 << 10
_FIELDS_MAX: Final = 100
_LISTS: Final = frozenset({"filter", "metrics", "group_by", "order"})
"""Parameters that hold several values with commas may also be given several times."""

_ONLY_ONCE: Final = (
    *("authorization", "cookie", "host", "origin", "x-forwarded-for", "idempotency-key"),
    *("x-api-key", "x-goog-api-key", "api-key", "x-tollkeeper-key", OPERATOR_HEADER, FORM_HEADER),
)
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


class UnreadableBody(BadRequest):
    """A body of a type that nobody here reads."""

    code = "unsupported_media_type"
    status = 415


def parameters(text: bytes) -> dict[str, str]:
    """Read a query string; what is empty counts as not given. Raises BadQuestion."""
    try:
        # Bytes that are no UTF-8 are refused: a look-alike must not stand for them.
        pairs = parse_qsl(text.decode("ascii"), errors="strict", max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise BadQuestion("query", "cannot be read") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if "\0" in value:
            raise BadQuestion(quoted(name), "a text without NUL")
        if name in found and name not in _LISTS:
            raise BadQuestion(quoted(name), "given twice")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


async def read_form(request: Request) -> dict[str, str]:
    """Read the fields of a form. Raises BadRequest or TooLarge."""
    if _media_type(request) != _FORM:
        raise UnreadableBody(f"send a form as {_FORM}")
    body = await _body(request)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError:
        raise BadRequest("the form cannot be read", code="bad_form") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise BadRequest("a field of the form was given twice", code="bad_form")
    return fields


async def read_json(
    request: Request, types: Collection[str] = (_JSON,), bytes_max: int = BODY_BYTES_MAX
) -> Mapping[str, Any]:
    """Read a JSON object; no body at all is an empty one. Raises BadRequest or TooLarge."""
    body = await _body(request, bytes_max)
    if not body:
        return {}
    if _media_type(request) not in types:
        raise UnreadableBody(f"send the body as {_JSON}")
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("the body cannot be read as JSON", code="bad_json") from None
    if not isinstance(data, dict):
        raise BadRequest("the body must be a JSON object", code="bad_json")
    return data


def asked_of(request: Request, form_token: str = "") -> Asked:
    """Take from a request what tells who asks. Raises BadRequest for what is ambiguous."""
    headers = dict(request.headers.items())
    for name in _ONLY_ONCE:
        if len(request.headers.getlist(name)) > 1:
            raise BadRequest(f"the header {name} was sent twice", code="two_credentials")
    server = request.scope.get("server")
    over_socket = server is not None and server[1] is None
    return Asked(
        headers=headers,
        cookies=request.cookies,
        query=request.scope["query_string"].decode("latin-1"),
        form_token=form_token or headers.get(FORM_HEADER, ""),
        # The gateway says of everything that it relays whom it is for.
        direct=over_socket and "x-forwarded-for" not in headers,
        path_key=request.path_params.get("path_key", ""),
    )


def without_token(fields: Mapping[str, str]) -> dict[str, str]:
    """Give a form's fields as its handler gets them."""
    return {name: value for name, value in fields.items() if name != FORM_FIELD}


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _body(request: Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > bytes_max:
            raise TooLarge(f"the body is larger than {bytes_max >> 10} KB")
        parts.append(part)
    return b"".join(parts)
