"""A provider that does exactly what a script says to each connection, and keeps what it is sent."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, BinaryIO

from loopback import HOST

_LINGER_NOT = struct.pack("ii", 1, 0)
WAIT_S = 20.0


class Conversation:
    """One request on one connection; ``number`` counts those of the upstream from 1."""

    def __init__(self, connection: socket.socket, head: bytes, body: bytes, number: int) -> None:
        self.connection = connection
        self.head = head
        self.body = body
        self.number = number
        self.goes_on = True

    def answer(self, *parts: bytes, gap_s: float = 0.0) -> None:
        """Send bytes, with a pause between parts."""
        for part in parts:
            self.connection.sendall(part)
            if gap_s:
                time.sleep(gap_s)

    def close(self) -> None:
        """End the connection after what was sent."""
        self.goes_on = False

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        time.sleep(0.05)  # a reset overtakes what was sent
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.goes_on = False

    def wait_for_end(self) -> None:
        """Stay silent until the other side ends the connection."""
        self.connection.settimeout(WAIT_S)
        while self.connection.recv(1 << 16):
            pass
        self.goes_on = False


Script = Callable[[Conversation], None]


class RoughUpstream:
    """Serves a script on a free port, a thread for each connection.

    ``requests`` holds head and body of everything that came, ``connections`` how many were
    opened. ``script`` may be replaced at any time. Once ``body_when`` is an event, bodies are
    read only when it is set.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.body_when: threading.Event | None = None
        self._tls = tls
        self._listening = socket.create_server((HOST, 0), backlog=200)
        self.port = int(self._listening.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def open_connections(self) -> int:
        """Count the connections that are open now."""
        return len(self._open)

    @property
    def url(self) -> str:
        return (
            f"{'https' if self._tls else 'http'}://{'localhost' if self._tls else HOST}:{self.port}"
        )

    def __enter__(self) -> RoughUpstream:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop_listening()
        for connection in list(self._open):
            connection.close()

    def stop_listening(self) -> None:
        """Refuse connections from now on."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.add(connection)
            while (found := _read_request(connection, self.body_when)) is not None:
                self.requests.append(found[0] + found[1])
                conversation = Conversation(connection, *found, len(self.requests))
                self.script(conversation)
                if not conversation.goes_on:
                    break
        except OSError:
            pass  # the gateway left, as it may
        finally:
            self._open.discard(connection)
            connection.close()


def _read_request(
    connection: socket.socket, body_when: threading.Event | None
) -> tuple[bytes, bytes] | None:
    data = bytearray()
    while b"\r\n\r\n" not in data:
        more = connection.recv(1 << 16)
        if not more:
            return None
        data += more
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    if body_when is not None:
        body_when.wait(WAIT_S)
    lines = head.lower().split(b"\r\n")
    if b"transfer-encoding: chunked" in lines:
        body = _read_chunks(connection, rest)
    else:
        lengths = [line for line in lines if line.startswith(b"content-length:")]
        body = _read_body(connection, rest, int(lengths[-1].partition(b":")[2]) if lengths else 0)
    return None if body is None else (head + b"\r\n\r\n", body)


def _read_body(connection: socket.socket, start: bytes, length: int) -> bytes | None:
    body = bytearray(start)
    while len(body) < length:
        more = connection.recv(1 << 18)
        if not more:
            return None
        body += more
    return bytes(body)


def _read_chunks(connection: socket.socket, start: bytes) -> bytes | None:
    with connection.makefile("rb") as rest:
        data = _Joined(start, rest)
        body = bytearray()
        while size := int(data.line() or b"0", 16):
            body += data.read(size)
            data.line()
        return bytes(body) if data.line() == b"\r\n" else None


class _Joined:
    """What was read already, and then what follows."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def line(self) -> bytes:
        line, end, rest = self._start.partition(b"\n")
        if not end:
            self._start = b""
            return line + self._rest.readline()
        self._start = rest
        return line + end

    def read(self, size: int) -> bytes:
        data, self._start = self._start[:size], self._start[size:]
        return data + self._rest.read(size - len(data))


def json_reply(value: Any, status: str = "200 OK", headers: str = "") -> bytes:
    """Write a plain JSON reply."""
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
