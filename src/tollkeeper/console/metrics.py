"""Metrics as people read them: names, groups to choose from, and how their values are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.domain.ledger import ERROR_OUTCOMES, TOKEN_FIELDS, Outcome
from tollkeeper.reports import formatting
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.measures import MEASURES, Kind, Value

_MONEY: Final = (Kind.MONEY, Kind.MONEY_RATIO)


class Metric(NamedTuple):
    """``meaning`` is a sentence; ``more_is_worse`` decides the colour of a rise (None: neither)."""

    name: str
    meaning: str
    more_is_worse: bool | None = None


METRICS: Final[Mapping[str, Mapping[str, Metric]]] = {
    "Money": {
        "cost_usd": Metric("Cost", "What was spent. Calls without a price are in no sum.", True),
        "list_cost_usd": Metric(
            "List cost", "What it would have cost at list prices, flat rates included.", True
        ),
        "saved_usd": Metric(
            "Cache savings",
            "What the same tokens would have cost without prompt caches, less what writing to "
            "the caches cost.",
            False,
        ),
    },
    "Cost of one": {
        "cost_per_request_usd": Metric(
            "Cost per request", "The cost, divided by the requests.", True
        ),
        "cost_per_session_usd": Metric(
            "Cost per session",
            "The cost, divided by the sessions that had calls. A session is one conversation.",
            True,
        ),
        "cost_per_user_usd": Metric(
            "Cost per user", "The cost, divided by the people who made calls.", True
        ),
        "cost_per_customer_usd": Metric(
            "Cost per customer", "The cost, divided by the end customers named in calls.", True
        ),
    },
    "Calls": {
        "requests": Metric("Requests", "Attempts that reached a provider."),
        "errors": Metric("Errors", "Requests that failed, whoever was to blame.", True),
        "error_rate": Metric("Error rate", "Errors as a part of all requests.", True),
        "refusals": Metric("Refusals", "Calls that the gateway refused. They cost nothing.", True),
        "disconnects": Metric("Clients that left", "Replies whose client left early.", True),
        "calls": Metric("First attempts", "Requests without those that were tried again."),
    },
    "Speed": {
        "duration_p50_ms": Metric("Latency, median", "Half of the requests took no longer.", True),
        "duration_p95_ms": Metric("Latency, p95", "19 of 20 requests took no longer.", True),
        "duration_p99_ms": Metric("Latency, p99", "99 of 100 requests took no longer.", True),
        "ttft_p50_ms": Metric("First token, median", "Half of the replies began no later.", True),
        "ttft_p95_ms": Metric("First token, p95", "19 of 20 replies began no later.", True),
    },
    "Tokens": {
        "tokens": Metric("Tokens", "All tokens, in and out."),
        "tokens_in": Metric("Tokens in", "All input tokens, cached ones included."),
        "tokens_out": Metric("Tokens out", "All output tokens, reasoning included."),
        "tokens_cached": Metric("Tokens from cache", "Input read from a provider's cache.", False),
        "cached_share": Metric(
            "Share from cache", "Tokens from cache as a part of all input tokens.", False
        ),
    },
    "Tokens by kind": {
        field: Metric(f"{words.quantity(quantity)} tokens", "Tokens that are priced as this kind.")
        for field, quantity in TOKEN_FIELDS
    },
    "Who and what": {
        "users": Metric("People", "People who made calls."),
        "keys": Metric("Keys", "Keys that were used."),
        "sessions": Metric("Sessions", "Sessions that had calls."),
        "customers": Metric("Customers", "End customers named in calls."),
    },
}
"""What can be chosen, in groups. Names of metrics are those of ``reports.measures``."""

_ALL: Final = {name: metric for group in METRICS.values() for name, metric in group.items()}
_ONLY: Final[Mapping[str, Filter]] = {
    "errors": Filter("outcome", tuple(sorted(ERROR_OUTCOMES))),
    "refusals": Filter("outcome", (Outcome.REFUSED.value,)),
    "disconnects": Filter("outcome", (Outcome.DISCONNECTED.value,)),
}
_PLAIN: Final = str.maketrans("_", " ")


def metric_of(name: str) -> Metric:
    """Give the words for a metric."""
    return _ALL.get(name) or Metric(name.translate(_PLAIN).capitalize(), "")


def only(name: str) -> Filter | None:
    """Give the filter that finds just the calls that a metric counts, None for all."""
    return _ONLY.get(name)


def text(name: str, value: Value) -> str:
    """Write a value as a large figure or in a list."""
    kind = MEASURES[name].kind
    if kind is Kind.MONEY:
        return formatting.money_tile(_decimal(value))
    if kind is Kind.MONEY_RATIO:
        return formatting.money_exact(_decimal(value))
    if kind is Kind.RATIO:
        return _percent(_decimal(value))
    if kind is Kind.MILLISECONDS:
        return formatting.duration(None if value is None else int(value))
    return formatting.count(None if value is None else int(value))


def full(name: str, value: Value) -> str:
    """Write all that is known of a value."""
    kind = MEASURES[name].kind
    if kind in _MONEY:
        return formatting.money_full(_decimal(value))
    if kind in {Kind.COUNT, Kind.DISTINCT}:
        return formatting.count_full(None if value is None else int(value))
    return text(name, value)


def column(name: str, values: Iterable[Value]) -> list[str]:
    """Write the values of a table's column; money with one precision."""
    kind = MEASURES[name].kind
    if kind is Kind.MONEY:
        return formatting.money_column(map(_decimal, values))
    if kind is Kind.MONEY_RATIO:
        return formatting.money_column_exact(map(_decimal, values))
    return [text(name, value) for value in values]


def axis_text(name: str, value: Decimal) -> str:
    """Write a value beside an axis, as short as it can be."""
    kind = MEASURES[name].kind
    if kind in _MONEY:
        return formatting.money_axis(value)
    if kind is Kind.RATIO:
        return f"{(value * 100).normalize():f}%"
    if kind is Kind.MILLISECONDS:
        if not value:
            return "0 s"
        if value < 1_000:
            return f"{value.normalize():f} ms"
        return f"{(value / 1_000).normalize():f} s"
    if 0 < value < 1_000:
        return f"{value.normalize():f}"
    return formatting.count(int(value)).replace(".00", "").replace(".0", "")


def difference(name: str, now: Value, before: Value) -> str:
    """Write by how much a value changed, with its sign; "" where that is not known."""
    if now is None or before is None:
        return ""
    change: Decimal | int = now - before
    sign = "+" if change > 0 else "-" if change < 0 else ""
    size: Decimal | int = -change if change < 0 else change
    if MEASURES[name].kind is Kind.RATIO:
        points = (Decimal(size) * 100).quantize(Decimal("0.1"))
        return f"{sign}{points} points"
    return f"{sign}{text(name, size)}"


def _percent(value: Decimal | None) -> str:
    """Write a ratio with a decimal where it is small: ``0.4%``, ``12%``."""
    if value is None or not 0 < value < Decimal("0.0995"):
        return formatting.share(value)
    return f"{(value * 100).quantize(Decimal('0.1')):f}%" if value >= Decimal("0.0005") else "<0.1%"


def _decimal(value: Value) -> Decimal | None:
    return None if value is None else Decimal(value)
