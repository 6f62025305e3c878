"""Gets one admitted call to its provider: hold, connect, send, and once more if it must be.

No byte goes out before the call is held in the journal. A connection that had been idle
may turn out to be dead; if not a single byte came back, the same bytes go out again on a
fresh one, within the same held call.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from tollkeeper import clock
from tollkeeper.domain.calls import Held
from tollkeeper.domain.errors import Overloaded, Refused, TollkeeperError, UpstreamFailed
from tollkeeper.gateway.shared import Gateway
from tollkeeper.http1.origin import Origin
from tollkeeper.http1.reply_heads import ReplyHead
from tollkeeper.http1.upstream import ReplySink, UpstreamConnection
from tollkeeper.wire.kept_requests import kept_request

_JOIN_BYTES_MAX: Final = 64 << 10
_CONNECTS_MAX: Final = 3  # of a call, to a provider that closes connections before they are used


class OutgoingRequest(NamedTuple):
    """The bytes of a request. With ``more``, the rest of its body follows piece by piece."""

    head: bytes
    body: bytes
    more: bool = False
    head_only: bool = False


_ANSWERED: Final = OutgoingRequest(b"", b"")


class Owner(ReplySink, Protocol):
    """Whoever sends a call: takes the reply, and what can go wrong before there is one."""

    def wanted(self) -> bool:
        """Tell whether anybody still waits for this call."""

    def sending_started(self) -> None:
        """The first bytes are on their way."""

    def not_held(self, error: Refused) -> None:
        """The journal cannot take the call. Nothing happened, and nothing waits for the disk."""

    def not_sent(self, error: TollkeeperError) -> None:
        """The call cannot be sent. Nothing reached the provider."""

    def not_wanted(self) -> None:
        """The call was not sent because its client had left."""


class _Nobody:
    """Stands in for the owner of a call that is over (``Owner``)."""

    def wanted(self) -> bool:
        return False

    def reply_head(self, head: ReplyHead, length: int | None) -> None: ...
    def reply_data(self, data: bytes, *, last: bool) -> None: ...
    def reply_failed(self, error: UpstreamFailed, *, retriable: bool) -> None: ...
    def upload_writable(self, *, writable: bool) -> None: ...
    def sending_started(self) -> None: ...
    def not_held(self, error: Refused) -> None: ...
    def not_sent(self, error: TollkeeperError) -> None: ...
    def not_wanted(self) -> None: ...


_NOBODY: Final = _Nobody()


class Sending:
    """The outgoing half of one call. ``sent`` is true once the first byte is on its way."""

    def __init__(
        self, gateway: Gateway, origin: Origin, held: Held, request: OutgoingRequest, owner: Owner
    ) -> None:
        self.connection: UpstreamConnection | None = None
        self.sent = False
        self._resent = False
        self._connects = 0
        self._gateway = gateway
        self._origin = origin
        self._call = held
        self._request = request
        self._owner: Owner = owner
        self._counted_bytes = 0  # of a large body, while it is kept
        self.asked = b""  # what of the body an estimate may still need

    def start(self) -> None:
        """Hold the call, then send it."""
        gateway, held = self._gateway, self._call
        if len(self._request.body) > _JOIN_BYTES_MAX:
            self._counted_bytes = len(self._request.body)
            gateway.buffered_bytes += self._counted_bytes
        self.connection = gateway.pool.take_idle(self._origin)
        if self.connection is not None:
            # One record says both, where nothing can come between holding and sending.
            held = Held._make((*held[:4], True, *held[5:]))
        if gateway.failpoint:
            gateway.failpoint("gateway.hold.before")
        gateway.journal.hold(held, self._held)

    def _held(self, error: OSError | None) -> None:
        if self._gateway.failpoint:
            self._gateway.failpoint("gateway.hold.after")
        if error is not None:
            self.let_go()
            full = Overloaded(
                "the gateway cannot write its journal (is its disk full?), and makes no call "
                "that it could not account for",
                code="storage_full",
            )
            self._owner.not_held(full)
        elif not self._owner.wanted():
            self.let_go()
            self._owner.not_wanted()
        elif self.connection is not None and not self.connection.closed:
            self._send(self.connection)
        else:
            self._connect()

    def _connect(self) -> None:
        self._connects += 1
        self._gateway.pool.connect(self._origin, self._connected)

    def _connected(
        self, connection: UpstreamConnection | None, error: TollkeeperError | None
    ) -> None:
        self.connection = connection
        if not self._owner.wanted() and not self.sent:
            self.let_go()
            self._owner.not_wanted()
        elif connection is None:
            failure = error or UpstreamFailed("the provider could not be reached")
            if not self.sent:
                self._owner.not_sent(failure)
            else:
                if not isinstance(failure, UpstreamFailed):  # it was sent: no refusal any more
                    failure = UpstreamFailed(failure.message)
                self._owner.reply_failed(failure, retriable=False)
        elif self.sent:
            self._send(connection)  # again; the journal knows already
        else:
            self._gateway.journal.sent(self._call, self._sent_written)

    def _sent_written(self, error: OSError | None) -> None:
        if not self._owner.wanted():
            self.let_go()
            self._owner.not_wanted()
        elif self.connection is not None and not self.connection.closed:
            self._send(self.connection)
        elif self._connects < _CONNECTS_MAX:
            self._connect()
        else:
            self._owner.not_sent(UpstreamFailed("the provider closes every connection at once"))

    def _send(self, connection: UpstreamConnection) -> None:
        failpoint, request = self._gateway.failpoint, self._request
        if failpoint:
            failpoint("gateway.send.before")
        self.sent = True
        head = request.head
        if connection.target_prefix:
            line, _, lines = head.partition(b"\r\n")
            method, _, target = line.partition(b" ")
            prefix, own = connection.target_prefix, connection.proxy_lines
            head = b"%b %b%b\r\n%b%b" % (method, prefix, target, own, lines)
        joined = len(request.body) <= _JOIN_BYTES_MAX
        connection.send(
            head + request.body if joined else head,
            self._owner,
            deadline_s=clock.monotonic_s() + self._gateway.settings.first_byte_s,
            head_only=request.head_only,
            more=request.more or not joined,
        )
        if not joined:
            connection.send_more(request.body, last=not request.more)
        if failpoint:
            failpoint("gateway.send.after")
        self._owner.sending_started()

    def send_again(self) -> bool:
        """Send the same bytes on a fresh connection; False when that is not possible."""
        if self._resent or self._request.more or not self._request.head:
            return False
        self._resent = True
        self.connection = None
        self._connect()
        return True

    def answered(self) -> None:
        """A reply came, or none will: the request need not be kept to be sent again."""
        self.asked = kept_request(self._request.body) or self.asked
        self._request = _ANSWERED
        if self._counted_bytes:
            self._gateway.buffered_bytes -= self._counted_bytes
            self._counted_bytes = 0

    def close(self) -> None:
        """Part from the owner, whose call is over.

        Two objects that hold each other would wait for the collector, and with them the
        bytes of the reply.
        """
        if self._request is not _ANSWERED:
            self.answered()
        self.asked = b""
        self._owner = _NOBODY

    def upload(self, data: bytes, *, last: bool) -> None:
        """Send more of a streamed body."""
        if self.connection is not None:
            self.connection.send_more(data, last=last)

    def let_go(self) -> None:
        """Part from the connection: back to the pool if it is unused, else cut."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        if self.sent:
            connection.give_up(self._owner)
        else:
            connection.give_back()

    def pause(self) -> None:
        """Stop reading the reply."""
        if self.connection is not None:
            self.connection.pause(self._owner)

    def resume(self) -> None:
        """Read on."""
        if self.connection is not None:
            self.connection.resume(self._owner)
