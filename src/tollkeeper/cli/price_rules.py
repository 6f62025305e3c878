"""``tollkeeper prices rules``, ``set``, ``end`` and ``plans``: the operator's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.cli.questions import SinceOption, UntilOption, ZoneOption, parameters
from tollkeeper.cli.sources import open_source
from tollkeeper.clock import now_us
from tollkeeper.domain.money import plain_price, usd_text
from tollkeeper.domain.price_rules import ALWAYS_US, PriceRule, StoredRule, basis_points_of
from tollkeeper.domain.seat_plans import SeatPlan, plan_of
from tollkeeper.reports import formatting
from tollkeeper.services import keys, price_terms

_PLANS_LIMIT: Final = "10000"
SET_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\n"
    "tollkeeper prices set 'acme 2026' --provider openai --discount 12.5% --until 2027-01-01\n\n"
    "tollkeeper prices set 'our fine tune' --model 'acme-*' --usd input=0.40 --usd output=1.20"
)


def add_to(app: typer.Typer) -> None:
    """Add the verbs to ``tollkeeper prices``."""
    examples = {
        "rules": "tollkeeper prices rules --json",
        "end": "tollkeeper prices end 0199c0de-6a2f-7000-8000-000000000000",
        "plans": "tollkeeper prices plans --since 30d",
    }
    for verb, command in (("rules", rules), ("end", end_rule), ("plans", plans)):
        app.command(verb, epilog=f"[bold]Example[/bold]\n\n{examples[verb]}")(command)
    app.command("set", epilog=SET_EXAMPLES)(set_rule)


def rules(
    all_: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List your price rules in the order in which they are tried; the first that fits decides.

    Rules of tollkeeper.yaml come after those that were made here or on the page.
    """
    now = now_us()
    with opened(data) as (store, _):
        stored = store.price_rules()
    fixed = bootstrap.configuration(None).price_rules
    known = [*stored, *(StoredRule("", rule, 0, "tollkeeper.yaml") for rule in fixed)]
    shown = [each for each in known if all_ or price_terms.state_of(each.rule, now) != "ended"]
    documents = [_document(each, now) for each in shown]
    if as_json:
        output.print_json(documents)
        return
    output.print_table(
        (
            output.Column("Id", whole=True),
            output.Column("Name"),
            output.Column("State", whole=True),
            output.Column("Provider"),
            output.Column("Model"),
            output.Column("Team"),
            output.Column("What it does"),
            output.Column("From", whole=True),
            output.Column("Until", whole=True),
            output.Column("By"),
        ),
        [
            (
                each["id"] or "-",
                each["name"],
                each["state"],
                each["provider"],
                each["model"],
                each["team"],
                price_terms.in_words(known.rule),
                (each["since"] or "always")[:10],
                (each["until"] or "open")[:10],
                each["created_by"],
            )
            for each, known in zip(documents, shown, strict=True)
        ],
        "No price rules: everything costs what the book says. Make one with: "
        "tollkeeper prices set NAME --provider openai --discount 10%",
    )


