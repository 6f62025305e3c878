"""The shape of price book data: what a compiled book and its overlay say, as plain dicts.

Prices are decimal strings in USD per ``PER[quantity]`` pieces. Times are ISO dates or
timestamps; a date alone means midnight UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NotRequired, TypedDict

from tollkeeper.domain import usage as u

REQUESTS: Final = "requests"
"""A fee for the call itself, whatever it used. Not a quantity of a usage: always one."""

PER: Final[Mapping[str, int]] = {
    **dict.fromkeys(u.TOKENS, 1_000_000),
    u.WEB_SEARCHES: 1_000,
    u.WEB_SEARCHES_PREVIEW: 1_000,
    u.FILE_SEARCHES: 1_000,
    u.RERANK_SEARCHES: 1_000,
    u.CODE_SESSIONS: 1,
    u.PAGES: 1_000,
    u.IMAGES: 1,
    u.AUDIO_MS: 3_600_000,
    u.INPUT_CHARACTERS: 1_000_000,
    u.CITATION_TOKENS: 1_000_000,
    u.SOCIAL_SEARCHES: 1_000,
    u.MAPS_SEARCHES: 1_000,
    u.CODE_EXECUTIONS: 1_000,
    u.ANNOTATED_PAGES: 1_000,
    u.MESSAGES: 1_000,
    u.VIDEO_MS: 1_000,
    u.OUTPUT_PIXELS: 1_000_000,
    u.CLASSIFICATIONS: 1_000,
    u.IMAGE_PIXELS: 1_000_000_000,
    u.VIDEO_PIXELS: 1_000_000_000,
    u.WEB_FETCHES: 1_000,
    u.WEB_SOURCES: 1_000,
    u.DOCUMENT_SEARCHES: 1_000,
    u.TOOL_CALLS: 1_000,
    u.GPU_MS: 3_600_000,
    u.CACHE_KEPT_TOKENS: 1_000_000,
    REQUESTS: 1_000,
}
"""How many pieces of each quantity a price is for."""


Prices = Mapping[str, str]
"""Quantity → decimal string in USD for ``PER[quantity]`` pieces."""

Tiers = Sequence[tuple[int, Prices]]
"""Long-context tiers: (prompt tokens, prices), ascending. The prices replace the ordinary ones
for the whole request."""


class PriceRow(TypedDict):
    """Prices that hold from a time on, or during a window (UTC; see ``price_windows``).

    ``above`` holds where the whole prompt is larger than so many tokens, ``at_least`` where it
    is as large or larger. ``daily`` are two times of day, ``weekdays`` ISO numbers (1 is
    Monday), ``holidays`` names a calendar of the provider on whose days the window is closed.
    Of the rows of a model's history, the last one that is active applies. ``said_by`` is the
    release that first said so, where it is not the book's own; ``source_usd`` what the source
    had literally where that was noise; ``replaced`` what the source said before a correction.
    """

    usd: Prices
    above: NotRequired[Tiers]
    at_least: NotRequired[Tiers]
    since: NotRequired[str]
    daily: NotRequired[tuple[str, str]]
    weekdays: NotRequired[Sequence[int]]
    holidays: NotRequired[str]
    said_by: NotRequired[str]
    source_usd: NotRequired[Prices]
    replaced: NotRequired[Prices]


class VariantRow(TypedDict):
    """Prices under a condition (``{"tier": "flex"}``): absolute, or factors on the ordinary ones.

    Beside ``tier`` and ``speed`` a condition may name any of a usage's terms
    (``{"search_context": "low"}``). The first variant that names a quantity decides its price.
    """

    when: Mapping[str, str]
    usd: NotRequired[Prices]
    above: NotRequired[Tiers]
    at_least: NotRequired[Tiers]
    multiply: NotRequired[Prices]
    since: NotRequired[str]
    said_by: NotRequired[str]
    source_usd: NotRequired[Prices]


class ModelRow(TypedDict):
    """All that is known of one model at one provider.

    ``aliases`` are further names for exactly this model. ``geo`` maps a place to the factor
    on token prices there. ``falls_back`` names the quantity whose price stands in for one
    that is not listed. ``votes`` is what other sources say of the ordinary prices: their name
    → quantity → price. ``said_by`` names the source of a row that fills a gap of the first
    one, ``gone`` the day since which the source lists the model no more.
    """

    model: str
    aliases: NotRequired[Sequence[str]]
    prices: Sequence[PriceRow]
    variants: NotRequired[Sequence[VariantRow]]
    geo: NotRequired[Mapping[str, str]]
    falls_back: NotRequired[Mapping[str, str]]
    votes: NotRequired[Mapping[str, Prices]]
    said_by: NotRequired[str]
    gone: NotRequired[str]


class ProviderRow(TypedDict):
    """One provider of the book.

    ``borrows`` lists providers whose standard prices apply to models that are not listed
    here. ``owns`` lists beginnings of model names that are this provider's own products:
    for routing a model that is too new for the book, never for its price. ``tiers`` maps the
    provider's words for what was served to the book's ("" is standard). ``usd`` replaces
    prices of all models here, borrowed ones included. ``renamed`` are names that mean another
    model from a time on: name → (since, model), ascending. ``calendars`` are holidays: name →
    ISO dates.
    """

    provider: str
    name: str
    models: Sequence[ModelRow]
    borrows: NotRequired[Sequence[str]]
    owns: NotRequired[Sequence[str]]
    tiers: NotRequired[Mapping[str, str]]
    falls_back: NotRequired[Mapping[str, str]]
    usd: NotRequired[Prices]
    renamed: NotRequired[Mapping[str, Sequence[tuple[str, str]]]]
    calendars: NotRequired[Mapping[str, Sequence[str]]]


class GapRow(TypedDict):
    """What another source has of a model.

    ``prices`` makes it a model that the first source does not list. Of a model that is listed,
    ``fills`` are ordinary prices for quantities that it has none for, ``variants`` and ``geo``
    conditions that it lacks, ``votes`` what others say of the prices that it has.
    """

    model: str
    said_by: NotRequired[str]
    aliases: NotRequired[Sequence[str]]
    prices: NotRequired[Sequence[PriceRow]]
    fills: NotRequired[Prices]
    variants: NotRequired[Sequence[VariantRow]]
    geo: NotRequired[Mapping[str, str]]
    votes: NotRequired[Mapping[str, Prices]]


EVIDENCE: Final[Mapping[str, str]] = {
    "page": "a stored copy of the vendor's own page was read",
    "list": "another price list, or its history, was read",
    "replies": "recorded replies show it",
    "text": "somebody else's text says so",
    "notes": "nothing was looked at but this project's own notes",
    "none": "there is nothing to look up: it decides where calls go, and no price",
}
"""What a correction rests on, from the best to none."""


class OverlayRow(TypedDict):
    """One reviewed correction: to the models named (globs), or to the whole provider.

    ``reason`` says why, ``source`` who publishes it, ``seen`` what was really looked at and
    ``evidence`` what that is (see ``EVIDENCE``); ``checked`` is the day on which it was looked
    at, and is missing where nothing was. Rows of older versions say less.

    ``adds`` are models that the source lacks. ``same_as`` gives one tier the variants of another
    ({"flex": "batch"}). ``prices`` replaces a model's whole history; ``past`` only what it cost
    before the moment ``until``, from which on the source is right. ``without`` takes away prices
    that the source has under a wrong quantity.
    """

    provider: str
    reason: str
    source: str
    evidence: NotRequired[str]
    seen: NotRequired[str]
    checked: NotRequired[str]
    models: NotRequired[Sequence[str]]
    adds: NotRequired[Sequence[ModelRow]]
    aliases: NotRequired[Sequence[str]]
    prices: NotRequired[Sequence[PriceRow]]
    past: NotRequired[Sequence[PriceRow]]
    until: NotRequired[str]
    without: NotRequired[Sequence[str]]
    usd: NotRequired[Prices]
    above: NotRequired[Tiers]
    variants: NotRequired[Sequence[VariantRow]]
    same_as: NotRequired[Mapping[str, str]]
    geo: NotRequired[Mapping[str, str]]
    falls_back: NotRequired[Mapping[str, str]]
    tiers: NotRequired[Mapping[str, str]]
    owns: NotRequired[Sequence[str]]
    renamed: NotRequired[Mapping[str, Sequence[tuple[str, str]]]]
    calendars: NotRequired[Mapping[str, Sequence[str]]]
