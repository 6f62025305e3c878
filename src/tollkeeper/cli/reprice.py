"""``tollkeeper prices reprice``: old calls by the prices of now, booked as corrections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption, data_folder
from tollkeeper.cli.questions import UntilOption, ZoneOption, parameters, plain_failures
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.reports import formatting, price_words

if TYPE_CHECKING:
    from pathlib import Path

    from tollkeeper.bootstrap.repricing import RepricingSource

_EVER: Final = "3000d"
NOTHING: Final = "Nothing changes: every entry has the price of now."


def reprice(
    since: Annotated[
        str,
        typer.Option("--since", help="2026-11-01, 30d, month. Left out: all, if unpriced only."),
    ] = "",
    until: UntilOption = "",
    zone: ZoneOption = "",
    model: Annotated[str, typer.Option(metavar="GLOB", help="These models only: gpt-4*")] = "",
    provider: Annotated[str, typer.Option(help="This provider only.")] = "",
    team: Annotated[str, typer.Option(help="This team only.")] = "",
    unpriced_only: Annotated[
        bool, typer.Option("--unpriced-only", help="Only calls that have no price yet.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Price old calls again, and book what changes as corrections."""
    if not since and not unpriced_only:
        raise typer.BadParameter("say since when: --since 2026-11-01")
    if as_json and not (dry_run or yes):
        raise typer.BadParameter("with --json say --dry-run or --yes: nothing is asked")
    body: dict[str, Any] = parameters(since=since or _EVER, until=until, zone=zone, filters=None)
    filters = {"model": model, "provider": provider, "team": team}
    body |= {name: value for name, value in filters.items() if value}
    body["unpriced_only"] = unpriced_only
    with _open_source(data) as source, plain_failures():
        found = run(source, body, dry_run=True) if dry_run or not yes else None
        if found is not None and not as_json:
            print_outcome(found)
        if dry_run or (found is not None and not found["changes"]):
            if as_json and found is not None:
                output.print_json(found)
            return
        if found is not None and not typer.confirm(f"Book {_entries(found)} as corrections?"):
            raise TollkeeperError("nothing was written", code="not_confirmed")
        done = run(source, body, dry_run=False)
    if as_json:
        output.print_json(done)
        return
    if found is None:
        print_outcome(done)
    output.print_line(f"Corrected {_count(done['corrected'])}.")


def add_to(app: typer.Typer) -> None:
    """Add the verb to ``tollkeeper prices``."""
    app.command(
        epilog="[bold]Examples[/bold]\n\ntollkeeper prices reprice --since 2026-11-01 --dry-run"
        "\n\ntollkeeper prices reprice --unpriced-only"
    )(reprice)


def offer(data: Path | None) -> str:
    """Say what to do about calls that have no price, "" where there are none.

    For whoever has just made prices known. A server that runs prices them by itself.
    """
    body = {"period": _EVER, "unpriced_only": True}
    with _open_source(data) as source:
        found = run(source, body, dry_run=True, quiet=True)
    count = sum(change["entries"] for change in found["changes"])
    if not count:
        return ""
    return (
        f"{_count(count)} without a price can be priced now: "
        "tollkeeper prices reprice --unpriced-only"
    )


def run(
    source: RepricingSource, body: Mapping[str, Any], *, dry_run: bool, quiet: bool = False
) -> dict[str, Any]:
    """Take all steps, and give one document of what they found or did."""
    answer = source.reprice({**body, "dry_run": dry_run})
    found = {**answer, "changes": [], "closed": [], "seen": 0, "corrected": 0}
    found |= {"kept": 0, "unpriced": 0}
    total = answer["total"] or 0
    with _progress("Looking" if dry_run else "Booking", total, quiet=quiet) as advance:
        while True:
            for name in ("seen", "corrected", "kept", "unpriced"):
                found[name] += answer[name]
            found["changes"] = _merged(found["changes"], answer["changes"], _CHANGE)
            found["closed"] = _merged(found["closed"], answer["closed"], ("month",))
            advance(answer["seen"])
            if answer["next_cursor"] is None:
                break
            cursor = answer["next_cursor"]
            answer = source.reprice({**body, "dry_run": dry_run, "cursor": cursor})
    del found["next_cursor"], found["total"]
    found["changes"].sort(key=lambda change: -abs(Decimal(change["difference_usd"])))
    return found


