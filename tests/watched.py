"""A gateway before a provider that keeps every byte it is sent, and counts its requests."""

from __future__ import annotations

from rough_upstream import RoughUpstream
from running import Deployment


class Watched:
    """What one test sends through a gateway, and what of it arrives."""

    def __init__(self, gateway: Deployment, rough: RoughUpstream) -> None:
        self.gateway = gateway
        self.rough = rough
        self._entries = 0

    @property
    def port(self) -> int:
        return self.gateway.port

    @property
    def key(self) -> str:
        return self.gateway.key

    def forget(self) -> None:
        """Begin to count anew."""
        self.rough.requests.clear()
        self._entries = len(self.gateway.entries())

    def sent(self) -> list[bytes]:
        """Give the requests that arrived, head and body."""
        return list(self.rough.requests)

    def one(self) -> bytes:
        """Give the one request that arrived."""
        (request,) = self.rough.requests
        return request

    def entries(self, count: int) -> list[tuple[str, str]]:
        """Wait for so many new entries; give outcome and error code of each."""
        entries = self.gateway.entries_when(self._entries + count, 30)[self._entries :]
        return [(entry.outcome, entry.error_code) for entry in entries]
