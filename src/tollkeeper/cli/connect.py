"""``tollkeeper connect``: point a tool at the gateway, and see what its calls are attributed to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit

import typer

from tollkeeper.cli import connect_files, output
from tollkeeper.cli.connect_files import Change, Edit
from tollkeeper.cli.connect_plans import LOGINS, edits
from tollkeeper.cli.connect_probe import Probe, ProbeFailed, probe
from tollkeeper.cli.context import JsonOption
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.services.connect import (
    PLACEHOLDER,
    SANDBOX_MODEL,
    Connection,
    Snippet,
    ToolSettings,
    tool_settings,
)

app = typer.Typer(rich_markup_mode="rich", add_completion=False)

_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
_URL: Final = re.compile(r"[A-Za-z0-9._~:/\[\]%-]+")
_EXAMPLES: Final = """
[bold]Examples[/bold]

tollkeeper connect claude-code

tollkeeper connect claude-code --key tk_live_… --write

tollkeeper connect codex --login --url https://gateway.acme.com --write --dry-run

tollkeeper connect opencode --model gpt-5.4 --write

tollkeeper connect claude-code --undo
"""


class Tool(StrEnum):
    """What can be connected."""

    CLAUDE_CODE = "claude-code"
    CODEX = "codex"
    KIMI = "kimi"
    GEMINI = "gemini"
    OPENCODE = "opencode"
    QWEN = "qwen"
    AIDER = "aider"
    OPENAI = "openai"
    PYTHON = "python"
    NODE = "node"


_NAMES: Final = {Tool.KIMI: "kimi-code", Tool.GEMINI: "gemini-cli", Tool.QWEN: "qwen-code"}
"""How settings and ledger call a tool, where that is not what is typed."""


class _Wanted(NamedTuple):
    """What was asked for: the tool by the name of its settings, and where it is to call.

    ``model`` is "" where none was named.
    """

    tool: str
    to: Connection
    model: str
    login: bool

    @property
    def has_key(self) -> bool:
        return self.to.key != PLACEHOLDER

    def document(self) -> dict[str, Any]:
        """Begin what is printed as JSON."""
        return {"tool": self.tool, "url": self.to.url}


@app.command(epilog=_EXAMPLES)
def connect(
    tool: Annotated[Tool, typer.Argument(help="The tool.", show_default=False)],
    key: Annotated[
        str,
        typer.Option(
            "--key",
            envvar="TOLLKEEPER_KEY",
            help="A key of yours, tk_live_…; - reads it from standard input.",
        ),
    ] = "",
    url: Annotated[
        str, typer.Option("--url", envvar="TOLLKEEPER_URL", help="Where the gateway is.")
    ] = "http://127.0.0.1:4000",
    model: Annotated[
        str, typer.Option("--model", help="What the tool and the probe are to call.")
    ] = "",
    login: Annotated[
        bool,
        typer.Option("--login", help="Keep the tool's own login (Claude, ChatGPT) beside the key."),
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write the tool's own settings files.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what --write would change, and end.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring back what was there before --write.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Undo even what was changed since.")
    ] = False,
    probing: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Whether to make one small call.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Print a tool's settings or write them, then call once and show what was attributed."""
    if undo and write:
        raise typer.BadParameter("give --write or --undo")
    wanted = _wanted(tool, key, url, model, login=login)
    planned = edits(wanted.tool, wanted.to, Path.home(), login=login)
    if (write or dry_run or undo) and not planned:
        raise typer.BadParameter(f"{tool} has no settings file of its own; paste what is printed")
    if undo:
        _undo(planned, force=force)
    elif dry_run:
        _show_diffs(wanted, planned, as_json)
    else:
        shown = _write(wanted, planned, as_json) if write else _print(wanted, as_json)
        if probing and wanted.has_key:
            _probe(wanted, shown, as_json)
        elif as_json:
            output.print_json(shown)


def _wanted(tool: Tool, key: str, url: str, model: str, *, login: bool) -> _Wanted:
    """Check what was typed. Raises BadParameter."""
    name = _NAMES.get(tool, tool.value)
    if login and name not in LOGINS:
        raise typer.BadParameter(f"--login is for {' and '.join(LOGINS)}")
    if model and not _MODEL.fullmatch(model):
        raise typer.BadParameter("--model is no name of a model")
    shown = model or SANDBOX_MODEL
    to = Connection(_address(url), _key(key), shown, shown, shown)
    return _Wanted(name, to, model, login)


def _key(given: str) -> str:
    if given == "-":
        given = typer.get_text_stream("stdin").readline().strip()
    if not given:
        return PLACEHOLDER
    token = key_tokens.parse(given)
    if token is None:
        raise typer.BadParameter("--key is not a whole key; they look like tk_live_…")
    if token.kind is not KeyKind.VIRTUAL:
        raise typer.BadParameter("--key manages, and calls no models; give a tk_live_… key")
    return given


def _address(url: str) -> str:
    address = url.rstrip("/")
    try:
        parts = urlsplit(address)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not _URL.fullmatch(address):
        raise typer.BadParameter("--url is an address such as https://gateway.acme.com")
    return address.removesuffix("/v1")


