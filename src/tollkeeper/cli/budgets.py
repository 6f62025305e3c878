"""``tollkeeper budgets``: caps on what is spent, made, changed, ended and tried on the past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tollkeeper.cli import budget_replay, budget_requests, lost_gateways, output
from tollkeeper.cli.budget_options import (
    ExemptOption,
    LimitOption,
    ModeOption,
    NameArgument,
    RolloverOption,
    ScopeOption,
    WindowOption,
    ZoneOption,
    called,
    configured_zone,
    known,
    plainly,
    said,
)
from tollkeeper.cli.budget_tables import print_budget, print_budgets
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.clock import now_us
from tollkeeper.domain.budget_words import UnclearWords, amount_of_words, amount_words, words_of
from tollkeeper.domain.budgets import FIXED, Budget
from tollkeeper.domain.errors import BadRequest
from tollkeeper.ports import Store
from tollkeeper.services import budget_changes, keys
from tollkeeper.services.budget_documents import budget_document, names_of
from tollkeeper.services.budget_standings import EVERYTHING, standing, standings
from tollkeeper.services.budgets import state_of

app = typer.Typer(
    help="Cap what is spent, and see what is left.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
SET_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "tollkeeper budgets set 'All of us' --limit '5000 USD' --window month --tz Europe/Berlin\n\n"
    "tollkeeper budgets set 'Each person' --scope 'each user' --limit '$20' --window day\n\n"
    "tollkeeper budgets set 'All of us' --limit '6000 USD'"
)


@app.command("set", epilog=SET_EXAMPLES)
def set_budget(
    name: Annotated[str, typer.Argument(metavar="BUDGET", help="What it is called.")],
    scope: ScopeOption = None,
    limit: LimitOption = None,
    window: WindowOption = None,
    zone: ZoneOption = None,
    mode: ModeOption = None,
    sizing: Annotated[
        str | None,
        typer.Option(
            "--sizing",
            help="balanced holds what such calls usually cost (default), strict what they can "
            "cost at most.",
        ),
    ] = None,
    rollover: RolloverOption = None,
    exempt: ExemptOption = None,
    alert_at: Annotated[
        str | None,
        typer.Option("--alert-at", metavar="PERCENT", help="Tell at these: 80,100 (default)."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DAY", help="The first day of a new one: 2026-12-01."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="The last day of a new one.")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make a budget, or change the one of this name. It holds within two seconds, everywhere.

    What a budget counts (scope, window, unit) never changes; limit, mode, sizing, rollover and
    thresholds do.
    """
    typed = said(
        scope=scope,
        limit=limit,
        window=window,
        timezone=zone,
        mode=mode,
        sizing=sizing,
        rollover=rollover,
        exempt_models=exempt,
        alert_at=alert_at,
        since=since,
        until=until,
    )
    with opened(data) as (store, _), plainly():
        found = called(store, name)
        if found is None:
            words = {"scope": "org", "name": name, **typed}
            made = budget_changes.make(
                store, words, configured_zone(), keys.OPERATOR.name, now_us()
            )
            done = "Made"
        else:
            made, done = _changed(store, found, typed), "Changed"
        _tell(store, made, done, as_json=as_json)


@app.command("list", epilog="[bold]Example[/bold]\n\ntollkeeper budgets list --json")
def list_budgets(
    all_: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List the budgets: what is spent, held and left."""
    now = now_us()
    with opened(data) as (store, _):
        found = standings(store, EVERYTHING, now)
        names = names_of(store)
    shown = [each for each in found if all_ or state_of(each.budget, now) != "ended"]
    if as_json:
        output.print_json([budget_document(each, names, now) for each in shown])
    else:
        print_budgets(shown, names, now)


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper budgets show 'All of us'")
def show(name: NameArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show one budget, with the balance of everybody that it counts apart."""
    with opened(data) as (store, _):
        _tell(store, known(store, name), "", as_json=as_json)


@app.command("rm", epilog="[bold]Example[/bold]\n\ntollkeeper budgets rm 'Each person'")
def remove(name: NameArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """End a budget: it counts no more calls. What it counted stays."""
    with opened(data) as (store, _):
        found = known(store, name)
        ended = budget_changes.end(store, found.budget_id, keys.OPERATOR.name, now_us())
        _tell(store, ended, "Ended", as_json=as_json)


@app.command(
    "top-up", epilog="[bold]Example[/bold]\n\ntollkeeper budgets top-up 'Prepaid' '50 USD'"
)
def top_up(
    name: NameArgument,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="What is paid in: '50 USD'.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Pay into a prepaid budget."""
    with opened(data) as (store, _), plainly():
        found = known(store, name)
        paid, unit = amount_of_words(amount, "AMOUNT")
        if unit is not found.unit:
            raise UnclearWords("AMOUNT", f"is in {found.unit}, as the budget is")
        topped = budget_changes.top_up(
            store, found.budget_id, paid, keys.OPERATOR.name, found.version
        )
        _tell(store, topped, f"Paid {amount_words(paid, unit)} into", as_json=as_json)


# ------------------------------------------------------------------ steps


def _changed(store: Store, found: Budget, typed: Mapping[str, Any]) -> Budget:
    """Change what was said to be different. The same words again change nothing."""
    fixed = typed.keys() - set(budget_changes.CHANGEABLE)
    if fixed & {"since", "until"}:
        raise BadRequest(
            "from when until when a budget counts is said when it is made: end this one, and make "
            "another of its name",
            code="budget_fixed",
        )
    if fixed:
        words = {**words_of(found), "rollover": None}
        if "scope" in typed:
            for part in ("match", "each", "tag"):
                words.pop(part, None)
        wanted = budget_changes.wanted_budget(store, {**words, **typed}, found.window.zone)
        if any(getattr(wanted, name) != getattr(found, name) for name in FIXED[1:]):
            raise BadRequest(
                "what a budget counts never changes: end this one, and make another of its name",
                code="budget_fixed",
            )
    changes = {option: typed[option] for option in budget_changes.CHANGEABLE if option in typed}
    return budget_changes.change(store, found.budget_id, changes, keys.OPERATOR.name, found.version)


def _tell(store: Store, budget: Budget, done: str, *, as_json: bool) -> None:
    now, names = now_us(), names_of(store)
    found = standing(store, budget.budget_id, EVERYTHING, now)
    if as_json:
        output.print_json(budget_document(found, names, now))
        return
    if done:
        output.print_line(f"{done} budget {budget.budget_id} ({budget.name}).")
    print_budget(found, names, now)


budget_replay.add_to(app)
budget_requests.add_to(app)
lost_gateways.add_to(app)
