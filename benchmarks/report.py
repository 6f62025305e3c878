"""Writes docs/benchmarks.md from what a run found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks import other_work
from benchmarks.figures import Verdict
from benchmarks.tables import Findings, Table, target_table

_INTRODUCTION = """\
# Benchmarks

Written by `make bench` ({command}), which measured everything below in one run on {date}.
Run it on your own machine: ratios carry over between machines, absolute figures do not.
"""

_BUSY = """\
**The machine had other work during this run** ({others}), so no figure here says what
it could do in peace: run it again when nothing else runs.
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
    others: float = 0.0,
    larger: str = "",
) -> str:
    """Give the whole document. ``others`` is the part of all cores that other work had meanwhile.

    ``larger`` is the section about larger ledgers, "" for none.
    """
    parts = [_INTRODUCTION.format(command=f"`{command}`", date=date)]
    parts += in_company(others)
    parts.append("## Targets\n\n" + outcome(findings))
    parts += [section(found) for found in findings]
    parts += [larger] if larger else []
    parts.append(_METHOD.format(rounds=rounds))
    parts.append("## Machine and versions\n\n" + facts(machine, versions, took_s, others))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def in_company(others: float) -> list[str]:
    """Give the warning that other work had so much of all cores; nothing where it is little."""
    return [_BUSY.format(others=other_work.told(others))] if other_work.is_much(others) else []


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


def facts(
    machine: Mapping[str, str],
    versions: Mapping[str, str],
    took_s: float | None = None,
    others: float | None = None,
) -> str:
    """Give the table of the machine and of versions.

    And of how long the run took, and of what other work had meanwhile, where these are known.
    """
    table = Table(["", "what"])
    for name, value in {**machine, **versions}.items():
        table.add(name, value)
    if took_s is not None:
        table.add("the run took", f"{took_s / 60:.0f} min")
    if others is not None:
        table.add("other work meanwhile", other_work.told(others))
    return table.markdown()
