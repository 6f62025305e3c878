"""Reads the price list of models.dev as the npm package @earendil-works/pi-ai packs it.

It is a third vote only: nothing of it is shipped but whether it agrees.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.providers.genai_rows import plain

PACKAGE = "@earendil-works/pi-ai@1.5.2"
PACKED = "earendil-works-pi-ai-1.5.2.tgz"
FOLDER = "package/dist/providers/data/"
PROVIDERS = {
    "amazon-bedrock": "aws",
    "anthropic": "anthropic",
    "azure": "azure",
    "baseten": "baseten",
    "cerebras": "cerebras",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "google": "google",
    "groq": "groq",
    "meta": "meta",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshotai": "moonshotai",
    "openai": "openai",
    "openrouter": "openrouter",
    "together": "together",
    "xai": "x-ai",
    "zai": "zai",
}
FIELDS = {
    "input": u.INPUT,
    "output": u.OUTPUT,
    "cacheRead": u.CACHE_READ,
    "cacheWrite": u.CACHE_WRITE,
}


class Vote(NamedTuple):
    """What models.dev says of one model: quantity → USD per million tokens."""

    provider: str
    model: str
    usd: dict[str, str]


def read_package(path: Path) -> Iterator[Vote]:
    """Give the votes in a package. A price of 0 beside others means that it is not known."""
    with tarfile.open(path) as archive:
        for name, provider in PROVIDERS.items():
            member = archive.extractfile(f"{FOLDER}{name}.json")
            if member is None:
                raise SystemExit(f"{path.name} has no {name}.json")
            for models in json.loads(member.read(), parse_float=Decimal).values():
                for row in models.values():
                    usd = {
                        quantity: plain(Decimal(row["cost"][field]))
                        for field, quantity in FIELDS.items()
                        if row.get("cost", {}).get(field)
                    }
                    if usd:
                        yield Vote(provider, row["id"], usd)
