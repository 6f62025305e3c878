"""Views that people come back for, each with a name: addresses of Explore and other pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from tollkeeper.console.links import Links
from tollkeeper.domain.access import Viewer
from tollkeeper.reports.parameters import NO_GROUPS


class NamedView(NamedTuple):
    """One view. ``current`` tells that it is the one that is shown."""

    name: str
    href: str
    meaning: str
    current: bool = False


class _View(NamedTuple):
    """What a view asks for; ``period`` is "" where it keeps the one that is shown."""

    name: str
    meaning: str
    asked: tuple[tuple[str, str], ...]
    period: str = ""


FLOWS: Final = (("group_by", "team,tool,model"), ("view", "sankey"))
"""What shows the way of the money from teams by tools to models."""

_VIEWS: Final = (
    _View(
        "Total this month",
        "What this month has cost so far, beside the month before",
        (("group_by", NO_GROUPS), ("view", "table")),
        "month",
    ),
    _View(
        "30-day trend",
        "The cost of each of the last 30 days",
        (("group_by", NO_GROUPS), ("grain", "day")),
        "30d",
    ),
    _View("By model", "What each model cost", (("group_by", "model"),)),
    _View("By team", "What each team cost", (("group_by", "team"),)),
    _View(
        "By feature", "What each feature cost, by the tag feature", (("group_by", "tag:feature"),)
    ),
    _View(
        "Cost per request",
        "What a request costs, by model",
        (("metric", "cost_per_request_usd"), ("group_by", "model")),
    ),
    _View(
        "Cost per conversation",
        "What a session costs, by customer, the dearest first",
        (("metric", "cost_per_session_usd"), ("group_by", "customer"), ("sort", "value")),
    ),
    _View("Tokens", "Tokens by kind and model", (("metric", "tokens"), ("group_by", "model"))),
    _View(
        "Where it flows",
        "The cost from teams by tools to models",
        FLOWS,
    ),
    _View(
        "Hours of the week",
        "The cost by hour and weekday",
        (("group_by", NO_GROUPS), ("view", "heat")),
    ),
)
_LENSES: Final = (
    _View("Provider", "What each provider cost", (("group_by", "provider"),)),
    _View("Endpoint", "What each endpoint cost", (("group_by", "endpoint"),)),
    _View("Key", "What was spent with each key", (("group_by", "key"),)),
    _View("Model", "What each model cost", (("group_by", "model"), ("view", "table"))),
    _View(
        "Cache savings",
        "What prompt caches saved, by model",
        (("metric", "saved_usd"), ("group_by", "model")),
    ),
)
_BUDGETS: Final = NamedView(
    "Budgets", "/budgets", "How much of each budget is used, and until when it lasts"
)


def views(viewer: Viewer, links: Links) -> tuple[NamedView, ...]:
    """Give the views by name; they keep the zone and the filters that are on."""
    scope = viewer.scope
    one_team = scope.user_id is not None or (scope.teams is not None and len(scope.teams) < 2)
    found = [_named(each, links) for each in _VIEWS if not (each.name == "By team" and one_team)]
    return (*found, _BUDGETS)


def lenses(links: Links) -> tuple[NamedView, ...]:
    """Give the same question seen by other dimensions, beside the period before."""
    return tuple(_named(each, links) for each in _LENSES)


def _named(view: _View, links: Links) -> NamedView:
    timed = links.during(period=view.period) if view.period else links
    current = (not view.period or links.time.get("period") == view.period) and dict(
        links.also
    ) == dict(view.asked)
    return NamedView(view.name, replace(timed, also=view.asked).explore(), view.meaning, current)
