"""What the Keys page and ``tollkeeper connect`` print works when it is pasted as it stands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent_settings import paste, paste_snippets
from books import Books
from running import EMAIL, TEAM, Deployment
from sdk_clients import ANTHROPIC_MODEL, GOOGLE_MODEL, OPENAI_MODEL
from tollkeeper.services import connect
from tollkeeper.services.connect import Connection, ToolSettings, tool_settings

ODD = Connection("http://gateway.test:4000", "tk_live_a'b\"c$d`e\\f g", openai_model="a/b'c\"d")
"""Nothing like this is ever issued; it shows that every text is quoted for its place."""


def connection(gateway: Deployment) -> Connection:
    return Connection(gateway.url, gateway.key, OPENAI_MODEL, ANTHROPIC_MODEL, GOOGLE_MODEL)


def settings(tool: str, to: Connection) -> ToolSettings:
    return next(each for each in tool_settings(to) if each.tool == tool)


@pytest.mark.parametrize(
    ("tool", "in_ledger", "model"),
    [
        ("python-openai", "openai-python", OPENAI_MODEL),
        ("python-anthropic", "anthropic-python", ANTHROPIC_MODEL),
        ("python-google-genai", "google-genai-python", GOOGLE_MODEL),
    ],
)
def test_the_python_snippets_run(
    gateway: Deployment, books: Books, tool: str, in_ledger: str, model: str
) -> None:
    (snippet,) = settings(tool, connection(gateway)).snippets
    done = subprocess.run(
        [sys.executable, "-c", snippet.text], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "You said: Hello\n", done.stderr
    entry = books.entry()
    assert (entry.user_name, entry.team, entry.tool) == (EMAIL, TEAM, in_ledger)
    assert entry.model_served == model
    assert entry.cost_nanos


def test_the_command_of_a_first_call_runs(gateway: Deployment, books: Books) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = connect.curl(connection(gateway))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "You said: Hello"
    assert books.entry().tool == "curl"


def test_every_text_is_quoted_for_the_place_it_goes_to(tmp_path: Path) -> None:
    for tool in tool_settings(ODD):
        for number, snippet in enumerate(tool.snippets):
            home = tmp_path / tool.tool / str(number)
            if snippet.where == "Python":
                compile(snippet.text, tool.tool, "exec")
                continue
            if snippet.where == "Node":
                require_javascript(snippet.text)
                continue
            if tool.tool == "openai":
                assert snippet.text in {f"{ODD.url}/v1", ODD.key, ODD.openai_model}
                continue
            if tool.tool == "curl":
                script = f"curl() {{ printf '%s\\n' \"$@\"; }}\n{snippet.text}"
                done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
                assert f"Authorization: Bearer {ODD.key}" in done.stdout.splitlines()
                continue
            pasted = paste_snippets([snippet], home, home)
            texts = [*pasted.variables.values(), *pasted.command]
            for file in home.rglob("*"):
                if file.suffix == ".toml":
                    texts += _texts(tomllib.loads(file.read_text("utf-8")))
                elif file.is_file():
                    texts += _texts(json.loads(file.read_text("utf-8")))
            assert texts
            for text in texts:
                assert not _pieces_of_key(text) or ODD.key in text, (tool.tool, text)


def require_javascript(text: str) -> None:
    """A module that parses, with every text in it whole."""
    program = shutil.which("node")
    if program is not None:
        command = [program, "--input-type=module", "--check"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert f"apiKey: {json.dumps(ODD.key)}" in text


def test_a_shell_reads_the_exports_as_the_trial_does(tmp_path: Path) -> None:
    (snippet,) = settings("qwen-code", ODD).snippets
    script = f"{snippet.text}\nprintf '%s' \"$OPENAI_API_KEY\""
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.stdout == paste_snippets([snippet], tmp_path, tmp_path).variables["OPENAI_API_KEY"]
    assert done.stdout == ODD.key


def test_the_first_way_is_pasted_and_not_its_alternatives(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "project"
    claude = paste(settings("claude-code", ODD), home, folder)
    assert claude.variables == {
        "ANTHROPIC_BASE_URL": ODD.url,
        "ANTHROPIC_AUTH_TOKEN": ODD.key,
    }
    assert not home.exists()
    codex = paste(settings("codex", ODD), home, folder)
    assert codex.variables == {"TOLLKEEPER_KEY": ODD.key}
    written = tomllib.loads((home / ".codex/config.toml").read_text("utf-8"))
    provider = written["model_providers"][written["model_provider"]]
    assert provider["base_url"] == f"{ODD.url}/v1"
    assert provider["env_key"] == "TOLLKEEPER_KEY"
    paste(settings("opencode", ODD), home, folder)
    assert json.loads((folder / "opencode.json").read_text("utf-8"))["provider"]
    aider = paste(settings("aider", ODD), home, folder)
    assert aider.command == ("aider", "--model", f"openai/{ODD.openai_model}")


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def _pieces_of_key(text: str) -> bool:
    return "tk_live_a" in text or "e\\f g" in text
