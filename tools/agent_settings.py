"""Does with the printed settings what a person does: pastes them into a shell and into files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

from tollkeeper.services.connect import Snippet, ToolSettings

ALTERNATIVE = "Or "
"""How the place of a snippet begins that stands for what is above it."""


class Pasted(NamedTuple):
    """What a shell has after the paste: its variables, and the command that starts the tool."""

    variables: dict[str, str]
    command: tuple[str, ...] = ()


def paste(settings: ToolSettings, home: Path, folder: Path) -> Pasted:
    """Paste the first way that is offered; ``folder`` is where the tool is started."""
    return paste_snippets(
        [each for each in settings.snippets if not each.where.startswith(ALTERNATIVE)],
        home,
        folder,
    )


def paste_snippets(snippets: list[Snippet], home: Path, folder: Path) -> Pasted:
    """Paste some snippets: files are written, shells give variables and a command."""
    pasted = Pasted({})
    for where, text in snippets:
        place = where.removeprefix(ALTERNATIVE).partition(",")[0]
        if place.lower() == "shell":
            variables, command = _shell(text)
            pasted = Pasted(pasted.variables | variables, command or pasted.command)
            continue
        file = home / place[2:] if place.startswith("~/") else folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", "utf-8")
    return pasted


def _shell(text: str) -> Pasted:
    variables: dict[str, str] = {}
    command: tuple[str, ...] = ()
    for line in text.splitlines():
        words = shlex.split(line)
        if words[:1] == ["export"]:
            variables |= dict(word.split("=", 1) for word in words[1:])
        elif words:
            command = tuple(words)
    return Pasted(variables, command)
