"""Tries one agent against a running gateway: a call that goes well, and three that are refused."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from agent_catalogue import ANSWER, Agent, Way
from agent_processes import Finished, run_program
from agent_server import TEAM, USER, Key, Server
from agent_settings import Pasted, paste, paste_snippets
from tollkeeper.services.connect import Connection, ToolSettings, tool_settings

MODEL: Final = "gpt-4.1-mini"
"""Goes into the settings of agents that have to be told a model. The others choose their own."""

LIMIT: Final = "$5"
"""What an agent may spend at first; then less than what it has spent."""

REFUSED_REQUESTS_MAX: Final = 4
"""Some agents ask twice at their start; none may go on asking after a refusal."""

_ASK: Final = "/budgets/ask?budget="
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_SHOWN_CHARS: Final = 160
_BEFORE_CHARS: Final = 60


class Refusal(NamedTuple):
    """What an agent made of a refusal: the line that it showed, and its requests."""

    shown: str
    requests: int
    duration_s: float


class Trial(NamedTuple):
    """What became of one agent. ``faults`` is empty if all was as it must be.

    ``way`` is "" for the first way to connect it. What a login of the vendor pays for has
    no cost; then ``cost_usd`` is what it would cost.
    """

    agent: Agent
    way: str
    version: str
    model: str
    session: str
    requests: int
    cost_usd: Decimal | None
    flat_rate: bool
    attributed: str
    refusals: dict[str, Refusal]
    faults: tuple[str, ...]


class Bench(NamedTuple):
    """What all trials share. ``programs`` maps each tool to its program."""

    server: Server
    folder: Path
    node: Path
    timeout_s: float


def try_agent(bench: Bench, agent: Agent, program: Path) -> Trial:
    """Try an agent: one prompt, then with a key that may not, a revoked one, one that is spent."""
    server = bench.server
    key = server.issue(f"{agent.tool} good")
    finished = _run(bench, agent, program, key, "good")
    rows = server.calls(key)
    faults = [*_run_faults(finished), *_ledger_faults(agent, rows)]
    refusals = {}
    narrow = server.issue(f"{agent.tool} narrow", "--model", "none-of-them")
    ended = _run(bench, agent, program, narrow, "narrow")
    refusals["may not use model"] = _refusal(ended, "may not use", len(server.calls(narrow)))
    revoked = server.issue(f"{agent.tool} revoked")
    server.revoke(revoked)
    before = server.unidentified()
    ended_again = _run(bench, agent, program, revoked, "revoked")
    refusals["revoked key"] = _refusal(ended_again, "is revoked", server.unidentified() - before)
    refusals["budget used up"], spent = _use_up(bench, agent, program)
    runs = (ended, ended_again, spent)
    for (name, refusal), run in zip(refusals.items(), runs, strict=True):
        faults += [f"{name}: {fault}" for fault in _refusal_faults(refusal, run)]
    if _ASK not in spent.output:
        faults.append("budget used up: it was not shown where to ask for more")
    return _trial(agent, "", rows, refusals, faults)


def _use_up(bench: Bench, agent: Agent, program: Path) -> tuple[Refusal, Finished]:
    """Let an agent spend of a budget, of which then no more is left, and run it again."""
    server = bench.server
    key = server.issue(f"{agent.tool} spent")
    server.cap(key, LIMIT)
    _run(bench, agent, program, key, "spending")
    made = len(server.calls(key))
    server.cap(key, "$0.000001")
    repeated = server.repeated()
    finished = _run(bench, agent, program, key, "spent")
    requests = len(server.calls(key)) - made + server.repeated() - repeated
    return _refusal(finished, "is used up", requests), finished


def try_way(bench: Bench, agent: Agent, program: Path, way: Way) -> Trial:
    """Try one prompt with an agent that is connected in another way."""
    key = bench.server.issue(f"{agent.tool} {way.name}")
    finished = _run(bench, agent, program, key, way.name.replace(" ", "-"), way)
    rows = bench.server.calls(key)
    faults = [*_run_faults(finished), *_ledger_faults(agent, rows)]
    called = {row["provider"] for row in rows} - {way.provider}
    faults += [f"went to {provider}, not to {way.provider}" for provider in sorted(called)]
    return _trial(agent, way.name, rows, {}, faults)


def _run(
    bench: Bench, agent: Agent, program: Path, key: Key, name: str, way: Way | None = None
) -> Finished:
    """Run an agent as a new user would: an empty home folder, and the printed settings."""
    place = bench.folder / agent.tool / name
    home, folder, scratch = place / "home", place / "project", place / "tmp"
    for made in (home, folder, scratch):
        made.mkdir(parents=True)
    for file, text in {**agent.files, **(way.files if way else {})}.items():
        target = home / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    pasted = _pasted(settings_of(agent, bench.server.url, key.token), way, home, folder)
    environment = {
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "PATH": f"{bench.node}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        **agent.variables,
        **(way.variables if way else {}),
        **pasted.variables,
    }
    command = [str(program), *pasted.command[1:], *agent.arguments]
    return run_program(command, environment, folder, bench.timeout_s, place / "output.txt")


def _pasted(settings: ToolSettings, way: Way | None, home: Path, folder: Path) -> Pasted:
    if way is None:
        return paste(settings, home, folder)
    wanted = [each for each in settings.snippets if each.where.startswith(way.where)]
    return paste_snippets(wanted, home, folder)


def settings_of(agent: Agent, url: str, key: str) -> ToolSettings:
    """Give the settings that the Keys page shows for an agent."""
    connection = Connection(url, key, openai_model=MODEL)
    return next(each for each in tool_settings(connection) if each.tool == agent.tool)


def _run_faults(finished: Finished) -> list[str]:
    if finished.exit_code is None:
        return [f"did not end within {finished.duration_s:.0f} s"]
    faults = [f"exit code {finished.exit_code}"] if finished.exit_code else []
    if ANSWER not in finished.output:
        faults.append(f"did not show the answer but {shown_text(finished.output)!r}")
    return faults


def _ledger_faults(agent: Agent, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Say what is not right in the ledger about the calls of a run."""
    if not rows:
        return ["no call in the ledger"]
    expected = {
        "user_name": USER,
        "team": TEAM,
        "tool": agent.tool,
        "tool_version": agent.version,
        "outcome": "ok",
        "unpriced": 0,
    }
    faults = [
        f"{name} is {row[name]!r}, not {value!r}"
        for row in rows
        for name, value in expected.items()
        if row[name] != value
    ]
    if agent.has_session and not any(row["session_id"] for row in rows):
        faults.append("no session id")
    if not sum(Decimal(row["list_cost_usd"] or 0) for row in rows):
        faults.append("no cost")
    return sorted(set(faults))


