"""Which of our keys a request presents, and which credentials of a vendor travel beside it.

Our key may stand where a vendor's would (Authorization, x-api-key, x-goog-api-key, api-key,
``?key=``), also as the access key id of a client that signs its requests for AWS. Then the
call is made with the operator's key for the provider, and nothing that the caller sent is
passed on. Or it stands in a place of its own (x-tollkeeper-key, or
``/k/<key>/`` in front of the path). Then the other credentials belong to the vendor, and
travel on: this is how people bring their own subscription.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from tollkeeper.domain.errors import BadRequest, KeyRejected
from tollkeeper.domain.key_tokens import PREFIX, KeyToken, parse
from tollkeeper.wire.paths import parameter_name

HeaderLookup = Callable[[bytes], bytes | None]
"""Gives the value of a header by its lower-case name, None where there is none."""

OWN_HEADER: Final = b"x-tollkeeper-key"
AUTHORIZATION: Final = b"authorization"
VENDOR_HEADERS: Final = frozenset({AUTHORIZATION, b"x-api-key", b"x-goog-api-key", b"api-key"})
"""Where vendors take a credential. They pass to a provider only as the caller's own login."""

_KEY_HEADERS: Final = (b"x-api-key", b"x-goog-api-key", b"api-key")
_QUERY_KEYS: Final = frozenset({"key", "api_key", "api-key", "access_token"})


class Credentials(NamedTuple):
    """What a request presented.

    ``key`` is the text of our key as it was presented ("" when there is none) and ``place``
    the word for where. ``vendor_login`` tells that the caller brought credentials for the
    vendor, which are passed on. ``headers_dropped`` and ``query_dropped`` name what must
    not be passed on; names of headers are in lower case.
    ``flat_rate`` names the subscription that the login seems to be of ("" for none: then
    the vendor bills the caller by use).
    """

    key: str
    place: str
    vendor_login: bool
    headers_dropped: frozenset[bytes]
    query_dropped: frozenset[str] = frozenset()
    flat_rate: str = ""


_ALL_HEADERS: Final = VENDOR_HEADERS | {OWN_HEADER}
_BY_BEARER: Final = "authorization"
_AWS_SIGNED: Final = b"AWS4-"
_ACCESS_KEY_ID: Final = re.compile(rb"[ ,]Credential=([^/, ]+)/")


def read_credentials(
    header: HeaderLookup, query: str = "", path_key: str = "", provider: str = ""
) -> Credentials:
    """Find the key and the vendor's login of one request.

    ``path_key`` is what stood behind ``/k/``, ``provider`` the one that the path names.
    Raises BadRequest when two different keys are presented, or a key and something else
    without saying which of them is ours. Basic authentication and cookies never count.
    """
    own = _text(header(OWN_HEADER))
    authorization = header(AUTHORIZATION)
    bearer = _bearer(authorization) or _signed_by(authorization)
    in_query = _in_query(query) if query else None
    if not own and not path_key:
        return _in_vendor_place(header, bearer, in_query)
    if own and path_key and own != path_key:
        raise _two_keys()
    key, place = (own, "x-tollkeeper-key") if own else (path_key, "path")
    dropped = {OWN_HEADER}
    login = False
    for name in (AUTHORIZATION, *_KEY_HEADERS):
        value = bearer if name == AUTHORIZATION else _text(header(name))
        if value.startswith(PREFIX):
            if value != key:
                raise _two_keys()
            dropped.add(name)
        elif name == AUTHORIZATION and authorization and authorization.startswith(_AWS_SIGNED):
            dropped.add(name)  # made for this address: worth nothing anywhere else
        elif value or (name == AUTHORIZATION and authorization):
            login = True
    query_dropped: set[str] = set()
    for parameter, value in (in_query or {}).items():
        if value.startswith(PREFIX):
            if value != key:
                raise _two_keys()
            query_dropped.add(parameter)
        elif parameter in _QUERY_KEYS:
            login = True
    return Credentials(
        key,
        place,
        login,
        frozenset(dropped) if login else _ALL_HEADERS,
        frozenset(query_dropped),
        _flat_rate(header, bearer, provider) if login else "",
    )


