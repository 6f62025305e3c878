"""``tollkeeper keys``: issue, list, change, rotate and revoke virtual keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from tollkeeper.cli import moments, output
from tollkeeper.cli.budget_options import configured_zone
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.cli.key_options import (
    ModelOption,
    NetworkOption,
    ProviderOption,
    TagOption,
    key_id_of,
    tags_of,
)
from tollkeeper.clock import now_us
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.budget_words import UnclearWords, amount_words
from tollkeeper.domain.budgets import Balance, Budget
from tollkeeper.domain.errors import NotFound
from tollkeeper.domain.self_service import Cap, cap_of_words
from tollkeeper.ports import KeyRecord, Store
from tollkeeper.services import keys, people
from tollkeeper.services.key_caps import KeyCaps, caps_of_keys
from tollkeeper.services.key_changes import KeyChange
from tollkeeper.services.key_changes import change as change_key
from tollkeeper.services.key_documents import emails_of, key_document, key_state
from tollkeeper.services.key_rotation import Rotation
from tollkeeper.services.key_rotation import rotate as rotate_key
from tollkeeper.services.key_self_service import Desk
from tollkeeper.services.key_self_service import issue as issue_key

app = typer.Typer(
    help="Issue, list, change, rotate and revoke virtual keys.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)

_ISSUE_EXAMPLES = """
[bold]Examples[/bold]

tollkeeper keys issue --user alice@acme.com --team core --name laptop --create

tollkeeper keys issue --team search --name indexer --model 'gpt-4.1*' --budget 50/month

tollkeeper keys issue --role admin --name terraform --expires 90d --json
"""

BudgetOption = Annotated[
    str,
    typer.Option(
        "--budget",
        metavar="AMOUNT/WINDOW",
        help="What the key alone may spend: 50/month, '20 USD/day', '1M tokens/week'.",
    ),
]


@app.command(epilog=_ISSUE_EXAMPLES)
def issue(
    name: Annotated[str, typer.Option("--name", help="What the key is for, e.g. laptop.")],
    user: Annotated[
        str, typer.Option("--user", metavar="EMAIL", help="The person whose key it is.")
    ] = "",
    team: Annotated[
        str,
        typer.Option(
            "--team",
            help="The team that pays. A key whose team is its person's own moves with them.",
        ),
    ] = "",
    role: Annotated[
        KeyKind, typer.Option("--role", help="virtual calls models, admin manages.")
    ] = KeyKind.VIRTUAL,
    model: ModelOption = None,
    provider: ProviderOption = None,
    network: NetworkOption = None,
    tag: TagOption = None,
    budget: BudgetOption = "",
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="90d, 12h or 2027-01-31.")
    ] = "",
    create: Annotated[
        bool, typer.Option("--create", help="Add the person and the team if they are not there.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Issue a key and print it, once: only a keyed hash of it is stored."""
    if role is KeyKind.VIRTUAL and not user and not team:
        raise typer.BadParameter("name an owner: --user, --team, or both")
    now = now_us()
    request = keys.KeyRequest(
        name=name,
        kind=role,
        email=user,
        team=team,
        expires_at_us=moments.end_us(expires, now) if expires else None,
        models=model or (),
        providers=provider or (),
        tags=tags_of(tag or []),
        networks=network or (),
    )
    with opened(data, create=create) as (store, vault), store.together():
        if create:
            _add_owners(store, request, now)
        issued = _issue(
            Desk(store, vault, (), configured_zone() if budget else "UTC"),
            request,
            _cap(budget),
            now,
        )
        row = key_document(issued.record, emails_of(store), now, caps_of_keys(store, now))
    _print_issued(issued, row, as_json)


