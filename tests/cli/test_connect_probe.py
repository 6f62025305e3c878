"""The probe of ``connect``: a real gateway, its ledger, and nothing but the key."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import Ended, invoke
from consoles import until
from loopback import HOST, free_port
from running import sandbox_process
from served import Served, served
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind

EMAIL = "bob@acme.com"
HELLO = [{"role": "user", "content": "Hello"}]
NOTHING = "providers: {}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "tollkeeper.yaml").write_text(NOTHING)  # a file that is there is watched
    with served(folder) as made:
        yield made


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and programs that say their versions as the tools do."""
    programs = tmp_path / "bin"
    programs.mkdir()
    said = {"claude": "2.1.332 (Claude Code)", "codex": "codex-cli 0.171.0", "gemini": "0.61.0"}
    for name, version in said.items():
        (programs / name).write_text(f"#!/bin/sh\necho '{version}'\n")
        (programs / name).chmod(0o755)
    found = tmp_path / "home"
    found.mkdir()
    monkeypatch.setenv("HOME", str(found))
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.delenv("TOLLKEEPER_KEY", raising=False)
    return found


def issued(server: Served, name: str, *owner: str) -> str:
    data = str(server.data.root)
    ended = invoke("keys", "issue", "--name", name, *owner, "--create", "--json", "--data", data)
    return str(ended.json()["key"])


@pytest.fixture(scope="module")
def key(server: Served) -> str:
    return issued(server, "laptop", "--user", EMAIL, "--team", "core")


def connect(server: Served, key: str, *arguments: str) -> Ended:
    url = f"http://{HOST}:{server.port}"
    return invoke("connect", *arguments, "--url", url, "--key", key)


