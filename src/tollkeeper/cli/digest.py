"""``tollkeeper digest``: see the weekly digest as it would be sent, and send it to somebody."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption, data_folder, opened
from tollkeeper.cli.questions import plain_failures
from tollkeeper.clock import now_us
from tollkeeper.domain.digests import latest_due
from tollkeeper.domain.errors import ConfigError, TollkeeperError
from tollkeeper.services import digests as service
from tollkeeper.services.names import clean_email
from tollkeeper.services.times import utc_text

app = typer.Typer(
    help="See the weekly digest as it would be sent, and send it to somebody.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
TeamOption = Annotated[
    str, typer.Option("--team", help="Of this team and its parts. Without it, of the company.")
]
WeekOption = Annotated[
    str, typer.Option("--week", help="A week that is over: 2026-W47. Without it, the last one.")
]
_ENDINGS: Final = (".html", ".eml", ".txt")


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper digest preview --team core\n\n"
    "tollkeeper digest preview --week 2026-W47 --out digest.html"
)
def preview(
    team: TeamOption = "",
    week: WeekOption = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write it to a file that ends in .html, .eml or .txt."),
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show a digest: as text, or as the mail in a file. Nothing is sent."""
    if out is not None and out.suffix not in _ENDINGS:
        raise typer.BadParameter(f"--out ends in one of {', '.join(_ENDINGS)}")
    document = _document(data, team, week)
    if as_json:
        output.print_json(document)
    elif out is None:
        output.print_line(document["mail"]["subject"])
        for line in document["mail"]["text"].splitlines():
            output.print_line(line)
    if out is not None:
        out.write_bytes(_file(document, out.suffix))
        if not as_json:
            output.print_line(f"Written to {out}: {document['mail']['subject']}")


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper digest send --dry-run\n\n"
    "tollkeeper digest send --team core --to ada@acme.com"
)
def send(
    to: Annotated[str, typer.Option("--to", help="Whom to mail it to now.")] = "",
    team: TeamOption = "",
    week: WeekOption = "",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Send nothing; without --to, list who gets the weekly ones."
        ),
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Mail a digest to somebody now, besides the weekly ones; or see who gets those."""
    if not to and not dry_run:
        raise typer.BadParameter("say whom to send it to with --to, or look with --dry-run")
    if not to:
        _print_recipients(data, as_json=as_json)
        return
    address = clean_email(to)
    document = _document(data, team, week)
    said = {"to": address, "subject": document["mail"]["subject"], "sent": not dry_run}
    if not dry_run:
        _mail(document, address)
    if as_json:
        output.print_json(said)
    else:
        verb = "Would be mailed" if dry_run else "Mailed"
        output.print_line(f"{verb} to {address}: {said['subject']}")


def _document(data: Path | None, team: str, week: str) -> dict[str, Any]:
    """Ask the running server, or the ledger where none runs."""
    configuration = bootstrap.configuration(None)
    asked = {"team": team, "week": week, "tz": configuration.digest.zone}
    answered = import_module("tollkeeper.bootstrap.digests").answered
    with plain_failures():
        found: dict[str, Any] = answered(
            data_folder(data),
            configuration,
            {name: value for name, value in asked.items() if value},
            lambda sentence: typer.echo(f"tollkeeper: {sentence}", err=True),
        )
    return found


def _mail(document: Mapping[str, Any], address: str) -> None:
    wiring = import_module("tollkeeper.bootstrap.digests")
    sender = wiring.mail_sender(bootstrap.configuration(None))
    if sender is None:
        raise ConfigError("no mail server is configured", hint="name one under mail")
    try:
        sender.post(address, wiring.mail_in(document))
    except (OSError, ValueError) as error:
        raise TollkeeperError(f"not mailed to {address}: {error}", code="not_delivered") from None


def _file(document: Mapping[str, Any], ending: str) -> bytes:
    """Give the mail as a file: whole, as the page in it with its pictures, or as its text."""
    wiring = import_module("tollkeeper.bootstrap.digests")
    if ending == ".eml":
        content: bytes = wiring.mail_file(document, bootstrap.configuration(None))
        return content
    text: str = document["mail"]["text"] if ending == ".txt" else wiring.page_in(document)
    return text.encode()


def _print_recipients(data: Path | None, *, as_json: bool) -> None:
    configuration = bootstrap.configuration(None)
    settings = configuration.digest
    due = latest_due(settings, now_us())
    with opened(data) as (store, _):
        mails = bool(configuration.settings.mail.host)
        listed = service.recipients(store, settings, mails=mails)
        stands = service.standing_of(store, due.week, listed)
    rows: list[dict[str, Any]] = [
        {
            "to": each.to,
            "team": each.audience.team or None,
            "parts": list(each.audience.parts),
            "week": due.week.name,
            "due_at": utc_text(due.at_us),
            "state": str(stands[each].state) if each in stands else "not written",
            "fault": (stands[each].fault or None) if each in stands else None,
        }
        for each in listed
    ]
    if as_json:
        output.print_json({"enabled": settings.enabled, "recipients": rows})
        return
    if not settings.enabled:
        output.print_line("Digests are switched off (digest.enabled). These would get them:")
    output.print_table(
        (
            output.Column("To"),
            output.Column("About"),
            output.Column("Week", whole=True),
            output.Column("Due", whole=True),
            output.Column("State", whole=True),
            output.Column("Fault"),
        ),
        [
            (
                row["to"],
                ", ".join((row["team"], *row["parts"])) if row["team"] else "the company",
                row["week"],
                row["due_at"],
                row["state"],
                row["fault"] or "",
            )
            for row in rows
        ],
        "Nobody: see 'digest' in docs/configuration.md.",
    )
