"""The ledger entry: one line of the one true table.

Entries are only ever added. A correction is made of new entries that name the one they
correct (see ``domain.corrections``). Names (team, user, key) are those at the time of use.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, NamedTuple

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


TOKEN_FIELDS: tuple[tuple[str, str], ...] = tuple((f"{name}_tokens", name) for name in u.TOKENS)
"""Pairs (ledger field, quantity name) for every kind of token."""

_FIELD_OF: Final = {name: field for field, name in TOKEN_FIELDS}

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
    """Count the entry as a refusal, which is no request."""
    return weight(entry) if entry.part == 0 and entry.outcome == Outcome.REFUSED else 0


def error_count(entry: LedgerEntry) -> int:
    """Count the entry as a request that failed, whoever was to blame."""
    return weight(entry) if entry.part == 0 and entry.outcome in ERROR_OUTCOMES else 0


def unpriced_count(entry: LedgerEntry) -> int:
    """Count the entry as one whose cost is unknown, so that it is missing in every sum."""
    return weight(entry) if entry.cost_nanos is None else 0


def entries_of(held: Held, settled: Settled) -> list[LedgerEntry]:
    """Join both ends of a call to its entries: the call itself, then further models."""
    return [_entry(held, settled, number, part) for number, part in enumerate(settled.parts)]


def _entry(held: Held, settled: Settled, number: int, part: Part) -> LedgerEntry:
    profile, quantities = held.profile, part.quantities
    tokens: dict[str, int] = {}
    others = False
    for name, count in quantities.items():
        field = _FIELD_OF.get(name)
        if field is None:
            others = True
        else:
            tokens[field] = count
    return LedgerEntry(
        entry_id=f"{held.entry_id}.{number}" if number else held.entry_id,
        call_id=held.call_id,
        started_at_us=held.started_at_us,
        org=profile.org,
        attempt=held.attempt,
        part=number,
        duration_ms=settled.duration_ms,
        ttft_ms=settled.ttft_ms,
        team=profile.team,
        user_id=profile.user_id,
        user_name=profile.user_name,
        key_id=profile.key_id,
        key_name=profile.key_name,
        end_customer=profile.end_customer,
        session_id=profile.session_id,
        tool=profile.tool,
        tool_version=profile.tool_version,
        provider=profile.provider,
        model_requested=profile.model_requested,
        model_served=part.model,
        endpoint=profile.endpoint,
        wire=profile.wire,
        streamed=profile.streamed or settled.streamed,
        status=settled.status,
        outcome=settled.outcome,
        error_code=settled.error_code,
        basis=part.basis,
        unpriced_reason=part.reason,
        units={name: quantities[name] for name in u.UNITS if name in quantities} if others else {},
        cost_nanos=part.cost_nanos,
        list_cost_nanos=part.list_cost_nanos,
        saved_nanos=part.saved_nanos,
        price_version=settled.price_version,
        price_key=part.price_key,
        tier=part.tier,
        tags=profile.tags,
        request_id_upstream=settled.request_id,
        usage_raw=part.usage_raw,
        price_provider=profile.price_provider,
        tier_served=part.tier_served,
        batch=part.batch,
        speed=part.speed,
        geo=part.geo,
        stated=part.stated,
        provider_cost_nanos=part.provider_cost_nanos,
        terms=part.terms,
        provider_list_nanos=part.provider_list_nanos,
        **tokens,  # type: ignore[arg-type]  # only the token fields, which are ints
    )
