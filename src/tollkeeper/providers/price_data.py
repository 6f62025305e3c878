"""Gives price books: the shipped one, the newest one, and any version that ever priced a call.

A book's parts are kept as bytes and cut into providers; a provider's models are decoded when
they are first asked for, so that a process pays in time and memory only for what it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from tollkeeper.domain.price_data import GapRow, ModelRow, OverlayRow, ProviderRow
from tollkeeper.domain.price_overlay import with_gaps, with_overlay
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.ports import DataFolder
from tollkeeper.providers.price_versions import (
    PRICES,
    DamagedBook,
    Parts,
    file_name,
    parts_of,
    plain_version,
    shipped_parts,
    unpacked,
    version_files,
)

OTHER_NAMES: Final[Mapping[str, str]] = {
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "xai": "x-ai",
    "moonshot": "moonshotai",
    "voyage": "voyageai",
    "z-ai": "zai",
}
"""What others call a provider, and what the book calls it."""

ARCHIVE: Final = PRICES / "versions"
_PROVIDER_LINE: Final = b'{"provider":'
_VERSIONS_MAX: Final = 4  # old books that are kept in memory: a repricing reads few at a time


class NewestBook(NamedTuple):
    """The book in force. ``fault`` says what is wrong with the fetched one where it is not used."""

    book: PriceBook
    fault: str = ""


class KnownVersion(NamedTuple):
    """A version that can be had: when its source was published, and who keeps it.

    ``place`` is "shipped" (with this release), "archive" (with an earlier one) or "fetched".
    """

    version: str
    released: str
    place: str
    in_force: bool


def shipped_price_book() -> PriceBook:
    """Give the price book of this release of Tollkeeper."""
    return book_of(shipped_parts())


def newest_price_book(data: DataFolder) -> NewestBook:
    """Give the newest book: the shipped one, or one that was fetched if its source is newer.

    A fetched book that cannot be read is left alone, and ``fault`` says so. Never raises for
    what is in the data folder.
    """
    shipped = shipped_parts()
    try:
        fetched = fetched_parts(data)
        if fetched is not None and fetched.released > shipped.released:
            return NewestBook(book_of(fetched))
    except (DamagedBook, msgspec.MsgspecError, OSError) as error:
        return NewestBook(book_of(shipped), f"the fetched price book cannot be used: {error}")
    return NewestBook(book_of(shipped))


def price_book_version(version: str, data: DataFolder | None = None) -> PriceBook | None:
    """Give the book of a version as a ledger entry names it; None if nobody has it any more.

    The operator's own prices ("…+own.1a2b3c4d") are not part of a version: the book is the
    one below them. Raises DamagedBook for a file that was changed.
    """
    wanted = plain_version(version)
    folder = None if data is None else str(fetched_folder(data))
    try:
        return _version(wanted, folder)
    except LookupError:  # which is not remembered: it may be fetched yet
        return None


def known_versions(data: DataFolder) -> list[KnownVersion]:
    """List all versions that can be had, the oldest source first. Damaged files are left out."""
    shipped = shipped_parts()
    in_force = newest_price_book(data).book.version
    found = {shipped.version: KnownVersion(shipped.version, shipped.released, "shipped", False)}
    for place, folder in (("archive", ARCHIVE), ("fetched", fetched_folder(data))):
        for version, path in version_files(folder):
            try:
                parts = unpacked(path)
            except (DamagedBook, OSError):
                continue
            found.setdefault(version, KnownVersion(version, parts.released, place, False))
    listed = sorted(found.values(), key=lambda it: (it.released, it.place != "archive"))
    return [it._replace(in_force=it.version == in_force) for it in listed]


def fetched_folder(data: DataFolder) -> Path:
    """Give the folder of fetched versions, which may not be there."""
    return data.root / "prices"


def fetched_mark(data: DataFolder) -> Path:
    """Give the file that names the fetched version in use; who follows prices watches it."""
    return fetched_folder(data) / "in-use"


def fetched_parts(data: DataFolder) -> Parts | None:
    """Give the fetched version in use, None where none was fetched. Raises DamagedBook, OSError."""
    mark = fetched_mark(data)
    if not mark.exists():
        return None
    version = mark.read_text("ascii", errors="replace").strip()
    names = dict(version_files(fetched_folder(data)))
    if version not in names:
        raise DamagedBook(f"{mark} names {version[:80]!r}, which is not there")
    return unpacked(names[version])


def parts_of_version(version: str, data: DataFolder) -> Parts | None:
    """Give the content of a version, None where nobody has it. Raises DamagedBook, OSError."""
    shipped = shipped_parts()
    if version == shipped.version:
        return shipped
    for folder in (ARCHIVE, fetched_folder(data)):
        path = folder / file_name(version)
        if version in dict(version_files(folder)):
            return unpacked(path)
    return None


@lru_cache(maxsize=_VERSIONS_MAX)
def _version(version: str, folder: str | None) -> PriceBook:
    parts = parts_of_version(version, DataFolder(Path(folder).parent if folder else ARCHIVE))
    if parts is None:
        raise LookupError(version)
    return book_of(parts)


def book_of(parts: Parts) -> PriceBook:
    """Make a price book of a version's content: see ``price_book``."""
    return price_book(parts.version, *_ordered(parts.texts))


