"""Findings of waste as the page writes them, with the calls behind each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.links import Links
from tollkeeper.console.shared import Console
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.comparison import Change
from tollkeeper.reports.savings import UsedModel
from tollkeeper.reports.savings_caches import CacheSavings
from tollkeeper.reports.savings_findings import Finding, Group, Stake
from tollkeeper.reports.savings_prices import SavingsPrices
from tollkeeper.reports.savings_what_if import EVERY, WhatIf
from tollkeeper.reports.savings_words import CACHES, FINDINGS, Words, left_words

_ORDER: Final = ("key", "model", "tool", "team")
_DAY: Final = "%a %b %-d, %H:%M"


class GroupLine(NamedTuple):
    """One part: ``cells`` has the text and the whole text of each column."""

    cells: tuple[tuple[str, str], ...]
    when: str
    note: str
    calls: str
    calls_full: str
    money: str
    money_full: str
    unknown: int
    href: str


class FindingLines(NamedTuple):
    """One finding. ``place`` is its anchor, ``columns`` head its parts."""

    place: str
    words: Words
    money: str
    money_full: str
    before: str
    delta: formatting.ChangeText
    counted: str
    unknown: int
    more: bool
    columns: tuple[str, ...]
    lines: tuple[GroupLine, ...]


class CacheLines(NamedTuple):
    """What caches saved, by each dimension."""

    words: Words
    net: str
    net_full: str
    before: str
    delta: formatting.ChangeText
    read: str
    written: str
    read_tokens: str
    written_tokens: str
    unknown: int
    flat_rate: str
    own: str
    tables: tuple[tuple[str, tuple[GroupLine, ...]], ...]


class MovedLine(NamedTuple):
    """Calls of one model, and what they would have cost."""

    model: str
    provider: str
    calls: str
    now: str
    then: str
    difference: str
    direction: str
    href: str


class WhatIfLines(NamedTuple):
    """The answer of a what-if. ``left`` are sentences on what is in neither sum."""

    origin: str
    target: str
    now: str
    then: str
    difference: str
    share: str
    is_less: bool
    as_input: str
    lines: tuple[MovedLine, ...]
    left: tuple[str, ...]


def prices_of(console: Console) -> SavingsPrices:
    """Give what prices are found with now."""
    terms = console.terms()
    return SavingsPrices(terms.book, terms.accounts)


def finding_lines(found: Finding, links: Links) -> FindingLines:
    """Write a finding."""
    columns = tuple(name for name in _ORDER if any(name in group.keys for group in found.groups))
    return FindingLines(
        found.name.replace("_", "-"),
        FINDINGS[found.name],
        at_stake(found.now),
        formatting.money_full(found.now.usd),
        at_stake(found.before),
        _delta(found.now, found.before),
        _counted(found.now.calls),
        found.now.unknown,
        found.more,
        tuple(words.dimension(name).name for name in columns),
        _lines(found.groups, columns, links),
    )


def cache_lines(found: CacheSavings, links: Links) -> CacheLines:
    """Write what caches saved."""
    return CacheLines(
        CACHES,
        at_stake(found.now),
        formatting.money_full(found.now.usd),
        at_stake(found.before),
        _delta(found.now, found.before),
        formatting.money(found.read_usd),
        formatting.money(found.written_usd),
        formatting.count(found.read_tokens),
        formatting.count(found.written_tokens),
        found.now.unknown,
        formatting.count_full(found.flat_rate) if found.flat_rate else "",
        "" if found.own_usd is None else formatting.money(found.own_usd),
        tuple(
            (words.dimension(name).name, _lines(groups, (name,), links))
            for name, groups in found.groups.items()
            if groups
        ),
    )


def what_if_lines(found: WhatIf, links: Links) -> WhatIfLines:
    """Write the answer of a what-if."""
    difference = found.difference_usd
    share = abs(difference) / found.now_usd if found.now_usd else None
    return WhatIfLines(
        "all models" if found.origin is None else _named(str(found.origin)),
        str(found.target),
        formatting.money(found.now_usd),
        formatting.money(found.then_usd),
        formatting.money(abs(difference)),
        "" if share is None else formatting.share(share),
        difference < 0,
        formatting.count(found.as_input) if found.as_input else "",
        _moved(found, links),
        tuple(
            f"{_counted(each.calls)} {left_words(each.reason)}"
            + (f", {formatting.money(each.cost_usd)}" if each.cost_usd else "")
            for each in found.left
        ),
    )


def choices(models: Sequence[UsedModel]) -> tuple[tuple[str, str], ...]:
    """Offer what a what-if may move: values and names."""
    providers = dict.fromkeys(each.provider for each in models if each.provider)
    several = [(f"{each}/{EVERY}", f"All of {each}") for each in providers]
    return (
        ("", "All models"),
        *several,
        *(
            (f"{each.provider}/{each.model}", f"{each.provider}/{each.model}")
            for each in models
            if each.provider and each.model
        ),
    )


def at_stake(stake: Stake) -> str:
    """Write money at stake; what is not known is never $0."""
    return formatting.money(formatting.known_money(stake.usd, stake.unknown))


def _moved(found: WhatIf, links: Links) -> tuple[MovedLine, ...]:
    differences = [each.then_usd - each.now_usd for each in found.lines]
    columns = [
        formatting.money_column([each.now_usd for each in found.lines]),
        formatting.money_column([each.then_usd for each in found.lines]),
        formatting.money_column([abs(each) for each in differences]),
    ]
    return tuple(
        MovedLine(
            each.model,
            each.provider,
            formatting.count(each.calls),
            now,
            then,
            amount,
            "less" if difference < 0 else "more" if difference else "",
            links.narrowed("provider", each.provider).narrowed("model", each.model).calls(),
        )
        for each, difference, now, then, amount in zip(
            found.lines, differences, *columns, strict=True
        )
    )


def _named(origin: str) -> str:
    provider, _, model = origin.partition("/")
    return f"all of {provider}" if model == EVERY else origin


def _lines(groups: Sequence[Group], columns: Sequence[str], links: Links) -> tuple[GroupLine, ...]:
    amounts = [formatting.known_money(each.stake.usd, each.stake.unknown) for each in groups]
    return tuple(
        _line(group, columns, links, money)
        for group, money in zip(groups, formatting.money_column(amounts), strict=True)
    )


def _line(group: Group, columns: Sequence[str], links: Links, money: str) -> GroupLine:
    return GroupLine(
        tuple(_cell(group, name) for name in columns),
        _when(group, links.zone),
        group.note,
        formatting.count(group.stake.calls),
        formatting.count_full(group.stake.calls),
        money,
        formatting.money_full(group.stake.usd),
        group.stake.unknown,
        _href(group, links),
    )


def _cell(group: Group, name: str) -> tuple[str, str]:
    value = group.keys.get(name, "")
    shown = (group.name or value) if name == "key" else value
    return shown or words.dimension(name).none, value


def _when(group: Group, zone: str) -> str:
    """Write when it was: ``Tue Nov 24, 09:14 - 09:31``."""
    if group.first_us is None or group.last_us is None:
        return ""
    info = zones.zone_info(zone)
    first, last = (zones.local_time(at_us, info) for at_us in (group.first_us, group.last_us))
    end = f"{last:%H:%M}" if first.date() == last.date() else f"{last:{_DAY}}"
    return f"{first:{_DAY}} \N{EN DASH} {end}"


def _href(group: Group, links: Links) -> str:
    """Lead to the calls behind a part, or those that it is among."""
    keys: Mapping[str, str] = group.keys
    for name, value in keys.items():
        links = links.narrowed(name, value)
    if group.first_us is not None and group.last_us is not None:
        info = zones.zone_info(links.zone)
        start, end = (
            zones.local_time(at_us, info).isoformat(timespec="seconds")
            for at_us in (group.first_us, group.last_us)
        )
        links = links.during(**{"from": start, "to": end})
    return links.calls()


def _delta(now: Stake, before: Stake) -> formatting.ChangeText:
    change = Change(now.usd, before.usd)
    return formatting.change(change.ratio, now=change.now, before=change.before)


def _counted(calls: int) -> str:
    return f"{formatting.count(calls)} {'call' if calls == 1 else 'calls'}"
