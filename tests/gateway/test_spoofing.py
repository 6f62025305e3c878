"""Headers and fields by which a caller could pretend or choose what is not its to choose."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from canaries import LOGIN
from protocols import ALL, ANTHROPIC, OPENAI, Protocol
from raw_http import RawConnection, ask, get, request
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import EMAIL, TEAM, deployment
from watched import Watched

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
VENDOR_KEYS = {
    "openai": b"authorization: Bearer sk-canary-openai-0001",
    "anthropic": b"x-api-key: sk-canary-anthropic-0002",
    "google": b"x-goog-api-key: AIza-canary-google-0003",
}


def _reply(conversation: Conversation) -> None:
    conversation.answer(
        json_reply(
            {"id": "r"},
            headers="x-request-id: up-1\r\nset-cookie: a=b\r\nserver: x\r\nalt-svc: h3\r\n"
            "x-should-retry: true\r\nx-tollkeeper-call-id: forged\r\nconnection: x-hop\r\n"
            "x-hop: 1\r\nx-kept: 1\r\n",
        )
    )


@pytest.fixture(scope="module")
def module_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("spoofing")
    with RoughUpstream(_reply) as rough, deployment(folder, rough.url) as made:
        yield Watched(made, rough)


HOP_BY_HOP = (
    *("close, Authorization", "close, x-api-key", "x-goog-api-key, api-key", "Content-Length"),
    *("x-tollkeeper-key", "host", "content-type, accept-encoding", "X-Team, authorization"),
    *("te, trailer, transfer-encoding", "keep-alive, x-mine", "\t x-mine ,,", "x-mine;q=1"),
)


@protocols
@pytest.mark.parametrize("named", HOP_BY_HOP)
def test_no_connection_header_takes_ours_away(
    watched: Watched, protocol: Protocol, named: str
) -> None:
    """M7"""
    headers = {"connection": named, "x-mine": "1", "x-team": "t"}
    assert ask(watched.port, protocol.call(watched.key, headers)).status == 200
    head, _, body = watched.one().partition(b"\r\n\r\n")
    lower = head.lower()
    assert VENDOR_KEYS[protocol.provider].lower() in lower
    assert lower.count(b"\r\nhost: ") == 1
    assert b"\r\ncontent-length: %d" % len(body) in lower
    assert b"\r\nconnection:" not in lower
    assert lower.count(b"\r\naccept-encoding: identity") == 1
    for name in ("x-mine", "x-team"):
        options = [option.strip().lower() for option in named.split(",")]
        assert (f"\r\n{name}: ".encode() in lower) == (name not in options)


FORGED = {
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-host": "gateway",
    "x-forwarded-proto": "https",
    "forwarded": "for=127.0.0.1",
    "x-real-ip": "127.0.0.1",
    "true-client-ip": "127.0.0.1",
    "via": "1.1 x",
    "x-tollkeeper-team": "other",
    "x-tollkeeper-call-id": "forged",
    "x-tollkeeper-cost-usd": "0",
    "x-tollkeeper-provider": "lab",
    "x-litellm-team": "other",
    "x-litellm-api-key": "other",
    "x-portkey-provider": "lab",
    "helicone-auth": "Bearer x",
    "proxy-authorization": "Basic x",
    "cookie": "tollkeeper_session=forged",
    "openai-organization": "org-other",
    "openai-project": "proj-other",
    "x-goog-user-project": "other",
    "chatgpt-account-id": "acct-other",
    "idempotency-key": "same",
    "x-idempotency-key": "same",
    "sec-websocket-key": "x",
    "te": "trailers",
}

MEANINGLESS = {
    "x-user": "mallory",
    "x-user-id": "mallory",
    "x-team-id": "mallory",
    "x-org": "mallory",
    "x-request-id": "mallory",
}


@protocols
def test_what_a_caller_says_of_itself_changes_nothing(watched: Watched, protocol: Protocol) -> None:
    """M8: neither whom it is booked to, nor where it goes, nor what the provider sees."""
    headers = FORGED | MEANINGLESS
    answer = ask(watched.port, protocol.call(watched.key, headers))
    assert answer.status == 200
    sent = watched.one().lower()
    for name in FORGED:
        assert f"\r\n{name}: ".encode() not in sent, name
    for name, value in MEANINGLESS.items():
        assert f"\r\n{name}: {value}\r\n".encode() in sent, "like any other header"
    watched.entries(1)
    entry = watched.gateway.entries()[-1]
    assert (entry.team, entry.user_name, entry.provider) == (TEAM, EMAIL, protocol.provider)
    assert "forged" not in str(entry)
    assert "mallory" not in str(entry)
    assert answer.headers["x-tollkeeper-call-id"] == entry.call_id


def test_a_forged_address_does_not_open_what_is_for_this_machine(watched: Watched) -> None:
    assert get(watched.port, "/metrics").status == 200
    for value in ("10.0.0.1", "127.0.0.1", ""):
        assert get(watched.port, "/metrics", {"x-forwarded-for": value}).status == 403


def test_health_says_the_same_few_words_to_everybody(watched: Watched) -> None:
    ready = {"status", "draining", "journal", "store", "configuration"}
    known, proxied = {"authorization": f"Bearer {watched.key}"}, {"x-forwarded-for": "10.1.1.1"}
    for headers in ({}, known, proxied):
        assert get(watched.port, "/healthz", headers).body == b'{"status":"ok"}'
        answer = get(watched.port, "/readyz", headers).json()
        assert set(answer) == ready
        assert answer.pop("status") == "ready"
        assert all(value is True or value is False for value in answer.values())


def test_what_a_provider_says_is_cleaned(watched: Watched) -> None:
    answer = ask(watched.port, OPENAI.call(watched.key))
    assert answer.headers["x-request-id"] == "up-1"
    assert answer.headers["x-kept"] == "1"
    dropped = {"set-cookie", "server", "alt-svc", "x-should-retry", "x-hop", "connection"}
    assert not dropped & set(answer.headers)
    assert answer.headers["x-tollkeeper-call-id"] != "forged"


def test_the_same_request_id_from_two_callers_is_two_calls(watched: Watched) -> None:
    """M26: ids that decide what is billed are minted here."""
    other = watched.gateway.issue("other")
    headers = {"x-request-id": "one", "idempotency-key": "one", "x-client-request-id": "one"}
    for key in (watched.key, other, watched.key):
        assert ask(watched.port, OPENAI.call(key, headers)).status == 200
    assert watched.entries(3) == [("ok", "")] * 3
    entries = watched.gateway.entries()[-3:]
    assert len({entry.call_id for entry in entries}) == 3
    assert len({entry.entry_id for entry in entries}) == 3
    assert len(watched.sent()) == 3
    twice = OPENAI.call(watched.key, {"x-request-id": "a\r\nx-request-id: b"})
    assert ask(watched.port, twice).status == 200


NOT_SETTABLE: dict[str, Any] = {
    "api_base": "http://127.0.0.1:1",
    "base_url": "http://127.0.0.1:1",
    "api_key": "sk-mine",
    "api_version": "x",
    "proxy": "http://127.0.0.1:1",
    "organization": "org",
    "custom_llm_provider": "lab",
    "aws_access_key_id": "x",
    "aws_secret_access_key": "x",
    "aws_region_name": "x",
    "vertex_credentials": "{}",
    "vertex_project": "p",
}


@pytest.mark.parametrize("name", NOT_SETTABLE)
def test_a_body_does_not_choose_where_it_goes_or_who_pays(watched: Watched, name: str) -> None:
    """M16"""
    for protocol in (OPENAI, ANTHROPIC):
        for spelling in (name, name.upper(), name.replace("_", "")):
            data = protocol.call(watched.key, **{spelling: NOT_SETTABLE[name]})
            fault = protocol.fault(ask(watched.port, data))
            assert fault.status == 400
            assert fault.code in {"field_not_allowed", "field_ambiguous"}
    assert not watched.sent()


def test_a_key_as_user_name_cookie_or_second_header_is_none(watched: Watched) -> None:
    """M20"""
    basic = base64.b64encode(f"{watched.key}:".encode()).decode()
    for headers, status in (
        ({"authorization": f"Basic {basic}"}, 401),
        ({"authorization": f"Basic {basic}", "x-api-key": watched.key}, 200),
        ({"cookie": f"key={watched.key}"}, 401),
        ({"authorization": watched.key}, 401),
        ({"authorization": f"Bearer  {watched.key}"}, 200),
        ({"authorization": f"Token {watched.key}"}, 401),
        ({"x-api-key": f"Bearer {watched.key}"}, 401),
        ({"authorization": f"Bearer {watched.key}, Bearer x"}, 401),
        ({"authorization": f"Bearer {watched.key}", "x-api-key": "sk-other"}, 400),
    ):
        watched.forget()
        answer = ask(watched.port, request(OPENAI.path, dict(OPENAI.body), headers))
        assert answer.status == status, (headers, answer)
        assert len(watched.sent()) == (status == 200)
        assert all(basic.encode() not in sent for sent in watched.sent())


PLACES = ("x-api-key", "authorization", "x-goog-api-key", "api-key", "x-tollkeeper-key", "url")


@pytest.mark.parametrize("place", PLACES)
def test_hostile_text_as_a_key_is_refused_without_an_echo(watched: Watched, place: str) -> None:
    """M21: it reaches no query, no format and no log."""
    for text in (
        *("' OR 1=1 --", "%s%s%n", "{0.__class__}", "../../etc/passwd", "tk_live_' OR '1'='1"),
        *("tk_live_%00", "\u00e4" * 50, "$" + "{jndi:ldap://x}", "tk_live_" + "{}" * 30),
    ):
        headers = {"authorization": f"Bearer {text}"} if place == "authorization" else {place: text}
        if place == "url":
            quoted = "".join(f"%{byte:02x}" for byte in text.encode())
            data = request(f"{OPENAI.path}?key={quoted}", dict(OPENAI.body))
        else:
            data = request(OPENAI.path, dict(OPENAI.body), headers)
        answer = ask(watched.port, data)
        assert answer.status in {400, 401}, (text, answer)
        assert text.encode() not in answer.body
        assert json.dumps(text).encode()[1:-1] not in answer.body
        assert text not in watched.gateway.logs()
    assert not watched.sent()


def test_a_login_beside_our_key_goes_to_its_vendor_and_nowhere_else(watched: Watched) -> None:
    data = ANTHROPIC.call(
        "", {"x-api-key": None, "x-tollkeeper-key": watched.key, "authorization": f"Bearer {LOGIN}"}
    )
    with RawConnection(watched.port) as connection:
        for _ in range(3):
            assert connection.send(data).answer().status == 200
    for sent in watched.sent():
        assert b"authorization: Bearer " + LOGIN.encode() in sent
        assert b"canary-anthropic" not in sent
        assert b"tk_live" not in sent
