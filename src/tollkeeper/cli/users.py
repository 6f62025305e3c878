"""``tollkeeper users``: add people, give roles, move them, switch them off, let them sign in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import invitations, moments, output, people_import, scim
from tollkeeper.cli.context import DataOption, JsonOption, UrlOption, opened
from tollkeeper.clock import now_us, second_text
from tollkeeper.domain.access import Role
from tollkeeper.ports import Store, User
from tollkeeper.services import passwords, people, sign_in, single_sign_on

app = typer.Typer(
    help="Add people, give roles, make sign-in links.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
app.command(
    "invite",
    epilog="[bold]Examples[/bold]\n\ntollkeeper users invite alice@acme.com --team core\n\n"
    "tollkeeper users invite bob@acme.com --role finance --mail",
)(invitations.invite)
app.command(
    "import",
    epilog="[bold]Examples[/bold]\n\ntollkeeper users import people.csv --dry-run\n\n"
    "tollkeeper users import people.csv",
)(people_import.import_people)
app.command("invitations")(invitations.list_invitations)
app.command(
    "uninvite",
    epilog="[bold]Example[/bold]\n\ntollkeeper users uninvite 01981e4c-0000-7000-8000-000000000000",
)(invitations.uninvite)
app.command(
    "scim-token",
    epilog="[bold]Examples[/bold]\n\ntollkeeper users scim-token okta\n\n"
    "tollkeeper users scim-token entra --url https://toll.acme.com",
)(scim.make_token)
app.command("scim-tokens")(scim.list_tokens)
app.command("scim-revoke", epilog="[bold]Example[/bold]\n\ntollkeeper users scim-revoke 8hLWYrAX")(
    scim.revoke_token
)
EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's address.")]


@app.command(
    epilog="[bold]Example[/bold]\n\ntollkeeper users add alice@acme.com --team core --role lead"
)
def add(
    email: EmailArgument,
    name: Annotated[str, typer.Option("--name", help="What to call them.")] = "",
    role: Annotated[Role, typer.Option("--role", help="What they may do.")] = Role.MEMBER,
    team: Annotated[str, typer.Option("--team", help="Their team.")] = "",
    create: Annotated[
        bool, typer.Option("--create", help="Add the team if it is not there.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Add a person."""
    now = now_us()
    with opened(data, create=True) as (store, _), store.together():
        if create and team:
            people.ensure_team(store, team, now)
        user = people.add_user(store, email, now, name=name, role=role, team=team)
    _print_done(user, f"Added {user.email} ({user.role}).", as_json)


