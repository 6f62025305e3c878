"""``tollkeeper providers``."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import stores
from command_line import CommandLine, run_command
from tollkeeper.services import secrets

CANARY = "sk-canary-0123456789"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)  # no tollkeeper.yaml of anybody else
    return CommandLine(tmp_path / "data")


def opened(data: Path, **base_urls: str) -> secrets.OpenedSecrets:
    folder = stores.open_folder(data)
    found = secrets.open_secrets(folder.store.provider_secrets(), folder.vault, base_urls)
    folder.store.close()
    return found


def test_a_key_is_read_from_standard_input_kept_and_never_shown(run: CommandLine) -> None:
    ended = run("providers", "set", "openai", typed=f"{CANARY}\n")
    assert ended.out == "Stored the key of openai, for https://api.openai.com only.\n"
    listed = run("providers", "list")
    assert "openai" in listed.out
    assert "set on 20" in listed.out
    as_json = run("providers", "list", "--json")
    assert as_json.json()[0]["provider"] == "openai"
    for shown in (ended, listed, as_json):
        assert CANARY not in shown.out + shown.err
    assert opened(run.data, openai="https://api.openai.com").secrets == {"openai": CANARY}
    assert run("providers", "rm", "openai").out == "Removed the key of openai.\n"
    assert run("providers", "rm", "openai").code == 1
    assert "No provider keys" in run("providers", "list").out


def test_a_key_belongs_to_the_configured_address(tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.yaml").write_text(
        f"data: {tmp_path}/elsewhere\n"
        "providers:\n"
        "  lab: {kind: openai, base_url: 'https://lab.example:8000/v1'}\n"
    )
    done = run_command("providers", "set", "lab", folder=tmp_path, typed=CANARY)
    assert (done.code, done.err) == (0, "")
    assert "https://lab.example:8000" in done.out
    found = opened(tmp_path / "elsewhere", lab="https://lab.example:8000")
    assert found.secrets == {"lab": CANARY}
    listed = run_command("providers", "list", "--json", folder=tmp_path).json()
    assert listed[0]["provider"] == "lab"


@pytest.mark.parametrize("typed", ["", "\n \n", "two words", "line\nline", "x" * 9_000])
def test_what_cannot_be_a_key_is_refused(run: CommandLine, typed: str) -> None:
    ended = run("providers", "set", "openai", typed=typed)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert not typed.strip() or typed.strip() not in ended.err


def test_a_provider_that_nobody_knows_is_refused(run: CommandLine) -> None:
    ended = run("providers", "set", "nobody", typed=CANARY)
    assert ended.code == 1
    assert "nobody" in ended.err
    assert not run.data.exists()


def test_the_key_is_no_argument(run: CommandLine) -> None:
    ended = run("providers", "set", "openai", CANARY)
    assert ended.code == 2


def test_at_a_terminal_the_key_is_asked_for_and_not_echoed(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "tollkeeper", "providers", "set", "openai", "--data", "data"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"Key of openai: " not in shown:
        shown += os.read(ours, 1024)
    os.write(ours, CANARY.encode() + b"\n")
    while True:
        try:
            shown += os.read(ours, 1024)
        except OSError:  # the terminal's other side is closed
            break
    assert child.wait(60) == 0
    os.close(ours)
    assert b"Stored the key of openai" in shown
    assert CANARY.encode() not in shown
    found = opened(tmp_path / "data", openai="https://api.openai.com")
    assert found.secrets == {"openai": CANARY}
