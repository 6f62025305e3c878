"""Work whose usage arrives later: what a reply says of it, and its identity.

A job is begun by one call; its bills stand in the replies to later ones, which may come any
number of times. ``JobMark`` is part of the journal's format: add fields at the end only.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from tollkeeper.domain.usage import Usage

PENDING: Final = "pending"
"""The reason for having no price of a call whose bill has not come yet."""

COSTLESS: Final = frozenset(
    {
        *("responses/stored", "files", "uploads", "batches", "messages/batches", "assistants"),
        *("threads/runs/stored", "interactions/stored", "videos/stored"),
    }
)
"""Endpoints around jobs that cost nothing themselves, whatever became of a call."""

JOB_PREFIX: Final = "job-"
"""How the identities of jobs, and of their bills, begin."""

_ID_CHARS: Final = 32
_BILL_CHARS: Final = 24


class Bill(NamedTuple):
    """One bill of a job.

    ``item`` is the provider's id of what is billed ("" for the only bill of a job),
    ``custom_id`` the caller's own name for it. ``at_s`` is when the provider did the work
    (epoch seconds, 0 if it does not say). ``reason`` says why nothing can be read of it.
    """

    usage: Usage
    item: str = ""
    custom_id: str = ""
    at_s: int = 0
    reason: str = ""


class JobNews(NamedTuple):
    """What one reply says of a job.

    ``job`` is the provider's id with the kind in front. ``begun`` tells that this call began
    it, ``billed`` that the usage of this very reply is its only bill. ``total`` is what the
    provider states for all lines together. ``other`` is a second name under which bills may
    come (the file that holds them). ``ended`` tells that no further bill will come.
    """

    job: str
    begun: bool = False
    billed: bool = False
    bills: Sequence[Bill] = ()
    total: Usage | None = None
    other: str = ""
    ended: bool = False


class Role(enum.StrEnum):
    """What an entry is for its job."""

    BEGUN = "begun"  # the call that began it, and was not billed yet
    OWN = "own"  # the call that began it, with its only bill
    BILL = "bill"  # its only bill, from a later reply
    LINE = "line"  # one of its many bills
    TOTAL = "total"  # the provider's sum of many
    SEEN = "seen"  # a call that only said something about it


class JobMark(NamedTuple):
    """What an entry is for its job. ``job`` and ``other`` are identities (see ``job_id``).

    ``bill`` groups the entries of one bill, whose first has the bill's own id.
    """

    job: str
    role: str
    bill: str = ""
    other: str = ""
    ended: bool = False


def job_id(provider: str, name: str) -> str:
    """Give the identity of a job: the same from every gateway and every reply."""
    return f"{JOB_PREFIX}{sha256(f'{provider} {name}'.encode()).hexdigest()[:_ID_CHARS]}"


def bill_id(job: str, item: str) -> str:
    """Give the identity of one bill of a job."""
    return f"{job}.{sha256(item.encode()).hexdigest()[:_BILL_CHARS]}" if item else f"{job}.bill"
