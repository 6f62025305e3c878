"""``tollkeeper audit``: who changed what, whether the log is as it was written, and its export."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

from tollkeeper.cli import moments, output
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.cli.questions import zone_named
from tollkeeper.clock import now_us
from tollkeeper.domain.audit import Action, AuditEntry, AuditQuestion, Target, Verdict
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.ports import Store
from tollkeeper.reports.export import csv_lines, json_lines
from tollkeeper.services import audit

app = typer.Typer(
    help="See who changed what, and that the log of it is as it was written.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
_FOLLOW_S: Final = 1.0
_LIST_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\ntollkeeper audit list --since 7d --action key\n\n"
    "tollkeeper audit list --actor alice@acme.com --json\n\ntollkeeper audit list --follow"
)
_VERIFY_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\ntollkeeper audit head --json > head.json\n\n"
    "tollkeeper audit verify --head head.json"
)
_EXPORT_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\ntollkeeper audit export --output audit.csv\n\n"
    "tollkeeper audit export --format jsonl --since 2026-11-01"
)


class Format(StrEnum):
    """How the log is written to a file."""

    CSV = "csv"
    JSONL = "jsonl"


ActorOption = Annotated[
    str, typer.Option("--actor", help="A name or id, or a kind: person, key, 'command line'.")
]
ActionOption = Annotated[
    str, typer.Option("--action", help="Such as key.issue, or its part before the dot: key.")
]
TargetOption = Annotated[str, typer.Option("--target", help="The id of what was changed.")]
SinceOption = Annotated[str, typer.Option("--since", help="30d, 12h, or a date: 2026-11-01.")]
UntilOption = Annotated[str, typer.Option("--until", help="The last day: 2026-11-30.")]


@app.command("list", epilog=_LIST_EXAMPLES)
def list_entries(
    actor: ActorOption = "",
    action: ActionOption = "",
    target: TargetOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")
    ] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is added, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List entries of the audit log, newest first."""
    question = _question(actor, action, target, since, until)
    with opened(data) as (store, _):
        found = store.audit(question._replace(most=limit))
        name_of = audit.names_of_targets(store)
        if follow:
            _follow(store, question, found, as_json=as_json)
            return
    if as_json:
        output.print_json([audit.entry_document(entry, name_of) for entry in found])
        return
    output.print_table(
        (
            output.Column("No.", whole=True, right=True),
            output.Column("When", whole=True),
            output.Column("Who"),
            output.Column("Did", whole=True),
            output.Column("To"),
            output.Column("Detail"),
        ),
        [_cells(entry, name_of) for entry in found],
        "Nothing that fits is in the audit log.",
    )


@app.command(epilog=_VERIFY_EXAMPLES)
def verify(
    head: Annotated[
        Path | None,
        typer.Option("--head", help="A head that was kept elsewhere: compare with it too."),
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Walk along the whole log. Ends with 1 where it is not as it was written."""
    kept = None if head is None else audit.read_head(head.read_text("utf-8"))
    with opened(data) as (store, vault):
        verdict = audit.verify(store)
        if kept is not None:
            verdict = audit.compared(store, vault, verdict, kept)
    if as_json:
        output.print_json(_verdict_document(verdict, None if kept is None else kept.head.seq))
    elif verdict.bad_seq is None:
        output.print_line(_good(verdict, None if kept is None else kept.head.seq))
    if verdict.bad_seq is not None:
        raise TollkeeperError(f"the audit log is broken: {verdict.fault}", code="audit_broken")


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper audit head --json > head.json")
def head(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show the signed head of the log. Kept elsewhere, it shows later if entries are gone."""
    with opened(data) as (store, vault):
        document = audit.head_document(audit.signed_head(store, vault, now_us()))
    if as_json:
        output.print_json_line(document)
    else:
        output.print_line(f"{document['seq']} entries, {document['hash']}")
        output.print_line(f"Signed: {document['signature']}")


@app.command(epilog=_EXPORT_EXAMPLES)
def export(
    form: Annotated[Format, typer.Option("--format", help="csv or jsonl.")] = Format.CSV,
    target_file: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where to. Default: standard output."),
    ] = None,
    actor: ActorOption = "",
    action: ActionOption = "",
    target: TargetOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    data: DataOption = None,
) -> None:
    """Write the log to a file, newest first. That it was exported stands in the log too."""
    question = _question(actor, action, target, since, until)
    with opened(data) as (store, _):
        said = {"format": form.value, **{k: v for k, v in question._asdict().items() if v}}
        audit.record(store, Action.EXPORT, Target("file", "audit log"), said)
        rows = map(audit.export_row, audit.matching(store, question))
        lines = csv_lines(audit.EXPORT_COLUMNS, rows) if form is Format.CSV else json_lines(rows)
        with _written_to(target_file) as file:
            for line in lines:
                file.write(line)


def _question(actor: str, action: str, target: str, since: str, until: str) -> AuditQuestion:
    zone = zone_named("")
    return AuditQuestion(
        actor=actor,
        action=action,
        target=target,
        since_us=_start_us(since, zone) if since else None,
        until_us=_day_us(until, zone, following=True) if until else None,
    )


def _start_us(text: str, zone: Any) -> int:
    try:
        return now_us() - moments.span_us(text)
    except typer.BadParameter:
        return _day_us(text, zone, following=False)


def _day_us(text: str, zone: Any, *, following: bool) -> int:
    """Give the first moment of a day, or of the day after it."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write 2026-11-01") from None
    first = datetime.combine(day + timedelta(days=following), datetime.min.time(), zone)
    return round(first.timestamp()) * 1_000_000


def _follow(
    store: Store, question: AuditQuestion, found: list[AuditEntry], *, as_json: bool
) -> None:
    """Print what was found, the oldest first, and then what is added."""
    last = store.audit_head().seq
    while True:
        name_of = audit.names_of_targets(store)
        for entry in reversed(found):
            if as_json:
                output.print_json_line(audit.entry_document(entry, name_of))
            else:
                output.print_line("  ".join(_cells(entry, name_of)))
        time.sleep(_FOLLOW_S)
        found = [entry for entry in store.audit(question) if entry.seq > last]
        last = max([last, *(entry.seq for entry in found)])


def _cells(entry: AuditEntry, name_of: Any) -> tuple[str, ...]:
    target = name_of(entry.target_kind, entry.target_id) or entry.target_id
    who = entry.actor_name or entry.actor_kind
    return (
        str(entry.seq),
        moments.local(entry.at_us),
        f"{who} ({entry.address})" if entry.address else who,
        entry.action,
        f"{entry.target_kind} {target}".strip(),
        "" if entry.detail == "{}" else entry.detail,
    )


def _good(verdict: Verdict, kept: int | None) -> str:
    entries = f"{verdict.head.seq:,} {'entry' if verdict.head.seq == 1 else 'entries'}"
    against = "" if kept is None else f" The kept head of entry {kept:,} is part of it."
    return f"The audit log is whole: {entries}, {verdict.head.hash.hex()}.{against}"


def _verdict_document(verdict: Verdict, kept: int | None) -> dict[str, Any]:
    return {
        "whole": verdict.bad_seq is None,
        "entries": verdict.head.seq,
        "hash": verdict.head.hash.hex(),
        "bad_seq": verdict.bad_seq,
        "fault": verdict.fault or None,
        "compared_with": kept,
    }


@contextmanager
def _written_to(file: Path | None) -> Iterator[IO[str]]:
    """Give a file that only this user can read, or standard output."""
    if file is None:
        yield typer.get_text_stream("stdout")
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as opened_file:
        yield opened_file
