"""Requests recorded from the tools themselves go through every step, against a golden table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from recorded_requests import GOLDEN, OWN, Seen, headers_of, load
from tollkeeper.wire.clients import ClientTable
from tollkeeper.wire.controls import NO_CONTROLS, Controls, read_controls
from tollkeeper.wire.credentials import VENDOR_HEADERS, read_credentials, require_token
from tollkeeper.wire.endpoints import match
from tollkeeper.wire.headers import HeaderFilter
from wire_requests import KEY, lookup


def controls_of(sample: dict[str, Any], endpoint: Any) -> Controls:
    body = sample["body"]
    if isinstance(body, str) and body:  # cut short in the recording
        found = re.match(r'\{"model": "([^"]+)", "stream": true', body)
        assert found is not None
        body = {"model": found[1], "stream": True}
    if not body:
        return NO_CONTROLS
    compact = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    spaced = json.dumps(body).encode()
    assert read_controls(compact, endpoint) == read_controls(spaced, endpoint)
    return read_controls(compact, endpoint)


def test_the_table_names_every_recording(shared: Path) -> None:
    names = {path.stem for path in (shared / "samples/wire").glob("*.json")}
    assert names == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_recorded_request_is_understood(shared: Path, name: str) -> None:
    sample = load(shared, name)
    found = match(sample["method"].encode(), sample["path"])
    if found is None:
        assert GOLDEN[name] is None
        return
    headers = headers_of(sample)
    header = lookup(headers)
    credentials = read_credentials(header, sample["query"], "", found.provider)
    controls = controls_of(sample, found.endpoint)
    client = ClientTable().identify(header, controls)
    assert controls.end_customer == ""
    assert GOLDEN[name] == Seen(
        endpoint=found.endpoint.name,
        path=found.upstream_path,
        model=found.model or controls.model,
        stream=found.streamed or controls.stream,
        limit=controls.max_output_tokens,
        place=credentials.place,
        tool=client.tool,
        version=client.version,
        session=client.session_id,
        login=credentials.flat_rate or ("own key" if credentials.vendor_login else ""),
        provider=found.provider,
        asks=controls.asks_for_usage,
    )


# What a provider must see of its own client, by the beginning of the name.
KEPT = ("anthropic-", "user-agent", "x-msh-", "x-stainless-", "x-app", "content-", "accept")
REPLACED = ("content-length", "accept-encoding")


@pytest.mark.parametrize("name", [name for name, seen in GOLDEN.items() if seen])
def test_a_recorded_request_is_passed_on_without_our_key(shared: Path, name: str) -> None:
    sample = load(shared, name)
    headers = headers_of(sample)
    credentials = read_credentials(lookup(headers), sample["query"])
    lines = HeaderFilter().request_lines(headers, credentials)
    assert b"tk_" not in lines
    passed = lines.split(b"\r\n")
    for field, value in headers:
        lower = field.decode().lower()
        if lower.startswith(KEPT) and not lower.startswith(REPLACED):
            assert field + b": " + value in passed
    names = {line.partition(b":")[0].lower() for line in passed}
    assert bool(names & VENDOR_HEADERS) == credentials.vendor_login
    assert not names & {b"host", b"connection", b"content-length", OWN.encode()}


def test_codex_with_its_login_and_our_key_in_the_path(shared: Path) -> None:
    sample = load(shared, "codex_chatgpt_login_openai_base_url_zstd")
    headers = headers_of(sample)
    credentials = read_credentials(lookup(headers), "", KEY)
    assert require_token(credentials).key_id == "Abcd1234"
    assert (credentials.vendor_login, credentials.flat_rate) == (True, "chatgpt")
    lines = HeaderFilter().request_lines(headers, credentials)
    assert b"chatgpt-account-id: acct-1\r\n" in lines
    assert b"content-encoding: zstd\r\n" in lines
    assert b"authorization: Bearer <JWT>\r\n" in lines
