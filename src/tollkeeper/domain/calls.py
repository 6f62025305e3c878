"""A call as admission, settlement and the journal see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tollkeeper.domain.access import NO_TAGS


class Held(NamedTuple):
    """What is known of a call before its first byte goes to a provider.

    Written to the journal first, so that a call which dies with the gateway can still be
    accounted for. Field order is the journal's format: add at the end only.

    ``sent`` is true when the upstream connection stood ready, so that the request's bytes
    follow at once; otherwise a separate record says later that they went out.
    ``estimate`` holds the exclusive quantities to book if nothing more is ever learned.
    ``flat_rate`` marks a call paid by the vendor's own subscription.
    """

    entry_id: str
    call_id: str
    started_at_us: int
    org: str
    attempt: int
    sent: bool
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
    estimate: Mapping[str, int] = {}
