"""Which header fields pass to the provider and to the client, and what never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import BadRequest, UpstreamFailed
from tollkeeper.wire.credentials import read_credentials
from tollkeeper.wire.headers import HeaderFilter
from wire_requests import KEY, Fields, fields, lookup

IDENTITY = [b"accept-encoding: identity"]


def sent(headers: Fields, headers_filter: HeaderFilter | None = None) -> list[bytes]:
    credentials = read_credentials(lookup(headers))
    lines = (headers_filter or HeaderFilter()).request_lines(headers, credentials)
    assert lines.endswith(b"\r\n")
    return lines[:-2].split(b"\r\n")


def returned(headers: Fields) -> list[bytes]:
    lines = HeaderFilter().reply_template(headers) % ()
    return lines[:-2].split(b"\r\n") if lines else []


def test_what_a_vendor_should_see_passes_unchanged_and_in_order() -> None:
    headers = [
        (b"anthropic-version", b"2023-06-01"),
        (b"User-Agent", b"claude-cli/2.1.329 (external, cli)"),
        (b"X-Msh-Device-Id", b"d"),
        (b"X-Stainless-Lang", b"js"),
        (b"anthropic-beta", b"a,b"),
        (b"x-app", b"cli"),
        (b"traceparent", b"00-1-2-01"),
        (b"Content-Type", b"application/json"),
        (b"Content-Encoding", b"zstd"),
        (b"Accept", b"*/*"),
        (b"Accept", b"text/event-stream"),
        (b"x-empty", b""),
    ]
    assert sent(headers) == [name + b": " + value for name, value in headers] + IDENTITY


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "Content-Length",
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Expect",
        "Cookie",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "Via",
        "X-Real-IP",
        "Accept-Encoding",
        "x-tollkeeper-tags",
        "X-Tollkeeper-User",
        "Helicone-Property-Feature",
        "Helicone-Auth",
        "x-litellm-tags",
        "Authorization",
        "X-Api-Key",
        "x-goog-api-key",
        "api-key",
        "OpenAI-Organization",
        "openai-project",
        "x-goog-user-project",
        "chatgpt-account-id",
        "Idempotency-Key",
        "X-Amz-Date",
        "X-Amz-Security-Token",
        "X-Amz-Content-SHA256",
        "amz-sdk-request",
        "X-Amzn-Bedrock-ProjectIdentifier",
        "Sec-WebSocket-Key",
    ],
)
def test_these_never_pass_with_our_key(name: str) -> None:
    for spelling in (name, name.lower(), name.upper()):
        assert sent([(spelling.encode(), b"close"), (b"x-ok", b"1")]) == [b"x-ok: 1", *IDENTITY]


def test_a_login_passes_with_the_account_it_chooses_and_nothing_of_ours() -> None:
    headers = fields(
        x_tollkeeper_key=KEY,
        Authorization="Bearer eyJ",
        chatgpt_account_id="acct-1",
        openai_organization="org-1",
        x_api_key=KEY,
        Cookie="a=b",
        x_tollkeeper_tags="a=b",
    )
    assert sent(headers) == [
        b"Authorization: Bearer eyJ",
        b"chatgpt-account-id: acct-1",
        b"openai-organization: org-1",
        *IDENTITY,
    ]


@pytest.mark.parametrize("login", [False, True])
def test_our_key_is_not_forwarded_from_any_header(login: bool) -> None:
    headers = fields(x_my_key=KEY, x_note=f"see {KEY}", x_ok="network_tk_1")
    headers += fields(x_tollkeeper_key=KEY, Authorization="Bearer sk-own") if login else []
    lines = sent(headers)
    assert not any(KEY.encode() in line for line in lines)
    assert b"x-ok: network_tk_1" in lines


def test_fields_that_connection_names_do_not_pass() -> None:
    headers = [
        (b"X-One", b"1"),
        (b"connection", b"close, X-Two"),
        (b"Connection", b"x-three"),
        (b"x-two", b"2"),
        (b"X-Three", b"3"),
    ]
    assert sent(headers) == [b"X-One: 1", *IDENTITY]
    assert returned(headers) == [b"X-One: 1"]


def test_naming_our_headers_in_connection_changes_nothing() -> None:
    headers = fields(Connection="close, Authorization, X-Tollkeeper-Key", x_tollkeeper_key=KEY)
    headers += fields(Authorization="Bearer sk-own")
    credentials = read_credentials(lookup(headers))
    assert (credentials.key, credentials.vendor_login) == (KEY, True)
    assert sent(headers) == IDENTITY  # the caller asked for its own login to be taken off


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"a\0b"])
def test_a_value_of_more_than_one_line_is_never_written(value: bytes) -> None:
    with pytest.raises(BadRequest):
        sent([(b"x-one", value)])
    with pytest.raises(UpstreamFailed):
        returned([(b"x-one", value)])


def test_replies_keep_what_clients_read() -> None:
    headers = [
        (b"Date", b"Fri, 20 Nov 2026 10:00:00 GMT"),
        (b"Content-Type", b"text/event-stream"),
        (b"request-id", b"req_1"),
        (b"x-request-id", b"req_2"),
        (b"Content-Encoding", b"gzip"),
        (b"retry-after", b"3"),
        (b"anthropic-ratelimit-requests-remaining", b"9"),
        (b"x-codex-promo-message", b"hello"),
    ]
    assert returned(headers) == [name + b": " + value for name, value in headers]


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Transfer-Encoding",
        "Content-Length",
        "Keep-Alive",
        "Trailer",
        "Set-Cookie",
        "Server",
        "Alt-Svc",
        "Strict-Transport-Security",
        "x-should-retry",
        "x-tollkeeper-call-id",
        "X-Tollkeeper-Cost-USD",
        "Proxy-Authenticate",
    ],
)
def test_these_never_reach_a_client(name: str) -> None:
    for spelling in (name, name.lower(), name.upper()):
        assert returned([(spelling.encode(), b"close")]) == []


NAMES = st.sampled_from(
    [b"X-A", b"x-a", b"Accept", b"Authorization", b"COOKIE", b"Connection", b"via", b"X-Api-Key"]
)
VALUES = st.sampled_from([b"", b"1", b"close", b"keep-alive", b"x-a", b"a, b"])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_filtering_agrees_with_the_rules_written_plainly(headers: Fields) -> None:
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    dropped = {b"authorization", b"cookie", b"connection", b"via", b"x-api-key"} | named
    credentials = read_credentials(lambda name: None)
    lines = HeaderFilter().request_lines(headers, credentials)
    expected = [name + b": " + value for name, value in headers if name.lower() not in dropped]
    assert lines == b"\r\n".join([*expected, *IDENTITY]) + b"\r\n"


def test_what_is_remembered_is_bounded_and_makes_no_difference() -> None:
    headers_filter = HeaderFilter()
    for number in range(5_000):
        sent([(b"x-%d" % number, b"1")], headers_filter)
    assert sent([(b"x-new", b"1"), (b"Cookie", b"1")], headers_filter) == [b"x-new: 1", *IDENTITY]
    assert sum(len(known) for known in vars(headers_filter).values()) < 6_000


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12), st.data())
def test_a_template_filled_with_a_replys_values_is_its_lines(
    headers: Fields, data: st.DataObject
) -> None:
    varying = [
        place
        for place, (name, _) in enumerate(headers)
        if name.lower() != b"connection" and data.draw(st.booleans())
    ]
    template = HeaderFilter().reply_template(headers, varying)
    filled = template % tuple(headers[place][1] for place in varying)
    assert filled == HeaderFilter().reply_template(headers) % ()
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    dropped = {b"connection"} | named
    assert filled == b"".join(
        name + b": " + value + b"\r\n" for name, value in headers if name.lower() not in dropped
    )
