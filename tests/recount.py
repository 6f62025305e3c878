"""Counts entries again in plain Python, to compare the reports with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tollkeeper.domain import usage as u
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.reports import zones

ERRORS = {"upstream_error", "upstream_failed", "incomplete", "interrupted"}


def group_of(entry: LedgerEntry, name: str, zone: ZoneInfo) -> Any:
    """Give the value of one dimension."""
    local = zones.local_time(entry.started_at_us, zone)
    if name == "hour":
        fixed = local.astimezone(timezone(local.utcoffset() or timedelta()))
        return fixed.replace(minute=0, second=0, microsecond=0).isoformat()
    if name == "day":
        return local.date().isoformat()
    if name == "week":
        return (local.date() - timedelta(days=local.weekday())).isoformat()
    if name == "month":
        return f"{local:%Y-%m}"
    if name == "weekday":
        return local.isoweekday()
    if name == "hour_of_day":
        return local.hour
    if name == "model":
        return entry.model_served or entry.model_requested
    if name.startswith("tag:"):
        return entry.tags.get(name.removeprefix("tag:"))
    fields = {"user": "user_id", "key": "key_id", "session": "session_id"}
    return getattr(entry, fields.get(name, name))


def money(entries: Sequence[LedgerEntry], field: str) -> Decimal | None:
    known = [amount for entry in entries if (amount := getattr(entry, field)) is not None]
    if entries and not known:
        return None
    return Decimal(sum(known)).scaleb(-9)


def counts(entry: LedgerEntry) -> int:
    """A correction counts only where it takes an entry back, or books it anew."""
    if entry.corrects and not entry.revision:
        return 0
    return entry.sign


def attempts(entries: Iterable[LedgerEntry], outcome: Callable[[str], bool]) -> int:
    return sum(
        counts(entry) * (1 + (entry.repeats if entry.outcome == "refused" else 0))
        for entry in entries
        if entry.part == 0 and outcome(entry.outcome)
    )


def tokens(entries: Iterable[LedgerEntry], names: Iterable[str]) -> int:
    wanted = list(names)
    return sum(getattr(entry, f"{name}_tokens") for entry in entries for name in wanted)


def nearest_rank(samples: Iterable[int | None], percent: int) -> int | None:
    known = sorted(sample for sample in samples if sample is not None)
    return known[-(-len(known) * percent // 100) - 1] if known else None


def measures(entries: Sequence[LedgerEntry]) -> dict[str, Any]:
    """Give every measure of a group of entries."""
    requests = [
        entry
        for entry in entries
        if entry.part == 0 and not entry.corrects and entry.outcome != "refused"
    ]
    found: dict[str, Any] = {
        "cost_usd": money(entries, "cost_nanos"),
        "list_cost_usd": money(entries, "list_cost_nanos"),
        "saved_usd": money(entries, "saved_nanos"),
        "requests": attempts(entries, lambda outcome: outcome != "refused"),
        "calls": attempts(
            [entry for entry in entries if entry.attempt == 1], lambda outcome: outcome != "refused"
        ),
        "refusals": attempts(entries, lambda outcome: outcome == "refused"),
        "errors": attempts(entries, lambda outcome: outcome in ERRORS),
        "disconnects": attempts(entries, lambda outcome: outcome == "disconnected"),
        "unpriced": sum(counts(entry) for entry in entries if entry.cost_nanos is None),
        "entries": sum(entry.sign for entry in entries),
        "tokens": tokens(entries, u.TOKENS),
        "tokens_in": tokens(entries, u.INPUT_TOKENS),
        "tokens_out": tokens(entries, u.OUTPUT_TOKENS),
        "tokens_cached": tokens(entries, [name for name in u.TOKENS if "cache_read" in name]),
        "reasoning_tokens": tokens(entries, [u.REASONING]),
        "users": len({entry.user_id for entry in entries} - {""}),
        "keys": len({entry.key_id for entry in entries} - {""}),
        "sessions": len({entry.session_id for entry in entries} - {""}),
        "duration_p50_ms": nearest_rank([entry.duration_ms for entry in requests], 50),
        "duration_p95_ms": nearest_rank([entry.duration_ms for entry in requests], 95),
        "ttft_p50_ms": nearest_rank([entry.ttft_ms for entry in requests], 50),
    }
    found["cost_per_request_usd"] = divided(found["cost_usd"], found["requests"])
    found["cost_per_user_usd"] = divided(found["cost_usd"], found["users"])
    found["cost_per_session_usd"] = divided(found["cost_usd"], found["sessions"])
    found["customers"] = len({entry.end_customer for entry in entries} - {""})
    found["cost_per_customer_usd"] = divided(found["cost_usd"], found["customers"])
    found["error_rate"] = divided(found["errors"], found["requests"])
    found["cached_share"] = divided(found["tokens_cached"], found["tokens_in"])
    return found


def unpriced_calls(entries: Iterable[LedgerEntry]) -> tuple[int, int]:
    """Count the attempts of which some cost is unknown, and the tokens without a price."""
    found: dict[tuple[str, int], list[int]] = {}
    for entry in entries:
        if entry.cost_nanos is None and counts(entry):
            sums = found.setdefault((entry.call_id, entry.attempt), [0, 0])
            sums[0] += counts(entry)
            sums[1] += tokens([entry], u.TOKENS)
    known = [sums for sums in found.values() if sums[0] > 0]
    return len(known), sum(tokens for _, tokens in known)


def divided(above: Decimal | int | None, below: int) -> Decimal | None:
    return None if above is None or not below else Decimal(above) / below


def grouped(
    entries: Iterable[LedgerEntry], names: Sequence[str], zone: ZoneInfo
) -> Mapping[tuple[Any, ...], dict[str, Any]]:
    """Give the measures of every group."""
    groups: dict[tuple[Any, ...], list[LedgerEntry]] = {}
    for entry in entries:
        key = tuple(group_of(entry, name, zone) for name in names)
        groups.setdefault(key, []).append(entry)
    found = {key: measures(members) for key, members in groups.items()}
    return {key: values for key, values in found.items() if values["entries"]}
