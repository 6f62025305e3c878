"""A batch of messages that is looked at: its results are to be fetched here, too.

Anthropic tells the place of the results as a whole address of its own, which its SDKs
follow: past the gateway, with a key that is only good here. A path alone leads back.
"""

from __future__ import annotations

import re
from typing import Final

from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.gateway.download_relay import DownloadRelay
from tollkeeper.gateway.relay import Relay
from tollkeeper.gateway.sending import OutgoingRequest
from tollkeeper.gateway.shared import Gateway
from tollkeeper.gateway.ways import Way
from tollkeeper.http1.exchange import Exchange

_PLACE: Final = re.compile(
    rb'("results_url"\s*:\s*")https?://[^"/\\]+(/v1/messages/batches/[^"\\]+/results")'
)
_ACCEPTS: Final = re.compile(rb"(?i)\r\naccept-encoding:[^\r]*")
_LOOKS_AT_BATCH: Final = "batch"


class BatchRelay(Relay):
    """Carries a call that looks at a batch of messages."""

    def _send_whole(self, settled: Settled, error: TollkeeperError | None, body: bytes) -> None:
        super()._send_whole(settled, error, _PLACE.sub(rb"\1\2", body))


def job_relay(
    gateway: Gateway, exchange: Exchange, way: Way, held: Held, request: OutgoingRequest, job: str
) -> Relay:
    """Give the relay of a call whose path names a job."""
    if way.endpoint.reader == _LOOKS_AT_BATCH:
        plain = request._replace(head=_ACCEPTS.sub(b"", request.head))  # it is to be read
        return BatchRelay(gateway, exchange, way, held, plain)
    return DownloadRelay(gateway, exchange, way, held, request, job)
