"""``tollkeeper limits set``, ``list`` and ``rm``."""

from __future__ import annotations

from pathlib import Path

import pytest

import stores
from command_line import CommandLine


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    folder = stores.open_folder(tmp_path / "data")
    folder.store.set_org_name("Acme")
    stores.add_person(folder.store)
    folder.store.close()
    return CommandLine(tmp_path / "data")


def test_a_limit_is_set_changed_listed_and_removed(run: CommandLine) -> None:
    said = run("limits", "set", "agents", "--scope", "key", "--each", "--requests", "60")
    assert (said.code, said.out) == (0, "Rate limit agents: 60 calls a minute for each key.\n")
    (made,) = run("limits", "list", "--json").json()
    changed = run(
        *("limits", "set", "agents", "--scope", "key", "--each"),
        *("--tokens", "100000", "--parallel", "5", "--json"),
    ).json()
    assert changed["id"] == made["id"], "it counts the same calls, so counts go on"
    expected = {
        "name": "agents",
        "source": "store",
        "scope": "key",
        "match": "*",
        "each": True,
        "requests_per_minute": None,
        "tokens_per_minute": 100_000,
        "parallel": 5,
        "set_by": "command line",
    }
    assert changed.items() >= expected.items()
    shown = run("limits", "list").out
    for text in ("agents", "each key", "100,000", "5"):
        assert text in shown
    narrowed = run(
        *("limits", "set", "agents", "--scope", "team", "--match", "CORE"),
        *("--parallel", "5", "--json"),
    ).json()
    assert narrowed["match"] == "core"
    assert narrowed["id"] != made["id"]
    assert run("limits", "rm", "agents").out == "Removed rate limit agents.\n"
    assert run("limits", "list", "--json").json() == []
    assert "No rate limits" in run("limits", "list").out


def test_people_are_named_by_e_mail(run: CommandLine) -> None:
    user = ("limits", "set", "a", "--scope", "user", "--tokens", "9", "--match")
    said = run(*user, "Alice@acme.com")
    assert said.out == "Rate limit a: 9 tokens a minute for user alice@acme.com.\n"
    (made,) = run("limits", "list", "--json").json()
    assert made["match"] == "alice@acme.com"
    (alice,) = run("users", "list", "--json").json()
    assert run(*user, alice["id"]).out == said.out
    assert run("limits", "rm", "a", "--json").json()["match"] == "alice@acme.com"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--scope", "org", "--parallel", "1"), 2, "one of key, user, team, model"),
        (("--scope", "key"), 1, "set at least one of"),
        (("--scope", "key", "--parallel", "0"), 1, "a whole number from 1"),
        (("--scope", "key", "--requests", "-1"), 1, "a whole number from 1"),
        (("--scope", "key", "--tokens", "1e400"), 2, "as an integer"),
        (("--scope", "key", "--tokens", "1000000000001"), 1, "a whole number from 1"),
        (("--scope", "key", "--match", "nobody", "--parallel", "1"), 1, "there is no key"),
        (("--scope", "team", "--match", "nobody", "--parallel", "1"), 1, "there is no team"),
        (("--scope", "user", "--match", "x@y.z", "--parallel", "1"), 1, "there is no user"),
        (("--scope", "user", "--match", "x", "--parallel", "1"), 1, "there is no user"),
        (("--parallel", "1"), 2, "Missing option"),
    ],
)
def test_what_cannot_be_used_is_refused(
    run: CommandLine, arguments: tuple[str, ...], code: int, says: str
) -> None:
    said = run("limits", "set", "a", *arguments)
    assert said.code == code
    assert says in " ".join(said.err.split())
    assert run("limits", "list", "--json").json() == []


def test_limits_of_the_file_are_shown_and_changed_there_alone(run: CommandLine) -> None:
    (run.data.parent / "tollkeeper.yaml").write_text(
        "rate_limits:\n  - {name: fixed, scope: key, each: true, parallel: 3}\n"
    )
    run(
        "limits", "set", "made", "--scope", "model", "--match", "gpt-*", "--each", "--parallel", "1"
    )
    fixed, made = run("limits", "list", "--json").json()
    assert (fixed["name"], fixed["source"], fixed["set_by"]) == ("fixed", "file", "tollkeeper.yaml")
    assert made["name"] == "made"
    assert "each model gpt-*" in run("limits", "list").out
    for refused in (
        run("limits", "set", "fixed", "--scope", "key", "--parallel", "9"),
        run("limits", "rm", "fixed"),
    ):
        assert refused.code == 1
        assert "stands in tollkeeper.yaml: change it there" in refused.err
    assert "there is no rate limit 'nothing'" in run("limits", "rm", "nothing").err
