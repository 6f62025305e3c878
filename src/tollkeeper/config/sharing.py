"""What of the cost is shared, and by what it is split, in tollkeeper.yaml."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from tollkeeper.config import yaml_file
from tollkeeper.domain.sharing import Sharing, Split
from tollkeeper.reports.dimensions import TAG_KEY

_SECTION: Final = "statements"
_TAGS_MAX: Final = 8

Weight = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class StatementOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``split`` shared cost by usage, evenly or by fixed ``weights``; what else is shared."""

    split: Literal["usage", "even", "fixed"] = "usage"
    shared_teams: list[str] = []
    shared_tags: Annotated[list[str], msgspec.Meta(max_length=_TAGS_MAX)] = []
    weights: dict[str, Weight] = {}


def sharing(document: yaml_file.Document, options: StatementOptions) -> Sharing:
    """Read the section. Raises ConfigError, which names the line."""
    split = Split(options.split)
    if (split is Split.FIXED) != any(options.weights.values()):
        raise document.error(
            (_SECTION, "weights"),
            "says how much each team bears, with split: fixed and only then",
            "weights: {core: 3, search: 1}",
        )
    return Sharing(
        split,
        frozenset(options.shared_teams),
        tuple(_tag(document, number, text) for number, text in enumerate(options.shared_tags)),
        dict(options.weights),
    )


def _tag(document: yaml_file.Document, number: int, text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not TAG_KEY.fullmatch(key):
        raise document.error(
            (_SECTION, "shared_tags", number), "is a tag's key and value", "cost=shared"
        )
    return key, value
