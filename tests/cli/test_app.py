"""The command line as a whole: help, exit codes, and how it starts."""

from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import typer

from command_line import CommandLine, invoke, run_command
from tollkeeper import __version__
from tollkeeper.cli import output
from tollkeeper.cli.app import VERBS
from tollkeeper.cli.moments import end_us, span_us
from tollkeeper.clock import second_text

_LIGHT = """
import sys
from tollkeeper.cli.app import command_line
from typer.testing import CliRunner
assert CliRunner().invoke(command_line(), ["--help"]).exit_code == 0
heavy = {"sqlalchemy", "alembic", "cryptography", "msgspec", "yaml", "duckdb", "fastapi"}
loaded = heavy & sys.modules.keys()
assert not loaded, loaded
"""


def test_the_overview_names_every_verb_and_loads_none(tmp_path: Path) -> None:
    shown = run_command("--help", folder=tmp_path)
    assert shown.code == 0
    for name, verb in VERBS.items():
        assert name in shown.out
        assert verb.summary.split()[0] in shown.out
    subprocess.run([sys.executable, "-c", _LIGHT], check=True, timeout=60)


@pytest.mark.parametrize("verb", ["keys", "teams", "users", "providers"])
def test_every_verb_explains_itself(verb: str) -> None:
    shown = invoke(verb, "--help")
    assert shown.code == 0
    assert f"Usage: tollkeeper {verb}" in shown.out
    commands = re.findall(r"^│ ([a-z]+) ", shown.out, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        detail = invoke(verb, command, "--help")
        assert detail.code == 0
        assert "--data" in detail.out


@pytest.mark.parametrize(
    "words",
    [("spend",), ("calls",), ("calls", "show"), ("prices", "show"), ("doctor",), ("serve",)],
    ids=" ".join,
)
def test_every_question_shows_an_example(words: tuple[str, ...]) -> None:
    shown = invoke(*words, "--help")
    assert shown.code == 0
    assert f"Usage: tollkeeper {' '.join(words)}" in shown.out
    assert f"tollkeeper {' '.join(words)} " in shown.out.partition("Example")[2]
    assert ("--json" in shown.out) == (words != ("serve",))


_STARTS_LIGHT = """
import sys
from importlib import import_module
from tollkeeper.cli.app import VERBS
import_module(VERBS[sys.argv[1]].module)
heavy = {"sqlalchemy", "alembic", "duckdb", "ibis", "pyarrow", "starlette", "uvicorn", "jinja2"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_loads_what_only_some_answers_need(verb: str) -> None:
    subprocess.run([sys.executable, "-c", _STARTS_LIGHT, verb], check=True, timeout=60)


def test_the_version_is_shown(tmp_path: Path) -> None:
    shown = run_command("--version", folder=tmp_path)
    assert (shown.code, shown.out) == (0, f"tollkeeper {__version__}\n")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["keys", "nonsense"], ["keys", "revoke"], ["--nonsense"]]
)
def test_wrong_usage_ends_with_two(tmp_path: Path, arguments: list[str]) -> None:
    ended = run_command(*arguments, folder=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_whoever_stops_reading_is_told_nothing() -> None:
    """As after ``tollkeeper … | head``: no complaint about the pipe, not even at the end."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "tollkeeper", "prices", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert ended.stderr == b""


def test_a_mistyped_verb_is_suggested(tmp_path: Path) -> None:
    assert "Did you mean 'keys'" in run_command("keyz", "list", folder=tmp_path).err


def test_no_store_is_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["keys", "list"], ["users", "list"], ["keys", "revoke", "AAAAAAAA"]):
        ended = invoke(*arguments)
        assert ended.code == 1
        assert "tollkeeper-data: there is no store" in ended.err
        assert "tollkeeper serve" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_the_data_folder_comes_from_option_variable_or_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("option", "variable", "configured", "tollkeeper-data"):
        assert invoke("teams", "add", name, "--data", name).code == 0

    def team(*arguments: str) -> str:
        return str(invoke("teams", "list", "--json", *arguments).json()[0]["name"])

    assert team() == "tollkeeper-data"
    (tmp_path / "tollkeeper.yaml").write_text("data: configured\n")
    assert team() == "configured"
    monkeypatch.setenv("TOLLKEEPER_DATA", "variable")
    assert team() == "variable"
    assert team("--data", "option") == "option"


