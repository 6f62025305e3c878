"""Pages that begin before they are known: their head and navigation, while the ledger is asked.

A page's handler says ``stands(ThePage)`` once only a fault of ours could keep its page away:
the question was read, whoever asks may ask it, and the ledger is open. If the page then takes a
while, the dispatcher sends what stands above its content, so that a browser fetches style and
script and shows where one is meanwhile. Who did not ask as a browser does gets every page in
one piece, with the status of whatever befell it.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol

import zstandard
from starlette.datastructures import MutableHeaders
from starlette.types import Receive, Scope, Send

from tollkeeper.console.shared import Page
from tollkeeper.ports import Ledger

HEAD_START_S: Final = 0.003
"""How long a page has to be there as a whole. A browser takes twenty times that until it shows
what came, so that a page whose end follows soon still replaces the last one at a stroke."""

ENDS_LATER: Final = "tollkeeper.ends_later"
"""In the message that begins an answer: how it ends is not known yet."""

ENDED_AS: Final = "tollkeeper.ended_as"
"""In the message that ends such an answer: the status that it would have had."""

_ZSTD_LEVEL: Final = 3
_GZIP_LEVEL: Final = 5
_GZIP_FRAME: Final = 31

_begin: ContextVar[Callable[[str, str], None] | None] = ContextVar("tollkeeper_begin", default=None)


def stands(page: type[Page], ledger: Ledger | None = None, title: str = "") -> None:
    """Say that the page can be given, short of a fault. Whoever says so raises no more refusals.

    ``title`` is its title, where its template cannot tell without the page.
    Raises LedgerUnavailable while a ledger is away that the page cannot do without.
    """
    if ledger is not None:
        ledger.entries()
    begin = _begin.get()
    if begin is not None:
        begin(page.template, title)


class Beginning:
    """Waits for a page, or until it can begin. Made on the loop."""

    head_start_s = HEAD_START_S

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stands = self._loop.create_future()
        self.template, self.title = "", ""

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear what ``stands`` says inside, on a thread."""
        before = _begin.set(self._said)
        try:
            yield
        finally:
            _begin.reset(before)

    def _said(self, template: str, title: str) -> None:
        self._loop.call_soon_threadsafe(self._note, template, title)

    def _note(self, template: str, title: str) -> None:
        if not self._stands.done():
            self.template, self.title = template, title
            self._stands.set_result(None)

    async def comes_first(self, page: asyncio.Future[Any]) -> bool:
        """Tell whether the page can begin and is not there yet, after its head start."""
        await asyncio.wait({page}, timeout=self.head_start_s)
        if not page.done():
            await asyncio.wait({page, self._stands}, return_when=asyncio.FIRST_COMPLETED)
        return not page.done()


class EarlyPage:
    """An answer in two pieces. ``rest`` gives the second, and the status it would have had."""

    def __init__(
        self,
        headers: MutableHeaders,
        encoding: str,
        top: bytes,
        rest: Callable[[], Awaitable[tuple[int, bytes]]],
    ) -> None:
        self._headers, self._top, self._rest = headers, top, rest
        self._packer = _PACKERS[encoding]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send both pieces."""
        headers = self._headers.raw
        await send(
            {"type": "http.response.start", "status": 200, "headers": headers, ENDS_LATER: True}
        )
        await send(_body(self._packer.some(self._top), more=True))
        status, rest = await self._rest()
        await send(_body(self._packer.last(rest), more=False) | {ENDED_AS: status})


def _body(data: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


class _Packer(Protocol):
    """Compresses pieces, each of which can be read at once."""

    def some(self, data: bytes) -> bytes: ...

    def last(self, data: bytes) -> bytes: ...


class _Plain:
    def some(self, data: bytes) -> bytes:
        return data

    def last(self, data: bytes) -> bytes:
        return data


class _Zstd:
    def __init__(self) -> None:
        self._made = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()

    def some(self, data: bytes) -> bytes:
        packed = self._made.compress(data)
        return packed + self._made.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def last(self, data: bytes) -> bytes:
        return self._made.compress(data) + self._made.flush()


class _Gzip:
    def __init__(self) -> None:
        self._made = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_FRAME)

    def some(self, data: bytes) -> bytes:
        return self._made.compress(data) + self._made.flush(zlib.Z_SYNC_FLUSH)

    def last(self, data: bytes) -> bytes:
        return self._made.compress(data) + self._made.flush()


_PACKERS: Final[dict[str, Callable[[], _Packer]]] = {"": _Plain, "zstd": _Zstd, "gzip": _Gzip}
