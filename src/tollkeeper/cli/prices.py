"""``tollkeeper prices``: what a model costs, under which conditions, and who says so."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tollkeeper import bootstrap
from tollkeeper.bootstrap.price_books import (
    PricePlace,
    close_names,
    configured_book,
    price_places,
)
from tollkeeper.bootstrap.routing import SANDBOX
from tollkeeper.cli import output, price_rules, price_versions, reprice
from tollkeeper.cli.context import DataOption, JsonOption, data_folder
from tollkeeper.clock import now_us, second_text
from tollkeeper.domain import usage as u
from tollkeeper.domain.errors import NotFound
from tollkeeper.domain.money import usd_text
from tollkeeper.domain.price_table import ModelPrices, PriceRowShown, Standing
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.reports import formatting
from tollkeeper.services.price_terms import in_words

app = typer.Typer(
    help="Show what a model costs, and fetch newer prices.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)

_EXAMPLE_TOKENS: Final = 1_000
_SINCE: Final = re.compile(r" since=(\S+)")
_RULE: Final = re.compile(r" rule=(.+?)(?: [a-z]+=|$)")
_RULES: Final = {
    "exact": "by its name",
    "alias": "by another name of it",
    "dated": "by its name without the date",
    "fine_tuned": "by the model that it was tuned from",
    "renamed": "by what the name meant on that day",
}


@app.callback()
def prices() -> None:
    """Show what a model costs, and fetch newer prices."""


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper prices show gpt-4.1-mini\n\n"
    "tollkeeper prices show anthropic/claude-sonnet-4-5 --at 2026-01-31 --json"
)
def show(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model, provider/model, or an alias.")
    ],
    at: Annotated[
        str, typer.Option("--at", metavar="DATE", help="The prices of another day: 2026-01-31.")
    ] = "",
    config: Annotated[
        Path | None, typer.Option("--config", help="The configuration. Default: tollkeeper.yaml.")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show every price of a model, and what a call of 1,000 tokens in and out costs."""
    configuration = bootstrap.configuration(config)
    book = configured_book(configuration, data_folder(data))
    at_us = _noon_us(at) if at else now_us()
    found = [
        (place, listed)
        for place in price_places(model, configuration, book)
        if (listed := book.show(place.price_provider, place.model, at_us)) is not None
    ]
    if not found:
        near = close_names(model, book)
        hint = f"; close to it: {', '.join(near)}" if near else ""
        raise NotFound(f"no price is known for {model!r}{hint}", code="price_not_found")
    documents = [_document(book, place, listed, at_us) for place, listed in found]
    if as_json:
        output.print_json(documents)
        return
    for number, (document, (_, listed)) in enumerate(zip(documents, found, strict=True)):
        if number:
            output.print_line("")
        _print(document, listed)


price_rules.add_to(app)
price_versions.add_to(app)
reprice.add_to(app)


def _document(
    book: PriceBook, place: PricePlace, listed: ModelPrices, at_us: int
) -> dict[str, Any]:
    own = not listed.model
    since = _SINCE.search(listed.key)
    rule = _RULE.search(listed.key)
    return {
        "provider": place.provider,
        "model": listed.model or place.model,
        "asked": place.model,
        "found": "own prices" if own else rule[1] if rule else "",
        "aliases": list(listed.aliases),
        "since": since[1] if since else None,
        "at": second_text(at_us),
        "source": _source(book, place, listed),
        "gone": listed.gone or None,
        "price_version": book.version,
        "rows": [
            {
                "condition": row.condition,
                "above_tokens": row.above_tokens,
                "prices": {
                    name: {"usd": price, "per": per, **_said(row, name)}
                    for name, (price, per) in row.prices.items()
                },
            }
            for row in listed.rows
        ],
        "terms": _terms(book, place, at_us),
        "example": _example(book, place, at_us),
    }


def _said(row: PriceRowShown, name: str) -> dict[str, Any]:
    """Say how sure one price is, and what other sources have for it."""
    said = row.said.get(name)
    return {} if said is None else {"standing": said.standing, "others": dict(said.others)}


def _source(book: PriceBook, place: PricePlace, listed: ModelPrices) -> str:
    """Say who says so."""
    if not listed.model:
        return "made up, for the sandbox" if place.provider == SANDBOX else "tollkeeper.yaml"
    named = listed.said_by or book.version.partition("+")[0]
    return f"{named}, with this release's corrections"


