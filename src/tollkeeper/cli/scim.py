"""``tollkeeper users scim-token`` and the like: tokens by which a provider keeps people here."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import moments, output
from tollkeeper.cli.context import ConfigOption, DataOption, JsonOption, opened
from tollkeeper.clock import now_us, second_text
from tollkeeper.domain.scim import ScimToken
from tollkeeper.services import scim_tokens

BASE_PATH = "/scim/v2"
TokenArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The token's id: tollkeeper users scim-tokens.")
]


def make_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will use it: okta, entra.")],
    url: Annotated[
        str,
        typer.Option("--url", help="Where the provider reaches us. Default: as configured."),
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make a token for SCIM, with which a provider keeps people and teams, and nothing else."""
    address = (url or bootstrap.dashboard_url(config)).rstrip("/") + BASE_PATH
    with opened(data, create=True) as (store, vault):
        made = scim_tokens.make(store, vault, name, "command line", now_us())
    if as_json:
        output.print_json({"token": made.text, "url": address} | _row(made.token))
        return
    output.print_line(made.text)
    output.print_line(f"\nBase URL: {address}")
    output.print_line("Keep it now: it is not stored and cannot be shown again.")


def list_tokens(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the SCIM tokens, the newest first."""
    with opened(data) as (store, _):
        found = store.scim_tokens()
    if as_json:
        output.print_json([_row(each) for each in found])
        return
    output.print_table(
        (
            output.Column("ID", whole=True),
            output.Column("Name"),
            output.Column("State", whole=True),
            output.Column("Made by"),
            output.Column("Created", whole=True),
        ),
        [
            (
                each.token_id,
                each.name,
                _state(each),
                each.created_by,
                moments.local(each.created_at_us),
            )
            for each in found
        ],
        "SCIM is off. Switch it on with: tollkeeper users scim-token NAME",
    )


def revoke_token(
    token_id: TokenArgument, as_json: JsonOption = False, data: DataOption = None
) -> None:
    """Revoke a SCIM token for good; people and teams stay as they are."""
    with opened(data) as (store, _):
        found = scim_tokens.revoke(store, token_id, now_us())
    if as_json:
        output.print_json(_row(found))
    else:
        output.print_line(f"Revoked the SCIM token {found.token_id} ({found.name}).")


def _row(token: ScimToken) -> dict[str, Any]:
    return {
        "id": token.token_id,
        "name": token.name,
        "state": _state(token),
        "created_by": token.created_by,
        "created_at": second_text(token.created_at_us),
    }


def _state(token: ScimToken) -> str:
    return "active" if token.revoked_at_us is None else "revoked"
