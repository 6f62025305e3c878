"""An application that answers with what it was asked, for tests of the server side alone."""

from __future__ import annotations

import asyncio

from loopback import raw, run, serving
from tollkeeper.domain.errors import NotAllowed, Refused
from tollkeeper.http1.exchange import BodySink, Exchange
from tollkeeper.http1.listener import ServerLimits
from tollkeeper.http1.messages import Request


class Echo:
    """Answers with method, path and body; remembers every request that got through."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.gone = 0
        self.paused: list[EchoSink] = []

    def begin(self, request: Request, exchange: Exchange) -> BodySink:
        if request.path == b"/forbidden":
            raise NotAllowed("not this one")
        self.requests.append(request)
        sink = EchoSink(self, request, exchange)
        if request.path == b"/paused":
            exchange.pause_body()
            self.paused.append(sink)
        return sink

    def begin_whole(self, request: Request, exchange: Exchange, body: bytes) -> BodySink | None:
        if request.path != b"/short":
            return None
        sink = EchoSink(self, request, exchange)
        self.requests.append(request)
        sink.body(body)
        exchange.request_complete = True
        sink.body_end()
        return sink

    def refuse(self, request: Request | None, exchange: Exchange, error: Refused) -> None:
        exchange.send(error.status, b"x-code: %b\r\n" % error.code.encode(), error.message.encode())


class EchoSink:
    def __init__(self, app: Echo, request: Request, exchange: Exchange) -> None:
        self.app, self.request, self.exchange = app, request, exchange
        self.parts: list[bytes] = []

    def body(self, data: bytes) -> None:
        self.parts.append(data)

    def body_end(self) -> None:
        self.app.bodies.append(b"".join(self.parts))
        if self.request.path == b"/later":
            asyncio.get_running_loop().call_later(0.05, self.answer)
        else:
            self.answer()

    def answer(self) -> None:
        body = self.request.method + b" " + self.request.target + b" " + b"".join(self.parts)
        if self.request.path == b"/stream":
            head = self.exchange.head(200, b"", None)
            for index in range(0, len(body), 3):
                self.exchange.write(body[index : index + 3], head)
                head = b""
            self.exchange.end()
        else:
            self.exchange.send(200, b"", body)

    def client_gone(self) -> None:
        self.app.gone += 1

    def client_writable(self, *, writable: bool) -> None: ...


def ask(*parts: bytes, limits: ServerLimits | None = None, **options: float) -> tuple[bytes, Echo]:
    """Send raw bytes to a fresh server; give the answer and what the application saw."""
    app = Echo()

    async def work() -> bytes:
        async with serving(app, limits) as (port, _):
            return await raw(port, *parts, **options)

    return run(work), app
