"""Words for codes: what people read where the ledger holds one word of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.access import Role
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.domain.price_data import REQUESTS
from tollkeeper.reports.dimensions import TAG_PREFIX


class Word(NamedTuple):
    """``name`` stands in tables, ``meaning`` is a sentence, ``tone`` good, warn, bad or quiet."""

    name: str
    meaning: str
    tone: str = "quiet"


class Dimension(NamedTuple):
    """``name`` heads a column, ``several`` counts, ``none`` is shown where there is no value."""

    name: str
    several: str
    none: str


BASES: Final[Mapping[str, Word]] = {
    Basis.PROVIDER_REPORTED: Word(
        "Provider-reported", "The provider stated this cost itself.", "good"
    ),
    Basis.MEASURED: Word(
        "Measured", "The usage that the provider reported, times the price book.", "good"
    ),
    Basis.ESTIMATED: Word(
        "Estimated",
        "The provider could not say what was used, so it was counted here.",
        "warn",
    ),
    Basis.UNPRICED: Word(
        "Unpriced", "No price is known. The cost is unknown, and missing in every sum.", "warn"
    ),
    Basis.FLAT_RATE: Word(
        "Flat rate", "Paid by a subscription. The list price says what it would have cost."
    ),
    Basis.FREE: Word("Free", "Known to cost nothing."),
    Basis.CACHED: Word("Cached", "Answered by Tollkeeper's own cache, without a provider."),
}

OUTCOMES: Final[Mapping[str, Word]] = {
    Outcome.OK: Word("OK", "The provider answered.", "good"),
    Outcome.UPSTREAM_ERROR: Word(
        "Provider error", "The provider answered with an error. It cost nothing.", "bad"
    ),
    Outcome.UPSTREAM_FAILED: Word(
        "No answer", "The provider did not answer, or broke the protocol.", "bad"
    ),
    Outcome.INCOMPLETE: Word("Incomplete", "The provider's stream broke off.", "bad"),
    Outcome.DISCONNECTED: Word("Client left", "The client left before the reply ended.", "warn"),
    Outcome.REFUSED: Word(
        "Refused", "The gateway said no. Nothing reached a provider, nothing was spent.", "warn"
    ),
    Outcome.INTERRUPTED: Word("Interrupted", "The gateway itself stopped during this call.", "bad"),
}

ROLES: Final[Mapping[str, str]] = {
    Role.ADMIN: "Admin",
    Role.FINANCE: "Finance",
    Role.LEAD: "Team lead",
    Role.MEMBER: "Member",
    Role.AUDITOR: "Auditor",
}

_DIMENSIONS: Final[Mapping[str, Dimension]] = {
    "model": Dimension("Model", "models", "No model"),
    "team": Dimension("Team", "teams", "No team"),
    "provider": Dimension("Provider", "providers", "No provider"),
    "tool": Dimension("Tool", "tools", "Unnamed tool"),
    "user": Dimension("User", "users", "No person"),
    "key": Dimension("Key", "keys", "No key"),
    "customer": Dimension("Customer", "customers", "No customer"),
    "session": Dimension("Session", "sessions", "No session"),
    "outcome": Dimension("Outcome", "outcomes", "None"),
    "basis": Dimension("Basis", "bases", "None"),
    "endpoint": Dimension("Endpoint", "endpoints", "No endpoint"),
    "weekday": Dimension("Weekday", "weekdays", "None"),
    "hour_of_day": Dimension("Hour", "hours", "None"),
}

QUANTITIES: Final[Mapping[str, tuple[str, str]]] = {
    u.INPUT: ("Input", "tokens"),
    u.CACHE_READ: ("Cache read", "tokens"),
    u.CACHE_WRITE: ("Cache write", "tokens"),
    u.CACHE_WRITE_1H: ("Cache write, kept 1 hour", "tokens"),
    u.INPUT_AUDIO: ("Audio input", "tokens"),
    u.INPUT_IMAGE: ("Image input", "tokens"),
    u.INPUT_VIDEO: ("Video input", "tokens"),
    u.INPUT_TOOL: ("Input from a provider's tool", "tokens"),
    u.CACHE_READ_AUDIO: ("Cache read, audio", "tokens"),
    u.CACHE_READ_IMAGE: ("Cache read, images", "tokens"),
    u.CACHE_READ_VIDEO: ("Cache read, video", "tokens"),
    u.OUTPUT: ("Output", "tokens"),
    u.REASONING: ("Reasoning", "tokens"),
    u.OUTPUT_AUDIO: ("Audio output", "tokens"),
    u.OUTPUT_IMAGE: ("Image output", "tokens"),
    u.OUTPUT_VIDEO: ("Video output", "tokens"),
    u.WEB_SEARCHES: ("Web searches", "searches"),
    u.WEB_SEARCHES_PREVIEW: ("Web searches, older tool", "searches"),
    u.FILE_SEARCHES: ("File searches", "searches"),
    u.CODE_SESSIONS: ("Code sessions", "sessions"),
    u.RERANK_SEARCHES: ("Rerank searches", "searches"),
    u.PAGES: ("Pages", "pages"),
    u.IMAGES: ("Images", "images"),
    u.AUDIO_MS: ("Audio", "milliseconds"),
    u.INPUT_CHARACTERS: ("Input characters", "characters"),
    u.CITATION_TOKENS: ("Citations", "tokens"),
    u.SOCIAL_SEARCHES: ("Searches on X", "searches"),
    u.MAPS_SEARCHES: ("Maps searches", "searches"),
    u.CODE_EXECUTIONS: ("Code executions", "runs"),
    u.ANNOTATED_PAGES: ("Annotated pages", "pages"),
    u.MESSAGES: ("Messages", "messages"),
    u.VIDEO_MS: ("Video", "ms"),
    u.OUTPUT_PIXELS: ("Pixels", "pixels"),
    u.CLASSIFICATIONS: ("Classifications", "classifications"),
    u.IMAGE_PIXELS: ("Image input, by size", "pixels"),
    u.VIDEO_PIXELS: ("Video input, by size", "pixels"),
    u.WEB_FETCHES: ("Pages opened", "pages"),
    u.WEB_SOURCES: ("Sources searched", "sources"),
    u.DOCUMENT_SEARCHES: ("Searches in attachments", "searches"),
    u.TOOL_CALLS: ("Calls of a provider's tool", "calls"),
    u.GPU_MS: ("Time of the machine", "milliseconds"),
    u.CACHE_KEPT_TOKENS: ("Kept in a cache", "tokens"),
    REQUESTS: ("Fee for the request", "request"),
}
"""Quantity → what it is called, and what is counted."""

WEEKDAYS: Final = (*("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),)

_PER: Final = {
    1: "each",
    1_000: "per thousand",
    1_000_000: "per million",
    1_000_000_000: "per thousand million",
    3_600_000: "per hour",
}


def dimension(name: str) -> Dimension:
    """Give the words for a dimension; a tag is called by its key."""
    if name.startswith(TAG_PREFIX):
        key = name.removeprefix(TAG_PREFIX)
        return Dimension(key, f"values of {key}", "Not tagged")
    known = _DIMENSIONS.get(name)
    if known is not None:
        return known
    words = name.replace("_", " ")
    return Dimension(words.capitalize(), f"values of {words}", "None")


def basis(code: str) -> Word:
    """Give the words for how a cost is known."""
    return BASES.get(code, Word(_plain(code), ""))


def outcome(code: str) -> Word:
    """Give the words for how a call ended."""
    return OUTCOMES.get(code, Word(_plain(code), ""))


def quantity(name: str) -> str:
    """Give what a quantity is called."""
    return QUANTITIES[name][0] if name in QUANTITIES else _plain(name)


def counted(name: str) -> str:
    """Give what is counted in a quantity: tokens, searches."""
    return QUANTITIES[name][1] if name in QUANTITIES else ""


def per(pieces: int) -> str:
    """Say for how many pieces a price is."""
    return _PER.get(pieces, f"per {pieces:,}")


def role(code: str) -> str:
    """Give the words for a role."""
    return ROLES.get(code, _plain(code))


def _plain(code: str) -> str:
    return code.replace("_", " ").capitalize()