# --------------------------------------------------------------------------- settings


def _settings(wanted: _Wanted) -> list[ToolSettings]:
    """Give what to paste: of one tool, or of each library of a language."""
    prefix = f"{wanted.tool}-"
    found = []
    for each in tool_settings(wanted.to):
        if each.tool == wanted.tool or each.tool.startswith(prefix):
            kept = [piece for piece in each.snippets if _is_with_login(piece) == wanted.login]
            found.append(each._replace(snippets=tuple(kept)))
    return found


def _is_with_login(snippet: Snippet) -> bool:
    return snippet.where.endswith("login")


def _print(wanted: _Wanted, as_json: bool) -> dict[str, Any]:
    settings = _settings(wanted)
    for each in () if as_json else settings:
        for snippet in each.snippets:
            output.print_line(f"# {each.name}: {snippet.where}")
            print(f"{snippet.text}\n")
        if each.note:
            print(f"{each.note}\n")
    return {**wanted.document(), "settings": [_settings_document(each) for each in settings]}


def _settings_document(settings: ToolSettings) -> dict[str, Any]:
    return {
        "name": settings.name,
        "note": settings.note or None,
        "snippets": [snippet._asdict() for snippet in settings.snippets],
    }


# ------------------------------------------------------------------------------ files


def _show_diffs(wanted: _Wanted, planned: Sequence[Edit], as_json: bool) -> None:
    """Show what would change; keys of ours are masked."""
    found = [_file_document(each) for each in _changes(planned)]
    if as_json:
        output.print_json({**wanted.document(), "files": found})
        return
    for each in found:
        if not each["changed"]:
            output.print_line(f"{each['file']} is already so.")
        elif not each["diff"]:
            output.print_line(f"{each['file']} would be readable by its owner alone.")
        for line in each["diff"].split("\n")[:-1]:
            output.print_line(line)


def _write(wanted: _Wanted, planned: Sequence[Edit], as_json: bool) -> dict[str, Any]:
    if not wanted.has_key:
        raise typer.BadParameter("give the key: --key, or TOLLKEEPER_KEY")
    changes = _changes(planned)
    connect_files.write(changes)
    for change in () if as_json else changes:
        said = "Wrote" if change.differs else "Nothing to change in"
        output.print_line(f"{said} {change.file}")
    if wanted.login and not as_json:
        vendor = LOGINS[wanted.tool]
        output.print_line(f"Sign in with {vendor} as usual; the login passes through.")
    return {**wanted.document(), "files": [_file_document(each) for each in changes]}


def _changes(planned: Sequence[Edit]) -> list[Change]:
    return [connect_files.planned(edit, Path.home()) for edit in planned]


def _file_document(change: Change) -> dict[str, Any]:
    diff = key_tokens.without_keys(change.diff())
    return {"file": str(change.file), "changed": change.differs, "diff": diff}


def _undo(planned: Sequence[Edit], *, force: bool) -> None:
    done = connect_files.undo([edit.file for edit in planned], force=force)
    for file in done:
        output.print_line(f"{file} is as it was.")
    if not done:
        raise TollkeeperError("nothing was written here that could be undone", code="nothing_done")


# ------------------------------------------------------------------------------ probe


def _probe(wanted: _Wanted, shown: dict[str, Any], as_json: bool) -> None:
    try:
        made = probe(wanted.tool, wanted.to, wanted.model, login=wanted.login)
    except ProbeFailed as failed:
        if as_json:
            output.print_json({**shown, "probe": None, "fault": failed.message})
        raise
    if as_json:
        missing = [finding._asdict() for finding in made.findings]
        found = {"identity": made.identity, "call_id": made.call_id, "call": made.call}
        output.print_json({**shown, "probe": {**found, "missing": missing}})
    else:
        _print_probe(made)
    if made.call_id and made.call is None:
        raise typer.Exit(1)


def _print_probe(made: Probe) -> None:
    call = made.call or {}
    identity = made.identity
    tool = " ".join(word for word in (call.get("tool"), call.get("tool_version")) if word)
    cost, worth = call.get("cost_usd"), call.get("list_cost_usd")
    lines = {
        "user": identity["user"],
        "team": call.get("team") or identity["team"],
        "tool": tool,
        "model": call.get("model_served") or call.get("model_requested"),
        "provider": call.get("provider"),
        "cost": None if cost is None else f"${cost} ({call['basis']}; list price ${worth})",
        "cache TTL": ", ".join(call.get("cache_written_for", ())) or "nothing cached by this call",
        "session": call.get("session_id"),
        "call": made.call_id,
    }
    if not made.call_id:
        lines = {"user": identity["user"], "team": identity["team"]}
    output.print_line("The gateway attributed:" if made.call_id else "The key is of:")
    for name, value in lines.items():
        output.print_line(f"  {name:<10} {value or '-'}")
    for finding in made.findings:
        output.print_line(f"  missing    {finding.what}")
        output.print_line(f"             → {finding.remedy}")
