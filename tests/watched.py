"""A gateway before a provider that keeps every byte it is sent, and counts its requests."""

from __future__ import annotations

import itertools
import ssl
import time

from protocols import OPENAI
from raw_http import RawConnection
from rough_upstream import RoughUpstream
from running import Deployment


class Watched:
    """What one test sends through a gateway, and what of it arrives."""

    def __init__(
        self,
        gateway: Deployment,
        rough: RoughUpstream,
        tls: ssl.SSLContext | None = None,
        name: str = "",
    ) -> None:
        self.gateway = gateway
        self.rough = rough
        self._tls, self._name = tls, name  # where the gateway itself speaks TLS
        self._entries = 0
        self._numbers = itertools.count(1)

    @property
    def port(self) -> int:
        return self.gateway.port

    @property
    def key(self) -> str:
        return self.gateway.key

    def forget(self) -> None:
        """Begin to count anew, once all that was sent before has its entry."""
        self._wait_for_entries()
        self.rough.requests.clear()
        self._entries = len(self.gateway.entries())

    def sent(self) -> list[bytes]:
        """Give the requests that arrived, head and body."""
        return list(self.rough.requests)

    def _wait_for_entries(self) -> None:
        """A client may have its answer a moment before the entry is written. Entries are
        written in order, so a refusal of our own that is in the ledger says that all are."""
        last = f"no-such-model-{next(self._numbers)}"
        with RawConnection(self.port, tls=self._tls, name=self._name) as connection:
            assert connection.send(OPENAI.call(self.key, model=last)).answer().status >= 400
        deadline_s = time.monotonic() + 30
        while not any(entry.model_requested == last for entry in self.gateway.entries()):
            assert time.monotonic() < deadline_s, "the entry of a refusal is missing"
            time.sleep(0.01)

    def one(self) -> bytes:
        """Give the one request that arrived."""
        (request,) = self.rough.requests
        return request

    def entries(self, count: int) -> list[tuple[str, str]]:
        """Wait for so many new entries; give outcome and error code of each."""
        entries = self.gateway.entries_when(self._entries + count, 30)[self._entries :]
        return [(entry.outcome, entry.error_code) for entry in entries]
