"""Writes what became of the agents as a table, into a page if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent_catalogue import PROMPT
from agent_trial import Trial
from tollkeeper.reports.formatting import money_exact

BEGIN: Final = "<!-- table -->\n"
END: Final = "<!-- end of table -->\n"
_UNKNOWN: Final = "-"


def table(trials: Sequence[Trial], machine: str) -> str:
    """Write both tables in Markdown: what was attributed, and what a refusal looked like."""
    lines = [
        f"Made with `make test-agents` ({machine}). Prompt: `{PROMPT}`.",
        "",
        "| agent | finished | attributed to | tool and version in the ledger | model | session "
        "| requests | cost |",
        "|---|---|---|---|---|---|--:|--:|",
    ]
    lines += [_row(trial) for trial in trials]
    lines += [
        "",
        "| agent | refusal | what the agent showed | requests | seconds |",
        "|---|---|---|--:|--:|",
    ]
    for trial in trials:
        for name, refusal in trial.refusals.items():
            shown = _cell(refusal.shown)
            cells = (trial.agent.tool, name, shown, refusal.requests, f"{refusal.duration_s:.0f}")
            lines.append(_joined(*cells))
    return "\n".join(lines) + "\n"


def write_into(page: Path, text: str) -> None:
    """Put the tables between their marks in a page. Raises ValueError if it has none."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the table")
    page.write_text(before + BEGIN + text + END + after, "utf-8")


def _row(trial: Trial) -> str:
    cost = _UNKNOWN if trial.cost_usd is None else money_exact(trial.cost_usd)
    if trial.flat_rate:
        cost = f"0 (worth {cost})"
    way = f", {trial.way}" if trial.way else ""
    return _joined(
        f"{trial.agent.tool} {trial.agent.version}{way}",
        "yes" if not trial.faults else f"**no**: {_cell('; '.join(trial.faults))}",
        trial.attributed or _UNKNOWN,
        trial.version or _UNKNOWN,
        trial.model or _UNKNOWN,
        f"`{trial.session}`" if trial.session else _UNKNOWN,
        trial.requests,
        cost,
    )


def _joined(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or _UNKNOWN
