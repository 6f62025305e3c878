"""``tollkeeper budgets abandon`` and ``write-off``: gateways that are gone with their journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tollkeeper.bootstrap import lost_gateways as service
from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption, data_folder, opened
from tollkeeper.cli.moments import local
from tollkeeper.clock import now_us, second_text
from tollkeeper.domain.audit import Action, Target
from tollkeeper.domain.budget_windows import ENDLESS
from tollkeeper.domain.budget_words import amount_words
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.domain.leases import OpenGateway
from tollkeeper.ports import DataFolder
from tollkeeper.services import audit
from tollkeeper.services.budget_documents import Names, amount_text, entity_name, names_of

NOTHING: Final = "No gateway has anything of a budget that it has not accounted for."
_STATES: Final = {
    "alive": "may live",
    "journal_here": "its journal is here: a server with this data folder settles it",
    "silent": "not heard of",
}
_ABANDON_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\n"
    "tollkeeper budgets abandon\n\n"
    "tollkeeper budgets abandon 1795800000000000-4711\n\n"
    "tollkeeper budgets abandon 1795800000000000-4711 --yes --json"
)
_WRITE_OFF_EXAMPLE: Final = (
    "[bold]Example[/bold]\n\ntollkeeper budgets write-off 1795800000000000-4711"
)
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


class _Books:
    """What the budgets are called, and whom their rows count."""

    def __init__(self, budgets: Mapping[str, Budget], names: Names, data: DataFolder) -> None:
        self.budgets = budgets
        self.names = names
        self.data = data

    def state(self, found: OpenGateway, now: int) -> str:
        if found.is_alive(now):
            return "alive"
        is_here = service.journal_is_here(self.data, found.gateway)
        return "journal_here" if is_here else "silent"

    def document(self, found: OpenGateway, state: str) -> dict[str, Any]:
        return {
            "gateway": found.gateway,
            "heard_at": second_text(found.seen_at_us or None),
            "state": state,
            "rows": [
                {
                    "budget_id": key.budget_id,
                    "budget": (budget := self.budgets[key.budget_id]).name,
                    "entity": key.entity,
                    "entity_name": entity_name(budget, key.entity, self.names),
                    "window_start": None
                    if budget.window.kind in ENDLESS
                    else second_text(key.window_start_us),
                    "amount": amount_text(amount, budget.unit),
                    "unit": str(budget.unit),
                }
                for key, amount in sorted(found.held.items())
            ],
        }

    def print_rows(self, gateways: Sequence[OpenGateway], states: Sequence[str]) -> None:
        """Print what gateways have leased, row by row."""
        output.print_table(
            (
                output.Column("Gateway", whole=True),
                output.Column("Heard of", whole=True),
                output.Column("State"),
                output.Column("Budget"),
                output.Column("Whose"),
                output.Column("Holds", whole=True, right=True),
            ),
            [
                (
                    found.gateway,
                    local(found.seen_at_us or None),
                    _STATES.get(state, state),
                    (budget := self.budgets[key.budget_id]).name,
                    entity_name(budget, key.entity, self.names),
                    amount_words(amount, budget.unit),
                )
                for found, state in zip(gateways, states, strict=True)
                for key, amount in sorted(found.held.items())
            ],
            NOTHING,
        )


def add_to(app: typer.Typer) -> None:
    """Add the verbs to ``tollkeeper budgets``."""
    app.command("abandon", epilog=_ABANDON_EXAMPLES)(abandon)
    app.command("write-off", epilog=_WRITE_OFF_EXAMPLE)(write_off)


def abandon(
    gateway: Annotated[
        str, typer.Argument(metavar="[GATEWAY]", help="As the list shows it. Left out: the list.")
    ] = "",
    yes: YesOption = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Give up a gateway whose disk is lost: what it had leased is charged in full.

    Without a name, list the gateways that have leased of budgets, and since when nobody has
    heard of them. Only for a journal that will never be there again: one that is only late
    settles by itself, to the last unit, when its gateway starts.
    """
    if as_json and gateway and not yes:
        raise typer.BadParameter("with --json say --yes: nothing is asked")
    books, now = _books(data), now_us()
    found = service.open_gateways(books.data)
    if not gateway:
        _print_list(books, found, now, as_json=as_json)
        return
    mine = [it for it in found if it.gateway == gateway]
    if not yes and mine and books.state(mine[0], now) == "silent":
        books.print_rows(mine, ["silent"])
        output.print_line(
            "Nobody knows what of this was spent, so all of it is charged: its budgets have so "
            "much less left. If it turns out that nothing was spent: tollkeeper budgets write-off."
        )
        if not typer.confirm("Is its journal lost for good, and shall all of this be charged?"):
            raise TollkeeperError("nothing was changed", code="not_confirmed")
    ended = service.abandon(books.data, gateway, now)
    _record(books, data, Action.BUDGET_ABANDON, ended)
    _tell(books, ended, "charged", "Charged", as_json=as_json)


def write_off(
    gateway: Annotated[str, typer.Argument(metavar="GATEWAY", help="As it was given up.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Take back what giving up a gateway has charged: nothing of it was spent."""
    books = _books(data)
    ended = service.write_off(books.data, gateway, now_us())
    _record(books, data, Action.BUDGET_WRITE_OFF, ended)
    _tell(books, ended, "written_off", "Took back", as_json=as_json)


def _books(data: Path | None) -> _Books:
    with opened(data) as (store, _):
        budgets = {budget.budget_id: budget for budget in store.budgets()}
        return _Books(budgets, names_of(store), data_folder(data))


def _record(books: _Books, data: Path | None, action: Action, ended: OpenGateway) -> None:
    """Record in the audit log what was charged, or taken back."""
    rows = books.document(ended, "")["rows"]
    amounts = [f"{each['amount']} {each['unit']} of {each['budget']}" for each in rows]
    with opened(data) as (store, _):
        audit.record(store, action, Target("gateway", ended.gateway), {"rows": amounts})


def _print_list(books: _Books, found: Sequence[OpenGateway], now: int, *, as_json: bool) -> None:
    states = [books.state(each, now) for each in found]
    if as_json:
        pairs = zip(found, states, strict=True)
        output.print_json([books.document(each, state) for each, state in pairs])
        return
    books.print_rows(found, states)
    if "silent" in states:
        output.print_line(
            "A gateway that starts again settles what it had. Only if its disk is lost for good: "
            "tollkeeper budgets abandon GATEWAY"
        )


def _tell(books: _Books, ended: OpenGateway, state: str, done: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json(books.document(ended, state))
        return
    if not ended.held:
        output.print_line("It had accounted for everything: nothing is charged.")
    for key, amount in sorted(ended.held.items()):
        budget = books.budgets[key.budget_id]
        whom = entity_name(budget, key.entity, books.names)
        said = f"{done} {amount_words(amount, budget.unit)}: {budget.name} ({whom})."
        output.print_line(said)
