"""A download whose lines are bills: they are booked while they pass.

A file of results may be of any size; of its bills no more are kept than come with one piece
of it. The last bytes go to the client when all of them are in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollkeeper.domain.calls import Held
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.domain.jobs import Bill
from tollkeeper.domain.ledger import Outcome
from tollkeeper.gateway.job_bills import write_bills
from tollkeeper.gateway.relay import Relay
from tollkeeper.gateway.sending import OutgoingRequest
from tollkeeper.gateway.shared import Gateway
from tollkeeper.gateway.ways import Way
from tollkeeper.http1.exchange import Exchange
from tollkeeper.http1.reply_heads import ReplyHead
from tollkeeper.services.job_settlement import bills_of
from tollkeeper.wire.background_videos import StoredVideoReader
from tollkeeper.wire.batches import ResultPageReader, job_name
from tollkeeper.wire.batches_lines import ResultLinesReader

_PARTIAL: Final = 206


class DownloadRelay(Relay):
    """Carries a call whose reply may hold the bills of a job, whose name its path tells."""

    def __init__(
        self,
        gateway: Gateway,
        exchange: Exchange,
        way: Way,
        held: Held,
        request: OutgoingRequest,
        job: str,
    ) -> None:
        super().__init__(gateway, exchange, way, held, request)
        self._job = job
        self._failure: TollkeeperError | None = None

    def reply_head(self, head: ReplyHead, length: int | None) -> None:
        super().reply_head(head, length)
        meter = self._meter
        if meter is None:
            return
        if head.status == _PARTIAL:
            meter.leave_unread()  # a part of a file begins and ends within a line
        reader = meter.reader
        if isinstance(reader, ResultPageReader | StoredVideoReader):
            reader.job = self._job
        elif isinstance(reader, ResultLinesReader):
            reader.job = self._job
            reader.certain = self._job.startswith(job_name(""))
            reader.on_bills = self._book

    def reply_data(self, data: bytes, *, last: bool) -> None:
        super().reply_data(data, last=last)
        if self._failure is not None:
            self.cut(self._failure)

    def _book(self, bills: Sequence[Bill]) -> None:
        """Write bills down, unless an earlier one could not be."""
        if self._failure is None:
            gateway = self._gateway
            billed = list(bills_of(self._held, self._job, bills, gateway.prices))
            self._failure = write_bills(gateway, billed)

    def _settle(self, outcome: Outcome, error: TollkeeperError | None = None) -> None:
        if self._failure is not None and error is None:
            outcome, error = Outcome.INCOMPLETE, self._failure
        super()._settle(outcome, error)