_CHANGE: Final = ("provider", "model", "why", "price_version_before")


def _merged(
    sums: list[dict[str, Any]], rows: list[dict[str, Any]], key: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Add the rows of another step: counts and amounts of the same key add up."""
    found = {tuple(row[name] for name in key): row for row in sums}
    for row in rows:
        place = tuple(row[name] for name in key)
        old = found.get(place)
        found[place] = row if old is None else _added(old, row)
    return list(found.values())


def _added(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(left)
    for name, value in right.items():
        if name == "entries":
            found[name] = left[name] + value
        elif name.endswith("_usd") and value is not None:
            before = left[name]
            found[name] = value if before is None else f"{Decimal(before) + Decimal(value):f}"
    return found


def print_outcome(found: Mapping[str, Any]) -> None:
    """Print what changes, what is left out, and why."""
    rows = found["changes"]
    output.print_table(
        (
            output.Column("Model"),
            output.Column("Why"),
            output.Column("Priced by"),
            output.Column("Entries", whole=True, right=True),
            output.Column("Was", whole=True, right=True),
            output.Column("Is", whole=True, right=True),
            output.Column("Difference", whole=True, right=True),
        ),
        [
            (
                f"{row['provider']}/{row['model']}",
                price_words.correction(row["why"]),
                row["price_version_before"],
                f"{row['entries']:,}",
                _money(row["cost_before_usd"]),
                _money(row["cost_after_usd"]),
                _signed(row["difference_usd"]),
            )
            for row in rows
        ],
        NOTHING,
        totals=("Together", "", "", _entries(found).split(" ")[0], "", "", _signed(_sum(rows)))
        if rows
        else None,
    )
    output.print_line(f"Prices of now: {found['price_version']}")
    for left in found["closed"]:
        output.print_line(
            f"Left out: {_count(left['entries'])} of {left['month']}, which is closed "
            f"({_signed(left['difference_usd'])})."
        )
    if found["kept"]:
        output.print_line(f"Kept: {_count(found['kept'])} whose price is not known any more.")
    if found["unpriced"]:
        output.print_line(f"Still without a price: {_count(found['unpriced'])}.")


def _entries(found: Mapping[str, Any]) -> str:
    return _count(sum(row["entries"] for row in found["changes"]))


def _count(entries: int) -> str:
    return f"{entries:,} {'entry' if entries == 1 else 'entries'}"


def _sum(rows: list[Mapping[str, Any]]) -> str:
    return f"{sum((Decimal(row['difference_usd']) for row in rows), Decimal(0)):f}"


def _money(amount: str | None) -> str:
    return formatting.UNKNOWN if amount is None else formatting.money_exact(Decimal(amount))


def _signed(amount: str) -> str:
    value = Decimal(amount)
    return ("+" if value > 0 else "") + formatting.money_exact(value)


@contextmanager
def _progress(title: str, total: int, *, quiet: bool) -> Iterator[Any]:
    """Show how far it is, on a terminal's standard error."""
    if quiet:
        yield lambda seen: None
        return
    progress = import_module("rich.progress")
    console = import_module("rich.console").Console(stderr=True)
    with progress.Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total or None)
        yield lambda seen: bar.advance(task, seen)


@contextmanager
def _open_source(data: Path | None) -> Iterator[RepricingSource]:
    """Ask the running server of a data folder, or open its ledger where none runs."""
    opened = import_module("tollkeeper.bootstrap.repricing").open_repricing
    with opened(data_folder(data), bootstrap.configuration(None), _tell) as source:
        yield source


def _tell(sentence: str) -> None:
    typer.echo(f"tollkeeper: {sentence}", err=True)
