"""Which header fields of a request go to the provider, and which of its reply to the client.

Everything passes unchanged, in order and as it was spelled, except what belongs to one
connection (RFC 9110 section 7.6.1), credentials, cookies, what names the client's network,
and what was addressed to a gateway.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from tollkeeper.domain.errors import BadRequest, UpstreamFailed
from tollkeeper.domain.key_tokens import PREFIX
from tollkeeper.wire.credentials import VENDOR_HEADERS, Credentials

Headers = Sequence[tuple[bytes, bytes]]
"""Header fields in wire order, names as they were spelled."""

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
_REQUEST_DROPPED: Final = _HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"accept-encoding",
    b"expect",
    b"cookie",
    b"cookie2",
    b"forwarded",
    b"via",
    b"x-real-ip",
    b"x-client-ip",
    b"true-client-ip",
    b"cf-connecting-ip",
    # A caller's signature for AWS holds for this gateway's address only, and is none of Amazon's.
    b"x-amz-date",
    b"x-amz-security-token",
    b"x-amz-content-sha256",
    b"x-amz-region-set",
    b"amz-sdk-request",
    b"amz-sdk-invocation-id",
}
_REQUEST_DROPPED_PREFIXES: Final = (
    b"x-forwarded-",
    b"proxy-",
    b"x-tollkeeper-",
    b"helicone-",
    b"x-litellm-",
    b"x-portkey-",
    b"x-tokonomics-",
    b"sec-websocket-",
)
# They choose an account or a stored answer. With the operator's key these are shared by all
# callers, so a caller may not choose; with the caller's own login they are the caller's.
_ACCOUNT_HEADERS: Final = frozenset(
    {
        b"openai-organization",
        b"openai-project",
        b"x-goog-user-project",
        b"chatgpt-account-id",
        b"idempotency-key",
        b"x-idempotency-key",
        b"x-amzn-bedrock-projectidentifier",
    }
)
_REPLY_DROPPED: Final = _HOP_BY_HOP | {
    b"content-length",
    b"set-cookie",
    b"set-cookie2",
    b"server",
    b"alt-svc",
    b"strict-transport-security",
    b"x-should-retry",
    b"proxy-authenticate",
    b"proxy-authentication-info",
}
_OWN_PREFIX: Final = b"x-tollkeeper-"
_KEY_MARK: Final = PREFIX.encode()
_OWN_KEY: Final = re.compile(rb"tk_(?:live|admin|scim)_", re.IGNORECASE)
_HARMLESS_OPTIONS: Final = frozenset({b"close", b"keep-alive", b""})
_IDENTITY: Final = b"accept-encoding: identity"
_NAMES_MAX: Final = 2_000
_NAME_BYTES_MAX: Final = 128


class HeaderFilter:
    """Decides what passes, and remembers the decision for each spelling of a name.

    One per process. What it remembers is bounded, and says nothing about any call.
    """

    def __init__(self) -> None:
        # Spelling of a name → how its line begins, b"" for a name that does not pass.
        self._with_our_key: dict[bytes, bytes] = {}
        self._with_login: dict[bytes, bytes] = {}
        self._reply: dict[bytes, bytes] = {}

    def request_lines(self, headers: Headers, credentials: Credentials) -> bytes:
        """Give the header lines for the provider, without Host, framing and our credential.

        The reply is asked for without a coding, so that its usage can be read. Raises
        BadRequest for a field that would be more than one line.
        """
        login = credentials.vendor_login
        known = self._with_login if login else self._with_our_key
        if login:
            dropped = credentials.headers_dropped
            headers = [field for field in headers if field[0].lower() not in dropped]
        lines: list[bytes] = []
        for name, value in headers:
            start = known.get(name)
            if start is None:
                start = _remember(known, name, _passes_to_provider(name.lower(), login))
            if start:
                lines.append(start + value)
            elif len(name) == 10 and _names_others(name, value):
                return self.request_lines(_without_named(headers), credentials)
        lines.append(_IDENTITY)
        text = b"\r\n".join(lines) + b"\r\n"
        if _KEY_MARK in text:
            lines = [line for line in lines if not _OWN_KEY.search(line)]
            text = b"\r\n".join(lines) + b"\r\n"
        if not _is_lines(text, len(lines)):
            raise BadRequest("a header field that is more than one line", code="header_invalid")
        return text

    def reply_template(self, headers: Headers, varying: Collection[int] = ()) -> bytes:
        """Give the header lines for the client, without framing, as a template.

        It is to be filled (with ``%``) with the values of the fields whose places are
        ``varying``, in order; without any, with an empty tuple. Raises UpstreamFailed for a
        field that would be more than one line.
        """
        known = self._reply
        named: Collection[bytes] = ()
        for name, value in headers:
            if len(name) == 10 and _names_others(name, value):
                named = _named_in(headers)
                break
        parts: list[bytes] = []
        for place, (name, value) in enumerate(headers):
            start = known.get(name)
            if start is None:
                start = _remember(known, name, _passes_to_client(name.lower()))
            passes = start and name.lower() not in named
            if place in varying:
                parts.append(start.replace(b"%", b"%%") + b"%b\r\n" if passes else b"%.0b")
            elif passes:
                if not _is_lines(value, 0):
                    raise UpstreamFailed(
                        "the provider sent a header field that is more than one line"
                    )
                parts.append((start + value).replace(b"%", b"%%") + b"\r\n")
        return b"".join(parts)


def _passes_to_provider(lower: bytes, login: bool) -> bool:
    if lower in _REQUEST_DROPPED or lower.startswith(_REQUEST_DROPPED_PREFIXES):
        return False
    return login or (lower not in VENDOR_HEADERS and lower not in _ACCOUNT_HEADERS)


def _passes_to_client(lower: bytes) -> bool:
    return lower not in _REPLY_DROPPED and not lower.startswith(_OWN_PREFIX)


def _remember(known: dict[bytes, bytes], name: bytes, passes: bool) -> bytes:
    start = name + b": " if passes else b""
    if len(known) < _NAMES_MAX and len(name) <= _NAME_BYTES_MAX:
        known[name] = start
    return start


def _names_others(name: bytes, value: bytes) -> bool:
    """Tell whether this is a Connection field that lists fields of this connection only."""
    if name.lower() != b"connection":
        return False
    return not all(option in _HARMLESS_OPTIONS for option in _options(value))


def _without_named(headers: Headers) -> Headers:
    named = _named_in(headers)
    return [field for field in headers if field[0].lower() not in named]


def _named_in(headers: Headers) -> set[bytes]:
    """Give the names of the fields that are of this connection only, as its own fields say."""
    named = {b"connection"}
    for name, value in headers:
        if name.lower() == b"connection":
            named |= _options(value)
    return named


def _options(value: bytes) -> set[bytes]:
    return {option.strip().lower() for option in value.split(b",")}


def _is_lines(text: bytes, count: int) -> bool:
    return text.count(b"\n") == count and text.count(b"\r") == count and b"\0" not in text
