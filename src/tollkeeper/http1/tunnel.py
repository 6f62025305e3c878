"""TLS through an HTTP proxy: CONNECT first, then the handshake with the provider itself."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from urllib.parse import unquote, urlsplit

from tollkeeper.domain.errors import UpstreamFailed
from tollkeeper.http1.origin import Origin

_REPLY_BYTES_MAX = 16 << 10


class _Connect(asyncio.Protocol):
    """Waits for the proxy's answer to CONNECT."""

    def __init__(self, answered: asyncio.Future[bytes]) -> None:
        self._answered = answered
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._answered.done() and (
            b"\r\n\r\n" in self._data or len(self._data) > _REPLY_BYTES_MAX
        ):
            self._answered.set_result(self._data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(ConnectionResetError("the proxy closed the connection"))


def authorization_line(proxy_url: str) -> bytes:
    """Give the Proxy-Authorization line for a proxy URL with user and password, or empty."""
    parts = urlsplit(proxy_url)
    if not parts.username:
        return b""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return b"Proxy-Authorization: Basic %b\r\n" % b64encode(pair.encode())


async def open_tunnel(
    proxy_url: str, origin: Origin, tls: ssl.SSLContext, protocol: asyncio.Protocol
) -> None:
    """Connect ``protocol`` to an https origin through a proxy.

    Raises UpstreamFailed when the proxy refuses, OSError or SSLError when a connection or
    the handshake fails.
    """
    loop = asyncio.get_running_loop()
    parts = urlsplit(proxy_url)
    answered: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_connection(
        lambda: _Connect(answered), parts.hostname or "", parts.port or 80
    )
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    authority = f"{host}:{origin.port}".encode()
    lines = authorization_line(proxy_url)
    transport.write(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (authority, authority, lines))
    try:
        _require_open(await answered)
        secured = await loop.start_tls(transport, protocol, tls, server_hostname=origin.host)
    except BaseException:
        transport.abort()
        raise
    if secured is None:
        raise ConnectionResetError("the proxy closed the connection")
    protocol.connection_made(secured)


def _require_open(reply: bytes) -> None:
    head, _, rest = reply.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    opened = status and len(status[0]) == 3 and status[0][:1] == b"2"
    if not opened or rest:
        word = status[0].decode("ascii", "replace") if status else "nothing readable"
        raise UpstreamFailed(f"the outgoing proxy answered CONNECT with {word}")