def _terms(book: PriceBook, place: PricePlace, at_us: int) -> str | None:
    """Name the operator's own rule that decides, for teams that no rule names."""
    where = book.place(place.price_provider, place.provider, "")
    rule = book.rules.deciding(where, place.model, at_us)
    return f"{rule.name}: {in_words(rule)}" if rule else None


def _example(book: PriceBook, place: PricePlace, at_us: int) -> dict[str, Any]:
    """Price a call; a model that only reads is priced without output."""
    tokens = {u.INPUT: _EXAMPLE_TOKENS, u.OUTPUT: _EXAMPLE_TOKENS}
    where = book.place(place.price_provider, place.provider, "")
    priced = book.price(where, place.model, Usage(tokens), at_us)
    if priced.reason == f"unknown_dimension:{u.OUTPUT}":
        tokens = {u.INPUT: _EXAMPLE_TOKENS}
        priced = book.price(where, place.model, Usage(tokens), at_us)
    cost = None if priced.nanos is None else usd_text(priced.nanos)
    return {**tokens, "cost_usd": cost, "unpriced_reason": priced.reason or None}


def _print(document: dict[str, Any], listed: ModelPrices) -> None:
    found = _RULES.get(document["found"], document["found"])
    if document["asked"] != document["model"]:
        found = f"{found}: {document['asked']}"
    since = f" since {document['since']}" if document["since"] else ""
    for name, value in (
        ("Model", f"{document['provider']}/{document['model']}"),
        ("Found", found),
        ("Also named", ", ".join(document["aliases"])),
        ("Source", document["source"]),
        ("Version", document["price_version"]),
        ("Your terms", document["terms"]),
        ("Valid", f"on {document['at'][:10]}{since}"),
        ("Gone", document["gone"] and f"not listed any more since {document['gone']}"),
    ):
        if value:
            output.print_line(f"{name:<12} {value}")
    _print_table(listed.rows)
    _print_standing(listed.rows)
    output.print_line(_sentence(document["example"]))


def _print_table(rows: list[PriceRowShown]) -> None:
    """One line for each quantity, one column for each condition."""
    quantities = dict.fromkeys(name for row in rows for name in row.prices)
    per = {name: count for row in rows for name, (_, count) in row.prices.items()}
    output.print_table(
        (
            output.Column("Quantity"),
            output.Column("Per", whole=True, right=True),
            *(output.Column(_title(row), right=True) for row in rows),
        ),
        [
            (
                name.replace("_", " "),
                f"{per[name]:,}",
                *(f"${row.prices[name][0]}" if name in row.prices else "" for row in rows),
            )
            for name in quantities
        ],
        "No prices.",
    )


def _print_standing(rows: list[PriceRowShown]) -> None:
    """Say which prices other sources confirm, and each one that they dispute."""
    said = [(row, name, it) for row in rows for name, it in row.said.items()]
    if not said:
        return
    counts = Counter(it.standing for _, _, it in said)
    words = [f"{counts[it]} {it}" for it in Standing if counts[it]]
    output.print_line(f"Prices: {', '.join(words)}.")
    for row, name, it in said:
        if it.standing == Standing.DISPUTED:
            others = ", ".join(f"{source} ${price}" for source, price in it.others.items())
            quantity = name.replace("_", " ")
            output.print_line(
                f"Disputed: {quantity} ({_title(row)}) ${row.prices[name][0]}; {others}"
            )


def _title(row: PriceRowShown) -> str:
    words = [word.partition("=")[2] for word in row.condition.split()]
    condition = ", ".join(words) or "standard"
    return f"{condition}, over {row.above_tokens:,} in" if row.above_tokens else condition


def _sentence(example: dict[str, Any]) -> str:
    words = f"A call of {_EXAMPLE_TOKENS:,} tokens in"
    if u.OUTPUT in example:
        words += f" and {_EXAMPLE_TOKENS:,} out"
    if example["cost_usd"] is None:
        return f"{words} has no known price ({example['unpriced_reason']})."
    return f"{words} costs {formatting.money_full(Decimal(example['cost_usd']))}."


def _noon_us(day: str) -> int:
    try:
        moment = datetime.strptime(day, "%Y-%m-%d").replace(hour=12, tzinfo=UTC)
    except ValueError:
        raise typer.BadParameter(f"{day!r} is no date: write 2026-01-31") from None
    return int(moment.timestamp()) * 10**6
