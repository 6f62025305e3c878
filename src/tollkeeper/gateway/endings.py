"""How a call ended whose reply never came."""

from __future__ import annotations

from typing import NamedTuple

from tollkeeper.domain.errors import Refused, TollkeeperError
from tollkeeper.domain.ledger import Outcome
from tollkeeper.services.settlement import Ending
from tollkeeper.wire.endpoints import Endpoint


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
