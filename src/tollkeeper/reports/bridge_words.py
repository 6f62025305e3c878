"""The causes of a change in words: what each is called, and why one amount changed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from tollkeeper.domain.bridge import Cause
from tollkeeper.reports import formatting

if TYPE_CHECKING:
    from tollkeeper.reports.bridge import Bridge

SAID_MAX: Final = 3
_ENOUGH: Final = Decimal("0.8")  # of what pulled in the direction of the change
_WORTH_SAYING: Final = Decimal("0.25")  # of the change, for what pulled against it
_STILL: Final = Decimal("0.02")  # of a size, under which it counts as the same


class CauseWords(NamedTuple):
    """``name`` stands in tables, ``meaning`` is a sentence; ``up`` and ``down`` say what it did."""

    name: str
    meaning: str
    up: str
    down: str


CAUSES: Final[Mapping[Cause, CauseWords]] = {
    Cause.VOLUME: CauseWords(
        "Volume",
        "More or fewer requests, each as dear as before.",
        "more requests",
        "fewer requests",
    ),
    Cause.MIX: CauseWords(
        "Model mix",
        "The same number of requests, made with other models or tiers. A tier is whatever has "
        "prices of its own: batches, very long prompts, calls with tools billed by the piece.",
        "dearer models or tiers",
        "cheaper models or tiers",
    ),
    Cause.PROMPT_SIZE: CauseWords(
        "Prompt size",
        "Tokens in per request, whether from a cache or not.",
        "longer prompts",
        "shorter prompts",
    ),
    Cause.OUTPUT_SIZE: CauseWords(
        "Reply size",
        "Tokens out per request, reasoning included.",
        "longer replies",
        "shorter replies",
    ),
    Cause.CACHE: CauseWords(
        "Cache",
        "Which part of the tokens in was read from a provider's cache or written to one.",
        "less from caches",
        "more from caches",
    ),
    Cause.PRICE: CauseWords(
        "Price",
        "What the same tokens of the same model cost, with what is billed by the piece.",
        "higher prices",
        "lower prices",
    ),
    Cause.NEW: CauseWords(
        "New",
        "What was not used at all in the period before.",
        "new use",
        "new use that was paid back",
    ),
    Cause.ENDED: CauseWords(
        "Ended",
        "What was used in the period before, and not at all in this one.",
        "use that ended",
        "use that ended",
    ),
    Cause.OTHER: CauseWords(
        "Other",
        "What none of these can tell: models billed by the piece, and those whose price is known "
        "in only one of the two periods.",
        "what cannot be told apart",
        "what cannot be told apart",
    ),
}


def why(found: Bridge) -> str:
    """Say in a sentence or two by what an amount changed, the largest causes first."""
    difference = found.difference_usd
    effects = found.effects
    with_it = _largest(effects, rising=difference >= 0)
    against = _largest(effects, rising=difference < 0)
    if not with_it and not against:
        return "Nothing changed."
    said: list[str] = []
    so_far = Decimal(0)
    enough = _ENOUGH * sum(abs(amount) for _, amount in with_it)
    for cause, amount in with_it[:SAID_MAX]:
        if so_far >= enough and said:
            break
        said.append(_said(found, cause, amount))
        so_far += abs(amount)
    text = ", ".join(said)
    if against and abs(against[0][1]) >= _WORTH_SAYING * abs(difference):
        other = _said(found, *against[0])
        text = f"{text}; against that {other}" if text else other
    return f"{text[:1].upper()}{text[1:]}."


def _largest(effects: Mapping[Cause, Decimal], *, rising: bool) -> list[tuple[Cause, Decimal]]:
    found = [(cause, amount) for cause, amount in effects.items() if (amount > 0) is rising]
    return sorted(found, key=lambda each: -abs(each[1]))


def _said(found: Bridge, cause: Cause, amount: Decimal) -> str:
    words = CAUSES[cause]
    text = words.up if amount > 0 else words.down
    if cause is Cause.MIX and found.is_choice:
        text = "a larger part of all requests" if amount > 0 else "a smaller part of all requests"
    fact = fact_of(found, cause, rises=amount > 0)
    return f"{text}{f' ({fact})' if fact else ''} {signed(amount)}"


def signed(amount: Decimal) -> str:
    """Write an amount with its sign: ``+$12.40``."""
    return with_sign(formatting.money(amount), amount)


def with_sign(text: str, amount: Decimal) -> str:
    """Put a plus before the text of an amount that is one."""
    return f"+{text}" if amount > 0 else text


def fact_of(found: Bridge, cause: Cause, *, rises: bool) -> str:
    """Give the figures behind a cause, "" where those of all together say something else.

    A sum of several models may move the other way than each of them, or hardly at all: prompts
    that are one in a thousand shorter explain nothing, those of one model do.
    """
    before, now = found.before, found.now
    one: Decimal | None
    other: Decimal | None
    match cause:
        case Cause.VOLUME:
            one, other = Decimal(before.requests), Decimal(now.requests)
            texts = [f"{formatting.count(each.requests)}" for each in (before, now)]
            unit = ""
        case Cause.PROMPT_SIZE:
            one, other = before.tokens_in_each, now.tokens_in_each
            texts, unit = _counts(one, other), " tokens each"
        case Cause.OUTPUT_SIZE:
            one, other = before.tokens_out_each, now.tokens_out_each
            texts, unit = _counts(one, other), " tokens each"
        case Cause.CACHE:
            one, other = now.cached_share, before.cached_share  # the more the cheaper
            texts, unit = [formatting.share(other), formatting.share(one)], " of the tokens in"
        case _:
            return ""
    if one is None or other is None or one == other or (other > one) is not rises:
        return ""
    if cause in {Cause.PROMPT_SIZE, Cause.OUTPUT_SIZE} and abs(other - one) < _STILL * one:
        return ""
    return "" if texts[0] == texts[1] else f"{texts[0]} \N{RIGHTWARDS ARROW} {texts[1]}{unit}"


def _counts(*values: Decimal | None) -> list[str]:
    return [formatting.count(None if value is None else round(value)) for value in values]