def test_a_faulty_configuration_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.yaml").write_text("listen: {port: 4000}\ndatta: x\n")
    ended = run_command("keys", "list", folder=tmp_path)
    assert ended.code == 1
    assert "tollkeeper.yaml:2" in ended.err
    assert ended.err.count("\n") == 1


def test_trouble_with_the_folder_is_one_line(tmp_path: Path) -> None:
    run = CommandLine(tmp_path / "data")
    assert run("teams", "add", "core").code == 0
    with closing(sqlite3.connect(tmp_path / "data" / "store.sqlite3")) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '0999'")
    for ended, says in (
        (run("teams", "list"), "newer Tollkeeper"),
        (CommandLine(tmp_path / "data" / "secret.key")("teams", "add", "x"), "cannot be"),
    ):
        assert (ended.code, ended.out) == (1, "")
        assert says in ended.err
        assert ended.err.count("\n") == 1
    (tmp_path / "data" / "secret.key").chmod(0o644)
    assert "chmod 600" in run("teams", "list").err
    (tmp_path / "data" / "secret.key").unlink()
    assert "key file is missing" in run("teams", "list").err
    (tmp_path / "data" / "store.sqlite3").write_bytes(b"nonsense" * 1000)
    assert run("teams", "list").code == 1


def test_the_contract_line_works_as_a_command(tmp_path: Path) -> None:
    issue = ["keys", "issue", "--user", "alice@acme.com", "--team", "core", "--name", "laptop"]
    refused = run_command(*issue, "--json", folder=tmp_path)
    assert refused.code == 1
    made = run_command(*issue, "--create", "--json", folder=tmp_path).json()
    assert re.fullmatch(r"tk_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}", made["key"])
    assert made["id"] == made["key"][8:16]
    again = run_command(*issue, folder=tmp_path)
    assert again.out.splitlines()[0].startswith("tk_live_")
    assert "cannot be shown again" in again.out
    revoked = run_command("keys", "revoke", made["id"], "--json", folder=tmp_path).json()
    assert revoked["state"] == "revoked"


def test_nobody_at_the_other_end_of_the_pipe_is_no_drama(tmp_path: Path) -> None:
    run_command("teams", "add", "core", folder=tmp_path)
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m tollkeeper teams list --json | true"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr


def test_on_a_narrow_terminal_ids_are_still_whole(tmp_path: Path) -> None:
    made = run_command(
        *("keys", "issue", "--user", "alice@a-very-long-domain-name.example", "--create"),
        *("--name", "a rather long name for a key", "--json"),
        folder=tmp_path,
    ).json()
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "tollkeeper", "keys", "list"],
        cwd=tmp_path,
        stdout=theirs,
        env={"PATH": os.environ["PATH"], "COLUMNS": "80", "TERM": "xterm"},  # noqa: TID251
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    assert child.wait(60) == 0
    os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert f" {made['id']} " in plain
    assert "never" in plain


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (output.Column("Id", whole=True), output.Column("Name"))
    output.print_table(columns, [("AAAAAAAA", "[red]x[/red] \x1b[31m\u202eb")], "nothing")
    shown = capsys.readouterr().out
    assert "[red]x[/red] \\u001b[31m\\u202eb" in shown
    assert "\x1b" not in shown
    output.print_line("a\x07b\nc")
    assert capsys.readouterr().out == "a\\u0007b\\u000ac\n"
    output.print_json({"a": "\x1b"})
    assert json.loads(capsys.readouterr().out) == {"a": "\x1b"}


def test_times_are_read_and_written() -> None:
    minute = 60_000_000
    assert [span_us(text) for text in ("1m", "12h", "90d", "2w")] == [
        minute,
        12 * 60 * minute,
        90 * 24 * 60 * minute,
        14 * 24 * 60 * minute,
    ]
    for wrong in ("", "0d", "-1d", "1y", "1.5d", "d", "9999999d"):
        with pytest.raises(typer.BadParameter):
            span_us(wrong)
    assert end_us("1d", 5) == 24 * 60 * minute + 5
    assert second_text(end_us("2027-01-31", 0)) == "2027-01-31T23:59:59Z"
    assert second_text(None) is None
