"""What was carried over so far, and what was not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from tollkeeper.config.yaml_file import Document, Path
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.litellm_terms import window_of

ENVIRONMENT: Final = "os.environ/"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_A_NAME: Final = re.compile(r"[^A-Z0-9]+")


class Note(NamedTuple):
    """One thing that somebody should know: where it stands, and what became of it."""

    line: int
    option: str
    said: str


class Carried:
    """Collects our configuration. ``notes`` grow as things are found that have no counterpart."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.providers: dict[str, dict[str, Any]] = {}
        self.accounts: dict[tuple[str, ...], str] = {}
        self.models: dict[str, list[str]] = {}
        self.prices: list[dict[str, Any]] = []
        self.rates: dict[str, dict[str, int]] = {}
        self.budgets: list[dict[str, Any]] = []
        self.timezone = ""
        self.notes: list[Note] = []

    def note(self, path: Path, said: str) -> None:
        """Say something about a place of the file."""
        option = ".".join(str(step) for step in path)
        self.notes.append(Note(self.document.line(path), option, said))

    def rest(self, path: Path, names: Iterable[str], said: str) -> None:
        """Say the same of several options."""
        for name in names:
            self.note((*path, name), said)

    def secret(self, path: Path, value: object, variable: str) -> str:
        """Give a secret as the variable that holds it, never as itself."""
        text = value if isinstance(value, str) else ""
        name = text.removeprefix(ENVIRONMENT)
        if text.startswith(ENVIRONMENT) and _VARIABLE.fullmatch(name):
            return f"${{{name}}}"
        self.note(path, f"a secret in the file is not copied: put it into the variable {variable}")
        return f"${{{variable}}}"

    def text(self, path: Path, value: object) -> str:
        """Give a text, or the variable that holds it."""
        text = str(value).strip()
        name = text.removeprefix(ENVIRONMENT)
        return f"${{{name}}}" if text.startswith(ENVIRONMENT) else text

    def budget(
        self, path: Path, limit: object, duration: object, name: str, words: Mapping[str, Any]
    ) -> None:
        """Add a budget in USD, or say why it is none."""
        usd = decimal_of(limit)
        if usd is None:
            self.note(path, "is no amount of USD, so there is no such budget")
            return
        try:
            window = window_of("" if duration is None else str(duration), "UTC")
        except BadRequest as error:
            self.note(path, f"there is no such budget: {error.message}")
            return
        limit_words = f"{usd:f} USD"
        found = {"name": name, **words, "limit": limit_words, "window": str(window.kind)}
        self.budgets.append(found)


def decimal_of(value: object) -> Decimal | None:
    """Read a number as it was written; None for what is none, or below zero."""
    if isinstance(value, bool):
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() and found >= 0 else None


def variable_of(name: str, what: str = "API_KEY") -> str:
    """Give the name of a variable for a provider's secret."""
    return _NOT_A_NAME.sub("_", f"{name}_{what}".upper()).strip("_")
