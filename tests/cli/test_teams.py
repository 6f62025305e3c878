"""``tollkeeper teams``."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import CommandLine


@pytest.fixture
def run(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "data")


def test_teams_are_added_listed_renamed_and_switched(run: CommandLine) -> None:
    assert run("teams", "add", "core").out == "Added team core.\n"
    added = run("teams", "add", "search", "--json").json()
    run("users", "add", "alice@acme.com", "--team", "core")
    listed = run("teams", "list", "--json").json()
    assert [(team["name"], team["state"], team["people"]) for team in listed] == [
        ("core", "active", 1),
        ("search", "active", 0),
    ]
    assert added | {"people": 0} == listed[1]
    assert run("teams", "rename", "core", "platform").out == "Renamed team core to platform.\n"
    assert run("teams", "deactivate", "PLATFORM").out == "Switched off team platform.\n"
    table = run("teams", "list").out
    assert "platform" in table
    assert " off " in table
    assert run("teams", "activate", "platform").out == "Switched on team platform.\n"


def test_faults_are_told_in_one_line(run: CommandLine) -> None:
    assert run("teams", "list").code == 1
    run("teams", "add", "core")
    for arguments, says in (
        (["add", "CORE"], "there is a team 'CORE' already"),
        (["rename", "nobody", "x"], "there is no team 'nobody'"),
        (["deactivate", "nobody"], "there is no team 'nobody'"),
        (["add", "a\x1b[31mb"], "control or invisible character"),
        (["add", " "], "empty"),
    ):
        ended = run("teams", *arguments)
        assert (ended.code, ended.out) == (1, ""), arguments
        assert says in ended.err
        assert ended.err.count("\n") == 1
        assert "\x1b" not in ended.err
