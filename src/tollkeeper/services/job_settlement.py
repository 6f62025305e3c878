"""The outcome of a call that says something of a job: its own entry, and bills of work before.

Bills are priced and attributed as if this call had done the work. Whether they are new, and
whose they are, is decided where the ledger is (``late_bills``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from tollkeeper.domain.calls import Held, Part, Settled
from tollkeeper.domain.job_bills import Billed
from tollkeeper.domain.jobs import PENDING, Bill, JobMark, JobNews, Role, bill_id, job_id
from tollkeeper.domain.ledger import Basis, Outcome, entries_of
from tollkeeper.domain.usage import Usage
from tollkeeper.services.settlement import Ending, Prices, settle

_AGE_MAX_US: Final = 400 * 86_400 * 1_000_000
_RAW_CHARS_MAX: Final = 2_048
_NAME_CHARS_MAX: Final = 256
_TOTAL: Final = "total"


def settle_job(
    held: Held, ending: Ending, news: JobNews, prices: Prices
) -> tuple[Settled, list[Billed]]:
    """Give the outcome of a call, and the bills that its reply told."""
    job = job_id(held.profile.provider, news.job)
    other = job_id(held.profile.provider, news.other) if news.other else ""
    if news.begun:
        if ending.usage is None and not news.billed:
            return _pending(held, ending, JobMark(job, Role.BEGUN), prices), []
        return settle(held, ending, prices)._replace(job=JobMark(job, Role.OWN)), []
    settled = settle(held, ending, prices)
    if other or news.ended:
        settled = settled._replace(job=JobMark(job, Role.SEEN, "", other, news.ended))
    bills = list(bills_of(held, news.job, news.bills, prices, other))
    if news.total is not None:
        mark = JobMark(job, Role.TOTAL, f"{job}.{_TOTAL}", other)
        bills.append(_billed(held, mark, Bill(news.total), news.job, prices))
    return settled, bills


def bills_of(
    held: Held, name: str, bills: Sequence[Bill], prices: Prices, other: str = ""
) -> Iterator[Billed]:
    """Price the bills of one job, one by one.

    ``name`` is the provider's own for it, ``other`` another identity of the same job.
    """
    job = job_id(held.profile.provider, name)
    for bill in bills:
        role = Role.LINE if bill.item else Role.BILL
        mark = JobMark(job, role, bill_id(job, bill.item), other)
        yield _billed(held, mark, bill, name, prices)


def _billed(held: Held, mark: JobMark, bill: Bill, name: str, prices: Prices) -> Billed:
    at_us = bill.at_s * 1_000_000
    if not held.started_at_us - _AGE_MAX_US < at_us < held.started_at_us:
        at_us = held.started_at_us
    usage = bill.usage._replace(raw=_named_raw(bill))
    request_id = (bill.item or name.partition("/")[2])[:_NAME_CHARS_MAX]
    ending = Ending(200, Outcome.OK, 0, usage=usage, request_id=request_id)
    # What is held now is for the call that fetches it.
    held = held._replace(entry_id=mark.bill, hold_nanos=0)
    settled = settle(held._replace(started_at_us=at_us), ending, prices)
    if bill.reason:
        settled = settled._replace(parts=[_unpriced(usage, bill.reason)])
    entries = [
        entry._replace(part=entry.part + 1, model_asked=entry.model_asked or entry.model_served)
        for entry in entries_of(held, settled)
    ]
    return Billed(mark, entries)


def _named_raw(bill: Bill) -> str:
    """Give the provider's usage object with the names of what used it, as JSON."""
    raw = bill.usage.raw
    if not bill.item:
        return raw
    names = {"id": bill.item[:_NAME_CHARS_MAX], "custom_id": bill.custom_id[:_NAME_CHARS_MAX]}
    text = json.dumps(names, ensure_ascii=False, separators=(",", ":"))
    if not raw or len(raw) > _RAW_CHARS_MAX:
        return text
    return f'{text[:-1]},"usage":{raw}}}'


def _pending(held: Held, ending: Ending, mark: JobMark, prices: Prices) -> Settled:
    """Give the outcome of a call that only began work: what that costs is not known yet."""
    settled = settle(held, ending._replace(free=True), prices)
    usage = Usage(model=held.profile.model)
    return settled._replace(parts=[_unpriced(usage, PENDING)], job=mark)


def _unpriced(usage: Usage, reason: str) -> Part:
    return Part(
        usage.model[:_NAME_CHARS_MAX],
        {},
        Basis.UNPRICED,
        None,
        None,
        reason=reason,
        usage_raw=usage.raw,
    )
