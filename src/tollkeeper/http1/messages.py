"""The head of a request as the server read it, and what makes a head unacceptable."""

from __future__ import annotations

import re
from typing import Final

from tollkeeper.domain.errors import BadRequest, TooLarge

Headers = list[tuple[bytes, bytes]]
"""Header fields in wire order, names as they were spelled."""

HEADERS_MAX: Final = 100
HEAD_BYTES_MAX: Final = 32 << 10
TARGET_BYTES_MAX: Final = 8 << 10

_HOST = re.compile(rb"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")

# A second one of these could make us and somebody else read two different requests.
_SINGLE: Final = frozenset(
    {
        b"host",
        b"authorization",
        b"x-api-key",
        b"x-goog-api-key",
        b"api-key",
        b"x-tollkeeper-key",
        b"x-tollkeeper-tags",
        b"x-tollkeeper-user",
        b"x-tollkeeper-session",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
    }
)
# Spellings that some servers take for the real ones.
_DISGUISED: Final = frozenset({b"transfer_encoding", b"content_length"})


class Request:
    """One request head. Equal heads may share one object: only ``notes`` ever changes.

    ``path`` and ``query`` are the target's raw bytes around the first ``?``. ``header``
    looks a field up by its lower-case name; the fields that must be unique are.
    ``length`` is the declared body size (None: no body, or chunked; a shared head has the
    length of the request that it was first seen with). ``notes`` is the application's own:
    what it derived from the head alone.
    """

    __slots__ = (
        "_by_name",
        "chunked",
        "headers",
        "http_1_0",
        "keep_alive",
        "length",
        "method",
        "notes",
        "path",
        "query",
        "target",
    )

    def __init__(
        self, method: bytes, target: bytes, version: str, headers: Headers, *, keep_alive: bool
    ) -> None:
        self.method = method
        self.headers = headers
        self.http_1_0 = version == "1.0"
        self.keep_alive = keep_alive and not self.http_1_0
        self.notes: object = None
        by_name: dict[bytes, bytes] = {}
        for name, value in headers:
            lower = name.lower()
            if lower in by_name:
                if lower in _SINGLE:
                    raise BadRequest(f"two {lower.decode('ascii', 'replace')} headers")
                continue
            by_name[lower] = value
        self._by_name = by_name
        self.chunked = False
        self.length: int | None = None
        self._check_framing(version)
        if target[:1] != b"/" or b"#" in target:
            target = self._origin_form(target)
        self.target = target
        self.path, _, self.query = target.partition(b"?")

    def header(self, name: bytes) -> bytes | None:
        """Give the first value of a field, by lower-case name."""
        return self._by_name.get(name)

    def _check_framing(self, version: str) -> None:
        by_name = self._by_name
        host = by_name.get(b"host")
        if host is None:
            if not self.http_1_0:
                raise BadRequest("no Host header")
        elif not _HOST.fullmatch(host):
            raise BadRequest("a Host header that names no host")
        if version not in {"1.1", "1.0"}:
            raise BadRequest("only HTTP/1.1 is spoken here", code="http_version")
        coding = by_name.get(b"transfer-encoding")
        if coding is not None:
            if coding.lower() != b"chunked" or self.http_1_0:
                raise BadRequest("a Transfer-Encoding other than chunked")
            self.chunked = True
        length = by_name.get(b"content-length")
        if length is not None:
            if not length.isdigit() or len(length) > 18:
                raise BadRequest("a Content-Length that is no number")
            self.length = int(length)
        if not _DISGUISED.isdisjoint(by_name):
            raise BadRequest("a framing header in disguise")

    def _origin_form(self, target: bytes) -> bytes:
        """Reduce an absolute target to its path; its host must be the Host header's."""
        scheme, separator, rest = target.partition(b"://")
        authority, slash, path = rest.partition(b"/")
        if (
            separator
            and scheme.lower() in {b"http", b"https"}
            and authority == self._by_name.get(b"host")
            and b"#" not in target
        ):
            return slash + path if slash else b"/"
        raise BadRequest("a request target that is not a path on this host")


def too_large_head() -> TooLarge:
    """The refusal of a head above its limits."""
    error = TooLarge("the request head is larger than the gateway accepts", code="head_too_large")
    error.status = 431
    return error


def too_long_target() -> TooLarge:
    """The refusal of a target above its limit."""
    error = TooLarge("the request target is too long", code="target_too_long")
    error.status = 414
    return error


REASONS: Final = {
    100: b"Continue",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    206: b"Partial Content",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    417: b"Expectation Failed",
    422: b"Unprocessable Content",
    426: b"Upgrade Required",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    507: b"Insufficient Storage",
    529: b"Site Overloaded",
}

_STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %s\r\n" % (status, reason) for status, reason in REASONS.items()
}


def status_line(status: int) -> bytes:
    """Give the status line of a reply, with the usual reason phrase."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
