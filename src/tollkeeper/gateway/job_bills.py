"""Posts the outcome of a call that says something of a job, with the bills that it told.

The bills are in the journal before the outcome, and the outcome before the end of the reply
goes to the client. Where there is no room for them the client gets an error: it asks again,
and so the bills come again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.errors import Overloaded, TollkeeperError
from tollkeeper.domain.job_bills import Billed
from tollkeeper.domain.jobs import JobNews
from tollkeeper.gateway.shared import Gateway
from tollkeeper.services.job_settlement import settle_job
from tollkeeper.services.settlement import Ending

_BILLS_AT_A_TIME: Final = 50

Release = Callable[[Settled, TollkeeperError | None], None]


def post_job(
    gateway: Gateway,
    held: Held,
    ending: Ending,
    news: JobNews,
    error: TollkeeperError | None,
    release: Release,
) -> Settled:
    """Settle and post a call whose reply spoke of a job; give its outcome.

    ``release`` is called after that, with the error that the call ended with, or the one that
    kept its bills from being written.
    """
    settled, bills = settle_job(held, ending, news, gateway.prices)
    failure = write_bills(gateway, bills)
    if failure is not None:
        settled = settled._replace(job=None)
    gateway.journal.post(settled, lambda _: release(settled, error or failure))
    return settled


def write_bills(gateway: Gateway, bills: Sequence[Billed]) -> Overloaded | None:
    """Put bills into the journal; give the error if there is no room for them."""
    rest = iter(bills)
    failures: list[OSError] = []

    def note(failure: OSError | None) -> None:
        if failure is not None:
            failures.append(failure)

    while group := list(islice(rest, _BILLS_AT_A_TIME)):
        gateway.journal.bill(group, note)
        if failures:
            return Overloaded(
                "the gateway cannot write its journal (is its disk full?), and gives on no "
                "bill that it could not book",
                code="storage_full",
            )
    return None
