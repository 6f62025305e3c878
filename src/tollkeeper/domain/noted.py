"""Findings that few entries are part of: what they are called, and from where on there is one.

A ledger notes the entries that such a finding may be about. Whoever changes a rule so that there
are more of them has to let the ledgers start over with their notes.
"""

from __future__ import annotations

from typing import Final

STORMS: Final = "retry_storms"
DUPLICATES: Final = "duplicate_calls"
SMALL_CALLS: Final = "small_calls"

EXPIRED: Final = "expired_caches"

NOTED: Final = (STORMS, DUPLICATES, SMALL_CALLS, EXPIRED)

MINUTE_S: Final = 60
WINDOW_S: Final = 600
"""Calls of a storm are counted by the minute, duplicates by windows of so many whole minutes."""

ERRORS_MIN: Final = 5
ALIKE_MIN: Final = 10
EMBEDDINGS: Final = "embed"  # pieces of one size are how they are made
IN_TOKENS_MIN: Final = 200
OUT_TOKENS_MIN: Final = 8
CACHE_FAMILY: Final = "claude"
"""Part of the names of models whose caches' lives are known."""

CACHE_TOKENS_MIN: Final = 1_024
NOT_KNOWN: Final = -1
"""Stands for the tokens that a call left in a cache, where nothing is noted of what it was."""

SMALL_OUT_TOKENS: Final = 64
SMALL_IN_TOKENS: Final = 2_000