@pytest.mark.parametrize(
    ("arguments", "tool", "version", "wire"),
    [
        (["claude-code"], "claude-code", "2.1.332", "anthropic"),
        (["claude-code", "--login"], "claude-code", "2.1.332", "anthropic"),
        (["codex"], "codex", "0.171.0", "openai"),
        (["codex", "--login"], "codex", "0.171.0", "openai"),
        (["gemini"], "gemini-cli", "0.61.0", "gemini"),
        (["opencode"], "opencode", "", "openai"),
        (["qwen"], "qwen-code", "", "openai"),
        (["kimi"], "kimi-code", "", "openai"),
        (["python"], "tollkeeper-connect", None, "openai"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_the_probe_shows_what_was_attributed(
    server: Served, key: str, arguments: list[str], tool: str, version: str | None, wire: str
) -> None:
    ended = connect(server, key, *arguments, "--json")
    found = ended.json()["probe"]
    call, identity = found["call"], found["identity"]
    assert (identity["user"], identity["team"]) == (EMAIL, "core")
    assert (call["user_name"], call["team"], call["tool"]) == (EMAIL, "core", tool)
    assert call["model_requested"] == "sandbox/echo"
    assert call["wire"] == wire
    assert call["cost_usd"] is not None
    assert found["call_id"] == call["call_id"]
    if version is not None:
        assert call["tool_version"] == version
    assert bool(found["missing"]) == (not version)


def test_it_writes_then_calls_and_says_so(server: Served, key: str, home: Path) -> None:
    ended = connect(server, key, "claude-code", "--write")
    assert (ended.code, ended.err) == (0, "")
    file = home / ".claude/settings.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    env = json.loads(file.read_text())["env"]
    assert env["ANTHROPIC_BASE_URL"] == f"http://{HOST}:{server.port}"
    assert f"Wrote {file}" in ended.out
    for text in (EMAIL, "core", "claude-code 2.1.332", "echo", "nothing cached", "$0.0"):
        assert text in ended.out
    assert "missing" not in ended.out
    assert key not in ended.out


def test_what_is_missing_is_told_with_its_remedy(server: Served) -> None:
    of_team = issued(server, "service", "--team", "search")
    ended = connect(server, of_team, "opencode")
    assert ended.code == 0
    assert "no person" in ended.out
    assert "--user EMAIL" in ended.out
    assert "opencode is not installed here" in ended.out
    of_person = issued(server, "lone", "--user", "lone@acme.com")
    assert "no team" in connect(server, of_person, "claude-code").out


def test_a_probe_that_is_refused_says_why(server: Served, key: str) -> None:
    bounded = issued(server, "bounded", "--user", EMAIL, "--model", "gpt-*")
    ended = connect(server, bounded, "claude-code", "--model", "sandbox/echo")
    assert ended.code == 1
    assert "may not use model" in ended.err
    assert "--model NAME" in ended.err
    unknown = key_tokens.build(KeyKind.VIRTUAL, "abcdefgh", "s" * 32)
    ended = connect(server, unknown, "claude-code", "--write")
    assert ended.code == 1
    assert "does not take the key" in ended.err
    data = str(server.data.root)
    assert invoke("keys", "revoke", bounded, "--data", data).code == 0
    ended = connect(server, bounded, "claude-code")
    assert "revoked" in ended.err
    nobody = f"http://{HOST}:{free_port()}"
    ended = invoke("connect", "codex", "--key", key, "--url", nobody)
    assert ended.code == 1
    assert "does not answer" in ended.err
    other = invoke("connect", "codex", "--key", key, "--url", f"http://{HOST}:{server.port}/docs")
    assert "not as a Tollkeeper" in other.err
    for secret in (key, bounded, unknown):
        assert secret not in ended.err + other.err


def test_a_call_of_another_key_looks_like_none(server: Served, key: str) -> None:
    call_id = connect(server, key, "qwen", "--json").json()["probe"]["call_id"]
    stranger = issued(server, "stranger", "--user", EMAIL)  # the same person's other key, even
    for asking, seen in ((key, True), (stranger, False), (server.key, False)):
        reply = server.ask("GET", f"/me?call={call_id}", authorization=f"Bearer {asking}")
        assert (reply.json()["call"] is not None) == seen
    assert (
        server.ask("GET", "/me?call=x%27%20or", authorization=f"Bearer {key}").json()["call"]
        is None
    )
    assert server.ask("GET", "/me", authorization=f"Bearer {key}").json()["call"] is None


@pytest.fixture
def real_providers(server: Served) -> Iterator[None]:
    """Real providers instead of the sandbox, for one test; the gateway takes them over."""
    file = server.folder / "tollkeeper.yaml"
    with sandbox_process() as vendor:
        configuration = {
            "providers": {
                "openai": {"api_key": "sk-canary-openai-0001", "base_url": f"{vendor}/v1"},
                "anthropic": {"api_key": "sk-canary-anthropic-0002", "base_url": vendor},
            }
        }
        file.write_text(yaml.safe_dump(configuration))
        until(lambda: lists(server, "gpt-4.1-nano"))
        yield
        file.write_text(NOTHING)
        until(lambda: lists(server, "echo"))


def lists(server: Served, model: str) -> bool:
    reply = server.ask("GET", "/v1/models", authorization=f"Bearer {server.key}")
    return any(each["id"] == model for each in reply.json()["data"])


@pytest.mark.usefixtures("real_providers")
def test_without_a_sandbox_a_cheap_model_is_called(server: Served, key: str) -> None:
    found = connect(server, key, "claude-code", "--json").json()["probe"]
    assert found["call"]["model_requested"] == "claude-haiku-4-5"
    assert (found["call"]["provider"], found["missing"]) == ("anthropic", [])
    assert 0 < Decimal(found["call"]["cost_usd"]) < Decimal("0.01")
    printed = connect(server, key, "opencode").out
    assert "gpt-4.1-nano" in printed
    assert "the settings name sandbox/echo, which is not here" in printed
    login = connect(server, key, "claude-code", "--login")
    assert login.code == 0
    assert "no call was made" in login.out
    bounded = issued(server, "old", "--user", EMAIL, "--model", "o3")
    assert "found no cheap model" in connect(server, bounded, "codex").err
    refused = connect(server, bounded, "codex", "--model", "gpt-4.1")
    assert "may not use model" in refused.err


@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_how_long_a_prompt_is_cached_is_told(server: Served, key: str, ttl: str) -> None:
    control = {"type": "ephemeral", "ttl": ttl}
    system = [{"type": "text", "text": f"{ttl} " * 5_000, "cache_control": control}]
    body = {"model": "sandbox/echo", "max_tokens": 9, "system": system, "messages": HELLO}
    reply = server.ask("POST", "/v1/messages", json.dumps(body).encode(), x_api_key=key)
    target = f"/me?call={reply.header('x-tollkeeper-call-id')}"

    def call() -> dict[str, Any] | None:
        found = server.ask("GET", target, authorization=f"Bearer {key}").json()["call"]
        return dict(found) if found else None

    until(call)
    assert (call() or {})["cache_written_for"] == [ttl]
