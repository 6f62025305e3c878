"""``/api/v1/prices/rules``: contracts, discounts and own prices; list, make and end them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import PAGING, check_names, list_page, read_body, viewer_of
from tollkeeper.console.shared import Console
from tollkeeper.domain.money import plain_price
from tollkeeper.domain.price_rules import ALWAYS_US, ANY, PriceRule
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.zones import epoch_us_of
from tollkeeper.services import price_terms


class NewPriceRuleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/prices/rules``. ``usd`` maps quantities to decimal texts."""

    name: str
    provider: str = ANY
    model: str = ANY
    team: str = ANY
    usd: dict[str, str] = {}
    discount_bp: int = 0
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""


def list_rules(console: Console, access: Access, question: Question) -> Answer:
    """List the price rules in the order in which they are tried, ended ones too."""
    check_names(question.query, PAGING)
    now_us = console.now_us()
    rows = [price_terms.rule_document(stored, now_us) for stored in console.store.price_rules()]
    page = list_page(rows, question.query)
    return Document({"rules": list(page.rows), "next_cursor": page.next_cursor})


def make_rule(console: Console, access: Access, question: Question) -> Answer:
    """Make a price rule, which is tried before all others."""
    check_names(question.query, ())
    body = read_body(question.body, NewPriceRuleBody)
    now_us = console.now_us()
    rule = PriceRule(
        body.name,
        body.provider,
        body.model,
        body.team,
        _plain_prices(body.usd),
        body.discount_bp,
        _moment_us("since", body.since, -ALWAYS_US),
        _moment_us("until", body.until, ALWAYS_US),
        body.reason,
    )
    stored = price_terms.make_rule(console.store, rule, viewer_of(access).name, now_us)
    return Document(price_terms.rule_document(stored, now_us), 201)


def end_rule(console: Console, access: Access, question: Question) -> Answer:
    """End a price rule; doing it again changes nothing."""
    check_names(question.query, ())
    now_us = console.now_us()
    ended = price_terms.end_rule(
        console.store, question.path["rule_id"], viewer_of(access).name, now_us
    )
    return Document(price_terms.rule_document(ended, now_us))


def _plain_prices(usd: Mapping[str, str]) -> dict[str, str]:
    """Write prices without exponents. Raises BadQuestion for what is no price."""
    plain = {}
    for name, text in usd.items():
        price = plain_price(text)
        if price is None:
            raise BadQuestion(f"usd.{name}"[:60], "a price in USD as a decimal text: 1.25")
        plain[name] = price
    return plain


def _moment_us(name: str, moment: datetime | None, absent_us: int) -> int:
    if moment is None:
        return absent_us
    if moment.tzinfo is None:
        raise BadQuestion(name, "needs an offset: 2027-01-31T12:00:00Z")
    return epoch_us_of(moment)
