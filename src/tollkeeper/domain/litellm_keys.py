"""Keys that were made by LiteLLM's management calls, whose callers know LiteLLM's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MARK: Final = "made_with"
"""The tag of such a key, which its calls carry too."""
LITELLM: Final = "litellm"
OVER_BUDGET_STATUS: Final = 429
"""What LiteLLM answers to a call that is over a budget."""


def over_budget_status(tags: Mapping[str, str], forced: int | None) -> int | None:
    """Give the status for a refusal because of money, None where the caller's tool decides.

    What the operator forces comes first.
    """
    if forced is None and tags.get(MARK) == LITELLM:
        return OVER_BUDGET_STATUS
    return forced