def _refusal(finished: Finished, words: str, requests: int) -> Refusal:
    return Refusal(shown_text(finished.output, words), requests, finished.duration_s)


def _refusal_faults(refusal: Refusal, finished: Finished) -> list[str]:
    faults = []
    if finished.exit_code is None:
        faults.append(f"did not end within {finished.duration_s:.0f} s")
    if not refusal.shown:
        faults.append(f"the reason was not shown, but {shown_text(finished.output)!r}")
    if not 0 < refusal.requests <= REFUSED_REQUESTS_MAX:
        faults.append(f"{refusal.requests} requests")
    return faults


def shown_text(output: str, words: str = "") -> str:
    """Give the line of an output that has some words, "" if none has; else its last lines.

    Of a long line only what stands around the words is given.
    """
    lines = [line.strip() for line in _COLOURS.sub("", output).splitlines() if line.strip()]
    if not words:
        return " / ".join(lines[-3:])[-_SHOWN_CHARS:]
    line = next((line for line in lines if words in line), "")
    if len(line) <= _SHOWN_CHARS:
        return line
    start = max(0, line.index(words) - _BEFORE_CHARS)
    return f"{'…' if start else ''}{line[start : start + _SHOWN_CHARS]}…"


def _trial(
    agent: Agent,
    way: str,
    rows: Sequence[dict[str, Any]],
    refusals: dict[str, Refusal],
    faults: Sequence[str],
) -> Trial:
    last = rows[-1] if rows else {}
    flat = any(row["basis"] == "flat_rate" for row in rows)
    column = "list_cost_usd" if flat else "cost_usd"
    costs = [Decimal(row[column]) for row in rows if row[column] is not None]
    sessions = [row["session_id"] for row in rows if row["session_id"]]
    attributed = " ".join(dict.fromkeys(f"{row['user_name']} / {row['team']}" for row in rows))
    return Trial(
        agent,
        way,
        f"{last.get('tool', '')} {last.get('tool_version', '')}".strip(),
        ", ".join(dict.fromkeys(row["model_served"] for row in rows)),
        sessions[-1] if sessions else "",
        len(rows),
        sum(costs, Decimal(0)) if costs else None,
        flat,
        attributed,
        refusals,
        tuple(faults),
    )
