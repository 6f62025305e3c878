"""The table of jobs: what is done now and then, how often, each one call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from tollkeeper.ports import Ledger, Store
from tollkeeper.reports.adoption_memory import PublicationMemory
from tollkeeper.services import sign_in

CHECKPOINT_S: Final = 60.0
FORGET_S: Final = 3_600.0
CONFIGURATION_S: Final = 1.0
UNPRICED_S: Final = 5.0
ADOPTION_S: Final = 60.0
ADOPTION_FRESH_US: Final = 600_000_000


class Job(NamedTuple):
    """Something to do every so many seconds. ``work`` blocks, and runs on a thread."""

    name: str
    every_s: float
    work: Callable[[], object]


def jobs_of(
    ledger: Ledger,
    store: Store,
    now_us: Callable[[], int],
    follow_configuration: Callable[[], None],
    price_unpriced: Callable[[], None],
) -> tuple[Job, ...]:
    """Give the jobs of a console process."""
    return (
        Job("checkpoint ledger", CHECKPOINT_S, ledger.maintain),
        Job("forget sign-ins", FORGET_S, partial(_forget_sign_ins, store, now_us)),
        Job("follow configuration", CONFIGURATION_S, follow_configuration),
        Job("price what had no price", UNPRICED_S, price_unpriced),
    )


def adoption_job(counts: PublicationMemory, now_us: Callable[[], int]) -> Job:
    """Count adoption soon after a start, and anew before what is known is too old.

    So no visitor waits for it but one who comes in the first minute.
    """
    return Job(
        "count adoption",
        ADOPTION_S,
        lambda: counts.publication(now_us(), ADOPTION_FRESH_US),
    )


def _forget_sign_ins(store: Store, now_us: Callable[[], int]) -> None:
    sign_in.forget_ended(store, now_us())
