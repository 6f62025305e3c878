"""The operator's own terms as the page shows and takes them: price rules and flat-rate plans."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.shared import Console, Query
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.money import plain_price, usd
from tollkeeper.domain.price_rules import ALWAYS_US, ANY, PriceRule, StoredRule, basis_points_of
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.reports import formatting, zones
from tollkeeper.services import price_terms
from tollkeeper.services.price_terms import Terms

_STATES: Final[Mapping[str, words.Word]] = {
    "active": words.Word("Active", "It decides prices now.", "good"),
    "planned": words.Word("Planned", "It has not begun."),
    "ended": words.Word("Ended", "It decides no price any more."),
}

FIELDS: Final = (
    *("name", "provider", "model", "team", "kind", "percent"),
    *("input", "cache_read", "output", "since", "until", "reason"),
)
_TOKEN_FIELDS: Final = ("input", "cache_read", "output")


class RuleLine(NamedTuple):
    """One of the operator's rules. ``rule_id`` is "" where it stands in the file."""

    rule_id: str
    name: str
    whom: str
    effect: str
    during: str
    by: str
    reason: str
    state: words.Word
    may_end: bool


class PlanLine(NamedTuple):
    """One flat-rate plan."""

    name: str
    provider: str
    seats: int
    seat: str
    month: str


def read_rule(form: Query) -> PriceRule:
    """Read the form of a rule. Raises BadRequest."""
    own = form.get("kind") == "own"
    prices = {
        name: _amount(form[name]) for name in _TOKEN_FIELDS if own and form.get(name, "").strip()
    }
    return PriceRule(
        form.get("name", ""),
        form.get("provider", "") or ANY,
        form.get("model", "") or ANY,
        form.get("team", "") or ANY,
        prices,
        0 if own else _basis_points(form.get("percent", "")),
        _day_us(form, "since", -ALWAYS_US),
        _day_us(form, "until", ALWAYS_US),
        form.get("reason", ""),
    )


def _amount(text: str) -> str:
    price = plain_price(text.strip().removeprefix("$"))
    if price is None:
        raise BadRequest(f"{text[:40]!r} is no price in USD: write 1.25")
    return price


def _basis_points(text: str) -> int:
    points = basis_points_of(text or "0")
    if points is None:
        raise BadRequest(f"{text[:40]!r} is no discount: write 12.5")
    return points


def _day_us(form: Query, name: str, absent_us: int) -> int:
    """Read a day as its first moment in the viewer's zone."""
    text = form.get(name, "").strip()
    if not text:
        return absent_us
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{text[:40]!r} is no day: write 2027-01-31") from None
    return zones.epoch_us_of(datetime.combine(day, time.min, zones.zone_info(form["tz"])))


def rule_lines(console: Console, terms: Terms, zone: str, *, may_end: bool) -> tuple[RuleLine, ...]:
    """List the rules in the order in which they are tried."""
    now_us = console.now_us()
    made = console.store.price_rules()
    fixed = (StoredRule("", rule, 0, "tollkeeper.yaml") for rule in terms.rules)
    return tuple(_rule_line(each, zone, now_us, may_end=may_end) for each in (*made, *fixed))


def _rule_line(stored: StoredRule, zone: str, now_us: int, *, may_end: bool) -> RuleLine:
    rule = stored.rule
    state = price_terms.state_of(rule, now_us)
    whom = [
        f"{what} {pattern}"
        for what, pattern in (
            ("provider", rule.provider),
            ("model", rule.model),
            ("team", rule.team),
        )
        if pattern != ANY
    ]
    return RuleLine(
        stored.rule_id,
        rule.name,
        ", ".join(whom) or "everything",
        price_terms.in_words(rule),
        _during(rule, zone),
        stored.created_by,
        rule.reason,
        _STATES[state],
        may_end and bool(stored.rule_id) and state != "ended",
    )


def _during(rule: PriceRule, zone: str) -> str:
    def day(at_us: int) -> str:
        return f"{zones.local_time(at_us, zones.zone_info(zone)):%Y-%m-%d}"

    since = f"from {day(rule.since_us)}" if rule.since_us > -ALWAYS_US else ""
    until = f"until {day(rule.until_us)}" if rule.until_us < ALWAYS_US else ""
    return " ".join(part for part in (since, until) if part) or "always"


def plan_line(plan: SeatPlan) -> PlanLine:
    """Show a plan and what it costs a month."""
    month, seat = usd(plan.month_nanos), usd(plan.seat_nanos)
    return PlanLine(
        plan.name, plan.provider, plan.seats, formatting.money(seat), formatting.money(month)
    )
