"""The gateway's own answer to "which models are there?", in the shape that the caller reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from tollkeeper.domain.errors import UnknownRoute
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.credentials import HeaderLookup
from tollkeeper.wire.endpoints import Match

_EPOCH: Final = "1970-01-01T00:00:00Z"
"""Stands for a release date that is not known, where the protocol demands one."""

_GEMINI_METHODS: Final = ("generateContent", "streamGenerateContent", "countTokens")
_encode: Final = msgspec.json.encode


class ListedModel(NamedTuple):
    """One model that a caller may ask for, and whose it is."""

    model: str
    owner: str


def models_dialect(match: Match, header: HeaderLookup) -> Dialect:
    """Say in whose shape a caller of ``/v1/models`` expects the answer.

    Several vendors use this path; what tells them apart are the headers of their clients.
    """
    if match.endpoint.dialect is not Dialect.OPENAI:
        return match.endpoint.dialect
    if header(b"anthropic-version") is not None:
        return Dialect.ANTHROPIC
    agent = header(b"user-agent") or b""
    if agent.startswith((b"claude-cli/", b"claude-code/")):
        return Dialect.ANTHROPIC
    if header(b"x-goog-api-key") is not None or agent.startswith(b"google-genai-sdk/"):
        return Dialect.GEMINI
    return Dialect.OPENAI


def models_body(models: Sequence[ListedModel], dialect: Dialect, query: str = "") -> bytes:
    """Give the listing. Everything is on one page."""
    if dialect is Dialect.ANTHROPIC:
        listing = [_anthropic(entry) for entry in models]
        return _encode(
            {
                "data": listing,
                "has_more": False,
                "first_id": models[0].model if models else None,
                "last_id": models[-1].model if models else None,
            }
        )
    if dialect is Dialect.GEMINI:
        return _encode({"models": [_gemini(entry) for entry in models]})
    if "client_version=" in query:
        # Codex asks so for its own catalogue, and complains about any other listing.
        return b'{"models":[]}'
    return _encode({"object": "list", "data": [_openai(entry) for entry in models]})


def model_body(models: Iterable[ListedModel], model: str, dialect: Dialect) -> bytes:
    """Give one model. Raises UnknownRoute when it is not among those of the caller."""
    for entry in models:
        if entry.model == model:
            return _encode(_SHAPES.get(dialect, _openai)(entry))
    raise UnknownRoute(f"there is no model {model!r} for this key", code="model_not_found")


def _openai(entry: ListedModel) -> dict[str, Any]:
    return {"id": entry.model, "object": "model", "created": 0, "owned_by": entry.owner}


def _anthropic(entry: ListedModel) -> dict[str, Any]:
    return {
        "type": "model",
        "id": entry.model,
        "display_name": entry.model,
        "created_at": _EPOCH,
    }


def _gemini(entry: ListedModel) -> dict[str, Any]:
    return {
        "name": f"models/{entry.model}",
        "displayName": entry.model,
        "supportedGenerationMethods": _GEMINI_METHODS,
    }


_SHAPES: Final = {
    Dialect.OPENAI: _openai,
    Dialect.ANTHROPIC: _anthropic,
    Dialect.GEMINI: _gemini,
}
