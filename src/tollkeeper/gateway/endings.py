"""How a call ended whose reply never came, or did not come to its end."""

from __future__ import annotations

from typing import NamedTuple

from tollkeeper.domain.errors import Refused, TollkeeperError, UpstreamFailed
from tollkeeper.domain.ledger import Outcome
from tollkeeper.gateway.reply_meter import ReplyMeter
from tollkeeper.services.settlement import Ending
from tollkeeper.wire.endpoints import Endpoint
from tollkeeper.wire.readings import Reading


class Unanswered(NamedTuple):
    """A call without a reply.

    ``sent`` tells that the request went out, ``works_on`` that the provider works on, and
    bills, when nobody waits any more.
    """

    endpoint: Endpoint
    sent: bool
    works_on: bool


def ending_without_reply(
    outcome: Outcome, error: TollkeeperError | None, duration_ms: int, call: Unanswered
) -> Ending:
    """Say how a call ended without a reply."""
    if error is None:  # abandoned before the reply began
        return Ending(
            0, outcome, duration_ms, output_bytes=0, complete=False, goes_on=call.works_on
        )
    # A refusal of ours cut the request short; a redirect is an answer that costs nothing.
    costless = isinstance(error, Refused) or error.code == "redirect"
    return Ending(
        error.status,
        outcome,
        duration_ms,
        error_code=error.code,
        free=costless or call.endpoint.free,
        complete=False,
        unknown=call.sent and not costless,
    )


def ending_of(
    meter: ReplyMeter,
    reading: Reading,
    endpoint: Endpoint,
    outcome: Outcome,
    times: tuple[int, int | None],
    code: str,
    complete: bool,
    goes_on: bool,
) -> Ending:
    """Say how a call ended that was answered. ``times`` are its duration and time to first byte.

    By place, which takes half the time that names would.
    """
    return Ending(
        meter.status,
        outcome,
        times[0],
        times[1],
        reading.error_code or meter.error_code() or code,
        reading.usage,
        reading.output_bytes,
        meter.request_id or reading.response_id,
        endpoint.free,
        complete,
        False,  # unknown
        goes_on,
        meter.event_stream,
        reading.job,
    )


def unfinished(meter: ReplyMeter, reading: Reading, endpoint: Endpoint) -> tuple[Outcome, bytes]:
    """Say how a reply ended that only HTTP calls whole, and what its client has to be told."""
    if reading.error_code:
        nothing_made = reading.usage is None and not reading.output_bytes
        if nothing_made and not meter.event_stream:
            return Outcome.UPSTREAM_ERROR, b""  # an error in all but its status
    elif meter.event_stream and reading.marked:
        error = UpstreamFailed("the provider's stream has no end", code="incomplete")
        return Outcome.INCOMPLETE, meter.last_words(endpoint, error)
    return Outcome.INCOMPLETE, b""
