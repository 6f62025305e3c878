"""The apps of the made-up company: which features they serve, with what, and how much."""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.demo.tools import CHAT, EMBEDDINGS, GEMINI, LAB, MESSAGES, MISTRAL, SOL, Model


class Shape(NamedTuple):
    """How large a call is: medians in tokens, ``spread`` the sigma of their logarithm.

    ``cached`` is the part of the prompt that is the same in every call and is read from the
    provider's cache. ``turns`` is how many calls a conversation has on average; ``repeats``
    the share of calls that say exactly what was said shortly before.
    """

    prompt: int
    output: int
    cached: int = 0
    reasoning: int = 0
    spread: float = 0.6
    turns: int = 1
    repeats: float = 0.0


class Service(NamedTuple):
    """An app with a key of its team. ``since`` counts back in days from today, 0 for always.

    ``for_customers`` tells that its calls name an end customer; ``nightly`` that it works in
    the small hours only.
    """

    key_name: str
    team: str
    tool: str
    features: tuple[str, ...]
    models: tuple[Model, ...]
    shape: Shape
    weight: int
    for_customers: bool = True
    nightly: bool = False
    since: int = 0


_HAIKU: Final = Model(MESSAGES, "claude-haiku-5-5", 8)
_SONNET: Final = Model(MESSAGES, "claude-sonnet-5-5", 2)
_OPUS: Final = Model(MESSAGES, "claude-opus-5-5", 1)
_MINI: Final = Model(CHAT, "gpt-5.4-mini", 7)
_NANO: Final = Model(CHAT, "gpt-5.4-nano", 5)
_OLD_MINI: Final = Model(CHAT, "gpt-4.1-mini", 3)
_FLASH: Final = Model(GEMINI, "gemini-3.8-flash", 5)
_PRO: Final = Model(GEMINI, "gemini-3.1-pro-preview", 2)
_VECTORS: Final = Model(EMBEDDINGS, "text-embedding-3-small", 1)
_SMALL: Final = Model(MISTRAL, "mistral-small-latest", 4)
_LARGE: Final = Model(MISTRAL, "mistral-large-4", 2)
_RANKER: Final = Model(LAB, "meridian/ranker-7b", 1)

_TALK: Final = Shape(1_100, 260, cached=5_200, turns=5)
_LOOK_UP: Final = Shape(4_800, 320, cached=1_600, turns=2)
_SORT: Final = Shape(850, 7, spread=0.4)
_EXTRACT: Final = Shape(3_200, 420, cached=1_400, spread=0.7)
_VECTOR: Final = Shape(620, 0, spread=0.8)
_LONG: Final = Shape(38_000, 1_700, spread=0.5)
_THINK: Final = Shape(2_600, 640, reasoning=1_900)

SERVICES: Final = (
    Service(
        "support-bot",
        "Support",
        "anthropic-python",
        ("answers", "handover", "translation"),
        (_HAIKU, _SONNET),
        _TALK,
        26,
    ),
    # A large model for a word: what a smaller one would do as well.
    Service(
        "ticket-triage", "Support", "anthropic-python", ("triage", "urgency"), (_OPUS,), _SORT, 16
    ),
    Service("voice-desk", "Support", "openai-node", ("call-notes",), (_MINI,), _LONG, 1),
    Service(
        "index-builder",
        "Search",
        "openai-python",
        ("embeddings",),
        (_VECTORS,),
        _VECTOR,
        14,
        for_customers=False,
        nightly=True,
    ),
    Service(
        "search-api",
        "Search",
        "openai-python",
        ("query-rewriting", "ranking", "answer-box"),
        (_NANO, _MINI),
        _LOOK_UP,
        16,
    ),
    Service("ranker", "Search", "openai-python", ("reranking",), (_RANKER,), Shape(1_900, 12), 2),
    # The same addresses come again and again, and are asked for again.
    Service(
        "address-cleaner",
        "Operations",
        "openai-python",
        ("addresses",),
        (_MINI,),
        Shape(420, 60, spread=0.3, repeats=0.35),
        9,
    ),
    Service(
        "invoice-reader",
        "Operations",
        "openai-python",
        ("invoices", "credit-notes"),
        (_MINI, _OLD_MINI),
        _EXTRACT,
        8,
    ),
    Service("route-planner", "Operations", "openai-node", ("routes", "delays"), (SOL,), _THINK, 3),
    Service(
        "customs-papers",
        "Operations",
        "mistral-python",
        ("customs", "tariff-codes"),
        (_SMALL, _LARGE),
        _EXTRACT,
        5,
    ),
    Service(
        "quote-assistant",
        "Growth",
        "google-genai-python",
        ("quotes", "follow-ups"),
        (_FLASH, _PRO),
        _LOOK_UP,
        8,
    ),
    Service(
        "newsletter",
        "Growth",
        "google-genai-python",
        ("subject-lines", "newsletter"),
        (_FLASH,),
        Shape(1_500, 420),
        3,
        for_customers=False,
    ),
    # Came a good two weeks ago, and grows.
    Service(
        "campaign-studio",
        "Growth",
        "anthropic-typescript",
        ("campaigns",),
        (_SONNET,),
        Shape(2_400, 1_300, cached=3_000, turns=3),
        9,
        since=19,
    ),
    Service(
        "churn-scores",
        "Data science",
        "openai-python",
        ("churn", "lead-scores"),
        (_MINI,),
        _EXTRACT,
        4,
        for_customers=False,
        nightly=True,
    ),
    Service(
        "insights",
        "Data science",
        "google-genai-python",
        ("weekly-insights", "questions"),
        (_PRO, _FLASH),
        _LONG,
        2,
    ),
    Service(
        "review-bot",
        "Platform",
        "anthropic-typescript",
        ("code-review",),
        (_SONNET,),
        Shape(14_000, 900, cached=9_000),
        3,
        for_customers=False,
    ),
    Service(
        "ci-doctor",
        "Platform",
        "openai-node",
        ("failing-tests",),
        (SOL,),
        _THINK,
        2,
        for_customers=False,
    ),
    Service("app-assistant", "Mobile", "openai-node", ("in-app-help",), (_MINI,), _TALK, 6),
)

RUNAWAY: Final = "invoice-reader"
"""The key that repeats one call for hours, on a Tuesday."""
