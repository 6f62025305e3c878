"""``tollkeeper limits``: how many calls and tokens a minute, and how many calls at once."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.clock import now_us
from tollkeeper.domain.budgets import ANY, BudgetScope
from tollkeeper.domain.rate_limits import SCOPES, RateRule
from tollkeeper.services import keys, rate_rules

app = typer.Typer(
    help="Limit calls and tokens by the minute, and calls at the same time.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
_SET_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\n"
    "tollkeeper limits set agents --scope key --each --requests 60 --parallel 5\n\n"
    "tollkeeper limits set 'big model' --scope model --match 'claude-opus-*' --tokens 400000\n\n"
    "tollkeeper limits set alice --scope user --match alice@acme.com --requests 20"
)


@app.command("set", epilog=_SET_EXAMPLES)
def set_limit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the limit is called.")],
    scope: Annotated[
        str, typer.Option("--scope", help=f"By what it picks calls: {', '.join(SCOPES)}.")
    ],
    match: Annotated[
        str,
        typer.Option(
            "--match",
            help="Whose: a key's id, an e-mail address, a team, a pattern of models; * for all.",
        ),
    ] = ANY,
    each: Annotated[
        bool, typer.Option("--each", help="Count every one apart, up to the limits each.")
    ] = False,
    requests: Annotated[
        int | None, typer.Option("--requests", metavar="N", help="Calls in any minute.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option("--tokens", metavar="N", help="Tokens in any minute.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", metavar="N", help="Calls at the same time.")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make a rate limit, or change the one of this name. It holds within a second."""
    if scope not in SCOPES:
        raise typer.BadParameter(f"one of {', '.join(SCOPES)}", param_hint="--scope")
    wanted = RateRule("", name, BudgetScope(scope), match, each, requests, tokens, parallel)
    fixed = bootstrap.configuration(None).rate_limits
    with opened(data) as (store, _):
        stored = rate_rules.set_rule(store, wanted, fixed, keys.OPERATOR.name, now_us())
        emails = {user.user_id: user.email for user in store.users()}
    document = rate_rules.rule_document(stored, emails)
    if as_json:
        output.print_json(document)
    else:
        output.print_line(
            f"Rate limit {stored.rule.name}: {_limits(document)} for {_whose(document)}."
        )


@app.command("list", epilog="[bold]Example[/bold]\n\ntollkeeper limits list --json")
def list_limits(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the rate limits. A call must have room at all that concern it."""
    fixed = bootstrap.configuration(None).rate_limits
    with opened(data) as (store, _):
        documents = rate_rules.rule_documents(store, fixed)
    if as_json:
        output.print_json(documents)
        return
    output.print_table(
        (
            output.Column("Name"),
            output.Column("Whose"),
            output.Column("Calls/min", whole=True, right=True),
            output.Column("Tokens/min", whole=True, right=True),
            output.Column("At once", whole=True, right=True),
            output.Column("Set by"),
        ),
        [
            (
                each["name"],
                _whose(each),
                _number(each["requests_per_minute"]),
                _number(each["tokens_per_minute"]),
                _number(each["parallel"]),
                each["set_by"],
            )
            for each in documents
        ],
        "No rate limits. Make one with: tollkeeper limits set NAME --scope key --each --requests N",
    )


@app.command("rm", epilog="[bold]Example[/bold]\n\ntollkeeper limits rm agents")
def remove_limit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `limits list` shows it.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Remove a rate limit. It holds nobody back any more within a second."""
    fixed = bootstrap.configuration(None).rate_limits
    with opened(data) as (store, _):
        removed = rate_rules.remove_rule(store, name, fixed, keys.OPERATOR.name)
        emails = {user.user_id: user.email for user in store.users()}
    if as_json:
        output.print_json(rate_rules.rule_document(removed, emails))
    else:
        output.print_line(f"Removed rate limit {removed.rule.name}.")


def _whose(document: dict[str, Any]) -> str:
    scope, match = document["scope"], document["match"]
    of = "" if match == ANY else f" {match}"
    if document["each"]:
        return f"each {scope}{of}"
    return f"{scope}{of}" if of else f"all {scope}s together"


def _limits(document: dict[str, Any]) -> str:
    said = (
        (document["requests_per_minute"], "calls a minute"),
        (document["tokens_per_minute"], "tokens a minute"),
        (document["parallel"], "calls at once"),
    )
    return ", ".join(f"{limit:,} {words}" for limit, words in said if limit is not None)


def _number(limit: int | None) -> str:
    return "" if limit is None else f"{limit:,}"
