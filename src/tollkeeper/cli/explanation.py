"""Prints one call: who called what, how it went, and how its cost is made up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Final

from tollkeeper.cli import output
from tollkeeper.cli.questions import moment
from tollkeeper.reports import formatting

_WORDS: Final = {
    "provider_reported": "stated by the provider",
    "measured": "the provider's usage times the price book",
    "estimated": "estimated, because the provider could not say",
    "unpriced": "unknown",
    "flat_rate": "covered by a subscription",
    "free": "free of charge",
    "cached": "answered from the cache",
}


def print_call(answer: Mapping[str, Any], zone: tzinfo) -> None:
    """Print the document of ``GET /api/v1/calls/{id}`` for people."""
    entries: list[dict[str, Any]] = answer["entries"]
    for name, value in _facts(answer, entries[0], zone):
        if value:
            output.print_line(f"{name:<12} {value}")
    for entry in entries:
        output.print_line("")
        output.print_line(_heading(entry))
        _print_lines(entry)
    if len(entries) > 1:
        output.print_line("")
        output.print_line(f"Together     {_money(answer['cost_usd'])}")


def _facts(
    answer: Mapping[str, Any], entry: Mapping[str, Any], zone: tzinfo
) -> list[tuple[str, str]]:
    started = moment(entry["started_at"]).astimezone(zone)
    first = entry["ttft_ms"]
    return [
        ("Call", answer["call_id"]),
        ("Started", f"{started:%Y-%m-%d %H:%M:%S.%f %Z}"),
        (
            "Took",
            formatting.duration(entry["duration_ms"])
            + ("" if first is None else f", first token after {formatting.duration(first)}"),
        ),
        ("User", _named(entry["user_name"], entry["user_id"])),
        ("Team", entry["team"]),
        ("Key", _named(entry["key_name"], entry["key_id"])),
        ("Tool", f"{entry['tool']} {entry['tool_version']}".strip()),
        ("Session", entry["session_id"]),
        ("Customer", entry["end_customer"]),
        ("Tags", ", ".join(f"{key}={value}" for key, value in sorted(entry["tags"].items()))),
        ("Endpoint", f"{entry['endpoint']}{' (streamed)' if entry['streamed'] else ''}"),
        ("Upstream id", entry["request_id_upstream"]),
    ]


def _heading(entry: Mapping[str, Any]) -> str:
    if entry["corrects"]:
        return f"Correction of {entry['corrects']}: {_money(entry['cost_usd'])}"
    model = entry["model_served"] or entry["model_requested"]
    asked = entry["model_requested"]
    alias = f" (asked for {asked})" if asked and asked != model else ""
    place = f"Attempt {entry['attempt']}" + (
        f", model {entry['part'] + 1}" if entry["part"] else ""
    )
    status = f" {entry['status']}" if entry["status"] else ""
    fault = f" {entry['error_code']}" if entry["error_code"] else ""
    return f"{place}: {entry['provider']} {model}{alias}: {entry['outcome']}{status}{fault}"


def _print_lines(entry: Mapping[str, Any]) -> None:
    rows = [
        (
            line["quantity"].replace("_", " "),
            formatting.count_full(line["count"]),
            "no price" if line["price_usd"] is None else f"${line['price_usd']}",
            f"{line['per']:,}",
            _money(line["cost_usd"]),
        )
        for line in entry["lines"]
    ] or [
        (name.replace("_", " "), formatting.count_full(count), "", "", "")
        for name, count in entry["quantities"].items()
    ]
    reason = f" ({entry['unpriced_reason']})" if entry["unpriced_reason"] else ""
    output.print_table(
        (
            output.Column("Quantity"),
            output.Column("Count", whole=True, right=True),
            output.Column("Price", whole=True, right=True),
            output.Column("Per", whole=True, right=True),
            output.Column("Cost", whole=True, right=True),
        ),
        rows,
        "No quantities.",
        totals=("Cost", "", "", "", _money(entry["cost_usd"])),
    )
    output.print_line(f"Basis        {_WORDS.get(entry['basis'], entry['basis'])}{reason}")
    if entry["price_key"]:
        output.print_line(f"Price        {entry['price_key']}, version {entry['price_version']}")
    listed = entry["list_cost_usd"]
    if listed is not None and listed != entry["cost_usd"]:
        output.print_line(f"List price   {_money(listed)}")
    if entry["saved_usd"] is not None and Decimal(entry["saved_usd"]):
        output.print_line(f"Saved        {_money(entry['saved_usd'])}")


def _named(name: str, identifier: str) -> str:
    return f"{name} ({identifier})" if name and identifier else name or identifier


def _money(amount: str | None) -> str:
    """Write an amount in full: this is the place where every digit counts."""
    return formatting.UNKNOWN if amount is None else formatting.money_full(Decimal(amount))
