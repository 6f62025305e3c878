"""Finding a model in a provider's price list: exactly, or without its date, never by guess.

A name that means another model from a time on is looked up as what it meant then. Any other
is looked up as it is, then without a date or version suffix ("-20250929", "@20250929",
"-latest"), then as a fine-tuned model under its base's name, and at Amazon by region and
version. A prefix is never enough: "gpt-4.1-nano" is not "gpt-4.1".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tollkeeper.domain.bedrock_names import AMAZON, BedrockModels
from tollkeeper.domain.price_data import ModelRow, ProviderRow
from tollkeeper.domain.price_windows import instant_us

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
    """A model row and how it was found.

    The rule is "exact", "alias", "renamed", "dated" or "fine_tuned", at Amazon also "version",
    "regional" or the region ("region:eu").
    """

    row: ModelRow
    rule: str


_NOTHING: Final = Match({"model": "", "prices": ()}, "")


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
        self._at_amazon: BedrockModels | None = None
        if provider["provider"] == AMAZON:
            self._at_amazon = BedrockModels(provider["models"])
        self._renamed = {
            name.lower(): [(instant_us(since), target) for since, target in meanings]
            for name, meanings in provider.get("renamed", {}).items()
        }

    def edges(self, model: str) -> Sequence[int]:
        """Give the instants (epoch microseconds) at which a name begins to mean another model."""
        meanings = self._renamed.get(_RESOURCE.sub("", model.lower()), ())
        return [since_us for since_us, _ in meanings[1:]]

    def find(self, model: str, at_us: int) -> Match | None:
        """Give the row of a model as its name was meant at a time, or None if it is not listed."""
        name = model.lower()
        if self._at_amazon is not None and "gone" in self._rows.get(name, _NOTHING).row:
            found = self._found_at_amazon(name)
            if found:
                return found
        for candidate in (name, _RESOURCE.sub("", name)):
            found = (
                self._meant(candidate, at_us)
                or self._rows.get(candidate)
                or self._dated(candidate)
                or self._tuned(candidate)
            )
            if found:
                return found
        return self._found_at_amazon(name)

    def _found_at_amazon(self, name: str) -> Match | None:
        found = self._at_amazon.find(name) if self._at_amazon is not None else None
        return Match(*found) if found is not None else None

    def _meant(self, name: str, at_us: int) -> Match | None:
        """Look up what a name meant at a time; before the first meaning that is known, that one."""
        meanings = self._renamed.get(name)
        if not meanings:
            return None
        begun = [target for since_us, target in meanings if since_us <= at_us]
        found = self._rows.get((begun[-1] if begun else meanings[0][1]).lower())
        return Match(found.row, "renamed") if found else None

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
