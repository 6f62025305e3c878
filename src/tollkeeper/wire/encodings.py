"""Content codings: request bodies within limits, and replies as their bytes go by."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from typing import Final, Protocol

import zstandard

from tollkeeper.domain.errors import BadRequest, TooLarge

RATIO_MAX: Final = 100
"""How many times its size a request body may grow. Real prompts grow by less than 20."""

_FREE_BYTES: Final = 1 << 20
"""Below this size the ratio does not matter."""

_PIECE_BYTES: Final = 64 << 10
_ZSTD_INPUT_BYTES: Final = 512
_WINDOW_BYTES_MAX: Final = 8 << 20  # what RFC 8878 asks every decoder to support
_GZIP: Final = 31
_ZLIB: Final = 15
_RAW_DEFLATE: Final = -15


def decode(body: bytes, encoding: str, size_max_bytes: int, ratio_max: int = RATIO_MAX) -> bytes:
    """Give the plain bytes of a request body.

    Raises BadRequest for an unknown coding and for bytes that are not of it, TooLarge as
    soon as the plain bytes pass the limit or grow out of proportion.
    """
    decoder = decoder_for(encoding)
    if decoder is None:
        raise BadRequest(
            f"the content encoding {encoding[:40]!r} is not understood; use gzip or zstd",
            code="encoding_unknown",
        )
    limit = min(size_max_bytes, max(len(body) * ratio_max, _FREE_BYTES))
    pieces: list[bytes] = []
    size = 0
    for piece in decoder.feed(body):
        size += len(piece)
        if size > limit:
            raise TooLarge("the body is too large once it is decompressed", code="body_too_large")
        pieces.append(piece)
    if decoder.failed or not decoder.complete:
        raise BadRequest(f"the body is not valid {encoding}", code="encoding_invalid")
    return b"".join(pieces)


def encode(body: bytes, encoding: str) -> bytes:
    """Write a body in the coding that it came in. Raises ValueError for an unknown one."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name in {"gzip", "x-gzip"}:
        writer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        return writer.compress(body) + writer.flush()
    if name == "deflate":
        return zlib.compress(body)
    if name == "zstd":
        return zstandard.ZstdCompressor(level=3).compress(body)
    raise ValueError(f"no such coding: {encoding}")


class Decoder(Protocol):
    """Decodes one body as its bytes go by.

    ``feed`` gives the plain bytes in pieces of bounded size; take all of them before the
    next call. Once ``failed`` it gives nothing more: a copy that cannot be read must never
    stop the original. ``complete`` tells that the coded data ended where it should.
    """

    @property
    def failed(self) -> bool: ...

    @property
    def complete(self) -> bool: ...

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes."""


def decoder_for(encoding: str) -> Decoder | None:
    """Give a decoder for a Content-Encoding, None for one that is not understood."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return _Identity()
    if name in {"gzip", "x-gzip"}:
        return _Zlib(_GZIP)
    if name == "deflate":
        return _Deflate()
    if name == "zstd":
        return _Zstd()
    return None


class _Identity:
    failed = False
    complete = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        if data:
            yield data


class _Zlib:
    """gzip or zlib; several members in a row count as one body."""

    def __init__(self, window: int) -> None:
        self.failed = False
        self._window = window
        self._inner = zlib.decompressobj(window)

    @property
    def complete(self) -> bool:
        return self._inner.eof and not self.failed

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self.failed:
            if self._inner.eof:
                self._inner = zlib.decompressobj(self._window)
            data = yield from self._member(data)

    def _member(self, data: bytes) -> Generator[bytes, None, bytes]:
        """Decode up to the end of one member; gives what follows it."""
        inner = self._inner
        while True:
            try:
                piece = inner.decompress(data, _PIECE_BYTES)
            except zlib.error:
                self.failed = True
                return b""
            if piece:
                yield piece
            if inner.eof:
                return inner.unused_data
            data = inner.unconsumed_tail
            # All input can be used up before everything that it stands for came out.
            if not data and len(piece) < _PIECE_BYTES:
                return b""


class _Deflate:
    """ "deflate" means zlib, but some servers send it without zlib's frame."""

    def __init__(self) -> None:
        self._inner: _Zlib | None = None
        self.failed = False

    @property
    def complete(self) -> bool:
        return self._inner is not None and self._inner.complete

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not data:
            return
        if self._inner is None:
            framed = data[0] & 0x0F == 8 and data[0] >> 4 <= 7
            self._inner = _Zlib(_ZLIB if framed else _RAW_DEFLATE)
        yield from self._inner.feed(data)
        self.failed = self._inner.failed


class _Zstd:
    def __init__(self) -> None:
        self.failed = False
        self._context = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
        self._inner = self._context.decompressobj()
        self._touched = False

    @property
    def complete(self) -> bool:
        return self._touched and self._inner.eof and not self.failed

    def feed(self, data: bytes) -> Iterator[bytes]:
        # A few bytes can stand for very many, and the library gives them all at once; so it
        # gets only a few at a time.
        for start in range(0, len(data), _ZSTD_INPUT_BYTES):
            rest = data[start : start + _ZSTD_INPUT_BYTES]
            while rest:
                if self._inner.eof:
                    self._inner = self._context.decompressobj()
                self._touched = True
                try:
                    piece = self._inner.decompress(rest)
                except zstandard.ZstdError:
                    self.failed = True
                    return
                if piece:
                    yield piece
                rest = self._inner.unused_data if self._inner.eof else b""
