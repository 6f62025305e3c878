"""Price rules that people make: contracts, discounts, own prices. Made, listed, ended.

None is changed or deleted. Ending one lets it hold no longer; what it priced stays priced,
and an entry of its time can be priced again as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tollkeeper.clock import second_text
from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.price_rules import ALWAYS_US, PriceRule, StoredRule
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.ports import Store
from tollkeeper.telemetry import logger

RULES_MAX: Final = 1_000
NAME_CHARS_MAX: Final = 200
REASON_CHARS_MAX: Final = 1_000
_PRICES_CHARS_MAX: Final = 3_000
_ids: Final = IdMint()


class Terms(NamedTuple):
    """What decides prices now.

    ``accounts`` maps the operator's names of providers to where their prices stand in the
    book. ``rules`` are those of the configuration, which come after those of the store.
    """

    book: PriceBook
    accounts: Mapping[str, str]
    seat_plans: Sequence[SeatPlan] = ()
    rules: Sequence[PriceRule] = ()


def make_rule(store: Store, rule: PriceRule, by: str, now_us: int) -> StoredRule:
    """Keep a new rule, which is tried before all older ones. ``by`` says who makes it.

    A rule without a beginning holds from now on: it never changes what was booked before.
    Raises BadRequest for a rule that cannot be used, Conflict where there are too many.
    """
    rule = _clean(rule)
    if rule.since_us == -ALWAYS_US:
        rule = rule._replace(since_us=now_us)
    problem = rule.problem() or _too_long(rule)
    if problem:
        raise BadRequest(problem, code="price_rule_unusable")
    if len(store.price_rules()) >= RULES_MAX:
        raise Conflict(f"there are {RULES_MAX} price rules already", code="too_many_price_rules")
    stored = StoredRule(_ids.next(now_us // 1000), rule, now_us, by)
    store.add_price_rule(stored)
    logger.info("price rule made", extra={"rule": stored.rule_id, "called": rule.name, "by": by})
    return stored


def end_rule(store: Store, rule_id: str, by: str, now_us: int) -> StoredRule:
    """Let a rule hold no longer than now. One that has ended keeps its end.

    A rule that has not begun ends at its beginning, so that it never holds. Raises NotFound.
    """
    with store.together():
        for stored in store.price_rules():
            if stored.rule_id == rule_id:
                break
        else:
            raise NotFound(f"there is no price rule {rule_id!r}", code="price_rule_not_found")
        rule = stored.rule
        if rule.until_us <= now_us:
            return stored
        until_us = max(now_us, rule.since_us)
        store.end_price_rule(rule_id, until_us)
    logger.info("price rule ended", extra={"rule": rule_id, "by": by})
    return stored._replace(rule=rule._replace(until_us=until_us))


def state_of(rule: PriceRule, now_us: int) -> str:
    """Say in one word whether a rule holds: "active", "ended" or "planned"."""
    if rule.until_us <= now_us:
        return "ended"
    return "active" if rule.since_us <= now_us else "planned"


def rule_document(stored: StoredRule, now_us: int) -> dict[str, Any]:
    """Give a rule as data, for the API and the command line alike. Times are ISO 8601, UTC."""
    rule = stored.rule
    return {
        "id": stored.rule_id,
        "name": rule.name,
        "state": state_of(rule, now_us),
        "provider": rule.provider,
        "model": rule.model,
        "team": rule.team,
        "usd": dict(rule.usd),
        "discount_bp": rule.discount_bp,
        "since": second_text(rule.since_us if rule.since_us > -ALWAYS_US else None),
        "until": second_text(rule.until_us if rule.until_us < ALWAYS_US else None),
        "reason": rule.reason,
        "created_at": second_text(stored.created_at_us),
        "created_by": stored.created_by,
    }


def in_words(rule: PriceRule) -> str:
    """Say what a rule does to a price."""
    if rule.usd:
        return ", ".join(f"{name} ${price}" for name, price in rule.usd.items())
    percent = f"{abs(rule.discount_bp) / 100:g}%"  # for people; the price is made of integers
    return f"{percent} off" if rule.discount_bp > 0 else f"{percent} on top"


def _clean(rule: PriceRule) -> PriceRule:
    return rule._replace(
        name=rule.name.strip(),
        provider=rule.provider.strip() or "*",
        model=rule.model.strip() or "*",
        team=rule.team.strip() or "*",
        reason=rule.reason.strip(),
    )


def _too_long(rule: PriceRule) -> str:
    if max(map(len, (rule.name, rule.provider, rule.model, rule.team))) > NAME_CHARS_MAX:
        return f"a name or a pattern is longer than {NAME_CHARS_MAX} characters"
    if len(rule.reason) > REASON_CHARS_MAX or len(repr(rule.usd)) > _PRICES_CHARS_MAX:
        return "the reason or the list of prices is too long"
    return ""
