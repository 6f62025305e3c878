"""Locking months: from then on no entry of a month is corrected, until it is opened again.

A month whose statement was issued (``services.statements``) stays closed; its entries may be
corrected, and the difference stands in the statement of the next open month.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol
from zoneinfo import ZoneInfo

from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.domain.months import ClosedMonth, ClosedMonths, month_bounds_us
from tollkeeper.domain.statements import IssuedStatements
from tollkeeper.telemetry import logger


def close(store: ClosedMonths, month: str, zone: ZoneInfo, now_us: int, by: str) -> ClosedMonth:
    """Close a month that is over.

    Raises BadRequest for what is no month, Conflict for one that is not over or is closed.
    """
    start_us, end_us = _bounds(month, zone)
    if end_us > now_us:
        raise Conflict(f"{month} is not over yet in {zone}", code="month_not_over")
    closed = ClosedMonth(month, str(zone), start_us, end_us, now_us, by)
    try:
        store.close_month(closed)
    except ValueError:
        raise Conflict(f"{month} is closed already", code="month_closed") from None
    logger.info("month closed", extra={"month": month, "zone": closed.zone, "by": by})
    return closed


class MonthStore(ClosedMonths, IssuedStatements, Protocol):
    """The store as opening a month again needs it."""

    def together(self) -> AbstractContextManager[None]: ...


def reopen(store: MonthStore, month: str, by: str) -> None:
    """Open a locked month again.

    Raises NotFound where it is not closed, Conflict where its statement was issued.
    """
    with store.together():
        if any(each.month == month for each in store.issued_statements()):
            raise Conflict(
                f"the statement of {month} was issued, so it stays closed; corrections go to the "
                "next open month",
                code="month_issued",
            )
        try:
            store.reopen_month(month)
        except LookupError:
            raise NotFound(f"{month} is not closed", code="month_not_closed") from None
    logger.warning("month opened again", extra={"month": month, "by": by})


def _bounds(month: str, zone: ZoneInfo) -> tuple[int, int]:
    try:
        return month_bounds_us(month, zone)
    except ValueError as error:
        raise BadRequest(str(error)) from None
