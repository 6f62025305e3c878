"""Signed webhooks by the Standard Webhooks specification, sent to where they may go only.

The host is looked up once for each try, every address is looked at, and the connection goes to
one of those; nothing is asked of a proxy, and no redirect is followed.
"""

from __future__ import annotations

import base64
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, Final

from tollkeeper import __version__
from tollkeeper.clock import monotonic_s
from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import REPLY_CHARS_MAX, Message, Outcome
from tollkeeper.domain.outside import Target, may_connect

CONNECT_S: Final = 10.0
TRY_S: Final = 20.0
"""A whole try, from the look-up to the end of the answer's head."""

Resolve = Callable[[str, int], Sequence[str]]

_GONE: Final = 410
_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_REPLY_BYTES_MAX: Final = 4 * REPLY_CHARS_MAX
_AFTER_CHARS_MAX: Final = 9


class PointsInside(OSError):
    """The host has an address that no message may go to."""


def looked_up(host: str, port: int) -> Sequence[str]:
    """Give the addresses of a host as the system knows them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class WebhookSender:
    """Sends webhooks. ``ca_file`` names further authorities to trust, "" for none."""

    def __init__(self, ca_file: str = "", resolve: Resolve = looked_up) -> None:
        self._resolve = resolve
        self._tls = ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca_file:
            self._tls.load_verify_locations(ca_file)

    def send(self, channel: Channel, message: Message, link: str, now_us: int) -> Outcome:
        """Try once. Every fault is an outcome; none shows the URL or the secret."""
        target = channel.target
        if target is None:
            return Outcome("is no webhook", is_final=True)
        body = body_of(message, link)
        headers = {
            "Host": target.host_header,
            "Content-Type": "application/json",
            "User-Agent": f"Tollkeeper/{__version__}",
            "Connection": "close",
            **signed(message.message_id, now_us // 1_000_000, body, channel.secrets),
        }
        began_s = monotonic_s()
        try:
            outcome = self._ask(target, headers, body)
        except PointsInside as error:
            outcome = Outcome(str(error))
        except ssl.SSLCertVerificationError as error:
            outcome = Outcome(f"its certificate is not good: {error.verify_message}")
        except TimeoutError:
            outcome = Outcome(f"no answer within {TRY_S:.0f} seconds")
        except socket.gaierror as error:
            outcome = Outcome(f"its host is not known ({error.strerror})")
        except (OSError, HTTPException) as error:
            outcome = Outcome(f"no answer: {getattr(error, 'strerror', None) or _kind(error)}")
        return outcome._replace(latency_ms=int((monotonic_s() - began_s) * 1_000))

    def addresses(self, target: Target) -> list[str]:
        """Look the host up. Raises PointsInside if one of its addresses is not outside."""
        found = list(self._resolve(target.host, target.port))
        for address in found:
            if not may_connect(address, is_named=target.is_named):
                raise PointsInside("its host points inside; allow_private may name it")
        if not found:
            raise PointsInside("its host has no address")
        return found

    def _ask(self, target: Target, headers: dict[str, str], body: bytes) -> Outcome:
        connection = _PinnedConnection(target, self.addresses(target), self._tls)
        with closing(connection):
            # A receiver that answers a byte at a time would otherwise never time out.
            watch = threading.Timer(TRY_S, connection.hang_up)
            watch.start()
            try:
                connection.request("POST", target.path, body, headers)
                reply = connection.getresponse()
                text = reply.read(_REPLY_BYTES_MAX).decode("utf-8", "replace")
            finally:
                watch.cancel()
            if connection.hung_up:
                raise TimeoutError
            return _outcome(reply, text[:REPLY_CHARS_MAX])


class _PinnedConnection(HTTPConnection):
    """HTTP, with TLS where the target has it, to addresses that were looked at."""

    def __init__(self, target: Target, addresses: Sequence[str], tls: ssl.SSLContext) -> None:
        super().__init__(target.host, target.port, timeout=TRY_S)
        self._target = target
        self._addresses = addresses
        self._tls = tls
        self.hung_up = False

    def connect(self) -> None:
        """Connect to the first address that answers."""
        plain = self._first()
        plain.settimeout(TRY_S)
        self.sock = plain
        if self._target.scheme == "https":
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._target.host)

    def hang_up(self) -> None:
        """End the connection from another thread."""
        self.hung_up = True
        found: socket.socket | None = self.sock
        if found is not None:
            try:
                found.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself

    def _first(self) -> socket.socket:
        failed: OSError = PointsInside("its host has no address")
        for address in self._addresses:
            if self.hung_up:
                raise TimeoutError
            try:
                return socket.create_connection((address, self._target.port), CONNECT_S)
            except OSError as error:
                failed = error
        raise failed


def body_of(message: Message, link: str) -> bytes:
    """Give the JSON of a message: what is signed and what is sent."""
    moment = datetime.fromtimestamp(message.created_at_us / 1_000_000, UTC)
    content: dict[str, Any] = {
        "type": message.event,
        "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {
            "title": message.title,
            "text": message.text,
            "severity": str(message.severity),
            "url": link,
            **message.data,
        },
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )


def signed(message_id: str, timestamp_s: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Give the headers of a webhook: its id, the time of this try, a signature for each key."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }


def _outcome(reply: HTTPResponse, text: str) -> Outcome:
    status = reply.status
    if status in _OK:
        return Outcome(status=status, reply=text)
    fault = f"answered with status {status}"
    if status in _REDIRECTS:
        fault += ", and no redirect is followed: give the new address"
    if status == _GONE:
        fault += ": it wants no more messages"
    after = reply.getheader("Retry-After") or ""
    usable = after.isascii() and after.isdigit() and len(after) <= _AFTER_CHARS_MAX
    return Outcome(
        fault,
        status,
        reply=text,
        is_final=status == _GONE,
        closes=status == _GONE,
        retry_after_s=int(after) if usable else None,
    )


def _kind(error: Exception) -> str:
    return type(error).__name__
