"""Prints one call: who called what, how it went, and how its cost is made up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Final

from tollkeeper.cli import output
from tollkeeper.cli.questions import moment
from tollkeeper.reports import formatting, price_words

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
    back = {(each["corrects"], each["revision"]): each for each in entries if each["sign"] < 0}
    for entry in entries:
        if entry["sign"] < 0:
            continue  # told by what takes its place
        output.print_line("")
        output.print_line(_heading(entry))
        root = entry["corrects"] or entry["entry_id"]
        if entry["revision"]:
            output.print_line(_correction(entry, back.get((root, entry["revision"]))))
        _print_lines(entry)
        if (root, entry["revision"] + 1) in back and (entry["revision"] or not entry["corrects"]):
            output.print_line(f"Replaced     by correction {entry['revision'] + 1}, below")
    if answer.get("omitted"):
        output.print_line("")
        output.print_line(f"…            {answer['omitted']:,} further lines of the batch")
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
    if entry["revision"]:
        return f"Correction {entry['revision']}: {entry['provider']} {_model(entry)}"
    if entry["corrects"]:
        return f"Correction of {entry['corrects']}: {_money(entry['cost_usd'])}"
    model = _model(entry)
    asked = entry["model_requested"]
    alias = f" (asked for {asked})" if asked and asked != model else ""
    place = f"Attempt {entry['attempt']}" + (
        f", model {entry['part'] + 1}" if entry["part"] else ""
    )
    status = f" {entry['status']}" if entry["status"] else ""
    fault = f" {entry['error_code']}" if entry["error_code"] else ""
    return f"{place}: {entry['provider']} {model}{alias}: {entry['outcome']}{status}{fault}"


def _correction(entry: Mapping[str, Any], back: Mapping[str, Any] | None) -> str:
    """Say what a correction changed, and why."""
    why = price_words.correction(entry["correction"])
    if back is None:
        return f"Why          {why}"
    was = back["cost_usd"]
    before = formatting.UNKNOWN if was is None else formatting.money_full(-Decimal(was))
    old, new = back["price_version"], entry["price_version"]
    books = "" if old == new else f" (price book {old} → {new})"
    return f"Why          {why}: {before} → {_money(entry['cost_usd'])}{books}"


def _model(entry: Mapping[str, Any]) -> str:
    return str(entry["model_served"] or entry["model_requested"])


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
    if entry["price_source"]:
        published = price_words.published(entry["price_source"], entry["price_standing"])
        output.print_line(f"Published by {published}")
    if entry["provider_cost_usd"] is not None:
        output.print_line(f"Provider     says {_money(entry['provider_cost_usd'])}")
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