def rows_of(parts: Parts) -> list[ProviderRow]:
    """Give all providers of a version as they are priced: gaps filled, corrections made.

    Raises ValueError, ``msgspec.MsgspecError`` for content that cannot be used.
    """
    compiled, gaps, overlay = _ordered(parts.texts)
    corrections = msgspec.json.Decoder(OverlayRow).decode_lines(overlay)
    return list(_Providers(compiled, gaps, corrections).values())


def _ordered(texts: Sequence[bytes]) -> tuple[bytes, bytes, bytes]:
    if len(texts) == 3:
        return texts[0], texts[1], texts[2]
    source, overlay = texts  # versions of before there were gaps
    return source, b"", overlay


def price_book(version: str, compiled: bytes, gaps: bytes, overlay: bytes) -> PriceBook:
    """Make a price book of its parts, all JSON lines.

    Raises ``msgspec.MsgspecError`` for lines that cannot be used; a fault among a provider's
    models shows when that provider is first asked for.
    """
    corrections = msgspec.json.Decoder(OverlayRow).decode_lines(overlay)
    return PriceBook(version, _Providers(compiled, gaps, corrections), OTHER_NAMES)


class _Providers(Mapping[str, ProviderRow]):
    """The providers of a book, decoded one by one. Who only fills gaps comes last."""

    def __init__(self, compiled: bytes, gaps: bytes, corrections: list[OverlayRow]) -> None:
        self._corrections = corrections
        self._decoded: dict[str, ProviderRow] = {}
        self._sections = _sections(compiled)
        self._gaps = _sections(gaps)
        for provider, (line, _) in self._gaps.items():
            self._sections.setdefault(provider, (line, b""))

    def __getitem__(self, provider: str) -> ProviderRow:
        if provider not in self._decoded:
            self._decoded[provider] = self._decode(provider)
        return self._decoded[provider]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)

    def __contains__(self, provider: object) -> bool:
        return provider in self._sections

    def _decode(self, provider: str) -> ProviderRow:
        line, models = self._sections[provider]
        head = msgspec.json.decode(line, type=_Head)
        row: ProviderRow = {
            "provider": head.provider,
            "name": head.name,
            "models": msgspec.json.Decoder(ModelRow).decode_lines(models),
        }
        if head.borrows:
            row["borrows"] = head.borrows
        if provider in self._gaps:
            rows = msgspec.json.Decoder(GapRow).decode_lines(self._gaps[provider][1])
            row = with_gaps(row, rows)
        return with_overlay(row, self._corrections)


def _sections(text: bytes) -> dict[str, tuple[bytes, bytes]]:
    """Cut a part into providers: each one's own line, and the lines of its models."""
    found: dict[str, tuple[bytes, bytes]] = {}
    for section in (b"\n" + text).split(b"\n" + _PROVIDER_LINE)[1:]:
        rest, _, models = section.partition(b"\n")
        line = _PROVIDER_LINE + rest  # what was cut off is put back
        found[msgspec.json.decode(line, type=_Head).provider] = (line, models)
    return found


class _Head(msgspec.Struct):
    """The line that opens a provider's section."""

    provider: str
    name: str
    borrows: list[str] = []


__all__ = [
    "ARCHIVE",
    "OTHER_NAMES",
    "KnownVersion",
    "NewestBook",
    "book_of",
    "fetched_folder",
    "fetched_mark",
    "fetched_parts",
    "known_versions",
    "newest_price_book",
    "parts_of",
    "parts_of_version",
    "price_book",
    "price_book_version",
    "rows_of",
    "shipped_price_book",
]
