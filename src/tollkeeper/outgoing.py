"""Asks servers whose addresses people wrote down, and goes only where one may go.

The host is looked up once for each try, every address is looked at, and the connection goes to
one of those. No redirect is followed, no proxy is taken from the environment, an answer has a
largest size, and a try has an end, however slowly a server drips.
"""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from tollkeeper.domain.outside import Target, may_connect, target_of

CONNECT_S: Final = 10.0
TRY_S: Final = 15.0
"""A whole try, from the look-up to the end of the answer."""

ANSWER_BYTES_MAX: Final = 512 << 10

Resolve = Callable[[str, int], Sequence[str]]

_PROXY_REPLY_BYTES_MAX: Final = 16 << 10
_PROXY_PORT: Final = 8080


class PointsInside(OSError):
    """The host has an address that no message may go to."""


class NoAnswer(Exception):
    """A server gave no answer that can be used. The text says why, and shows no address."""


class Answer(NamedTuple):
    """What a server answered. ``media_type`` is in lower case, without parameters."""

    status: int
    media_type: str
    body: bytes


def looked_up(host: str, port: int) -> Sequence[str]:
    """Give the addresses of a host as the system knows them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def addresses_of(target: Target, resolve: Resolve) -> list[str]:
    """Look the host up. Raises PointsInside if one of its addresses is not outside."""
    found = list(resolve(target.host, target.port))
    for address in found:
        if not may_connect(address, is_named=target.is_named):
            raise PointsInside("its host points inside; allow_private may name it")
    if not found:
        raise PointsInside("its host has no address")
    return found


def trusting(ca_file: str) -> ssl.SSLContext:
    """Give what TLS needs. ``ca_file`` names further authorities to trust, "" for none."""
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        made.load_verify_locations(ca_file)
    return made


class PinnedConnection(HTTPConnection):
    """HTTP, with TLS where the target has it, to addresses that were looked at.

    With ``proxy``, an http:// address, the connection is a tunnel through that proxy, which then
    is the one that looks names up.
    """

    def __init__(
        self,
        target: Target,
        addresses: Sequence[str],
        tls: ssl.SSLContext,
        try_s: float,
        proxy: str = "",
    ) -> None:
        super().__init__(target.host, target.port, timeout=try_s)
        self._target = target
        self._addresses = addresses
        self._tls = tls
        self._try_s = try_s
        self._proxy = proxy
        self.hung_up = False

    def connect(self) -> None:
        """Connect to the first address that answers."""
        plain = self._through_proxy() if self._proxy else self._first()
        plain.settimeout(self._try_s)
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

    def _through_proxy(self) -> socket.socket:
        parts = urlsplit(self._proxy)
        place = (parts.hostname or "", parts.port or _PROXY_PORT)
        self.sock = plain = socket.create_connection(place, CONNECT_S)  # so that it can hang up
        host = f"[{self._target.host}]" if ":" in self._target.host else self._target.host
        authority = f"{host}:{self._target.port}".encode()
        lines = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n" % (authority, authority)
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            lines += b"Proxy-Authorization: Basic %b\r\n" % b64encode(pair)
        plain.sendall(lines + b"\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            # One byte at a time: what follows the head belongs to TLS.
            more = plain.recv(1)
            if not more or len(head) > _PROXY_REPLY_BYTES_MAX:
                raise ConnectionResetError("the proxy gave no answer")
            head += more
        if head.split(b" ", 2)[1:2] != [b"200"]:
            raise ConnectionRefusedError("the proxy refused")
        return plain


class OutsideClient:
    """Gets and posts. ``named`` are hosts that may be inside.

    ``proxy_for`` gives the proxy that leads to a target, "" for none; it is asked for https and
    for hosts outside alone, and its proxy is asked for nothing that is known to point inside.
    """

    def __init__(
        self,
        ca_file: str = "",
        named: Collection[str] = (),
        proxy_for: Callable[[Target], str] = lambda target: "",
        resolve: Resolve = looked_up,
        try_s: float = TRY_S,
    ) -> None:
        self._tls = trusting(ca_file)
        self._named = frozenset(named)
        self._proxy_for = proxy_for
        self._resolve = resolve
        self._try_s = try_s

    def target(self, url: str) -> Target:
        """Read a URL. Raises ValueError for what no connection may be made to."""
        return target_of(url, self._named)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """Ask once. Raises NoAnswer for whatever goes wrong below the answer itself."""
        try:
            target = self.target(url)
        except ValueError as error:
            raise NoAnswer(f"the address {error}") from None
        try:
            return self._asked(target, method, {**headers, "Host": target.host_header}, body)
        except PointsInside as error:
            raise NoAnswer(str(error)) from None
        except ssl.SSLCertVerificationError as error:
            raise NoAnswer(f"its certificate is not good: {error.verify_message}") from None
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._try_s:.0f} seconds") from None
        except socket.gaierror as error:
            raise NoAnswer(f"its host is not known ({error.strerror})") from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise NoAnswer(f"no answer: {reason}") from None

    def _asked(
        self, target: Target, method: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        is_far = target.scheme == "https" and not target.is_named
        proxy = self._proxy_for(target) if is_far else ""
        try:
            addresses = addresses_of(target, self._resolve)
        except socket.gaierror:
            if not proxy:
                raise
            addresses = []  # names of the outside may be known to the proxy alone
        connection = PinnedConnection(target, addresses, self._tls, self._try_s, proxy)
        with closing(connection):
            watch = threading.Timer(self._try_s, connection.hang_up)
            watch.daemon = True
            watch.start()
            try:
                connection.request(method, target.path, body, {**headers, "Connection": "close"})
                reply = connection.getresponse()
                read = reply.read(ANSWER_BYTES_MAX + 1)
            except (OSError, HTTPException):
                if connection.hung_up:
                    raise TimeoutError from None
                raise
            finally:
                watch.cancel()
            if connection.hung_up:
                raise TimeoutError
            if len(read) > ANSWER_BYTES_MAX:
                raise NoAnswer(f"its answer is larger than {ANSWER_BYTES_MAX >> 10} KB")
            media_type = (reply.getheader("Content-Type") or "").partition(";")[0]
            return Answer(reply.status, media_type.strip().lower(), read)
