"""Where calls meet their rate limits: before anything is held for them, and in their replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollkeeper import clock
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.services.budget_spending import spending_of
from tollkeeper.services.estimates import INPUT_BYTES_PER_TOKEN
from tollkeeper.services.rate_gate import Ticket
from tollkeeper.wire.rate_limit_lines import with_standing

if TYPE_CHECKING:
    from tollkeeper.domain.holds import Hold
    from tollkeeper.gateway.shared import Gateway
    from tollkeeper.gateway.ways import Way

_TOKENS: Final = 1  # where a hold has them


def take_place(gateway: Gateway, way: Way, held: Held, hold: Hold | None) -> Ticket | None:
    """Take a call's place at its rate limits; None where it concerns none.

    ``hold`` is what its budgets hold, where it concerns any. Raises RateLimited, and has taken
    nothing then.
    """
    gate, subject = gateway.rates, way.rates
    if not gate.concerns(subject):
        return None
    return gate.admit(subject, _expected_tokens(way, held, hold), clock.monotonic_ns())


def _expected_tokens(way: Way, held: Held, hold: Hold | None) -> int:
    """Say how many tokens a call will usually use; at least one, where it may use any."""
    if way.spending.kind.costless:
        return 0
    tokens = None if hold is None else hold[_TOKENS]
    if tokens is None:
        tokens = held.prompt_bytes // INPUT_BYTES_PER_TOKEN + held.output_tokens
    return max(1, tokens)


def count_used(ticket: Ticket, held: Held, settled: Settled) -> None:
    """Count what a call used. What is told only later counts as it was expected."""
    tokens = spending_of(held, settled).tokens
    if settled.job is None and tokens is not None:
        ticket.used(tokens, clock.monotonic_ns)


def standing_lines(gateway: Gateway, way: Way, ticket: Ticket, lines: bytes) -> bytes:
    """Give the header lines of a reply with where its caller stands."""
    standing = ticket.standing(clock.monotonic_ns())
    return with_standing(lines, standing, way.endpoint.dialect, gateway.now_us())
