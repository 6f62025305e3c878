"""What findings are called and from where on something is one, for queries and for words.

Apart from the queries, so that who only shows findings loads no query library.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.noted import (
    ALIKE_MIN,
    CACHE_FAMILY,
    CACHE_TOKENS_MIN,
    DUPLICATES,
    EMBEDDINGS,
    ERRORS_MIN,
    EXPIRED,
    IN_TOKENS_MIN,
    MINUTE_S,
    OUT_TOKENS_MIN,
    SMALL_CALLS,
    SMALL_IN_TOKENS,
    SMALL_OUT_TOKENS,
    STORMS,
    WINDOW_S,
)

TOO_MANY: Final = "too_many_kinds"
NO_PRICE_NOW: Final = "cost_not_known"
SUBSCRIPTION: Final = "flat_rate"

__all__ = [
    "ALIKE_MIN",
    "CACHE_FAMILY",
    "CACHE_TOKENS_MIN",
    "DUPLICATES",
    "EMBEDDINGS",
    "ERRORS_MIN",
    "EXPIRED",
    "IN_TOKENS_MIN",
    "MINUTE_S",
    "NO_PRICE_NOW",
    "OUT_TOKENS_MIN",
    "SMALL_CALLS",
    "SMALL_IN_TOKENS",
    "SMALL_OUT_TOKENS",
    "STORMS",
    "SUBSCRIPTION",
    "TOO_MANY",
    "WINDOW_S",
]