@app.command("list")
def list_users(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the people."""
    with opened(data) as (store, _):
        users, having = store.users(), store.users_with_password()
        providers = _providers(store)
    if as_json:
        output.print_json(
            [
                {
                    **_row(user),
                    "password": user.user_id in having,
                    "providers": providers.get(user.user_id, []),
                }
                for user in users
            ]
        )
        return
    output.print_table(
        (
            output.Column("E-mail"),
            output.Column("Name"),
            output.Column("Role", whole=True),
            output.Column("Team"),
            output.Column("State", whole=True),
            output.Column("Signs in by"),
            output.Column("Created", whole=True),
        ),
        [
            (
                user.email,
                user.name,
                user.role.value,
                user.team,
                _state(user),
                _ways(user, providers, having),
                moments.local(user.created_at_us),
            )
            for user in users
        ],
        "Nobody yet. Add somebody with: tollkeeper users add EMAIL",
    )


@app.command()
def deactivate(email: EmailArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Switch a person off: sessions end, and all their keys are revoked for good."""
    with opened(data) as (store, _):
        user, revoked = people.deactivate_user(store, email, now_us())
    keys = f"{revoked} {'key' if revoked == 1 else 'keys'}"
    _print_done(user, f"Switched off {user.email} and revoked {keys}.", as_json)


@app.command()
def activate(email: EmailArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Switch a person on again. They need new keys."""
    with opened(data) as (store, _):
        user = people.activate_user(store, email, now_us())
    _print_done(user, f"Switched on {user.email}.", as_json)


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper users role alice@acme.com finance")
def role(
    email: EmailArgument,
    new_role: Annotated[Role, typer.Argument(metavar="ROLE", help="The new role.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Give a person another role. They have to sign in again."""
    with opened(data) as (store, _):
        user = people.change_role(store, email, new_role, now_us())
    _print_done(user, f"{user.email} is now {user.role}.", as_json)


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper users move alice@acme.com search\n\n"
    "tollkeeper users move alice@acme.com ''"
)
def move(
    email: EmailArgument,
    team: Annotated[str, typer.Argument(metavar="TEAM", help="The team, '' for none.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Move a person to another team. Keys that name no other team go with them."""
    with opened(data) as (store, _):
        user = people.move_user(store, email, team, now_us())
    place = f"in team {user.team}" if user.team else "in no team"
    _print_done(user, f"{user.email} is now {place}.", as_json)


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper users rename alice@acme.com 'Alice Ng'")
def rename(
    email: EmailArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call them.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Call a person by another name. What they used so far keeps the old one."""
    with opened(data) as (store, _):
        user = people.rename_user(store, email, name)
    _print_done(user, f"{user.email} is now called {user.name}.", as_json)


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper users link alice@acme.com")
def link(
    email: EmailArgument,
    url: UrlOption = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make a link that signs a person in, once, within 15 minutes."""
    _make_link(email, url, "", as_json, data)


@app.command(
    "password-link",
    epilog="[bold]Example[/bold]\n\ntollkeeper users password-link alice@acme.com",
)
def password_link(
    email: EmailArgument,
    url: UrlOption = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make a link after which a person may set a password, without the present one."""
    _make_link(email, url, sign_in.PASSWORD_STEP, as_json, data)


@app.command(
    "end-password", epilog="[bold]Example[/bold]\n\ntollkeeper users end-password alice@acme.com"
)
def end_password(
    email: EmailArgument, as_json: JsonOption = False, data: DataOption = None
) -> None:
    """End a person's password and their sessions. They can set another one after a link."""
    with opened(data) as (store, _):
        user, ended = passwords.end(store, email)
    what = "Ended the password" if ended else "There was no password, but ended the sessions"
    _print_done(user, f"{what} of {user.email}.", as_json)


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper users unbind alice@acme.com")
def unbind(email: EmailArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Forget who a person is at the sign-in providers, for a new account there."""
    with opened(data) as (store, _):
        user, removed = single_sign_on.unbind(store, email)
    what = "Forgot" if removed else "There was nothing to forget of"
    _print_done(user, f"{what} who {user.email} is at the providers.", as_json)


def _make_link(email: str, url: str, step: str, as_json: bool, data: Path | None) -> None:
    """Make a link that leads on to a step, and print it."""
    url = url or bootstrap.dashboard_url(None)
    with opened(data) as (store, vault):
        made = sign_in.make_link(store, vault, people.find_user(store, email), now_us())
    path = made.path + step
    address = url.rstrip("/") + path
    if as_json:
        expires_at = second_text(made.expires_at_us)
        output.print_json({"url": address, "path": path, "expires_at": expires_at})
        return
    output.print_line(address)
    output.print_line(f"Works once, until {moments.local(made.expires_at_us)}.")


def _providers(store: Store) -> dict[str, list[str]]:
    """Give the providers at which each person has signed in, by the person's id."""
    found: dict[str, list[str]] = {}
    for identity in store.identities():
        found.setdefault(identity.user_id, []).append(identity.provider)
    return found


def _ways(user: User, providers: Mapping[str, Sequence[str]], having: Collection[str]) -> str:
    """Say by what a person signs in; a link is what everybody can have."""
    own = ["password"] if user.user_id in having else []
    return ", ".join([*providers.get(user.user_id, ()), *own]) or "link"


def _print_done(user: User, sentence: str, as_json: bool) -> None:
    if as_json:
        output.print_json(_row(user))
    else:
        output.print_line(sentence)


def _row(user: User) -> dict[str, Any]:
    return {
        "id": user.user_id,
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "team": user.team or None,
        "state": _state(user),
        "created_at": second_text(user.created_at_us),
    }


def _state(user: User) -> str:
    return "active" if user.active else "off"
