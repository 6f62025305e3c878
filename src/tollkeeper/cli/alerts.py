"""``tollkeeper alerts``: what fired, who was told; acknowledge, and test a channel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, Final

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.clock import now_us
from tollkeeper.domain.errors import NotFound, TollkeeperError
from tollkeeper.services import alert_documents as documents
from tollkeeper.services.alerts import acknowledge
from tollkeeper.services.delivering import try_channel
from tollkeeper.telemetry import LogSink

app = typer.Typer(
    help="See what fired and who was told, acknowledge, and test channels.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=5_000, help="At most so many.")]
_BY: Final = "command line"


@app.command("list", epilog="[bold]Example[/bold]\n\ntollkeeper alerts list --open")
def list_alerts(
    open_: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List alerts, newest first, each with who was told."""
    with opened(data) as (store, _):
        rows = documents.alert_documents(store, store.alerts(limit, open_only=open_))
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        (
            output.Column("Id", whole=True),
            output.Column("Fired", whole=True),
            output.Column("State", whole=True),
            output.Column("Alert"),
            output.Column("Told"),
            output.Column("Seen by"),
        ),
        [
            (
                row["id"],
                row["fired_at"],
                row["state"],
                row["title"],
                ", ".join(f"{it['channel']} ({it['state']})" for it in row["told"]) or "nobody",
                row["acknowledged_by"] or "",
            )
            for row in rows
        ],
        "Nothing has fired.",
    )


@app.command(
    epilog="[bold]Example[/bold]\n\ntollkeeper alerts ack 0199c0de-6a2f-7000-8000-000000000000"
)
def ack(
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="An id of 'alerts list'.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Say that an alert was seen."""
    with opened(data) as (store, _), _logged():
        seen = acknowledge(store, alert_id, _BY, now_us())
        (row,) = documents.alert_documents(store, [seen])
    if as_json:
        output.print_json(row)
    else:
        output.print_line(f"Seen: {row['title']}")


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper alerts test ops")
def test(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="One of 'alerts channels'.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Send a test message to a channel now. One that was closed is open again if it arrives."""
    configuration = bootstrap.configuration(None)
    wiring = import_module("tollkeeper.bootstrap.mailing")
    mailing = wiring.mailing_of(configuration)
    found = mailing.channels.get(channel)
    if found is None:
        known = ", ".join(mailing.channels) or "none is configured"
        raise NotFound(f"there is no channel {channel!r}; known: {known}")
    with opened(data) as (store, _), _logged():
        notifier = wiring.senders_of(configuration)
        delivery = try_channel(store, notifier, mailing, found, _BY, now_us())
    if as_json:
        output.print_json(documents.outcome_document(delivery))
    elif not delivery.fault:
        output.print_line(f"The test message has reached {channel}.")
    if delivery.fault:
        raise TollkeeperError(f"{channel}: {delivery.fault}", code="not_delivered")


@app.command()
def channels(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the configured channels, and how they do."""
    wiring = import_module("tollkeeper.bootstrap.mailing")
    mailing = wiring.mailing_of(bootstrap.configuration(None))
    with opened(data) as (store, _):
        states = {it.channel: it for it in store.channel_states()}
    rows: list[dict[str, Any]] = [
        documents.channel_document(it, states.get(it.name)) for it in mailing.channels.values()
    ]
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        (
            output.Column("Channel", whole=True),
            output.Column("Kind"),
            output.Column("Where"),
            output.Column("Gets"),
            output.Column("State", whole=True),
            output.Column("Last arrived", whole=True),
            output.Column("Fault"),
        ),
        [
            (
                row["id"],
                row["kind"],
                row["address"],
                ", ".join(row["events"]) + (" daily" if row["digest"] else ""),
                row["state"],
                row["delivered_at"] or "never",
                row["fault"] or "",
            )
            for row in rows
        ],
        "No channel is configured: see 'alerts' in docs/configuration.md.",
    )


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper alerts deliveries --limit 20")
def deliveries(
    limit: LimitOption = 50, as_json: JsonOption = False, data: DataOption = None
) -> None:
    """List what went to channels, what changed last first."""
    with opened(data) as (store, _):
        rows = [documents.delivery_document(told) for told in store.deliveries(limit)]
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        (
            output.Column("Changed", whole=True),
            output.Column("Message"),
            output.Column("Channel", whole=True),
            output.Column("State", whole=True),
            output.Column("Tries", right=True),
            output.Column("Took", right=True),
            output.Column("Fault"),
        ),
        [
            (
                row["changed_at"],
                row["title"],
                row["channel"],
                row["state"],
                str(row["attempts"]),
                "" if row["latency_ms"] is None else f"{row['latency_ms']} ms",
                row["fault"] or "",
            )
            for row in rows
        ],
        "Nothing has been sent.",
    )


@contextmanager
def _logged() -> Iterator[None]:
    """Write what is done as a log line, on standard error."""
    log = LogSink("command line")
    try:
        yield
    finally:
        log.close()
