"""``tollkeeper budgets requests``, ``approve``, ``decline``, ``raises``, ``end-raise`` and
``overdraft``: more, for a time."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from tollkeeper.cli import output
from tollkeeper.cli.budget_options import NameArgument, known
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.clock import now_us
from tollkeeper.domain.budget_raises import BudgetRaise, RequestState
from tollkeeper.domain.budgets import ANY, Budget, BudgetScope
from tollkeeper.domain.errors import BadRequest
from tollkeeper.ports import Store
from tollkeeper.services import budget_requests as service
from tollkeeper.services import overdrafts, raise_ends
from tollkeeper.services.budget_documents import entity_name, names_of
from tollkeeper.services.budget_refusals import amount_text
from tollkeeper.services.budget_requests import Given
from tollkeeper.services.keys import OPERATOR
from tollkeeper.services.raise_words import (
    amount_of,
    moment_text,
    overdraft_text,
    raise_document,
    request_document,
    until_of,
)

VIA: Final = "command line"
_APPROVE_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\n"
    "tollkeeper budgets approve 0199c0de-6a2f-7000-8000-000000000000\n\n"
    "tollkeeper budgets approve 0199c0de-6a2f-7000-8000-000000000000 --amount '10 USD' "
    "--until 2026-12-31 --note 'for the release'"
)
_OVERDRAFT_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\n"
    "tollkeeper budgets overdraft 'All of us' --allow 10%\n\n"
    "tollkeeper budgets overdraft 'All of us'\n\n"
    "tollkeeper budgets overdraft 'Each person' --for ada@acme.com"
)
RequestArgument = Annotated[
    str, typer.Argument(metavar="REQUEST", help="As `budgets requests` shows it.")
]
NoteOption = Annotated[str, typer.Option("--note", help="For whoever asked.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to ``tollkeeper budgets``."""
    example = "[bold]Example[/bold]\n\ntollkeeper budgets "
    app.command("requests", epilog=f"{example}requests --json")(requests)
    app.command("approve", epilog=_APPROVE_EXAMPLES)(approve)
    decline_example = "decline 0199c0de-6a2f-7000-8000-000000000000 --note 'next month'"
    app.command("decline", epilog=f"{example}{decline_example}")(decline)
    app.command("raises", epilog=f"{example}raises 'All of us'")(raises)
    end_example = "end-raise 0199c0de-6a2f-7000-8000-000000000000 --note 'the release is out'"
    app.command("end-raise", epilog=f"{example}{end_example}")(end_raise)
    app.command("overdraft", epilog=_OVERDRAFT_EXAMPLES)(overdraft)


