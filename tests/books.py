"""What a gateway's journal and its provider's own count say about the calls of one test."""

from __future__ import annotations

from typing import Any

from protocols import OPENAI
from raw_http import ask, get
from running import Deployment
from tollkeeper.domain.ledger import LedgerEntry, Outcome


class Books:
    """What the journal and the provider's own count say since this was made."""

    def __init__(self, gateway: Deployment) -> None:
        self.gateway = gateway
        self._upstream = int(gateway.upstream.rpartition(":")[2])
        self._entries = len(gateway.entries())
        self._began = self._calls()["began"]

    def entries(self, count: int = 1) -> list[LedgerEntry]:
        """Wait for exactly so many new entries."""
        return self.gateway.entries_when(self._entries + count)[self._entries :]

    def entry(self) -> LedgerEntry:
        """Wait for the one new entry."""
        return self.entries(1)[0]

    def sent(self) -> int:
        """Count the calls that the provider saw begin."""
        return int(self._calls()["began"]) - self._began

    def call(self, nonce: str) -> dict[str, Any]:
        """Give what the provider says of one call."""
        (found,) = self._calls(f"?nonce={nonce}")["calls"]
        return dict(found)

    def require_refused(self, code: str) -> LedgerEntry:
        """There is one refusal in the ledger, and the provider saw nothing."""
        entry = self.entry()
        assert (entry.outcome, entry.error_code, entry.cost_nanos) == (Outcome.REFUSED, code, 0)
        assert not self.sent()
        return entry

    def require_untouched(self, **call: Any) -> None:
        """There is no entry and the provider saw nothing.

        The journal is in order: what was to be written before the next call would be there.
        """
        assert not self.sent()
        answer = ask(self.gateway.port, OPENAI.call(self.gateway.key))
        assert answer.status == 200, answer
        self.entries(1)

    def _calls(self, query: str = "?limit=0") -> Any:
        return get(self._upstream, f"/sandbox/calls{query}").json()
