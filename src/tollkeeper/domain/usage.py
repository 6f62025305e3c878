"""What one reply used, in one normal form for all providers.

Providers count differently: OpenAI's input includes what was read from the cache,
Anthropic's does not. Readers in ``wire/`` translate each shape into *exclusive*
quantities, so that no token stands in two of them and a cost is a plain sum of
quantity times price.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

# Tokens that went in. All exclusive: the prompt's total is their sum.
INPUT: Final = "input"  # text (or untyped) input that was not cached
CACHE_READ: Final = "cache_read"
CACHE_WRITE: Final = "cache_write"  # the provider's ordinary lifetime (Anthropic: 5 minutes)
CACHE_WRITE_1H: Final = "cache_write_1h"
INPUT_AUDIO: Final = "input_audio"
INPUT_IMAGE: Final = "input_image"
INPUT_VIDEO: Final = "input_video"
INPUT_TOOL: Final = "input_tool"  # tokens that a provider-side tool put into the prompt
CACHE_READ_AUDIO: Final = "cache_read_audio"
CACHE_READ_IMAGE: Final = "cache_read_image"
CACHE_READ_VIDEO: Final = "cache_read_video"

# Tokens that came out. All exclusive.
OUTPUT: Final = "output"  # text (or untyped) output without reasoning
REASONING: Final = "reasoning"
OUTPUT_AUDIO: Final = "output_audio"
OUTPUT_IMAGE: Final = "output_image"
OUTPUT_VIDEO: Final = "output_video"

INPUT_TOKENS: Final[tuple[str, ...]] = (
    INPUT,
    CACHE_READ,
    CACHE_WRITE,
    CACHE_WRITE_1H,
    INPUT_AUDIO,
    INPUT_IMAGE,
    INPUT_VIDEO,
    INPUT_TOOL,
    CACHE_READ_AUDIO,
    CACHE_READ_IMAGE,
    CACHE_READ_VIDEO,
)
OUTPUT_TOKENS: Final[tuple[str, ...]] = (
    OUTPUT,
    REASONING,
    OUTPUT_AUDIO,
    OUTPUT_IMAGE,
    OUTPUT_VIDEO,
)
TOKENS: Final[tuple[str, ...]] = INPUT_TOKENS + OUTPUT_TOKENS
_INPUT_NAMES: Final = frozenset(INPUT_TOKENS)

# Things that are billed by the piece. They live in the ledger's ``units`` column.
WEB_SEARCHES: Final = "web_searches"
WEB_SEARCHES_PREVIEW: Final = "web_searches_preview"  # OpenAI's older tool, priced by its own rule
FILE_SEARCHES: Final = "file_searches"
CODE_SESSIONS: Final = "code_sessions"
RERANK_SEARCHES: Final = "rerank_searches"
PAGES: Final = "pages"
IMAGES: Final = "images"
AUDIO_MS: Final = "audio_ms"  # duration, for prices per second or hour
INPUT_CHARACTERS: Final = "input_characters"
CITATION_TOKENS: Final = "citation_tokens"  # Perplexity's, beside prompt and completion
SOCIAL_SEARCHES: Final = "social_searches"  # xAI's search on X
MAPS_SEARCHES: Final = "maps_searches"  # grounding with Google Maps
CODE_EXECUTIONS: Final = "code_executions"  # by the run, where sessions are by the container
ANNOTATED_PAGES: Final = "annotated_pages"  # pages read with a schema of annotations
MESSAGES: Final = "messages"
VIDEO_MS: Final = "video_ms"  # duration of generated video
OUTPUT_PIXELS: Final = "output_pixels"
CLASSIFICATIONS: Final = "classifications"
IMAGE_PIXELS: Final = "image_pixels"  # of pictures that went in
VIDEO_PIXELS: Final = "video_pixels"
WEB_FETCHES: Final = "web_fetches"  # pages that a provider's tool opened
WEB_SOURCES: Final = "web_sources"  # xAI's search before it was a tool: by the source
DOCUMENT_SEARCHES: Final = "document_searches"  # in files attached to a message
TOOL_CALLS: Final = "tool_calls"  # of a provider's tool that nobody has a price for
CACHE_KEPT_TOKENS: Final = "cache_kept_tokens"  # of a cache that is billed by the hour it lives
GPU_MS: Final = "gpu_ms"  # how long a server of one's own was busy
UNITS: Final[tuple[str, ...]] = (
    WEB_SEARCHES,
    WEB_SEARCHES_PREVIEW,
    FILE_SEARCHES,
    CODE_SESSIONS,
    RERANK_SEARCHES,
    PAGES,
    IMAGES,
    AUDIO_MS,
    INPUT_CHARACTERS,
    CITATION_TOKENS,
    SOCIAL_SEARCHES,
    MAPS_SEARCHES,
    CODE_EXECUTIONS,
    ANNOTATED_PAGES,
    MESSAGES,
    VIDEO_MS,
    OUTPUT_PIXELS,
    CLASSIFICATIONS,
    IMAGE_PIXELS,
    VIDEO_PIXELS,
    WEB_FETCHES,
    WEB_SOURCES,
    DOCUMENT_SEARCHES,
    TOOL_CALLS,
    GPU_MS,
    CACHE_KEPT_TOKENS,
)

MEASURES: Final = frozenset({GPU_MS})
"""What is measured beside the bill: it costs something only where it has a price."""

QUANTITY_MAX: Final = 10**12
"""A count above this is not a count. Nothing a provider reports comes near it."""

NO_QUANTITIES: Final[Mapping[str, int]] = {}


class Usage(NamedTuple):
    """The exclusive quantities of one reply.

    ``quantities`` maps the names above to counts greater than zero; a missing name is 0.
    ``model`` is the model that answered, as the provider names it ("" when it does not).
    ``tier``, ``speed`` and ``geo`` are the provider's own words for what was served
    ("priority", "fast", "us"; "" when it said nothing), ``batch`` tells a batch job.
    ``components`` holds further models that the same call billed; their quantities are
    *not* contained in ``quantities``.
    ``fault`` says in one word why the counts contradict each other ("" when they do not);
    such a usage is kept and shown but its cost is unknown.
    ``provider_cost_nanos`` is the provider's own statement of the cost, if it makes one.
    ``raw`` is the provider's usage object as it came, JSON.
    ``terms`` are further words that decide the price where a provider has such prices:
    ``name=word`` pairs sorted by name, with a space between ("quality=high size=1024x1024",
    "search_context=low"). A term that the model's prices do not know is no fault.
    ``provider_list_nanos`` is what the provider says that somebody else bills for the same
    reply: with a caller's own key at a reseller, the maker of the model does.
    """

    quantities: Mapping[str, int] = NO_QUANTITIES
    model: str = ""
    tier: str = ""
    speed: str = ""
    geo: str = ""
    batch: bool = False
    components: tuple[Usage, ...] = ()
    fault: str = ""
    provider_cost_nanos: int | None = None
    raw: str = ""
    terms: str = ""
    provider_list_nanos: int | None = None

    def prompt_tokens(self) -> int:
        """Count all input tokens: what long-context price tiers are chosen by."""
        tokens = 0
        for name, count in self.quantities.items():
            if name in _INPUT_NAMES:
                tokens += count
        return tokens

    def total_tokens(self) -> int:
        """Count all tokens of this usage, without its components."""
        quantities = self.quantities
        return sum(quantities[name] for name in TOKENS if name in quantities)


def new_usage(fields: tuple[object, ...]) -> Usage:
    """Make a usage from all its fields, in order: for the hot path, where this is faster.

    None may be left out, the last ones included.
    """
    return tuple.__new__(Usage, fields)
