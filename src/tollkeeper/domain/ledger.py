"""The ledger entry: one line of the one true table.

Entries are only ever added. A correction is made of new entries that name the one they
correct (see ``domain.corrections``). Names (team, user, key) are those at the time of use.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.access import NO_TAGS
from tollkeeper.domain.calls import Held, Part, Settled


class Basis(enum.StrEnum):
    """How the cost of an entry is known."""

    PROVIDER_REPORTED = "provider_reported"  # the provider stated the cost itself
    MEASURED = "measured"  # the provider's usage times the price book
    ESTIMATED = "estimated"  # we counted, because the provider could not say
    UNPRICED = "unpriced"  # used, but no price is known: cost is NULL, never 0
    FLAT_RATE = "flat_rate"  # paid by a subscription: cost 0, list cost says its worth
    FREE = "free"  # known to cost nothing (refusals, errors, free endpoints, price 0)
    CACHED = "cached"  # answered by our own cache

    __hash__ = str.__hash__  # an enum's own is a function in Python, called for every look-up


UNPAID: Final = (Basis.UNPRICED, Basis.FLAT_RATE, Basis.CACHED)
"""Entries that were not paid by the token, or whose price is not known."""


class Outcome(enum.StrEnum):
    """How a call ended."""

    OK = "ok"
    UPSTREAM_ERROR = "upstream_error"  # the provider answered with an error status
    UPSTREAM_FAILED = "upstream_failed"  # no answer, or one that broke the protocol
    INCOMPLETE = "incomplete"  # the provider's stream broke off
    DISCONNECTED = "disconnected"  # the client left before the end
    REFUSED = "refused"  # the gateway said no
    INTERRUPTED = "interrupted"  # the gateway itself died during the call

    __hash__ = str.__hash__  # an enum's own is a function in Python, called for every look-up


class LedgerEntry(NamedTuple):
    """One attempt at one call. Field order is the journal's format: add at the end only.

    A call that billed several models has one entry for each: ``part`` 0 is the call itself,
    1 and up are the further models; only part 0 counts as a request.

    Times are epoch microseconds UTC; money is nano-dollars; ``cost`` is None when it is
    not known. Token fields are exclusive quantities (see ``domain.usage``).

    ``price_provider``, ``tier_served``, ``batch``, ``speed``, ``geo``, ``terms`` and
    ``stated`` are what a price depends on besides quantities, model and time.
    ``provider_cost_nanos`` is the cost that the provider stated, booked or not, and
    ``provider_list_nanos`` what it says that another bills.

    A correction with a ``revision`` comes as a pair: the entry of ``sign`` -1 takes back all
    that was booked before it, counts and amounts, and the one of sign 1 books it anew, so
    sums of any group come out right. One without a revision only adds its amounts.
    ``correction`` says why, ``corrected_at_us`` when; ``started_at_us`` stays the call's.

    A refusal may stand for others just like it that came in the seconds before: ``repeats``
    says for how many (see ``services.refusal_memory``).

    ``model_asked`` is the name that the provider was asked for, by which budgets go.
    ``held_nanos`` is what budgets in USD count in place of a cost that is not known, None where
    it is known.
    """

    entry_id: str
    call_id: str
    started_at_us: int
    org: str
    attempt: int = 1
    part: int = 0
    corrects: str = ""
    source: str = "gateway"
    duration_ms: int = 0
    ttft_ms: int | None = None
    team: str = ""
    user_id: str = ""
    user_name: str = ""
    key_id: str = ""
    key_name: str = ""
    end_customer: str = ""
    session_id: str = ""
    tool: str = ""
    tool_version: str = ""
    provider: str = ""
    model_requested: str = ""
    model_served: str = ""
    endpoint: str = ""
    wire: str = ""
    streamed: bool = False
    status: int = 0
    outcome: str = Outcome.OK
    error_code: str = ""
    basis: str = Basis.UNPRICED
    unpriced_reason: str = ""
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    input_video_tokens: int = 0
    input_tool_tokens: int = 0
    cache_read_audio_tokens: int = 0
    cache_read_image_tokens: int = 0
    cache_read_video_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    output_video_tokens: int = 0
    units: Mapping[str, int] = u.NO_QUANTITIES
    cost_nanos: int | None = None
    list_cost_nanos: int | None = None
    saved_nanos: int | None = None
    price_version: str = ""
    price_key: str = ""
    tier: str = ""
    tags: Mapping[str, str] = NO_TAGS
    request_id_upstream: str = ""
    usage_raw: str = ""
    price_provider: str = ""
    tier_served: str = ""
    batch: bool = False
    speed: str = ""
    geo: str = ""
    stated: bool = True
    provider_cost_nanos: int | None = None
    terms: str = ""
    provider_list_nanos: int | None = None
    revision: int = 0
    sign: int = 1
    corrected_at_us: int | None = None
    correction: str = ""
    repeats: int = 0
    model_asked: str = ""
    held_nanos: int | None = None


TOKEN_FIELDS: tuple[tuple[str, str], ...] = tuple((f"{name}_tokens", name) for name in u.TOKENS)
"""Pairs (ledger field, quantity name) for every kind of token."""

_PLACE_OF: Final = {name: place for place, name in enumerate(u.TOKENS)}
_AS_IT_WAS: Final = (0, 1, None, "", 0)
"""Revision, sign, time and reason of an entry that no correction made; it repeats nothing."""

_NO_TOKENS: Final = (0,) * len(u.TOKENS)

ERROR_OUTCOMES: Final = frozenset(
    {
        Outcome.UPSTREAM_ERROR,
        Outcome.UPSTREAM_FAILED,
        Outcome.INCOMPLETE,
        Outcome.INTERRUPTED,
    }
)


def is_attempt(entry: LedgerEntry) -> bool:
    """Tell whether an entry is an attempt at a call, not a further model or a correction."""
    return entry.part == 0 and not entry.corrects


def weight(entry: LedgerEntry) -> int:
    """Say how much an entry counts: 1, -1 where it takes another back, 0 where it only adds."""
    return entry.sign if entry.revision or not entry.corrects else 0


def request_count(entry: LedgerEntry) -> int:
    """Count the entry as a request: an attempt that was let through."""
    return weight(entry) if entry.part == 0 and entry.outcome != Outcome.REFUSED else 0


def refusal_count(entry: LedgerEntry) -> int:
    """Count the entry as refusals, which are no requests: itself, and what it repeats."""
    if entry.part != 0 or entry.outcome != Outcome.REFUSED:
        return 0
    return weight(entry) * (1 + entry.repeats)


def error_count(entry: LedgerEntry) -> int:
    """Count the entry as a request that failed, whoever was to blame."""
    return weight(entry) if entry.part == 0 and entry.outcome in ERROR_OUTCOMES else 0


def unpriced_count(entry: LedgerEntry) -> int:
    """Count the entry as one whose cost is unknown, so that it is missing in every sum."""
    return weight(entry) if entry.cost_nanos is None else 0


def entries_of(held: Held, settled: Settled) -> list[LedgerEntry]:
    """Join both ends of a call to its entries: the call itself, then further models."""
    entries, unknown_nanos = [], held.hold_nanos
    for number, part in enumerate(settled.parts):
        if part.cost_nanos is None:  # the first such one stands for all of them
            entries.append(_entry(held, settled, number, part, unknown_nanos))
            unknown_nanos = 0
        else:
            entries.append(_entry(held, settled, number, part, None))
    return entries


def _entry(
    held: Held, settled: Settled, number: int, part: Part, held_nanos: int | None
) -> LedgerEntry:
    """Put an entry together, by place: with names it would take twice the time."""
    profile = held.profile
    tokens, units = _by_place(part.quantities)
    return LedgerEntry._make(
        (
            f"{held.entry_id}.{number}" if number else held.entry_id,
            held.call_id,
            held.started_at_us,
            profile.org,
            held.attempt,
            number,
            "",  # corrects nothing
            "gateway",
            settled.duration_ms,
            settled.ttft_ms,
            *profile[1:11],  # from the team to the provider
            profile.model_requested,
            part.model,
            profile.endpoint,
            profile.wire,
            profile.streamed or settled.streamed,
            settled.status,
            settled.outcome,
            settled.error_code,
            part.basis,
            part.reason,
            *tokens,
            units,
            part.cost_nanos,
            part.list_cost_nanos,
            part.saved_nanos,
            settled.price_version,
            part.price_key,
            part.tier,
            profile.tags,
            settled.request_id,
            part.usage_raw,
            profile.price_provider,
            part.tier_served,
            part.batch,
            part.speed,
            part.geo,
            part.stated,
            part.provider_cost_nanos,
            part.terms,
            part.provider_list_nanos,
            *_AS_IT_WAS,
            profile.model,
            held_nanos,
        )
    )


def _by_place(quantities: Mapping[str, int]) -> tuple[list[Any], Mapping[str, int]]:
    """Give the counts of all kinds of tokens, in their order, and what is billed by the piece."""
    tokens: list[Any] = list(_NO_TOKENS)
    units: Mapping[str, int] = {}
    for name, count in quantities.items():
        place = _PLACE_OF.get(name)
        if place is not None:
            tokens[place] = count
        elif not units:
            units = {name: quantities[name] for name in u.UNITS if name in quantities}
    return tokens, units
