"""Finding a model in a provider's price list: exactly, or without its date, never by guess.

A name is looked up as it is, then without a date or version suffix ("-20250929",
"@20250929", "-latest"), then as a fine-tuned model under its base's name. A prefix is never
enough: "gpt-4.1-nano" is not "gpt-4.1".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from tollkeeper.domain.price_data import ModelRow, ProviderRow

_DATE: Final = re.compile(
    r"[-@]20\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])$"  # -20250929, -2025-09-29, @…
    r"|[-@]latest$"
    r"|@default$"  # Vertex's name for the one version there is
)
_OTHER_SUFFIXES: Final[Mapping[str, re.Pattern[str]]] = {
    # Google numbers its versions (-001) and dates its previews without a year (-05-20, -09-2025).
    "google": re.compile(r"-(?:\d{3}|(?:0[1-9]|1[0-2])-(?:\d{2}|20\d{2}))$"),
}
_RESOURCE: Final = re.compile(r"^(?:.*/)?models/")
_FINE_TUNED: Final = re.compile(r"^(ft:[^:]+)(?::|$)|^(.+\.ft-)")


class Match(NamedTuple):
    """A model row and how it was found: "exact", "alias", "dated" or "fine_tuned"."""

    row: ModelRow
    rule: str


class PriceList:
    """The models of one provider by name."""

    def __init__(self, provider: ProviderRow) -> None:
        self._suffix = _OTHER_SUFFIXES.get(provider["provider"])
        self._rows: dict[str, Match] = {}
        for row in provider["models"]:
            for alias in row.get("aliases", ()):
                self._rows.setdefault(alias.lower(), Match(row, "alias"))
        for row in provider["models"]:
            self._rows[row["model"].lower()] = Match(row, "exact")

    def find(self, model: str) -> Match | None:
        """Give the row of a model, or None if it is not listed."""
        name = model.lower()
        for candidate in (name, _RESOURCE.sub("", name)):
            found = self._rows.get(candidate) or self._dated(candidate) or self._tuned(candidate)
            if found:
                return found
        return None

    def _dated(self, name: str) -> Match | None:
        for suffix in (_DATE, self._suffix):
            stem = suffix.sub("", name) if suffix else name
            if stem != name and stem in self._rows:
                return Match(self._rows[stem].row, "dated")
        return None

    def _tuned(self, name: str) -> Match | None:
        tuned = _FINE_TUNED.match(name)
        if not tuned:
            return None
        stem = tuned.group(1) or tuned.group(2)
        found = self._rows.get(stem) or self._dated(stem)
        return Match(found.row, "fine_tuned") if found else None
