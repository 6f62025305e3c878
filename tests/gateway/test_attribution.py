"""Whose call it was: requests as the tools send them, through a gateway, into its ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard

from protocols import ALL, ANTHROPIC, GEMINI, OPENAI, RESPONSES, Protocol
from raw_http import RawConnection, ask
from recorded_requests import GOLDEN, headers_of, load
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import EMAIL, TEAM, deployment, usual_configuration
from tollkeeper.domain.ledger import Basis, LedgerEntry
from watched import Watched

LOCAL = {"models", "hello", "responses/websocket"}
# None in the table: a WebSocket's frame, and a protocol spoken below /providers/ only.
BESIDE = [name for name, seen in GOLDEN.items() if seen and seen.endpoint in LOCAL]
CALLS = [name for name, seen in GOLDEN.items() if seen and seen.endpoint not in LOCAL]
# The client's own framing, which is written anew for the body that we send.
FRAMING = {b"host", b"connection", b"content-length", b"transfer-encoding"}
KEY_IN_PATH = "codex_chatgpt_login_openai_base_url_zstd"


def _reply(conversation: Conversation) -> None:
    conversation.answer(json_reply({"id": "r"}))


@pytest.fixture(scope="module")
def module_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with RoughUpstream(_reply) as rough:
        configuration = usual_configuration(rough.url)
        configuration["providers"] |= {
            "vertex": {"api_key": "canary-vertex-attribution", "base_url": f"{rough.url}/v1beta1"},
            "cohere": {"api_key": "canary-cohere-attribution", "base_url": rough.url},
            **{name: {"base_url": rough.url} for name in ("chatgpt", "code-assist", "kimi-code")},
        }
        configuration["models"] |= {
            "m": ["openai/m", "anthropic/m", "cohere/m"],
            **dict.fromkeys(("fake-model", "kimi-*", "gpt-*"), "openai"),
            "claude-*": "anthropic",
            "gemini-*": ["google", "vertex"],
        }
        folder = tmp_path_factory.mktemp("attribution")
        with deployment(folder, rough.url, configuration) as made:
            yield Watched(made, rough)


def _newest(watched: Watched) -> LedgerEntry:
    watched.entries(1)
    return watched.gateway.entries()[-1]


def _body(sample: Mapping[str, Any]) -> bytes:
    body = sample["body"]
    if isinstance(body, str):  # cut short in the recording
        found = GOLDEN[sample["sample"]]
        assert found is not None
        body = {"model": found.model, "stream": found.stream, "input": "hello"}
    return json.dumps(body).encode()


def _recorded(sample: Mapping[str, Any], key: str, **more: str) -> bytes:
    fields = [field for field in headers_of(dict(sample), key) if field[0].lower() not in FRAMING]
    fields += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    body = _body(sample)
    if (b"content-encoding", b"zstd") in fields:
        body = zstandard.ZstdCompressor().compress(body)
    fields += [(b"Host", b"gateway.test"), (b"Content-Length", b"%d" % len(body))]
    path = sample["path"] + (f"?{sample['query']}" if sample["query"] else "")
    if sample["sample"] == KEY_IN_PATH:
        path = f"/k/{key}{path}"
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    return f"{sample['method']} {path} HTTP/1.1\r\n".encode() + lines + b"\r\n" + body


@pytest.mark.parametrize("name", CALLS)
def test_a_tools_own_request_is_attributed(watched: Watched, shared: Path, name: str) -> None:
    """Twice on one connection: the second head is known already."""
    seen, sample = GOLDEN[name], load(shared, name)
    assert seen is not None
    data = _recorded(
        sample, watched.key, x_tollkeeper_tags="feature=chat", x_tollkeeper_user="customer-7"
    )
    with RawConnection(watched.port) as connection:
        for _ in range(3):
            watched.forget()
            answer = connection.send(data).answer()
            assert answer.status == 200, answer
            entry = _newest(watched)
            assert (entry.tool, entry.tool_version) == (seen.tool, seen.version)
            assert entry.session_id == seen.session
            assert (entry.endpoint, entry.model_requested) == (seen.endpoint, seen.model)
            assert (entry.team, entry.user_name, entry.key_name) == (TEAM, EMAIL, "laptop")
            assert dict(entry.tags) == {"feature": "chat"}
            assert entry.end_customer == "customer-7"
            login = seen.login or ("chatgpt" if name == KEY_IN_PATH else "")
            assert (entry.basis == Basis.FLAT_RATE) == (login not in {"", "own key"})
            if seen.provider:
                assert entry.provider == seen.provider
    sent = watched.one()
    assert watched.key.encode() not in sent
    assert b"x-tollkeeper" not in sent.lower()
    assert b"customer-7" not in sent
    if b"content-encoding: zstd" in sent.lower():
        body = sent.partition(b"\r\n\r\n")[2]
        assert zstandard.ZstdDecompressor().decompress(body) == _body(sample)


@pytest.mark.parametrize("name", BESIDE)
def test_what_tools_ask_beside_calls_is_answered_here(
    watched: Watched, shared: Path, name: str
) -> None:
    seen, sample = GOLDEN[name], load(shared, name)
    assert seen is not None
    data = _recorded(dict(sample) | {"body": {}}, watched.key)
    data = data.replace(b"Content-Length: 2", b"Content-Length: 0")[:-2]
    with RawConnection(watched.port) as connection:
        answer = connection.send(data).answer(head_only=sample["method"] == "HEAD")
    assert answer.status == (426 if seen.endpoint == "responses/websocket" else 200), answer
    if name == "codex_models":
        assert set(answer.json()) >= {"models"}
    assert not watched.sent()


# ---------------------------------------------------------------------- tags


TAGS: dict[str, tuple[Protocol, dict[str, str | None], dict[str, Any], dict[str, str]]] = {
    "our header": (OPENAI, {"x-tollkeeper-tags": "a=1,b=2"}, {}, {"a": "1", "b": "2"}),
    "our header in JSON": (
        *(ANTHROPIC, {"x-tollkeeper-tags": '{"a":"1","n":2}'}, {}),
        {"a": "1", "n": "2"},
    ),
    "metadata.tags": (OPENAI, {}, {"metadata": {"tags": ["a:1", "b"]}}, {"a": "1", "b": "true"}),
    "tags of a body": (RESPONSES, {}, {"tags": {"a": "1"}}, {"a": "1"}),
    "Helicone": (GEMINI, {"Helicone-Property-App": "x"}, {}, {"app": "x"}),
    "LiteLLM": (ANTHROPIC, {"x-litellm-tags": "a:1,b"}, {}, {"a": "1", "b": "true"}),
    "a header wins over the body": (
        *(OPENAI, {"x-tollkeeper-tags": "a=head"}, {"tags": ["a:body", "c:1"]}),
        {"a": "head", "c": "1"},
    ),
}


@pytest.mark.parametrize("name", TAGS)
def test_tags_reach_the_ledger_and_no_provider(watched: Watched, name: str) -> None:
    protocol, headers, members, expected = TAGS[name]
    data = protocol.call(watched.key, headers, **members)
    assert ask(watched.port, data).status == 200
    assert dict(_newest(watched).tags) == expected
    sent = watched.one().lower()
    assert b"tollkeeper" not in sent
    assert b"helicone" not in sent
    assert b"litellm" not in sent
    assert b'"tags": {' not in sent


def test_a_keys_own_tags_are_there_and_its_callers_may_refine_them(watched: Watched) -> None:
    key = watched.gateway.issue("tagged", tags={"cost-centre": "42", "app": "x"})
    for headers, expected in (
        ({}, {"cost-centre": "42", "app": "x"}),
        ({"x-tollkeeper-tags": "app=y,z=1"}, {"cost-centre": "42", "app": "y", "z": "1"}),
    ):
        watched.forget()
        assert ask(watched.port, OPENAI.call(key, headers)).status == 200
        assert dict(_newest(watched).tags) == expected


NASTY = ("a\u2028b", "<script>", "=1+1", "%s{0}", "\u202eevil", "a\u0000b", "\ud83d\ude00", "'; --")


@pytest.mark.parametrize("text", NASTY)
def test_strange_text_breaks_neither_header_nor_log_nor_ledger(watched: Watched, text: str) -> None:
    """M10: what can be shown is kept as it is, everything else is dropped."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    lines_before = watched.gateway.logs().count("\n")
    data = OPENAI.call(watched.key, metadata={"tags": {"t": text}}, user=text)
    assert ask(watched.port, data).status == 200
    entry = _newest(watched)
    kept = text if text.isprintable() else None
    assert entry.tags.get("t") == kept
    assert entry.end_customer == (kept or "")
    model = OPENAI.call(watched.key, model=f"none/{text}")
    answer = ask(watched.port, model)
    assert 400 <= answer.status < 500
    assert answer.head.count(b"\r\n") == len(answer.headers) + 2
    assert watched.gateway.logs().count("\n") == lines_before
    watched.entries(2)


@pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
def test_an_unreadable_tag_header_of_ours_is_refused(watched: Watched, protocol: Protocol) -> None:
    for value in ("no pairs", "{", "[1]", "a=1,b"):
        data = protocol.call(watched.key, {"x-tollkeeper-tags": value})
        fault = protocol.fault(ask(watched.port, data))
        assert (fault.status, fault.code) == (400, "tags_invalid")
    assert not watched.sent()
