"""A call as admission, settlement and the journal see it.

The field order of these tuples is the journal's format: add at the end only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tollkeeper.domain.access import NO_TAGS
from tollkeeper.domain.jobs import JobMark
from tollkeeper.domain.usage import NO_QUANTITIES


class Profile(NamedTuple):
    """What many calls of one caller have in common: who, what for, where to.

    ``model`` is the name that the provider is asked for, ``model_requested`` the caller's.
    ``price_provider`` is where its price stands. ``flat_rate`` marks calls that are paid by
    the vendor's own subscription. Names are those at the time of the call.
    """

    org: str
    team: str
    user_id: str
    user_name: str
    key_id: str
    key_name: str
    end_customer: str
    session_id: str
    tool: str
    tool_version: str
    provider: str
    price_provider: str
    model: str
    model_requested: str
    endpoint: str
    wire: str
    streamed: bool
    flat_rate: bool
    tier: str = ""
    tags: Mapping[str, str] = NO_TAGS


class Held(NamedTuple):
    """A call before its first byte goes to a provider.

    Written to the journal first, so that a call which dies with the gateway can still be
    accounted for. ``sent`` is true when the upstream connection stood ready, so that the
    request's bytes follow at once; otherwise a separate record says later that they went.
    ``prompt_bytes`` and ``output_tokens`` are what to go by if nothing more is ever learned:
    the size of the request (0 where that says nothing) and a guess at the reply. The request
    itself may fix what is billed (characters to be spoken): ``asked_units``, and the terms of
    their price, ``asked_terms`` (see ``domain.usage``). ``hold_nanos`` is what budgets in USD
    hold for it, 0 where none concerns it: so much is spent of them if its cost stays unknown.
    """

    entry_id: str
    call_id: str
    started_at_us: int
    attempt: int
    sent: bool
    prompt_bytes: int
    output_tokens: int
    profile: Profile
    asked_units: Mapping[str, int] = NO_QUANTITIES
    asked_terms: str = ""
    hold_nanos: int = 0


class Part(NamedTuple):
    """What one model did in a call, and what that costs (nano-dollars, None if unknown).

    ``model`` is the one that answered. ``reason`` says why the cost is unknown. The last
    fields are what a price depends on besides, so that the same part can be priced again:
    the provider's own words for what was served, whether it stated this usage itself, and
    the amounts that it stated (None where it stated none).
    """

    model: str
    quantities: Mapping[str, int]
    basis: str
    cost_nanos: int | None
    list_cost_nanos: int | None
    saved_nanos: int | None = None
    reason: str = ""
    price_key: str = ""
    tier: str = ""
    usage_raw: str = ""
    tier_served: str = ""
    batch: bool = False
    speed: str = ""
    geo: str = ""
    stated: bool = True
    provider_cost_nanos: int | None = None
    terms: str = ""
    provider_list_nanos: int | None = None


class Settled(NamedTuple):
    """How a held call ended: its last record. ``parts`` begins with the call's own model.

    ``status`` is what the provider answered, 0 for nothing; times are milliseconds.
    ``streamed`` tells that the reply was a stream, also where the request had not yet said so
    when the call was held. ``job`` is set where the call has to do with work whose usage
    arrives later.
    """

    entry_id: str
    status: int
    outcome: str
    error_code: str
    duration_ms: int
    ttft_ms: int | None
    request_id: str
    price_version: str
    parts: list[Part]
    streamed: bool = False
    job: JobMark | None = None