def requests(
    all_: Annotated[bool, typer.Option("--all", help="Decided and expired ones too.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List who asks for more of which budget."""
    now = now_us()
    with opened(data) as (store, _):
        found = [
            (asked, budget)
            for asked, budget in service.requests_for(store, OPERATOR)
            if all_ or asked.state(now) is RequestState.ASKED
        ]
    if as_json:
        output.print_json([request_document(asked, budget, now) for asked, budget in found])
        return
    output.print_table(
        (
            output.Column("Id", whole=True),
            output.Column("Budget"),
            output.Column("For"),
            output.Column("Amount", whole=True, right=True),
            output.Column("Until", whole=True),
            output.Column("Asked by"),
            output.Column("Reason"),
            output.Column("State", whole=True),
        ),
        [
            (
                asked.request.request_id,
                budget.name,
                asked.request.entity or "all together",
                amount_text(asked.request.amount, budget.unit),
                moment_text(asked.request.until_us, budget),
                asked.request.asked_by,
                asked.request.reason,
                str(asked.state(now)),
            )
            for asked, budget in found
        ],
        "Nobody waits for an answer. Refused callers ask by the link in the refusal.",
    )


def approve(
    request: RequestArgument,
    amount: Annotated[
        str, typer.Option("--amount", metavar="AMOUNT", help="Give this instead: '10 USD'.")
    ] = "",
    until: Annotated[
        str,
        typer.Option("--until", metavar="DAY", help="Up to this day, which is included."),
    ] = "",
    note: NoteOption = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Give what was asked for, or something else. It counts within two seconds."""
    now = now_us()
    with opened(data) as (store, _):
        asked, budget = service.request_for(store, request, OPERATOR)
        given = Given(
            amount_of(amount, budget) if amount else asked.request.amount,
            until_of(until, budget, now) if until else asked.request.until_us,
            note,
            VIA,
        )
        decided = service.approve(store, request, given, OPERATOR, now)
    if as_json:
        output.print_json(request_document(decided, budget, now))
        return
    output.print_line(
        f"Approved: {amount_text(given.amount, budget.unit)} more of {budget.name} until "
        f"{moment_text(given.until_us, budget)}."
    )


def decline(
    request: RequestArgument,
    note: NoteOption = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Give nothing."""
    now = now_us()
    with opened(data) as (store, _):
        _, budget = service.request_for(store, request, OPERATOR)
        decided = service.decline(store, request, note, OPERATOR, now, VIA)
    if as_json:
        output.print_json(request_document(decided, budget, now))
    else:
        wanted = amount_text(decided.request.amount, budget.unit)
        output.print_line(f"Declined: {wanted} more of {budget.name}.")


def raises(
    name: NameArgument,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List what raises a budget for a time, or has raised it."""
    now = now_us()
    with opened(data) as (store, _):
        budget = known(store, name)
        found = raise_ends.raises_for(store, budget, OPERATOR)
        names = names_of(store)
    if as_json:
        output.print_json([raise_document(each, budget) for each in found])
        return
    output.print_table(
        (
            output.Column("Id", whole=True),
            output.Column("For"),
            output.Column("Amount", whole=True, right=True),
            output.Column("Until", whole=True),
            output.Column("Given by"),
            output.Column("State"),
        ),
        [
            (
                each.raise_id,
                entity_name(budget, each.entity, names),
                amount_text(each.amount, budget.unit),
                moment_text(each.until_us, budget),
                each.made_by,
                _raise_state(each, budget, now),
            )
            for each in found
        ],
        f"Nothing has raised {budget.name} for a time.",
    )


def end_raise(
    given: Annotated[str, typer.Argument(metavar="RAISE", help="As `budgets raises` shows it.")],
    note: NoteOption = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """End what raises a budget for a time now. It is in force within a second."""
    with opened(data) as (store, _):
        ended, budget = raise_ends.end(store, given, note, OPERATOR, now_us(), VIA)
    if as_json:
        output.print_json(raise_document(ended, budget))
    else:
        amount = amount_text(ended.amount, budget.unit)
        output.print_line(f"Taken back: {amount} more of {budget.name}.")


def _raise_state(given: BudgetRaise, budget: Budget, now: int) -> str:
    if given.ended is not None:
        at = moment_text(given.ended.ended_at_us, budget)
        return f"taken back by {given.ended.ended_by}, {at}"
    return "counts" if given.until_us > now else "over"


def overdraft(
    name: NameArgument,
    allow: Annotated[
        str | None,
        typer.Option(
            "--allow",
            metavar="AMOUNT",
            help="Say what its owner may take once in each window: '20 USD', 10% or none.",
        ),
    ] = None,
    whose: Annotated[
        str,
        typer.Option("--for", help="Whose, where the budget counts each value apart."),
    ] = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Take what a budget allows beyond its limit once in each window, or say how much that is."""
    now = now_us()
    with opened(data) as (store, _):
        budget = known(store, name)
        if allow is not None:
            allowed = overdrafts.allow(store, budget.budget_id, allow, OPERATOR, now)
            document: dict[str, Any] = {
                "budget": budget.budget_id,
                "overdraft": overdraft_text(allowed, budget),
            }
            said = f"The owner of {budget.name} may take: {document['overdraft']}."
        else:
            entity = _entity(store, budget, whose)
            taken = overdrafts.take(store, budget.budget_id, entity, OPERATOR, now)
            document = raise_document(taken, budget)
            until = moment_text(taken.until_us, budget)
            said = f"Took {amount_text(taken.amount, budget.unit)} until {until}."
    if as_json:
        output.print_json(document)
    else:
        output.print_line(said)


def _entity(store: Store, budget: Budget, whose: str) -> str:
    """Find whom a row counts by what people call them. Raises BadRequest for nobody."""
    if not whose or budget.scope is not BudgetScope.USER or budget.match != ANY:
        return whose
    user = store.user_with_email(whose) or store.user(whose)
    if user is None:
        raise BadRequest(f"there is no person {whose!r}", code="bad_for")
    return user.user_id
