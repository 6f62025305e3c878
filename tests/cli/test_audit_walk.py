"""Commands that change something leave their entry in the audit log, by who runs them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Final

import pytest
from typer.main import get_command

from command_line import CommandLine
from tollkeeper.cli.app import VERBS

STEPS: Final = (
    ("teams add core", "team.add"),
    ("teams rename core platform", "team.rename"),
    ("teams add search", "team.add"),
    ("teams nest search platform", "team.parent"),
    ("teams deactivate search", "team.deactivate"),
    ("teams activate search", "team.activate"),
    ("users add alice@acme.com --team platform", "user.add"),
    ("users rename alice@acme.com Alice", "user.name"),
    ("users role alice@acme.com lead", "user.role"),
    ("users move alice@acme.com search", "user.team"),
    ("users link alice@acme.com --url http://localhost", "sign_in.link"),
    ("users scim-token okta --url http://localhost", "scim_token.make"),
    ("keys issue --user alice@acme.com --name laptop", "key.issue"),
    ("keys change <key> --name desktop", "key.change"),
    ("keys rotate <key>", "key.rotate"),
    ("keys revoke <key>", "key.revoke"),
    ("users deactivate alice@acme.com", "user.deactivate"),
    ("users activate alice@acme.com", "user.activate"),
    ("providers set openai", "provider.key_set"),
    ("providers rm openai", "provider.key_remove"),
    ("budgets set all --limit 5USD", "budget.add"),
    ("budgets set all --limit 6USD", "budget.change"),
    ("budgets rm all", "budget.change"),
    ("limits set agents --scope key --requests 60", "rate_limit.set"),
    ("limits rm agents", "rate_limit.remove"),
    ("months close 2026-01", "month.close"),
    ("months reopen 2026-01", "month.reopen"),
    ("prices set house --discount 5%", "price_rule.add"),
    ("audit export", "data.export"),
)
"""Commands in the order in which they can be given, and what each is recorded as."""

LOOKING: Final = frozenset(
    [
        "doctor",
        "spend",
        "forecast",
        "why",
        "adoption",
        "digest preview",
        "savings",
        "keys list",
        "teams list",
        "users list",
        "users invitations",
        "users scim-tokens",
        "providers list",
        "calls show",
        "budgets list",
        "budgets raises",
        "budgets replay",
        "budgets requests",
        "budgets show",
        "limits list",
        "alerts channels",
        "alerts deliveries",
        "alerts list",
        "audit head",
        "audit list",
        "audit verify",
        "months list",
        "statements list",
        "statements show",
        "prices diff",
        "prices plans",
        "prices rules",
        "prices show",
        "prices versions",
        "calls",
    ]
)
"""Commands that change nothing."""

OTHERS: Final = frozenset(
    [
        "serve",
        "demo",
        "connect",
        "import litellm",
        "users end-password",
        "users import",
        "users invite",
        "users password-link",
        "users scim-revoke",
        "users unbind",
        "users uninvite",
        "budgets abandon",
        "budgets approve",
        "budgets decline",
        "budgets end-raise",
        "budgets overdraft",
        "budgets top-up",
        "budgets write-off",
        "alerts ack",
        "alerts test",
        "digest send",
        "prices end",
        "prices refresh",
        "prices reprice",
        "statements close",
        "statements export",
    ]
)
"""Commands that need more than a few words, or change files only. What they change in the store
is told by its own methods, which ``contract/test_audit_log.py`` holds against the list."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    yield CommandLine(tmp_path_factory.mktemp("walk") / "data")


def commands() -> set[str]:
    found = set()
    for verb, named in VERBS.items():
        command = get_command(import_module(named.module).app)
        inner = getattr(command, "commands", {})
        found |= {f"{verb} {name}" for name in inner} or {verb}
    return found


def test_every_command_is_walked_or_reviewed() -> None:
    walked = {" ".join(words.split()[:2]) for words, _ in STEPS}
    assert commands() - walked - LOOKING - OTHERS == set()


def test_each_leaves_its_entry(run: CommandLine) -> None:
    key_id = ""
    for words, action in STEPS:
        arguments = [key_id if word == "<key>" else word for word in words.split()]
        ended = run(*arguments, typed="sk-canary" if words == "providers set openai" else None)
        assert ended.code == 0, (words, ended)
        entries = run("audit", "list", "--json", "--limit", "5").json()
        (told, *_) = [each for each in entries if each["action"] == action]
        assert told["actor"]["kind"] == "command line", words
        if action == "key.issue":
            key_id = told["target"]["id"]
    assert run("audit", "verify").code == 0
    assert "sk-canary" not in run("audit", "export").out
