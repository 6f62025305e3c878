"""The documentation of the command line: complete, and every command in it is one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tollkeeper.cli.app import VERBS, command_line

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docs" / "command-line.md").read_text("utf-8")
SECTIONS = {
    part.partition("\n")[0]: re.sub(r"\s+", " ", part)
    for part in re.split(r"^## ", TEXT, flags=re.M)
}
EVERYWHERE = {"--help", "--json", "--data"}
"""Options that are explained once, at the top."""
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands_of(verb: str) -> Iterator[tuple[str, Any]]:
    """Give a verb's commands as they are typed."""
    command = get_command(import_module(VERBS[verb].module).app)
    inner = getattr(command, "commands", {})
    if not inner or getattr(command, "invoke_without_command", False):
        yield verb, command
    for name, each in inner.items():
        yield f"{verb} {name}", each


COMMANDS = [command for verb in VERBS for command in commands_of(verb)]


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_every_command_and_option_is_explained(words: str, command: Any) -> None:
    section = SECTIONS[words.split()[0]]
    assert words in section
    for parameter in command.params:
        for option in parameter.opts:
            if option.startswith("--") and option not in EVERYWHERE:
                both = {option, *parameter.secondary_opts}
                assert any(each in section for each in both), f"{words} {option} is not explained"


def test_what_holds_for_all_is_said_at_the_top() -> None:
    top = TEXT.partition("\n## ")[0]
    for option in EVERYWHERE:
        assert option in top


def shown_commands() -> list[tuple[str, str]]:
    """Give every command of ours that a document shows at a prompt, with the document."""
    found = []
    for document in DOCUMENTS:
        text = re.sub(r"\\\n\s*", "", document.read_text("utf-8"))
        for line in re.findall(r"^\$ (.+)$", text, re.MULTILINE):
            bare = re.split(r" [|<>&] ", line)[0].removeprefix(".venv/bin/")
            if bare.startswith(("tollkeeper", "make ")):
                found.append((document.name, bare))
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(("document", "line"), shown_commands())
def test_every_command_that_is_shown_can_be_typed(document: str, line: str) -> None:
    program, *arguments = shlex.split(line)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(arguments[:1]) <= set(targets), f"{document}: {line}"
    else:
        parse(get_command(command_line()), program, arguments)


def parse(command: Any, name: str, arguments: list[str]) -> None:
    """Read the arguments as the command would. Raises UsageError for what it would refuse."""
    context = command.make_context(name, list(arguments))
    rest = [*getattr(context, "_protected_args", ()), *context.args]
    if rest and hasattr(command, "resolve_command"):
        inner_name, inner, inner_arguments = command.resolve_command(context, rest)
        parse(inner, inner_name, inner_arguments)


def test_a_command_that_is_none_would_be_found() -> None:
    for wrong in (["keyz"], ["keys", "issue", "--nmae", "x"], ["spend", "--limit", "many"]):
        with pytest.raises(Exception, match=r"such|valid"):
            parse(get_command(command_line()), "tollkeeper", wrong)
