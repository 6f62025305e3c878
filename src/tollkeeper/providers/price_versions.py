"""The versions of the price book: immutable files, each named after what is in it.

A version is a name and three parts, all JSON lines: the book itself (compiled from its source
with its history), what fills its gaps, and our corrections. Its digest is of all parts, so two
books of one version price everything alike. Versions stand in the package (every one that a
release shipped) and in the data folder (every one that was fetched); none is ever changed.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

PRICES: Final = Path(__file__).resolve().parent.parent / "prices"
PARTS: Final = ("book.jsonl", "gaps.jsonl", "overlay.jsonl")
BYTES_MAX: Final = 64 << 20

_DIGEST_CHARS: Final = 12
_FILE_NAME: Final = re.compile(r"([a-z0-9][a-z0-9.-]{0,60}\+[0-9a-f]{12})\.json\.gz")
_OWN: Final = "+own."


class DamagedBook(ValueError):
    """A file that does not hold the version that its name says."""


class Parts(NamedTuple):
    """A version's content. ``released`` is when its source was published (ISO, UTC)."""

    name: str
    released: str
    texts: tuple[bytes, ...]

    @property
    def version(self) -> str:
        """Name the version: the source's release, and a digest of every price and correction."""
        digests = b"".join(sha256(text).digest() for text in self.texts)
        return f"{self.name}+{sha256(digests).hexdigest()[:_DIGEST_CHARS]}"


class _Head(msgspec.Struct):
    """The first line of a book: where it is from."""

    source: str
    released: str


class _Packed(msgspec.Struct):
    name: str
    released: str
    parts: list[str]


def shipped_parts() -> Parts:
    """Give the content of the version that this release uses."""
    texts = tuple((PRICES / part).read_bytes() for part in PARTS)
    return parts_of(texts)


def parts_of(texts: tuple[bytes, ...]) -> Parts:
    """Make a version of its texts. Raises DamagedBook where the first line says not whose it is."""
    try:
        head = msgspec.json.decode(texts[0].partition(b"\n")[0], type=_Head)
    except msgspec.MsgspecError as error:
        raise DamagedBook(f"the book's first line: {error}") from None
    return Parts(head.source.replace(" ", "-"), head.released, texts)


def plain_version(version: str) -> str:
    """Give a version without the operator's own prices in it."""
    return version.partition(_OWN)[0]


def packed(parts: Parts) -> bytes:
    """Write a version as a file: the same content always gives the same bytes."""
    document = {
        "name": parts.name,
        "released": parts.released,
        "parts": [text.decode("utf-8") for text in parts.texts],
    }
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=9) as file:
        file.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    return buffer.getvalue()


def unpacked(path: Path) -> Parts:
    """Read a version's file. Raises DamagedBook, OSError."""
    data = path.read_bytes()
    try:
        unzip = zlib.decompressobj(wbits=31)
        text = unzip.decompress(data, BYTES_MAX)
        if unzip.unconsumed_tail:
            raise DamagedBook(f"{path.name} unpacks to more than {BYTES_MAX >> 20} MB")
        if not unzip.eof:
            raise DamagedBook(f"{path.name} is cut off")
        document = msgspec.json.decode(text, type=_Packed)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise DamagedBook(f"{path.name}: {error}") from None
    texts = tuple(part.encode() for part in document.parts)
    parts = Parts(document.name, document.released, texts)
    if path.name != file_name(parts.version):
        raise DamagedBook(f"{path.name} holds another version: {parts.version}")
    return parts


def file_name(version: str) -> str:
    """Give the name of a version's file."""
    return f"{version}.json.gz"


def version_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give (version, file) of all versions in a folder, sorted; other files are passed over."""
    for path in sorted(folder.glob("*.json.gz")) if folder.is_dir() else ():
        found = _FILE_NAME.fullmatch(path.name)
        if found:
            yield found[1], path
