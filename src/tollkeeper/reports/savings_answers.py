"""Savings as the document of the JSON API, and as rows of a file. What is unknown is null."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from tollkeeper.reports.answers import time_text
from tollkeeper.reports.export import amount_text
from tollkeeper.reports.savings import Savings
from tollkeeper.reports.savings_caches import CacheSavings
from tollkeeper.reports.savings_findings import Finding, Group, Stake
from tollkeeper.reports.savings_what_if import WhatIf

COLUMNS: Final = (
    *("finding", "model", "tool", "team", "key", "key_name", "endpoint", "from", "to"),
    *("calls", "usd", "unknown", "note"),
)
CACHES: Final = "prompt_caches"


def savings_document(found: Savings) -> dict[str, Any]:
    """Give the document of ``GET /api/v1/savings``."""
    period = found.question.period
    return {
        "period": {
            "name": period.name,
            "from": time_text(period.start_us),
            "to": time_text(period.end_us),
            "tz": period.zone,
        },
        "cost_usd": _amount(found.cost_usd),
        "prompt_caches": _caches(found.caches),
        "findings": [_finding(each) for each in found.findings],
        "what_if": None if found.what_if is None else _what_if(found.what_if),
    }


def savings_rows(found: Savings) -> list[dict[str, object]]:
    """Give the parts of all findings as rows of ``COLUMNS``, amounts as Decimal."""
    rows = [_row(each.name, group) for each in found.findings for group in each.groups]
    return [_row(CACHES, group) for group in found.caches.groups["model"]] + rows


def _row(name: str, group: Group) -> dict[str, object]:
    return dict.fromkeys(COLUMNS) | {
        "finding": name,
        **group.keys,
        "key_name": group.name,
        "from": _time(group.first_us),
        "to": _time(group.last_us),
        "calls": group.stake.calls,
        "usd": group.stake.usd,
        "unknown": group.stake.unknown,
        "note": group.note,
    }


def _caches(found: CacheSavings) -> dict[str, Any]:
    return {
        "now": _stake(found.now),
        "before": _stake(found.before),
        "read_tokens": found.read_tokens,
        "written_tokens": found.written_tokens,
        "read_usd": _amount(found.read_usd),
        "written_usd": _amount(found.written_usd),
        "flat_rate": found.flat_rate,
        "own_cache_usd": _amount(found.own_usd),
        "by": {name: [_group(each) for each in groups] for name, groups in found.groups.items()},
    }


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "name": found.name,
        "now": _stake(found.now),
        "before": _stake(found.before),
        "at_least": found.more,
        "groups": [_group(each) for each in found.groups],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "keys": dict(group.keys),
        "key_name": group.name,
        "from": _time(group.first_us),
        "to": _time(group.last_us),
        **_stake(group.stake),
        "note": group.note,
    }


def _what_if(found: WhatIf) -> dict[str, Any]:
    return {
        "from_model": None if found.origin is None else str(found.origin),
        "to_model": str(found.target),
        "calls": found.calls,
        "now_usd": _amount(found.now_usd),
        "then_usd": _amount(found.then_usd),
        "difference_usd": _amount(found.difference_usd),
        "written_as_input_tokens": found.as_input,
        "lines": [
            {
                "provider": line.provider,
                "model": line.model,
                "calls": line.calls,
                "now_usd": _amount(line.now_usd),
                "then_usd": _amount(line.then_usd),
            }
            for line in found.lines
        ],
        "left_out": [
            {"reason": each.reason, "calls": each.calls, "cost_usd": _amount(each.cost_usd)}
            for each in found.left
        ],
    }


def _stake(stake: Stake) -> dict[str, Any]:
    return {"calls": stake.calls, "usd": _amount(stake.usd), "unknown": stake.unknown}


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else time_text(at_us)


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)
