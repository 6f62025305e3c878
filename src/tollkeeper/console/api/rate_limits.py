"""``/api/v1/limits``: rate limits; list, set and remove them."""

from __future__ import annotations

import msgspec

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import PAGING, check_names, list_page, read_body, viewer_of
from tollkeeper.console.shared import Console
from tollkeeper.domain.budgets import ANY, BudgetScope
from tollkeeper.domain.rate_limits import SCOPES, RateRule, StoredRateRule
from tollkeeper.reports.questions import BadQuestion, one_of, quoted
from tollkeeper.services import rate_rules


class RateLimitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/limits``."""

    name: str
    scope: str
    match: str = ANY
    each: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel: int | None = None


def list_limits(console: Console, access: Access, question: Question) -> Answer:
    """List the rate limits, those of the configuration file too."""
    check_names(question.query, PAGING)
    rows = rate_rules.rule_documents(console.store, console.rate_limits())
    page = list_page(rows, question.query)
    return Document({"limits": list(page.rows), "next_cursor": page.next_cursor})


def set_limit(console: Console, access: Access, question: Question) -> Answer:
    """Make a rate limit, or change the one of its name."""
    check_names(question.query, ())
    body = read_body(question.body, RateLimitBody)
    if body.scope not in SCOPES:
        raise BadQuestion("scope", f"{quoted(body.scope)} is none; {one_of(SCOPES)}")
    rule = RateRule(
        "",
        body.name,
        BudgetScope(body.scope),
        body.match,
        body.each,
        body.requests_per_minute,
        body.tokens_per_minute,
        body.parallel,
    )
    by, fixed = viewer_of(access).name, console.rate_limits()
    stored = rate_rules.set_rule(console.store, rule, fixed, by, console.now_us())
    return Document(_document(console, stored), 201)


def remove_limit(console: Console, access: Access, question: Question) -> Answer:
    """Remove a rate limit."""
    check_names(question.query, ())
    rule_id, by = question.path["limit_id"], viewer_of(access).name
    removed = rate_rules.remove_rule(console.store, rule_id, console.rate_limits(), by)
    return Document(_document(console, removed))


def _document(console: Console, stored: StoredRateRule) -> dict[str, object]:
    emails = {user.user_id: user.email for user in console.store.users()}
    return rate_rules.rule_document(stored, emails)
