"""``connect`` writes each tool's own settings, and brings back exactly what was there."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import Ended, invoke
from tollkeeper.cli.connect import Tool
from tollkeeper.cli.connect_plans import edits
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind
from tollkeeper.services.connect import Connection, tool_settings

KEY = key_tokens.build(KeyKind.VIRTUAL, "abcdefgh", "s" * 32)
OTHER_KEY = key_tokens.build(KeyKind.VIRTUAL, "ijklmnop", "t" * 32)
URL = "http://gateway.test:4000"
WITH_FILES = ["claude-code", "codex", "kimi", "gemini", "opencode", "qwen", "aider"]
BEFORE = {
    ".claude/settings.json": '{"model": "opus", "env": {"A": "1", "ANTHROPIC_API_KEY": "sk"}}',
    ".codex/config.toml": '# mine\nmodel = "gpt-5.4"\n\n[mcp_servers.x] # here\ncommand = "x"',
    ".kimi-code/config.toml": 'default_model = "mine/k"\n[models."mine/k"]\nmodel = "k"\n',
    ".gemini/.env": "A=1\nGEMINI_API_KEY=mine\n",
    ".gemini/settings.json": '{\n    "ui": {"theme": "x"}\n}\n',
    ".config/opencode/opencode.json": '{"theme": "x", "provider": {"a": {"npm": "b"}}}\n',
    ".qwen/.env": "",
    ".qwen/settings.json": '{"security": {"auth": {"useExternal": true}}}',
    ".aider.conf.yml": "# mine\nmodel: x\nauto-commits: false\n",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TOLLKEEPER_KEY", raising=False)
    return tmp_path


def connect(*arguments: str, key: str = KEY) -> Ended:
    return invoke("connect", *arguments, "--key", key, "--url", URL, "--no-probe")


def everything(home: Path) -> dict[str, tuple[int, bytes | None]]:
    return {
        str(each.relative_to(home)): (
            stat.S_IMODE(each.stat().st_mode),
            each.read_bytes() if each.is_file() else None,
        )
        for each in home.rglob("*")
    }


def filled(home: Path) -> None:
    for name, text in BEFORE.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o644)


def read(file: Path) -> Any:
    text = file.read_text()
    match file.suffix:
        case ".json":
            return json.loads(text)
        case ".toml":
            return tomllib.loads(text)
        case ".yml":
            return yaml.safe_load(text)
        case _:
            return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize("there", [True, False], ids=["with files", "in an empty home"])
@pytest.mark.parametrize("tool", WITH_FILES)
def test_undo_brings_back_exactly_what_was_there(home: Path, tool: str, there: bool) -> None:
    if there:
        filled(home)
    before = everything(home)
    assert connect(tool, "--write").code == 0
    written = everything(home)
    holding = [name for name, (_, text) in written.items() if text and KEY.encode() in text]
    assert holding
    assert {written[name][0] for name in holding} == {0o600}
    assert connect(tool, "--write", key=OTHER_KEY).code == 0  # a second time, another key
    assert not any(text and KEY.encode() in text for _, text in everything(home).values())
    assert connect(tool, "--write", key=OTHER_KEY).out.count("Nothing to change") >= 1
    undone = connect(tool, "--undo")
    assert (undone.code, undone.err) == (0, "")
    assert everything(home) == before
    assert connect(tool, "--undo").code == 1


def test_other_settings_stay(home: Path) -> None:
    filled(home)
    for tool in WITH_FILES:
        assert connect(tool, "--write", "--model", "gpt-5.4").code == 0
    claude = read(home / ".claude/settings.json")
    assert claude["model"] == "opus"
    assert claude["env"] == {
        "A": "1",
        "ANTHROPIC_API_KEY": "sk",
        "ANTHROPIC_BASE_URL": URL,
        "ANTHROPIC_AUTH_TOKEN": KEY,
    }
    codex = read(home / ".codex/config.toml")
    assert (codex["model"], codex["mcp_servers"]["x"]["command"]) == ("gpt-5.4", "x")
    assert codex["model_provider"] == "tollkeeper"
    assert codex["model_providers"]["tollkeeper"]["http_headers"] == {"x-tollkeeper-key": KEY}
    kimi = read(home / ".kimi-code/config.toml")
    assert kimi["models"][kimi["default_model"]]["model"] == "gpt-5.4"
    assert kimi["models"]["mine/k"] == {"model": "k"}
    assert read(home / ".gemini/.env") == {
        "A": "1",
        "GEMINI_API_KEY": KEY,
        "GOOGLE_GEMINI_BASE_URL": URL,
    }
    assert read(home / ".gemini/settings.json")["ui"] == {"theme": "x"}
    opencode = read(home / ".config/opencode/opencode.json")
    assert set(opencode["provider"]) == {"a", "tollkeeper"}
    assert opencode["model"] == "tollkeeper/gpt-5.4"
    assert read(home / ".qwen/settings.json")["security"]["auth"] == {
        "useExternal": True,
        "selectedType": "openai",
    }
    aider = read(home / ".aider.conf.yml")
    assert (aider["auto-commits"], aider["model"]) == (False, "openai/gpt-5.4")


def test_what_is_written_is_what_is_printed(home: Path) -> None:
    printed = {each.tool: each.snippets for each in tool_settings(Connection(URL, KEY))}
    for tool in ("claude-code", "opencode"):
        assert connect(tool, "--write").code == 0
        (edit,) = edits(tool, Connection(URL, KEY), home, login=False)
        text = next(each.text for each in printed[tool] if "json" in each.where)
        assert read(edit.file) == json.loads(text)
    assert connect("codex", "--write", "--login").code == 0
    assert read(home / ".codex/config.toml") == tomllib.loads(printed["codex"][-1].text)


def test_a_claude_login_stays_and_nothing_wins_over_it(home: Path) -> None:
    file = home / ".claude/settings.json"
    file.parent.mkdir()
    headers = "x-team: core\nX-Tollkeeper-Key: old"
    file.write_text(json.dumps({"env": {"ANTHROPIC_CUSTOM_HEADERS": headers}}))
    assert connect("claude-code", "--write").code == 0
    assert read(file)["env"]["ANTHROPIC_CUSTOM_HEADERS"] == "x-team: core"
    assert connect("claude-code", "--write", "--login").code == 0
    assert read(file)["env"] == {
        "ANTHROPIC_CUSTOM_HEADERS": f"x-team: core\nx-tollkeeper-key: {KEY}",
        "ANTHROPIC_BASE_URL": URL,
    }


def test_a_dry_run_writes_nothing_and_shows_no_key(home: Path) -> None:
    filled(home)
    before = everything(home)
    for tool in WITH_FILES:
        shown = connect(tool, "--write", "--dry-run")
        assert shown.code == 0
        assert "@@" in shown.out
        assert KEY[18:] not in shown.out
        assert connect(tool, "--dry-run", "--json").json()["files"][0]["changed"]
    assert everything(home) == before


def test_what_was_changed_since_is_not_lost(home: Path) -> None:
    file = home / ".claude/settings.json"
    assert connect("claude-code", "--write").code == 0
    changed = {**read(file), "theme": "dark"}
    file.write_text(json.dumps(changed))
    refused = connect("claude-code", "--undo")
    assert refused.code == 1
    assert "changed since" in refused.err
    assert read(file) == changed
    assert connect("claude-code", "--write", key=OTHER_KEY).code == 0
    assert connect("claude-code", "--undo").code == 0
    assert read(file) == changed  # as it was before the second time
    assert connect("claude-code", "--undo", "--force").code == 0
    assert not file.parent.exists()


def test_of_two_files_both_are_brought_back_or_none(home: Path) -> None:
    assert connect("gemini", "--write").code == 0
    (home / ".gemini/settings.json").write_text("{}")
    before = everything(home)
    assert connect("gemini", "--undo").code == 1
    assert everything(home) == before


def test_of_two_files_both_are_written_or_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(home)
    before = everything(home)
    replace = Path.replace

    def fails_once(self: Path, target: Path) -> Path:
        if target.name == "settings.json":
            monkeypatch.setattr(Path, "replace", replace)
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails_once)
    refused = connect("gemini", "--write")
    assert (refused.code, "No space left" in refused.err) == (1, True)
    assert everything(home) == before


def test_links_are_not_followed(home: Path) -> None:
    elsewhere = home / "dotfiles"
    elsewhere.mkdir()
    (elsewhere / "settings.json").write_text("{}")
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").symlink_to(elsewhere / "settings.json")
    (home / ".codex").symlink_to(elsewhere)
    (home / ".aider.conf.yml").symlink_to(home / "nowhere")
    before = everything_but_dangling(home)
    for tool in ("claude-code", "codex", "aider"):
        refused = connect(tool, "--write")
        assert refused.code == 1
        assert "symbolic link" in refused.err
        assert KEY not in refused.err
    assert everything_but_dangling(home) == before


def everything_but_dangling(home: Path) -> list[tuple[str, bytes]]:
    return [(str(each), each.read_bytes()) for each in home.rglob("*") if each.is_file()]


@pytest.mark.parametrize(
    ("tool", "name", "content"),
    [
        ("claude-code", ".claude/settings.json", b"{broken"),
        ("claude-code", ".claude/settings.json", b"\xff\xfe"),
        ("codex", ".codex/config.toml", b"a = "),
        ("aider", ".aider.conf.yml", b"a: ["),
        ("gemini", ".gemini/settings.json", b'{"security": 1}'),
        ("opencode", ".config/opencode/opencode.json", b"x" * 1_000_001),
    ],
)
def test_a_broken_file_stays_as_it_is(home: Path, tool: str, name: str, content: bytes) -> None:
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    before = everything(home)
    refused = connect(tool, "--write")
    assert refused.code == 1
    assert str(file) in refused.err
    assert "nothing was changed" in refused.err
    assert everything(home) == before  # of two files none was written


def test_a_folder_in_the_place_of_a_file_is_refused(home: Path) -> None:
    (home / ".aider.conf.yml").mkdir()
    assert "no file" in connect("aider", "--write").err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(home: Path) -> None:
    (home / ".claude").mkdir(mode=0o500)
    refused = connect("claude-code", "--write")
    assert refused.code == 1
    assert "Permission denied" in refused.err


@pytest.mark.parametrize("tool", [each.value for each in Tool])
def test_every_tool_prints_its_settings(home: Path, tool: str) -> None:
    printed = connect(tool)
    assert printed.code == 0
    assert KEY in printed.out
    assert URL in printed.out
    assert "\\u000a" not in printed.out
    without = invoke("connect", tool)
    assert "YOUR_KEY" in without.out  # and there is nothing to try it with
    assert connect(tool, "--json").json()["settings"][0]["snippets"]
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("claude-code", "--write"),  # no key
        ("python", "--write", "--key", KEY),
        ("openai", "--undo"),
        ("gemini", "--login"),
        ("claude-code", "--key", KEY[:-1]),
        ("claude-code", "--key", key_tokens.build(KeyKind.ADMIN, "abcdefgh", "s" * 32)),
        ("claude-code", "--url", "gateway.test"),
        ("claude-code", "--url", "http://u:p@gateway.test"),
        ("claude-code", "--url", "http://x:99999"),
        ("claude-code", "--url", "http://x/?a"),
        ("opencode", "--model", 'a"b'),
        ("nothing",),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(home: Path, arguments: tuple[str, ...]) -> None:
    ended = invoke("connect", *arguments)
    assert ended.code == 2
    assert KEY not in ended.err
    assert not list(home.iterdir())


def test_the_key_can_come_by_standard_input(home: Path) -> None:
    ended = invoke("connect", "aider", "--key", "-", "--no-probe", "--write", typed=f"{KEY}\n")
    assert ended.code == 0
    assert read(home / ".aider.conf.yml")["openai-api-key"] == KEY
