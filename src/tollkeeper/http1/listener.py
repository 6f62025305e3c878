"""What listens: the application behind the sockets and the set of its connections."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tollkeeper import clock
from tollkeeper.domain.errors import Refused
from tollkeeper.http1.exchange import BodySink, Exchange
from tollkeeper.http1.heads import HeadMemory
from tollkeeper.http1.messages import Request
from tollkeeper.http1.server import ServerConnection


class Application(Protocol):
    """What stands behind a listening socket."""

    def begin(self, request: Request, exchange: Exchange) -> BodySink:
        """Take a request head and give the object that takes its body.

        May raise Refused before anything was answered.
        """

    def begin_whole(self, request: Request, exchange: Exchange, body: bytes) -> BodySink | None:
        """Take a request that is there as a whole, if that is worth a shorter way.

        None leaves it to ``begin``. May raise Refused as well.
        """

    def refuse(self, request: Request | None, exchange: Exchange, error: Refused) -> None:
        """Answer a request that was refused; ``request`` is None if its head was unreadable."""


class ServerLimits(NamedTuple):
    """How many client connections there may be, and their timeouts in seconds."""

    head_s: float = 10.0
    idle_s: float = 75.0
    stalled_s: float = 300.0
    connections_max: int = 10_000


class ConnectionSet:
    """All connections of one listening process: swept for deadlines, drained at the end."""

    def __init__(self, application: Application, limits: ServerLimits) -> None:
        self.application = application
        self.limits = limits
        self.connections: set[ServerConnection] = set()
        self.heads = HeadMemory()
        self.draining = False
        self.accepted = 0

    def connection(self) -> ServerConnection:
        """Make the protocol of one accepted connection."""
        return ServerConnection(self)

    def sweep(self) -> None:
        """End connections whose deadline has passed. Called about once a second."""
        now_s = clock.monotonic_s()
        for connection in list(self.connections):
            connection.check_deadline(now_s)

    def drain(self) -> None:
        """Close idle connections; busy ones close after their reply."""
        self.draining = True
        for connection in list(self.connections):
            connection.close_if_idle()

    @property
    def busy(self) -> int:
        """Count the connections that are answering a request."""
        return sum(1 for connection in self.connections if connection.exchange is not None)

    def abort(self) -> None:
        """Cut every connection."""
        for connection in list(self.connections):
            connection.abort()
