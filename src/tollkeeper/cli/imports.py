"""``tollkeeper import``: the configuration of another gateway, as ours."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from tollkeeper.cli import output
from tollkeeper.cli.context import JsonOption
from tollkeeper.clock import now_us
from tollkeeper.config import DEFAULT_FILE, litellm
from tollkeeper.config.litellm.checking import problem_of
from tollkeeper.domain.errors import ConfigError

app = typer.Typer(
    help="Take over the configuration of another gateway.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\n"
    "tollkeeper import litellm config.yaml --dry-run\n\n"
    "tollkeeper import litellm /etc/litellm/config.yaml --output tollkeeper.yaml"
)
_FILE_BYTES_MAX: Final = 4 << 20


@app.callback()
def _imports() -> None:
    """Take over the configuration of another gateway."""


@app.command("litellm", epilog=_EXAMPLES)
def import_litellm(
    file: Annotated[Path, typer.Argument(metavar="CONFIG", help="LiteLLM's config.yaml.")],
    target: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="Where to write it.")
    ] = Path(DEFAULT_FILE),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there; a copy of it is kept.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn LiteLLM's models, prices, limits and budgets into a tollkeeper.yaml.

    What cannot be carried over is said line by line. Keys of providers become variables.
    """
    found = litellm.read(_text(file), str(file))
    problem = problem_of(found.text)
    backup: Path | None = None
    if not dry_run:
        if problem:
            raise ConfigError(f"what comes out cannot be used: {problem}", file=str(file))
        backup = _write(target, found.text, force=force)
    if as_json:
        output.print_json(
            {
                "file": str(target),
                "written": not dry_run,
                "backup": None if backup is None else str(backup),
                "problem": problem or None,
                "configuration": found.configuration,
                "notes": [note._asdict() for note in found.notes],
            }
        )
        return
    if dry_run:
        print(found.text)
    for note in found.notes:
        output.print_line(f"{file}:{note.line}: {note.option}: {note.said}")
    if problem:
        output.print_line(f"What comes out cannot be used yet: {problem}")
    _say_what_was_done(target, found, backup, dry_run=dry_run)


def _say_what_was_done(
    target: Path, found: litellm.Imported, backup: Path | None, *, dry_run: bool
) -> None:
    if backup is not None:
        output.print_line(f"The file that was there is kept as {backup}.")
    sections = ", ".join(
        f"{len(value)} {name.replace('_', ' ')}"
        for name, value in found.configuration.items()
        if not isinstance(value, str)
    )
    done = "Nothing was written." if dry_run else f"Wrote {target}."
    output.print_line(f"{done} Carried over: {sections or 'nothing'}.")


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigError("there is no such file", file=str(file)) from None
    if len(data) > _FILE_BYTES_MAX:
        raise ConfigError(f"is larger than {_FILE_BYTES_MAX >> 20} MB", file=str(file))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8", file=str(file)) from None


def _write(target: Path, text: str, *, force: bool) -> Path | None:
    """Write the file as a whole; give where a former one is kept. Raises ConfigError."""
    backup = None
    if target.exists():
        if not force:
            raise ConfigError(
                "is there already", file=str(target), hint="--force replaces it and keeps a copy"
            )
        moment = datetime.fromtimestamp(now_us() / 1e6, UTC)
        backup = target.with_name(f"{target.name}.{moment:%Y%m%dT%H%M%S%f}.bak")
        backup.write_bytes(target.read_bytes())
        backup.chmod(target.stat().st_mode & 0o777)
    fresh = target.with_name(f".{target.name}.new")
    fresh.touch(mode=0o600)
    with fresh.open("wb") as opened:
        opened.write(text.encode())
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(target)
    return backup
