"""Bodies of answers: JSON, and whatever is compressed on the way out."""

from __future__ import annotations

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.console.answers import JsonData
from tollkeeper.console.encodings import ENCODINGS, SMALLEST_BYTES, compressed, preferred

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"


def json_response(
    request: Request, data: JsonData, status: int, media_type: str = JSON
) -> Response:
    """Give data as JSON."""
    return sized(request, dumped(data), media_type, status)


def dumped(data: JsonData) -> bytes:
    """Write data as JSON, without blanks."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def sized(request: Request, body: bytes, media_type: str, status: int = 200) -> Response:
    """Give a body, compressed where that is worth it and the client takes it."""
    worth = len(body) >= SMALLEST_BYTES and "parquet" not in media_type
    encoding = encoding_for(request) if worth else ""
    response = Response(
        compressed(body, encoding) if encoding else body, status, media_type=media_type
    )
    say_encoding(response, encoding)
    return response


def encoding_for(request: Request) -> str:
    """Choose how the answer to a request is compressed; "" for not at all."""
    return preferred(request.headers.get("accept-encoding", ""), ENCODINGS)


def say_encoding(response: Response, encoding: str) -> None:
    """Say in an answer's headers how its body is compressed, and that this was a choice."""
    response.headers.add_vary_header("Accept-Encoding")
    if encoding:
        response.headers["Content-Encoding"] = encoding
