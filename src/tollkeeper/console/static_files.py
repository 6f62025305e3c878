"""Our own scripts, styles and pictures, under names that change with their content."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import zstandard

from tollkeeper.console.encodings import preferred

FOLDER: Final = Path(__file__).parent / "static"
PREFIX: Final = "/static/"
ICON: Final = "favicon.svg"
STYLE: Final = "app.css"
STYLE_COOKIE: Final = "style"
"""The address of the style sheet that a browser has. Our script sets it, once it has the file."""

_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
}
_COMPRESSED: Final = frozenset({".css", ".js", ".svg", ".txt"})
_HASH_CHARS: Final = 12
_ZSTD_LEVEL: Final = 19


def style_sheet() -> str:
    """Read the style sheet, for pages of browsers that do not have the file yet."""
    return (FOLDER / STYLE).read_text(encoding="utf-8")


class StaticFile(NamedTuple):
    """One file, in each encoding that makes it smaller ("" is as it is)."""

    media_type: str
    bodies: Mapping[str, bytes]

    def best(self, accepted: str) -> tuple[str, bytes]:
        """Give the encoding, and the body in it, that suits an ``Accept-Encoding``."""
        encoding = preferred(accepted, self.bodies)
        return encoding, self.bodies[encoding]


class StaticFiles:
    """The files of one folder, read and compressed once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._addresses: dict[str, str] = {}
        self._files: dict[str, StaticFile] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in _TYPES:
                self._add(path.relative_to(folder).as_posix(), path)

    def _add(self, name: str, path: Path) -> None:
        body = path.read_bytes()
        stem, _, suffix = name.rpartition(".")
        hashed = f"{stem}.{sha256(body).hexdigest()[:_HASH_CHARS]}.{suffix}"
        bodies = {"": body}
        if path.suffix in _COMPRESSED:
            smaller = {
                "zstd": zstandard.compress(body, _ZSTD_LEVEL),
                "gzip": gzip.compress(body, 9, mtime=0),
            }
            bodies |= {name: each for name, each in smaller.items() if len(each) < len(body)}
        self._addresses[name] = PREFIX + hashed
        self._files[hashed] = StaticFile(_TYPES[path.suffix], bodies)

    def address(self, name: str) -> str:
        """Give the address of a file. Raises LookupError for one that there is not."""
        return self._addresses[name]

    def file(self, hashed_name: str) -> StaticFile | None:
        """Find a file by the name in its address."""
        return self._files.get(hashed_name)

    def style_is_held(self, cookies: Mapping[str, str]) -> bool:
        """Tell whether a browser has the file of the style sheet as it is now."""
        return cookies.get(STYLE_COOKIE) == self._addresses[STYLE]

    def icon(self) -> StaticFile | None:
        """Give the icon, if there is one."""
        hashed = self._addresses.get(ICON, "").removeprefix(PREFIX)
        return self._files.get(hashed)
