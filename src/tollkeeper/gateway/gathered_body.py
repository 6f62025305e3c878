"""A request body as it comes in: gathered until it is whole."""

from __future__ import annotations

import mmap
from typing import Final

_LARGE_BYTES: Final = 1 << 20
_PAGES_BYTES_MIN: Final = 4 << 20


class GatheredBody:
    """The bytes of one body.

    The pieces of a large one do not stay as they came: they would lie scattered between
    those of other callers, and the allocator gives such places back to the system late or
    never (0.9 GB were seen for bodies of 0.5 GB). It is copied into pages of its own, which
    go back as soon as the body is taken.
    """

    __slots__ = ("_length", "_pages", "_parts", "size_bytes")

    def __init__(self, length: int | None) -> None:
        """Begin with nothing; ``length`` is the declared size, None where there is none."""
        self.size_bytes = 0
        self._length = length or 0
        self._pages: mmap.mmap | None = None
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size_bytes += len(data)
        if self.size_bytes <= _LARGE_BYTES:
            self._parts.append(data)
            return
        pages = self._pages
        if pages is None or self.size_bytes > len(pages):
            pages = self._pages = self._larger(pages)
            for part in self._parts:
                pages.write(part)
            self._parts = []
        pages.write(data)

    def take(self) -> bytes:
        """Give the whole body, and forget it."""
        pages, parts = self._pages, self._parts
        if pages is not None:
            body = pages[: self.size_bytes]
        else:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
        self.forget()
        return body

    def forget(self) -> None:
        """Let go of what was gathered."""
        if self._pages is not None:
            self._pages.close()
        self.size_bytes = 0
        self._pages = None
        self._parts = []

    def _larger(self, pages: mmap.mmap | None) -> mmap.mmap:
        """Give pages for what there is and more; only those written to take up memory."""
        enough = self._length if self.size_bytes <= self._length else 2 * self.size_bytes
        larger = mmap.mmap(-1, max(_PAGES_BYTES_MIN, enough))
        if pages is not None:
            with memoryview(pages) as view, view[: pages.tell()] as written:
                larger.write(written)
            pages.close()
        return larger