@app.command("list")
def list_keys(
    user: Annotated[str, typer.Option("--user", metavar="EMAIL", help="Only this person's.")] = "",
    team: Annotated[str, typer.Option("--team", help="Only keys that this team pays for.")] = "",
    active: Annotated[
        bool, typer.Option("--active", help="Only keys that work at the moment.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List the keys, oldest first. The keys themselves are not stored and cannot be shown."""
    with opened(data) as (store, _):
        if team:
            team = people.find_team(store, team).name
        records = store.keys_of(people.find_user(store, user).user_id) if user else store.keys()
        emails, now = emails_of(store), now_us()
        caps = caps_of_keys(store, now)
    if team:
        records = [record for record in records if record.key.team == team]
    if active:
        records = [record for record in records if key_state(record, now) == "active"]
    if as_json:
        output.print_json([key_document(record, emails, now, caps) for record in records])
    else:
        _print_table(records, emails, caps, now)


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper keys revoke 8hLWYrAX\n\n"
    "tollkeeper keys revoke tk_live_8hLWYrAX_… (a key that leaked, pasted whole)"
)
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, or the whole key.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Revoke a key for good. Gateways stop accepting it within a second."""
    key_id = key_id_of(key)
    now = now_us()
    with opened(data) as (store, _):
        record = keys.revoke(store, key_id, keys.OPERATOR, now)
        row = key_document(record, emails_of(store), now)
    if as_json:
        output.print_json(row)
    elif record.revoked_at_us == now:
        output.print_line(f"Revoked key {key_id} ({record.key.name}).")
    else:
        since = moments.local(record.revoked_at_us)
        output.print_line(f"Key {key_id} ({record.key.name}) has been revoked since {since}.")


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper keys change 8hLWYrAX --name desktop\n\n"
    "tollkeeper keys change 8hLWYrAX --model 'gpt-4.1*' --network 10.0.0.0/8 --expires 90d\n\n"
    "tollkeeper keys change 8hLWYrAX --model '' --expires never --tag app=chat --json"
)
def change(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, or the whole key.")],
    name: Annotated[str, typer.Option("--name", help="What the key is for.")] = "",
    model: ModelOption = None,
    provider: ProviderOption = None,
    network: NetworkOption = None,
    tag: TagOption = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="90d, 12h, 2027-01-31 or never.")
    ] = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Change a key's name, end, limits or tags. Gateways go by it within a second.

    What is not named stays as it is. What is named is replaced, and '' takes it away:
    --model '' allows all models, --tag '' leaves no tags.
    """
    now, endless = now_us(), expires.strip().lower() == "never"
    wanted = KeyChange(
        key_id_of(key),
        name or None,
        moments.end_us(expires, now) if expires and not endless else None,
        endless,
        _replaced(model),
        _replaced(provider),
        _replaced(network),
        None if tag is None else tags_of(_replaced(tag) or []),
    )
    if wanted == KeyChange(wanted.key_id):
        raise typer.BadParameter(
            "say what is to change: --name, --model, --provider, --network, --tag or --expires"
        )
    with opened(data) as (store, vault):
        record = change_key(Desk(store, vault, (), "UTC"), wanted, keys.OPERATOR, now)
        row = key_document(record, emails_of(store), now, caps_of_keys(store, now))
    if as_json:
        output.print_json(row)
    else:
        _print_changed(record, row)


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper keys rotate 8hLWYrAX\n\n"
    "tollkeeper keys rotate 8hLWYrAX --overlap 7d --expires 90d --json\n\n"
    "tollkeeper keys rotate tk_live_8hLWYrAX_… --overlap 0 (a key that leaked, pasted whole)"
)
def rotate(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, or the whole key.")],
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap",
            metavar="TIME",
            help="For how long the secret of now stays good: 24h, 7d at most, 0 for not at all.",
        ),
    ] = "24h",
    expires: Annotated[
        str,
        typer.Option(
            "--expires",
            metavar="WHEN",
            help="A new end: 90d, 12h or 2027-01-31.",
            show_default="as it is",
        ),
    ] = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Give a key a new secret and print it, once; the one of now stays good for a while.

    It stays the same key: its id, rights, budgets and history go on.
    """
    now = now_us()
    wanted = Rotation(
        key_id_of(key),
        0 if overlap.strip() == "0" else moments.span_us(overlap),
        moments.end_us(expires, now) if expires else None,
    )
    with opened(data) as (store, vault):
        rotated = rotate_key(store, vault, wanted, keys.OPERATOR, now)
        row = key_document(rotated.record, emails_of(store), now, caps_of_keys(store, now))
    _print_issued(rotated, row, as_json)
    if not as_json:
        until_us = rotated.record.key.earlier_until_us
        output.print_line(
            f"The secret before works until {moments.local(until_us)}."
            if until_us > now
            else "The secret before stops working within a second."
        )


def _replaced(texts: list[str] | None) -> list[str] | None:
    """Give what replaces a list: nothing where only '' was said, None where nothing was."""
    return None if texts is None else [text for text in texts if text]


def _print_changed(record: KeyRecord, row: Mapping[str, Any]) -> None:
    output.print_line(f"Key {row['id']} ({row['name']}) from now on:")
    output.print_line(f"Models: {', '.join(row['models']) or 'all'}")
    output.print_line(f"Providers: {', '.join(row['providers']) or 'all'}")
    output.print_line(f"Only from: {', '.join(row['networks']) or 'everywhere'}")
    tags = ", ".join(f"{name}={value}" for name, value in row["tags"].items())
    output.print_line(f"Tags: {tags or 'none'}")
    output.print_line(f"Expires: {moments.local(record.key.expires_at_us, 'never')}")


def _add_owners(store: Store, request: keys.KeyRequest, now: int) -> None:
    if request.team:
        people.ensure_team(store, request.team, now)
    if request.email:
        people.ensure_user(store, request.email, request.team, now)


def _cap(text: str) -> Cap | None:
    try:
        return cap_of_words(text) if text else None
    except UnclearWords as unclear:
        raise typer.BadParameter(unclear.reason, param_hint="--budget") from None


def _issue(desk: Desk, request: keys.KeyRequest, cap: Cap | None, now: int) -> keys.IssuedKey:
    try:
        return issue_key(desk, request, cap, keys.OPERATOR, now).issued
    except NotFound as error:
        verb = "users" if error.code == "user_not_found" else "teams"
        remedy = f"add it with: tollkeeper {verb} add, or let this command do it with --create"
        raise NotFound(f"{error.message}; {remedy}", code=error.code) from error


def _print_issued(issued: keys.IssuedKey, row: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json({"key": issued.token, **row})
        return
    owner = " · ".join(part for part in (row["user"], row["team"]) if part)
    expires = moments.local(issued.record.key.expires_at_us, "never")
    output.print_line(issued.token)
    output.print_line("")
    output.print_line(f"Key {row['id']} ({row['name']}){f' of {owner}' if owner else ''}")
    if row["networks"]:
        output.print_line(f"Only from: {', '.join(row['networks'])}")
    for each in row["budgets"]:
        unit = "USD" if each["unit"] == "usd" else each["unit"]
        amount = each["limit"].rstrip("0").rstrip(".") if each["unit"] == "usd" else each["limit"]
        output.print_line(f"May spend: {amount} {unit} a {each['window']}")
    output.print_line(f"Expires: {expires}")
    output.print_line("Keep it now: it is not stored and cannot be shown again.")


def _left(pairs: Sequence[tuple[Budget, Balance]]) -> str:
    """Say what is left of the tightest budget of a key alone: ``12.30 of 50 USD``."""
    if not pairs:
        return ""
    budget, row = min(pairs, key=lambda pair: pair[1].left)
    left = amount_words(max(row.left, 0), budget.unit).removesuffix(" USD")
    return f"{left} of {amount_words(row.limit, budget.unit)}"


def _print_table(
    records: list[KeyRecord], emails: Mapping[str, str], caps: KeyCaps, now: int
) -> None:
    output.print_table(
        (
            output.Column("Id", whole=True),
            output.Column("Name"),
            output.Column("Role", whole=True),
            output.Column("User"),
            output.Column("Team"),
            output.Column("State", whole=True),
            output.Column("Created", whole=True),
            output.Column("Expires", whole=True),
            *((output.Column("Left", whole=True),) if caps else ()),
        ),
        [
            (
                record.key.key_id,
                record.key.name,
                record.key.kind.value,
                emails.get(record.key.user_id, ""),
                record.key.team,
                key_state(record, now),
                moments.local(record.created_at_us),
                moments.local(record.key.expires_at_us, "never"),
                *((_left(caps.get(record.key.key_id, ())),) if caps else ()),
            )
            for record in records
        ],
        "No keys yet. Issue one with: tollkeeper keys issue --user EMAIL --name NAME --create",
    )
