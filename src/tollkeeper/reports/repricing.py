"""Pricing old calls again, as the API asks for it and answers: ``POST /api/v1/prices/reprice``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tollkeeper.domain.money import usd_text
from tollkeeper.domain.repricing import Change, RepricingQuestion, RepricingStep
from tollkeeper.reports.answers import time_text
from tollkeeper.reports.parameters import DEFAULT_ZONE, read_period
from tollkeeper.reports.period import period_between
from tollkeeper.reports.questions import BadQuestion, one_of, quoted

TEXTS: Final = ("period", "from", "to", "tz", "model", "provider", "team", "cursor")
FLAGS: Final = ("unpriced_only", "dry_run")
TEXT_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class AskedStep:
    """One step that is asked for. ``first`` tells that none came before it."""

    question: RepricingQuestion
    dry_run: bool
    first: bool


def asked_step(body: Mapping[str, Any], now_us: int, zone: str = DEFAULT_ZONE) -> AskedStep:
    """Read what is asked. Without ``dry_run: false`` nothing is written. Raises BadQuestion."""
    for name, value in body.items():
        if name not in {*TEXTS, *FLAGS}:
            raise BadQuestion(quoted(str(name)), f"no such field; {one_of((*TEXTS, *FLAGS))}")
        if name in TEXTS and not (isinstance(value, str) and len(value) <= TEXT_CHARS_MAX):
            raise BadQuestion(name, f"a text of at most {TEXT_CHARS_MAX} characters")
        if name in FLAGS and not isinstance(value, bool):
            raise BadQuestion(name, "true or false")
    time = {name: body[name] for name in ("period", "from", "to", "tz") if body.get(name)}
    if not {"period", "from"} & time.keys():
        raise BadQuestion("from", "say since when: a date or a time in ISO 8601")
    period = read_period(time, now_us, zone)
    start_us, cursor = period.start_us, body.get("cursor", "")
    if cursor:
        start_us = period_between(cursor, None, DEFAULT_ZONE, now_us).start_us
        if not period.start_us <= start_us < period.end_us:
            raise BadQuestion("cursor", "take next_cursor of the step before, and the same period")
    question = RepricingQuestion(
        start_us,
        period.end_us,
        body.get("model", ""),
        body.get("provider", ""),
        body.get("team", ""),
        body.get("unpriced_only", False),
    )
    return AskedStep(question, body.get("dry_run", True), first=not cursor)


def step_document(step: RepricingStep, asked: AskedStep, total: int | None) -> dict[str, Any]:
    """Give the document of one step. ``total`` is how many entries all steps will look at."""
    return {
        "price_version": step.price_version,
        "dry_run": asked.dry_run,
        "total": total,
        "seen": step.seen,
        "corrected": step.corrected,
        "kept": step.kept,
        "unpriced": step.unpriced,
        "changes": [_change(change) for change in step.changes],
        "closed": [
            {
                "month": left.month,
                "entries": left.entries,
                "difference_usd": usd_text(left.difference_nanos),
            }
            for left in step.closed
        ],
        "next_cursor": None if step.next_us is None else time_text(step.next_us),
    }


def _change(change: Change) -> dict[str, Any]:
    before = change.before_nanos
    return {
        "provider": change.provider,
        "model": change.model,
        "why": change.why,
        "price_version_before": change.version_before,
        "entries": change.entries,
        "cost_before_usd": None if before is None else usd_text(before),
        "cost_after_usd": usd_text(change.after_nanos),
        "difference_usd": usd_text(change.difference_nanos),
        "list_difference_usd": usd_text(change.list_difference_nanos),
    }
