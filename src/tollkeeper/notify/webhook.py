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
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from typing import Any, Final

from tollkeeper import __version__
from tollkeeper.clock import monotonic_s
from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import REPLY_CHARS_MAX, Message, Outcome
from tollkeeper.domain.outside import Target
from tollkeeper.outgoing import (
    PinnedConnection,
    PointsInside,
    Resolve,
    addresses_of,
    looked_up,
    trusting,
)

TRY_S: Final = 20.0
"""A whole try, from the look-up to the end of the answer's head."""

_GONE: Final = 410
_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_REPLY_BYTES_MAX: Final = 4 * REPLY_CHARS_MAX
_AFTER_CHARS_MAX: Final = 9


class WebhookSender:
    """Sends webhooks. ``ca_file`` names further authorities to trust, "" for none."""

    def __init__(self, ca_file: str = "", resolve: Resolve = looked_up) -> None:
        self._resolve = resolve
        self._tls = trusting(ca_file)

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
        return addresses_of(target, self._resolve)

    def _ask(self, target: Target, headers: dict[str, str], body: bytes) -> Outcome:
        connection = PinnedConnection(target, self.addresses(target), self._tls, TRY_S)
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
