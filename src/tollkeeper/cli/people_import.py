"""``tollkeeper users import``: people from a table."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.clock import now_us
from tollkeeper.ports import Store
from tollkeeper.services import people_import
from tollkeeper.services.people_import import Change, Plan

SHOWN_MAX = 200
_SIGNS = {"add team": "+ team", "nest team": "~ team", "add": "+", "change": "~"}


def import_people(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The table, - for standard input.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Take people over from a CSV: email, and any of name, role, team and parent.

    All lines or none. Empty cells leave things as they are; teams that are not there are added.
    """
    table = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    with opened(data, create=not dry_run) as (store, _):
        plan = people_import.plan_of(store, table)
        if not plan.faults and not dry_run:
            _take_over(store, plan)
    if as_json:
        output.print_json(_document(plan, done=not dry_run and not plan.faults))
    else:
        _print(plan, dry_run)
    if plan.faults:
        raise typer.Exit(1)


def _take_over(store: Store, plan: Plan) -> None:
    progress, console = (
        import_module("rich.progress"),
        import_module("rich.console").Console(stderr=True),
    )
    with progress.Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Taking over", total=len(plan.changes))
        people_import.take_over(
            store, plan, now_us(), lambda done: bar.update(task, completed=done)
        )


def _print(plan: Plan, dry_run: bool) -> None:
    for fault in plan.faults[:SHOWN_MAX]:
        output.print_line(f"line {fault.line}: {fault.message}")
    if plan.faults:
        _print_rest(len(plan.faults))
        output.print_line(f"{len(plan.faults)} of the lines are not good; nothing was changed.")
        return
    for change in plan.changes[:SHOWN_MAX]:
        output.print_line(_line(change))
    _print_rest(len(plan.changes))
    added = sum(change.kind == "add" for change in plan.changes)
    changed = sum(change.kind == "change" for change in plan.changes)
    teams = sum(change.kind == "add team" for change in plan.changes)
    verb = "would be" if dry_run else "were"
    output.print_line(
        f"{added} people {verb} added, {changed} changed, {plan.same} are as they should be; "
        f"{teams} teams {verb} added."
    )


def _print_rest(count: int) -> None:
    if count > SHOWN_MAX:
        output.print_line(f"… and {count - SHOWN_MAX} more (--json has all)")


def _line(change: Change) -> str:
    fields = ", ".join(
        f"{name} {old!r} → {new!r}" if old else f"{name} {new!r}"
        for name, old, new in change.fields
    )
    return f"{_SIGNS[change.kind]} {change.who}" + (f": {fields}" if fields else "")


def _document(plan: Plan, *, done: bool) -> dict[str, Any]:
    return {
        "done": done,
        "rows": plan.rows,
        "same": plan.same,
        "faults": [fault._asdict() for fault in plan.faults],
        "changes": [
            {
                "line": change.line,
                "kind": change.kind,
                "who": change.who,
                "fields": {name: {"from": old, "to": new} for name, old, new in change.fields},
            }
            for change in plan.changes
        ],
    }
