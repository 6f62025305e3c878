"""What the commands about budgets share: how one is named and described."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from tollkeeper import bootstrap
from tollkeeper.clock import now_us
from tollkeeper.domain.budget_words import UnclearWords
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.errors import Conflict, NotFound
from tollkeeper.ports import Store
from tollkeeper.services.budgets import state_of

_OPTIONS: Final = {
    "timezone": "tz",
    "exempt_models": "exempt",
    "match": "scope",
    "each": "scope",
    "tag": "scope",
}
"""Words that are said by another option than one of their own name."""
NameArgument = Annotated[
    str, typer.Argument(metavar="BUDGET", help="Its name or its id, as `budgets list` shows it.")
]
ScopeOption = Annotated[
    str | None,
    typer.Option(
        "--scope",
        help="Whose calls: org, team:core, user:ada@acme.com, key:laptop, model:gpt-*, "
        "tag:feature=chat, 'each team', 'each tag:customer' ...",
    ),
]
LimitOption = Annotated[
    str | None,
    typer.Option(
        "--limit", metavar="AMOUNT", help="'5000 USD', '$50', '2M tokens', '1000 requests'."
    ),
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        help="hour, day, week, month (default), quarter, year, lifetime or prepaid; "
        "'week from Sunday', 'month from 15', 'year from April 6'.",
    ),
]
ZoneOption = Annotated[
    str | None, typer.Option("--tz", help="Time zone of the windows. Default: as configured.")
]
ModeOption = Annotated[
    str | None, typer.Option("--mode", help="hard refuses (default), observe only counts.")
]
ExemptOption = Annotated[
    str | None,
    typer.Option("--exempt", metavar="MODELS", help="Models that are not counted: 'local/*'."),
]
RolloverOption = Annotated[
    str | None,
    typer.Option("--rollover", help="What a window passes on at most: '500 USD', 20%, all, none."),
]


def called(store: Store, name: str) -> Budget | None:
    """Find a budget by its id, or by the name of one that has not ended.

    Raises Conflict where several are called so.
    """
    now, budgets = now_us(), store.budgets()
    for each in budgets:
        if each.budget_id == name:
            return each
    found = [
        each for each in budgets if each.name == name.strip() and state_of(each, now) != "ended"
    ]
    if len(found) > 1:
        raise Conflict(f"{len(found)} budgets are called {name!r}: give the id of one")
    return found[0] if found else None


def known(store: Store, name: str) -> Budget:
    """Find a budget by its name or id. Raises NotFound, or Conflict where several fit."""
    found = called(store, name)
    if found is None:
        raise NotFound(f"there is no budget {name!r}; see: tollkeeper budgets list")
    return found


def said(**options: str | None) -> dict[str, Any]:
    """Give the words that were typed; models that are not counted become a list."""
    words: dict[str, Any] = {name: text for name, text in options.items() if text is not None}
    if "exempt_models" in words:
        words["exempt_models"] = [each.strip() for each in words["exempt_models"].split(",")]
    return words


def configured_zone() -> str:
    """Give the zone of windows of which nothing else is said."""
    return bootstrap.configured_zone(None)


@contextmanager
def plainly() -> Iterator[None]:
    """End words that say no budget as wrong usage, with the option that is meant."""
    try:
        yield
    except UnclearWords as unclear:
        raise typer.BadParameter(unclear.reason, param_hint=_hint(unclear.option)) from None


def _hint(option: str) -> str | None:
    if not option or option.isupper():
        return option or None
    return "--" + _OPTIONS.get(option, option).replace("_", "-")
