"""A client that sends exactly the bytes it is told to, and takes replies apart as they come."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

from canaries import PLANTED
from loopback import HOST

WAIT_S = 10.0
_LINGER_NOT = struct.pack("ii", 1, 0)
_BODILESS = {204, 304}
_MAY_SHOW = {"a prompt"}


class Answer(NamedTuple):
    """One reply. ``headers`` are by lower-case name; ``ended`` tells whether it is whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    head: bytes
    ended: bool

    def json(self) -> Any:
        return json.loads(self.body)


class RawConnection:
    """One connection to a port of this machine. Replies are searched for canaries."""

    def __init__(
        self,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        name: str = HOST,
        receive_bytes: int = 0,
    ) -> None:
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(WAIT_S)
        try:
            self.socket.connect((HOST, port))
        except OSError:
            self.socket.close()
            raise
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
        self._data = b""
        self._over = False

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    # ------------------------------------------------------------------ sending

    def send(self, *parts: bytes, gap_s: float = 0.0) -> RawConnection:
        """Send bytes; a connection that the other side has cut takes them silently."""
        for part in parts:
            try:
                self.socket.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
            if gap_s:
                time.sleep(gap_s)
        return self

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Leave with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.socket.close()

    # ------------------------------------------------------------------ receiving

    def read(self, bytes_min: int = 1, wait_s: float = WAIT_S) -> bytes:
        """Give raw bytes, as many as there are, at least so many unless the end comes."""
        while len(self._data) < bytes_min and self._more(wait_s):
            pass
        data, self._data = self._data, b""
        return data

    def read_until(self, text: bytes, wait_s: float = WAIT_S) -> bytes:
        """Give raw bytes up to and with some text."""
        while text not in self._data:
            assert self._more(wait_s), f"closed before {text!r}: {self._data[-500:]!r}"
        end = self._data.index(text) + len(text)
        data, self._data = self._data[:end], self._data[end:]
        return data

    def answer(self, wait_s: float = WAIT_S, *, head_only: bool = False) -> Answer:
        """Give the next final reply, whole or as far as it came before the close."""
        head = self.read_until(b"\r\n\r\n", wait_s)
        while head.startswith(b"HTTP/1.1 1"):
            head = self.read_until(b"\r\n\r\n", wait_s)
        status, headers = _head(head)
        if head_only or status in _BODILESS:
            body, ended = b"", True
        elif headers.get("transfer-encoding") == "chunked":
            body, ended = self._chunks(wait_s)
        elif "content-length" in headers:
            length = int(headers["content-length"])
            while len(self._data) < length and self._more(wait_s):
                pass
            ended = len(self._data) >= length
            body, self._data = self._data[:length], self._data[length:]
        else:
            body, ended = self.rest(wait_s), True
        answer = Answer(status, headers, body, head, ended)
        leaked = set(PLANTED.in_bytes(head + body))
        assert leaked <= (_MAY_SHOW if status < 300 else set()), f"{leaked} in {answer}"
        return answer

    def rest(self, wait_s: float = WAIT_S) -> bytes:
        """Give everything up to the close. Fails if the connection stays open."""
        while self._more(wait_s):
            pass
        data, self._data = self._data, b""
        return data

    def is_closed(self, wait_s: float = 0.5) -> bool:
        """Tell whether the other side closes, without a further byte, within a moment."""
        try:
            more = self._more(wait_s)
        except TimeoutError:
            return False
        assert not more, f"more came: {self._data[:500]!r}"
        return True

    def _more(self, wait_s: float) -> bool:
        if self._over:
            return False
        self.socket.settimeout(wait_s)
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        self._data += data
        self._over = not data
        return bool(data)

    def _chunks(self, wait_s: float) -> tuple[bytes, bool]:
        body = bytearray()
        while True:
            while b"\r\n" not in self._data:
                if not self._more(wait_s):
                    return bytes(body), False
            line, _, self._data = self._data.partition(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            while len(self._data) < size + 2:
                if not self._more(wait_s):
                    body += self._data[:size]
                    return bytes(body), False
            body += self._data[:size]
            self._data = self._data[size + 2 :]
            if not size:
                return bytes(body), True


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(": ")
        assert colon and name.lower() not in headers, line
        headers[name.lower()] = value
    return int(status), headers


def request(
    path: str,
    body: Any = b"",
    headers: Mapping[str, str | None] | None = None,
    *,
    method: str = "POST",
) -> bytes:
    """Write one request. Anything but bytes becomes JSON; a header that is None is left out."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields: dict[str, str | None] = {"host": "gateway.test", "content-type": "application/json"}
    if data or method == "POST":
        fields["content-length"] = str(len(data))
    fields |= dict(headers or {})
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value is not None]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1") + data


def ask(port: int, data: bytes, wait_s: float = WAIT_S) -> Answer:
    """Send a request on a connection of its own and give the reply."""
    with RawConnection(port) as connection:
        return connection.send(data).answer(wait_s)


def get(port: int, path: str, headers: Mapping[str, str | None] | None = None) -> Answer:
    """Ask for a page."""
    return ask(port, request(path, headers=headers, method="GET"))
