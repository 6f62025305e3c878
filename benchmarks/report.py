"""Writes docs/benchmarks.md from what a run found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.figures import Verdict
from benchmarks.tables import Findings, Table, target_table

_INTRODUCTION = """\
# Benchmarks

Written by `make bench` ({command}), which measured everything below in one run on {date}.
Run it on your own machine: ratios carry over between machines, absolute figures do not.
"""

BUSY = """\
**The machine had other work during this run**, so no figure here says what it could do in
peace: run it again when nothing else runs.
"""

_METHOD = """\
## How this was measured

- The proxy under test has core 0 for itself; the load generator and the upstream that plays
  the provider share core 1. Tollkeeper is what `tollkeeper serve` starts, with everything on:
  virtual keys, tags, prices, the journal with its group sync every 50 ms; its console, which
  loads the ledger all the while, runs on core 1 with the load.
- Targets take turns within a round, in reversed order every second round. Figures are medians
  over {rounds} rounds; ratios are medians of the ratios within each round. Before each turn the
  loader works off what it has, so that its work is not charged to the next target.
- CPU is the processor time of the target's processes (from the scheduler's own account)
  divided by the completed requests. It is the figure that neighbours and a saturated load
  generator bend least.
- nginx is one worker with kept-alive connections on both sides and `proxy_buffering off`,
  which streams need. LiteLLM is its proxy with a master key, no database and no callbacks: its
  best case, in which it records nothing.
- 1 KB and 100 KB are sizes of the request's body; replies are 1 KB. A stream's 50 chunks
  arrive at once, which is the most work per second that streams can make.
- The first table is the outcome: the targets were set before the code was written.
"""


def document(
    findings: Sequence[Findings],
    *,
    machine: Mapping[str, str],
    versions: Mapping[str, str],
    date: str,
    command: str,
    rounds: int,
    took_s: float,
    busy: bool = False,
    larger: str = "",
) -> str:
    """Give the whole document; ``busy`` tells that the machine had other work as well.

    ``larger`` is the section about larger ledgers, "" for none.
    """
    parts = [_INTRODUCTION.format(command=f"`{command}`", date=date)]
    if busy:
        parts.append(BUSY)
    parts.append("## Targets\n\n" + outcome(findings))
    parts += [section(found) for found in findings]
    parts += [larger] if larger else []
    parts.append(_METHOD.format(rounds=rounds))
    parts.append("## Machine and versions\n\n" + facts(machine, versions, took_s))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def outcome(findings: Sequence[Findings]) -> str:
    """Give the table of all targets, and one sentence that sums it up."""
    targets = [target for found in findings for target in found.targets]
    missed = sum(target.verdict is Verdict.MISSED for target in targets)
    unknown = sum(target.verdict is Verdict.UNKNOWN for target in targets)
    passed = len(targets) - missed - unknown
    summary = f"{passed} of {len(targets)} targets are met"
    if missed:
        summary += f", {missed} missed"
    if unknown:
        summary += f", {unknown} could not be measured"
    return f"{target_table(targets).markdown()}\n\n{summary}."


def section(found: Findings) -> str:
    """Give the section of one suite."""
    parts = [f"## {found.title}"]
    for title, table in found.tables:
        parts += [f"### {title}", table.markdown()]
    if found.notes:
        parts.append("\n".join(f"- {note}" for note in found.notes))
    return "\n\n".join(parts)


def facts(machine: Mapping[str, str], versions: Mapping[str, str], took_s: float) -> str:
    """Give the table of the machine, of versions, and of how long the run took."""
    table = Table(["", "what"])
    for name, value in {**machine, **versions, "the run took": f"{took_s / 60:.0f} min"}.items():
        table.add(name, value)
    return table.markdown()
