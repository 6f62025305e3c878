"""Sizes of prompts above which some model that has a price for writing to a cache costs more.

A ledger sums up calls that wrote to one by the class of their prompt's size. Whoever adds a size
has to let the ledgers start over with these sums; prices that change above another size are still
found, from single entries.
"""

from __future__ import annotations

from typing import Final

PROMPT_SIZES: Final = (32_000, 100_000, 128_000, 200_000, 256_000, 272_000)
"""Prompts of as many tokens, or fewer, cost less than larger ones."""

SMALLEST: Final = (0, *(tokens + 1 for tokens in PROMPT_SIZES))
"""The smallest prompt of each class."""
