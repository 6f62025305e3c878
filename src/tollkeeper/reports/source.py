"""Answers the API's questions from a ledger in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from tollkeeper.domain.access import Scope
from tollkeeper.domain.adoption import GROUP_MIN
from tollkeeper.domain.explanation import UNEXPLAINED, Explanation
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.ports import Ledger, Membership
from tollkeeper.reports.adoption import publication, seen_by
from tollkeeper.reports.adoption_answers import adoption_document
from tollkeeper.reports.answers import call_document, calls_document, usage_document
from tollkeeper.reports.bridge import changes
from tollkeeper.reports.bridge_answers import changes_document
from tollkeeper.reports.call import call
from tollkeeper.reports.calls import calls
from tollkeeper.reports.forecast import forecast
from tollkeeper.reports.forecast_answers import forecast_document
from tollkeeper.reports.parameters import (
    DEFAULT_ZONE,
    adoption_team,
    calls_question,
    changes_question,
    forecast_question,
    savings_question,
    usage_question,
)
from tollkeeper.reports.savings import savings
from tollkeeper.reports.savings_answers import savings_document
from tollkeeper.reports.savings_prices import SavingsPrices
from tollkeeper.reports.usage import usage

Explain = Callable[[LedgerEntry], Explanation]
NO_PRICES: Final = PriceBook("none", {})
NO_ACCOUNTS: Final[Mapping[str, str]] = {}


def unexplained(entry: LedgerEntry) -> Explanation:
    """Explain nothing: for where no price book is at hand."""
    return UNEXPLAINED


class LedgerReports:
    """Implements ``ports.ReportSource`` for one viewer's scope.

    ``now_us`` is asked once for each question. ``explain`` explains the price of an entry.
    ``memberships`` says who was in which team when; ``group_min`` is how many a group has at least.
    ``book`` has the prices of now, ``accounts`` says where each provider of ours stands in it.
    """

    def __init__(
        self,
        ledger: Ledger,
        scope: Scope,
        now_us: Callable[[], int],
        *,
        explain: Explain = unexplained,
        zone: str = DEFAULT_ZONE,
        memberships: Callable[[], Iterable[Membership]] = tuple,
        group_min: int = GROUP_MIN,
        book: PriceBook = NO_PRICES,
        accounts: Mapping[str, str] = NO_ACCOUNTS,
    ) -> None:
        self._ledger = ledger
        self._scope = scope
        self._now_us = now_us
        self._explain = explain
        self._zone = zone
        self._memberships = memberships
        self._group_min = group_min
        self._book = book
        self._accounts = accounts

    def usage(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/usage``."""
        question = usage_question(parameters, self._now_us(), self._zone)
        return usage_document(usage(self._ledger, self._scope, question))

    def calls(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/calls``."""
        question = calls_question(parameters, self._now_us(), self._zone)
        return calls_document(calls(self._ledger, self._scope, question))

    def call(self, call_id: str) -> dict[str, Any]:
        """Answer ``GET /api/v1/calls/{id}``."""
        detail = call(self._ledger, self._scope, call_id)
        explained = [each.explained(self._explain(each.entry)) for each in detail.entries]
        return call_document(replace(detail, entries=tuple(explained)))

    def adoption(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/adoption``."""
        team = adoption_team(parameters)
        counted = publication(
            *(self._ledger, self._scope.org, self._memberships()),
            *(self._zone, self._group_min, self._now_us()),
        )
        found = seen_by(self._scope, counted, self._zone)
        return adoption_document(found.of_team(team) if team else found)

    def savings(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/savings``."""
        question = savings_question(parameters, self._now_us(), self._zone)
        prices = SavingsPrices(self._book, self._accounts)
        return savings_document(savings(self._ledger, self._scope, question, prices))

    def forecast(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/forecast``."""
        zone, filters = forecast_question(parameters, self._zone)
        return forecast_document(forecast(self._ledger, self._scope, zone, filters, self._now_us()))

    def changes(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/changes``."""
        now_us = self._now_us()
        question = changes_question(parameters, now_us, self._zone)
        return changes_document(changes(self._ledger, self._scope, question, self._book, now_us))
