"""``tollkeeper audit``: listed, checked, exported; and every command says who acts."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from command_line import CommandLine, Ended


@pytest.fixture
def run(tmp_path: Path) -> CommandLine:
    made = CommandLine(tmp_path / "data")
    asked = ("keys", "issue", "--user", "alice@acme.com", "--team", "core", "--name", "laptop")
    assert made(*asked, "--create").code == 0
    return made


def entries(run: CommandLine, *options: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = run("audit", "list", "--json", *options).json()
    return found


def test_what_commands_do_is_listed_with_who_did_it(run: CommandLine) -> None:
    found = entries(run)
    assert [entry["action"] for entry in found] == [
        *("key.issue", "user.add", "team.add", "key_file.note"),
    ]
    for entry in found:
        actor = entry["actor"]
        assert isinstance(actor, dict)
        assert actor["kind"] == "command line"
        assert str(actor["name"]).startswith("command line")
    assert found[1]["target"] == {
        "kind": "user",
        "name": "alice@acme.com",
        "id": found[1]["target"]["id"],  # type: ignore[index]
    }
    shown = run("audit", "list", "--action", "key")
    assert "key.issue" in shown.out
    assert "team.add" not in shown.out
    assert entries(run, "--since", "2001-01-01", "--until", "2001-01-02") == []
    assert len(entries(run, "--since", "1h", "--actor", "command line", "--limit", "2")) == 2


def test_a_time_that_is_none_is_wrong_usage(run: CommandLine) -> None:
    assert run("audit", "list", "--since", "soon").code == 2


def test_a_log_is_whole_until_somebody_changes_it(run: CommandLine, tmp_path: Path) -> None:
    head = tmp_path / "head.json"
    head.write_text(run("audit", "head", "--json").out)
    whole = run("audit", "verify", "--head", str(head))
    assert (whole.code, whole.out.partition(":")[0]) == (0, "The audit log is whole"), whole
    with closing(sqlite3.connect(run.data / "store.sqlite3")) as connection, connection:
        connection.execute("DROP TRIGGER audit_log_no_update")
        connection.execute("UPDATE audit_log SET actor_name = 'x' WHERE seq = 2")
    broken = run("audit", "verify")
    assert broken.code == 1
    assert "entry 2 was changed after it was written" in broken.err
    said = json.loads(run("audit", "verify", "--json").out)
    assert (said["whole"], said["bad_seq"], said["entries"]) == (False, 2, 1)


def test_a_tail_that_is_gone_is_found_by_the_kept_head(run: CommandLine, tmp_path: Path) -> None:
    head = tmp_path / "head.json"
    head.write_text(run("audit", "head", "--json").out)
    with closing(sqlite3.connect(run.data / "store.sqlite3")) as connection, connection:
        connection.execute("DROP TRIGGER audit_log_no_delete")
        connection.execute("DELETE FROM audit_log WHERE seq = 4")
        connection.execute(
            "UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit_log WHERE seq = 3)"
        )
    assert run("audit", "verify").code == 0  # by itself it looks whole
    found = run("audit", "verify", "--head", str(head))
    assert found.code == 1
    assert "ends at 3" in found.err
    head.write_text("{}")
    assert run("audit", "verify", "--head", str(head)).code == 1


def exported(ran: Ended) -> str:
    assert ran.code == 0, ran
    return ran.out


def test_an_export_is_complete_harmless_and_recorded(run: CommandLine, tmp_path: Path) -> None:
    assert run("teams", "add", "=cmd|calc").code == 0
    rows = list(csv.DictReader(io.StringIO(exported(run("audit", "export")))))
    assert [row["action"] for row in rows[:2]] == ["data.export", "team.add"]
    assert not any(cell.startswith("=") for row in rows for cell in row.values())
    file = tmp_path / "audit.jsonl"
    exported(run("audit", "export", "--format", "jsonl", "--output", str(file)))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [*range(len(lines), 0, -1)]
    assert lines[0]["action"] == "data.export"
    assert file.stat().st_mode & 0o077 == 0
