"""Findings in words, for pages and the command line: what is counted, by which rule, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tollkeeper.reports import savings_rules as rules


class Words(NamedTuple):
    """``title`` heads a finding, ``short`` is the same in two words, ``rule`` says how it is
    found, ``advice`` what to do."""

    title: str
    short: str
    rule: str
    advice: str


FINDINGS: Final[Mapping[str, Words]] = {
    rules.EXPIRED: Words(
        "Expired prompt caches",
        "Expired caches",
        "Sessions with Anthropic's models that came back after the life of their cache (five "
        "minutes, or an hour where it was written for an hour) and wrote most of the prompt again. "
        "The money is what writing it again cost more than reading it, less what keeping it would "
        "have cost: reading it once in each life, or writing it for an hour, whichever is less.",
        "Let these tools ask for the cache of one hour, or start a new session after a break "
        "instead of going on with a long one.",
    ),
    rules.STORMS: Words(
        "Retry storms",
        "Retry storms",
        f"At least {rules.ERRORS_MIN} failed calls, or {rules.ALIKE_MIN} with "
        "the same number of input tokens, of one key with one model and endpoint in a minute; "
        "minutes that follow each other are one storm. Embeddings of one size are left out. The "
        "money is that of all its calls but the dearest.",
        "Ask whoever holds the key to wait longer between tries and to give up; a rate limit on "
        "the key stops the next storm.",
    ),
    rules.DUPLICATES: Words(
        "Calls that look like duplicates",
        "Look-alikes",
        "Calls that went well, of one key and session with one model and endpoint, with the same "
        "numbers of input and output tokens in the same ten minutes, from "
        f"{rules.IN_TOKENS_MIN} tokens in and {rules.OUT_TOKENS_MIN} out. No "
        "prompt is kept, so they only look alike. The money is that of all but the dearest.",
        "Look at what is asked twice: keep the answer, or send an idempotency key.",
    ),
    rules.SMALL_CALLS: Words(
        "Dear models for small calls",
        "Small calls",
        f"Calls with at most {rules.SMALL_OUT_TOKENS} tokens out and "
        f"{rules.SMALL_IN_TOKENS:,} in, on a model whose provider sells a smaller one of "
        "the same name, or another of its family that is used here, for half the price or less. "
        "The money is what the same tokens would have cost less there.",
        "Try the smaller model for these calls. Nothing here says that its answers are as good.",
    ),
}

CACHES: Final = Words(
    "Saved by prompt caches",
    "Caches saved",
    "What the same tokens would have cost as plain input, less what they did cost: reading from a "
    "cache is cheaper, writing to it may be dearer. It is worked out for each call when it is "
    "booked, at the prices of its time.",
    "Where a tool writes much and reads little, its prompts begin differently each time: put what "
    "stays the same first.",
)

_LEFT: Final[Mapping[str, str]] = {
    rules.TOO_MANY: "of too many different kinds to be read at once",
    rules.NO_PRICE_NOW: "whose cost is not known",
    rules.SUBSCRIPTION: "that a subscription pays",
    "unknown_model": "at times when the other model has no price",
    "unknown_tier": "of a tier that the other model has no price for",
    "unknown_speed": "of a speed that the other model has no price for",
    "unknown_geo": "of a place that the other model has no price for",
    "unknown_dimension": "with quantities that the other model has no price for",
}


def left_words(reason: str) -> str:
    """Say which calls a what-if leaves out."""
    kind, _, detail = reason.partition(":")
    return _LEFT.get(kind, reason) + (f" ({detail.replace('_', ' ')})" if detail else "")