def set_rule(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the rule is called.")],
    provider: Annotated[
        str, typer.Option("--provider", help="Your name for a provider, or a pattern.")
    ] = "*",
    model: Annotated[str, typer.Option("--model", help="A model, or a pattern.")] = "*",
    team: Annotated[str, typer.Option("--team", help="A team, or a pattern.")] = "*",
    discount: Annotated[
        str, typer.Option("--discount", metavar="PERCENT", help="Off every price of the book.")
    ] = "",
    usd: Annotated[
        list[str] | None,
        typer.Option(
            "--usd",
            metavar="QUANTITY=USD",
            help="A price instead, for a million tokens: input=0.40; may be repeated.",
        ),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="DATE", help="From this day on. Default: now.")
    ] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="DATE", help="Up to this day, which is not included.")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="For whoever reads it later.")] = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make a price rule: a discount, or prices of your own. It holds within a second.

    It is tried before all others. Calls that are booked already keep their cost until
    `tollkeeper prices reprice`.
    """
    rule = PriceRule(
        name,
        provider,
        model,
        team,
        _prices(usd or ()),
        _basis_points(discount),
        _day_us(since, "--since", -ALWAYS_US),
        _day_us(until, "--until", ALWAYS_US),
        reason,
    )
    now = now_us()
    with opened(data) as (store, _):
        stored = price_terms.make_rule(store, rule, keys.OPERATOR.name, now)
    if as_json:
        output.print_json(_document(stored, now))
        return
    output.print_line(f"Made price rule {stored.rule_id} ({stored.rule.name}).")
    output.print_line(price_terms.in_words(stored.rule))


def end_rule(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="As `prices rules` shows it.")],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """End a price rule now. What it priced stays priced."""
    now = now_us()
    with opened(data) as (store, _):
        ended = price_terms.end_rule(store, rule_id, keys.OPERATOR.name, now)
    if as_json:
        output.print_json(_document(ended, now))
    else:
        output.print_line(f"Price rule {rule_id} ({ended.rule.name}) has ended.")


def plans(
    since: SinceOption = "month",
    until: UntilOption = "",
    zone: ZoneOption = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Compare each flat-rate plan with what its calls would have cost at list prices."""
    known = bootstrap.configuration(None).seat_plans
    asked = parameters(
        since=since,
        until=until,
        zone=zone,
        filters=["basis:flat_rate"],
        group_by="provider,team",
        metrics="list_cost_usd,requests,unpriced",
        limit=_PLANS_LIMIT,
    )
    with open_source(data) as source:
        answer = source.usage(asked)
    documents = _plan_documents(known, answer["rows"])
    if as_json:
        output.print_json({"period": answer["period"], "plans": documents})
        return
    output.print_table(
        (
            output.Column("Plan"),
            output.Column("Provider"),
            output.Column("Seats", whole=True, right=True),
            output.Column("A month", whole=True, right=True),
            output.Column("Calls", whole=True, right=True),
            output.Column("List value", whole=True, right=True),
        ),
        [
            (
                each["name"] or "(no plan)",
                each["provider"],
                str(each["seats"] or ""),
                formatting.money(Decimal(each["month_usd"])) if each["month_usd"] else "",
                formatting.count_full(each["requests"]),
                formatting.money(Decimal(each["list_cost_usd"])),
            )
            for each in documents
        ],
        "No plans are configured, and no flat-rate calls in this period.",
    )
    output.print_line(f"Calls of {answer['period']['from'][:10]} to {answer['period']['to'][:10]}.")


def _plan_documents(
    known: tuple[SeatPlan, ...], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Give each plan with its calls, then what is flat-rate without a plan."""
    calls: dict[str, tuple[int, Decimal]] = {}
    for row in rows:
        plan = plan_of(known, row["provider"], row["team"] or "", vendor_login=True)
        name = plan.name if plan else ""
        requests, worth = calls.get(name, (0, Decimal(0)))
        calls[name] = requests + row["requests"], worth + Decimal(row["list_cost_usd"] or 0)
    documents = [_plan_document(plan, *calls.get(plan.name, (0, Decimal(0)))) for plan in known]
    if "" in calls:
        requests, worth = calls[""]
        documents.append(
            {
                **dict.fromkeys(("name", "provider"), ""),
                **dict.fromkeys(("seats", "seat_usd", "month_usd")),
                "requests": requests,
                "list_cost_usd": str(worth),
            }
        )
    return documents


def _plan_document(plan: SeatPlan, requests: int, worth: Decimal) -> dict[str, Any]:
    return {
        "name": plan.name,
        "provider": plan.provider,
        "seats": plan.seats,
        "seat_usd": usd_text(plan.seat_nanos),
        "month_usd": usd_text(plan.month_nanos),
        "requests": requests,
        "list_cost_usd": str(worth),
    }


def _document(stored: StoredRule, now: int) -> Mapping[str, Any]:
    document = price_terms.rule_document(stored, now)
    if not stored.rule_id:  # it stands in the file
        document |= {"id": None, "created_at": None}
    return document


def _prices(texts: list[str] | tuple[()]) -> dict[str, str]:
    prices = {}
    for text in texts:
        name, sign, amount = text.partition("=")
        price = plain_price(amount)
        if not sign or price is None:
            raise typer.BadParameter(f"{text!r} is not like input=0.40", param_hint="--usd")
        prices[name.strip()] = price
    return prices


def _basis_points(discount: str) -> int:
    if not discount:
        return 0
    points = basis_points_of(discount)
    if points is None:
        raise typer.BadParameter(f"{discount!r} is not like 12.5%", param_hint="--discount")
    return points


def _day_us(text: str, option: str, absent_us: int) -> int:
    if not text:
        return absent_us
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not like 2027-01-31", param_hint=option) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000
