"""Amazon Bedrock's names for models, as far as the price book needs to understand them.

A name may begin with where it may be served ("us.", "global."), may end in a version
("-v1:0"), and may be wrapped in an ARN. Where a model has a price of its own for a region, or
one for all regions ("regional."), that is the price; a plain price is that of the US regions
and stands in for "us." only. What an application inference profile stands for is not in its
name. Source: docs.aws.amazon.com on inference profiles and on resource types of Bedrock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from tollkeeper.domain.price_data import ModelRow

AMAZON: Final = "aws"
"""What the price book calls Amazon Bedrock."""

GLOBAL: Final = "global"
REGIONAL: Final = "regional"
"""The book's word for a price that holds in every region, and not for "global"."""

_BASE_REGIONS: Final = frozenset({"", "us"})
_NAME: Final = re.compile(
    r"(?:(global|regional|us-gov|us|eu|apac|au|jp|ca|in|sa|me|af|il|mx)\.)?"
    r"(.+?)"
    r"(?:-v(\d+)|-(\d)(?=:))?"  # "-v1", or "-1" in front of ":0"
    r"(?::(\d+)(?::\d+k?)?)?"  # ":0", and how long a context is provisioned
)
_ARN: Final = re.compile(r"arn:aws[a-z-]*:([a-z-]+):[a-z0-9-]*:\d*:([a-z-]+)/(.+)")
_NAMED: Final = frozenset({"foundation-model", "inference-profile"})


class BedrockName(NamedTuple):
    """A name in its parts; ``version`` has as many numbers as the name tells."""

    region: str
    stem: str
    version: tuple[str, ...]


class Found(NamedTuple):
    """A row of the book and the word for how it was found."""

    row: ModelRow
    rule: str


def bare_id(name: str) -> str:
    """Take the id of a model or profile out of an ARN; any other name stays as it is."""
    arn = _ARN.fullmatch(name)
    return arn[3] if arn is not None and arn[2] in _NAMED else name


def opaque_kind(name: str) -> str:
    """Name the kind of resource whose ARN tells no model ("application-inference-profile").

    "" for names that tell one, and for what is no ARN.
    """
    arn = _ARN.fullmatch(name.lower())
    return "" if arn is None or arn[2] in _NAMED else arn[2]


def names_its_maker(name: str) -> bool:
    """Tell whether a name begins as only Amazon writes it: "mistral.mistral-large-…"."""
    return _MAKER.match(name.lower()) is not None


_MAKER: Final = re.compile(r"(?:(?:us-gov|[a-z]{2,6})\.)?[a-z][a-z0-9]*\.[a-z]")


class BedrockModels:
    """The models of Bedrock's price list by region, stem and version.

    What the list has under a name no longer is left out: it went on under another one.
    """

    def __init__(self, rows: Iterable[ModelRow]) -> None:
        self._rows: dict[tuple[str, str], list[tuple[tuple[str, ...], ModelRow]]] = {}
        for row in rows:
            if "gone" in row:
                continue
            own = _parts(row["model"])
            self._add(own, own.version, row)
            for alias in row.get("aliases", ()):
                named = _parts(alias.lstrip("/"))
                # An alias without a version is one for the version of its row.
                self._add(named, named.version or own.version, row)

    def find(self, name: str) -> Found | None:
        """Give the row of a name that is not listed as it stands, or None."""
        asked = _parts(bare_id(name.lower()))
        for region in _regions(asked.region):
            fitting = {
                id(row): row
                for version, row in self._rows.get((region, asked.stem), ())
                if _same(version, asked.version)
            }
            if len(fitting) == 1:
                return Found(next(iter(fitting.values())), _rule(asked, region))
        return None

    def _add(self, name: BedrockName, version: tuple[str, ...], row: ModelRow) -> None:
        self._rows.setdefault((name.region, name.stem), []).append((version, row))


def _parts(name: str) -> BedrockName:
    found = _NAME.fullmatch(name.lower())
    if found is None:
        return BedrockName("", name, ())
    region, stem, version, bare_version, revision = found.groups()
    numbers = (version or bare_version or "", revision or "")
    return BedrockName(region or "", stem, tuple(number for number in numbers if number))


def _regions(asked: str) -> tuple[str, ...]:
    """Say under which regions a price may stand, the closest first."""
    if asked == GLOBAL:
        return (GLOBAL,)
    return (asked, REGIONAL, "") if asked in _BASE_REGIONS else (asked, REGIONAL)


def _same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Tell whether two versions are the same as far as both are told."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _rule(asked: BedrockName, region: str) -> str:
    if asked.region:
        return f"region:{asked.region}"
    return REGIONAL if region == REGIONAL else "version"


def callable_names(models: Iterable[str], region: str) -> list[str]:
    """Give the names that models of the price list can be called by from a region of AWS.

    Those with one price for all regions are called by the profile of the region's part of the
    world: "regional.anthropic.claude-opus-5" is "eu.anthropic.claude-opus-5" in eu-west-1.
    """
    world = _world(region) or "us"
    return [
        f"{world}.{name.removeprefix(f'{REGIONAL}.')}" if name.startswith(f"{REGIONAL}.") else name
        for name in models
    ]


def name_in_region(name: str, region: str) -> str:
    """Give the name whose price a model has that was called by its plain name in a region.

    "" where the plain name says it: in the US, or where no region is known. Any other part of
    the world has prices of its own, those of its profiles.
    """
    asked, world = _parts(bare_id(name)), _world(region)
    if world in _BASE_REGIONS or asked.region or opaque_kind(name) or "." not in asked.stem:
        return ""
    return f"{world}.{bare_id(name)}"


def _world(region: str) -> str:
    return next((word for start, word in _WORLDS.items() if region.startswith(start)), region)


_WORLDS: Final = {
    "us-gov-": "us-gov",
    "ap-": "apac",
    **{f"{word}-": word for word in ("us", "eu", "ca", "sa", "me", "af", "il", "mx")},
}
