"""A real, small HTTP proxy: it tunnels on CONNECT and forwards absolute targets."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from loopback import HOST


class OutgoingProxy:
    """Serves on a free port. ``heads`` holds the head of every request that it was asked.

    ``answer``, if it is set, is what every request gets instead of a connection. ``ports`` says
    for ports of the outside world which one is meant here.
    """

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.answer: bytes | None = None
        self.ports: dict[int, int] = {}
        self._listening = socket.create_server((HOST, 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def url(self, login: str = "") -> str:
        return f"http://{login}{HOST}:{self.port}"

    def __enter__(self) -> OutgoingProxy:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                more = client.recv(1 << 16)
                if not more:
                    return
                data += more
            self.heads.append(data.partition(b"\r\n\r\n")[0])
            if self.answer is not None:
                client.sendall(self.answer)
                return
            method, target, _ = data.split(b" ", 2)
            if method == b"CONNECT":
                port = int(target.rpartition(b":")[2])
                data = b""
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                port = urlsplit(target.decode()).port or 80
            # Names of the outside world lead back here: the network is off.
            with socket.create_connection((HOST, self.ports.get(port, port))) as there:
                there.sendall(data)
                back = threading.Thread(target=_pump, args=(there, client), daemon=True)
                back.start()
                _pump(client, there)
                back.join(20)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
