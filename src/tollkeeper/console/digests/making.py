"""Puts a digest together: what an audience sees of one week, and of how things stand now."""

from __future__ import annotations

from tollkeeper.console.digests import spending, standing
from tollkeeper.console.digests.content import (
    Digest,
    Link,
    Places,
    Section,
    Sources,
    called,
    headline_of,
    scope_of,
)
from tollkeeper.console.links import Links
from tollkeeper.domain.digests import Week
from tollkeeper.domain.mails import Picture
from tollkeeper.reports import formatting
from tollkeeper.reports.digest import WeekSpend, week_period, week_spend
from tollkeeper.reports.period import Period
from tollkeeper.services.digests import Audience


def make_digest(sources: Sources, audience: Audience, week: Week, zone: str) -> Digest:
    """Make the digest of a week that is over in the zone.

    Raises BadQuestion for one that is not, LedgerUnavailable, and OSError from the store.
    """
    now_us = sources.now_us()
    period = week_period(week, zone, now_us)
    scope = scope_of(sources.org, audience)
    spend = week_spend(sources.ledger, scope, period)
    places = _places(sources.address, period)
    stretch = spend.by_model.stretch
    is_empty = not (stretch.now.entries or stretch.before.entries)
    spent, pictures = ((), ()) if is_empty else _spent(sources, spend, week, places)
    sections = (
        *(() if is_empty else (spending.week_section(stretch, places),)),
        standing.budgets_section(sources.store, scope, places, zone, now_us),
        standing.alerts_section(sources.store, scope, places, period),
        *spent,
        standing.adoption_section(
            *(sources.adoption(), scope, week, sources.adoption_zone, places)
        ),
    )
    return Digest(
        week=week,
        zone=zone,
        audience=audience,
        about=called(audience.team or sources.org, "The organisation"),
        when=formatting.days(week.first_day, week.last_day),
        spend=spend,
        headline=headline_of(stretch),
        sections=sections,
        links=(
            Link("Open the week", places.at(places.links.overview())),
            Link("Its calls", places.at(places.links.calls())),
            Link("Budgets", places.at("/budgets")),
            Link("Adoption", places.at("/adoption")),
        ),
        pictures=pictures,
        is_empty=is_empty,
    )


def _spent(
    sources: Sources, spend: WeekSpend, week: Week, places: Places
) -> tuple[tuple[Section, ...], tuple[Picture, ...]]:
    """Draw and list the week by model, and by team where there are several."""
    views = [it for it in (spend.by_model, spend.by_team) if it is not None]
    sections: list[Section] = []
    pictures: list[Picture] = []
    for each in views:
        drawn, of_it = spending.by_day_section(each, week, sources.colours, places)
        sections += [drawn, spending.parts_section(each, places)]
        pictures += of_it
    sections += [spending.movers_section(each, places) for each in views]
    return tuple(sections), tuple(pictures)


def _places(address: str, period: Period) -> Places:
    def links(of: Period) -> Links:
        time = {"from": of.first_day.isoformat(), "to": of.last_day.isoformat()}
        return Links(time, period.zone)

    return Places(address, links(period), links(period.previous()))
