"""Options of the commands about keys, and how their texts are read."""

from __future__ import annotations

from typing import Annotated

import typer

from tollkeeper.domain import key_tokens
from tollkeeper.domain.errors import NotFound

ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="GLOB", help="Only these models; may be repeated."),
]
ProviderOption = Annotated[
    list[str] | None,
    typer.Option("--provider", metavar="GLOB", help="Only these providers; may be repeated."),
]
NetworkOption = Annotated[
    list[str] | None,
    typer.Option(
        "--network",
        metavar="CIDR",
        help="Only from this network or address, e.g. 10.0.0.0/8; may be repeated.",
    ),
]
TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Put on every call; may be repeated."),
]


def key_id_of(text: str) -> str:
    """Take the id from what was typed: an id, or a whole key."""
    parts = key_tokens.parse(text)
    if parts is None and text.startswith(key_tokens.PREFIX):
        raise NotFound("that is not a whole key; give all of it, or its id", code="key_malformed")
    return text if parts is None else parts.key_id


def tags_of(texts: list[str]) -> dict[str, str]:
    """Read ``KEY=VALUE`` of each text."""
    tags: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--tag")
        tags[name] = value
    return tags