def require_token(credentials: Credentials) -> KeyToken:
    """Give the key's parts, or raise KeyRejected: no key, somebody else's, or a mistyped one."""
    key = credentials.key
    if not key:
        raise KeyRejected(
            "no Tollkeeper key: send it as 'Authorization: Bearer tk_live_…', x-api-key, "
            "x-goog-api-key or x-tollkeeper-key",
            code="key_missing",
        )
    token = parse(key)
    if token is not None:
        return token
    if key.startswith(PREFIX):
        raise KeyRejected(
            "the Tollkeeper key is incomplete or mistyped: its checksum is wrong",
            code="key_malformed",
        )
    raise KeyRejected(
        f"what was sent in {credentials.place} is not a Tollkeeper key; one begins with tk_live_",
        code="key_unknown",
    )


def _in_vendor_place(
    header: HeaderLookup, bearer: str, in_query: dict[str, str] | None
) -> Credentials:
    key, place = bearer, _BY_BEARER if bearer else ""
    for name in _KEY_HEADERS:
        value = header(name)
        if value is not None:
            text = _text(value)
            if key and text and text != key:
                raise _unclear(key, text)
            if not key:
                key, place = text, name.decode()
    dropped: frozenset[str] = frozenset()
    if in_query:
        dropped = frozenset(in_query)
        for text in in_query.values():
            if key and text and text != key:
                raise _unclear(key, text)
            if not key:
                key, place = text, "the query"
    return Credentials(key, place, False, _ALL_HEADERS, dropped)


def _unclear(one: str, other: str) -> BadRequest:
    if one.startswith(PREFIX) and other.startswith(PREFIX):
        return _two_keys()
    return BadRequest(
        "two different credentials: to bring a login of the vendor, "
        "send the Tollkeeper key as x-tollkeeper-key",
        code="credentials_unclear",
    )


def _two_keys() -> BadRequest:
    return BadRequest("two different Tollkeeper keys in one request", code="two_keys")


def _text(value: bytes | None) -> str:
    return value.decode("latin-1").strip() if value else ""


def _bearer(value: bytes | None) -> str:
    if not value or value[:7].lower() != b"bearer ":
        return ""
    return value[7:].decode("latin-1").strip()


def _signed_by(value: bytes | None) -> str:
    """Give our key from where a signature for AWS names its access key; "" for Amazon's own.

    The signature itself is not looked at: who can name the key has it.
    """
    signed = _ACCESS_KEY_ID.search(value) if value and value.startswith(_AWS_SIGNED) else None
    key = signed[1].decode("latin-1") if signed is not None else ""
    return key if key.startswith(PREFIX) else ""


def _in_query(query: str) -> dict[str, str] | None:
    """Give the parameters that hold a credential: by their name, or because ours is in them."""
    if "ke" not in query and "%" not in query and PREFIX not in query:
        return None
    found: dict[str, str] = {}
    for part in query.split("&"):
        name = parameter_name(part)
        value = unquote_plus(part.partition("=")[2])
        if name in _QUERY_KEYS or value.startswith(PREFIX):
            if name in found and found[name] != value:
                raise BadRequest(f"the query says {name!r} twice", code="query_ambiguous")
            found[name] = value
    return found or None


def _flat_rate(header: HeaderLookup, bearer: str, provider: str) -> str:
    """Guess the subscription behind a login, from what the vendors' own tools send."""
    if not bearer:
        return ""
    if bearer.startswith("sk-ant-oat"):
        return "anthropic"
    if header(b"chatgpt-account-id") is not None:
        return "chatgpt"
    if provider in {"code-assist", "kimi-code", "chatgpt"}:
        return provider
    return ""
