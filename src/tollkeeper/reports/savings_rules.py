"""What findings are called and from where on something is one, for queries and for words.

Apart from the queries, so that who only shows findings loads no query library.
"""

from __future__ import annotations

from typing import Final

EXPIRED: Final = "expired_caches"
STORMS: Final = "retry_storms"
DUPLICATES: Final = "duplicate_calls"
SMALL_CALLS: Final = "small_calls"

ERRORS_MIN: Final = 5
ALIKE_MIN: Final = 10
IN_TOKENS_MIN: Final = 200
OUT_TOKENS_MIN: Final = 8
SMALL_OUT_TOKENS: Final = 64
SMALL_IN_TOKENS: Final = 2_000

TOO_MANY: Final = "too_many_kinds"
NO_PRICE_NOW: Final = "cost_not_known"
SUBSCRIPTION: Final = "flat_rate"
