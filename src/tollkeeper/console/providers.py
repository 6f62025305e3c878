"""The providers that people may sign in at, and the threads that wait for them.

A provider that does not answer must not keep pages waiting, so it has none of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollkeeper.console.work import Work
from tollkeeper.domain.errors import UnknownRoute
from tollkeeper.domain.oidc import OidcClient

THREADS: Final = 8
WAITING_MAX: Final = 64


class SignOn:
    """Our clients at the providers, by their names."""

    def __init__(self, clients: Sequence[OidcClient] = ()) -> None:
        self._clients = {client.provider.name: client for client in clients}
        self.work = Work(THREADS, WAITING_MAX)

    def client(self, name: str) -> OidcClient:
        """Give a provider's client. Raises UnknownRoute."""
        found = self._clients.get(name)
        if found is None:
            raise UnknownRoute("there is no such page")
        return found

    def clients(self) -> list[OidcClient]:
        """List them as the configuration does."""
        return list(self._clients.values())
