"""Anthropic's counts of its prompt cache in a usage of OpenAI's shape.

Databricks, and gateways before Claude, copy them beside the prompt's tokens. Whether those
hold them is not said everywhere: the total tells.
"""

from __future__ import annotations

from tollkeeper.wire.openai_chat_shapes import ChatUsage
from tollkeeper.wire.token_counts import Parts


def with_claude_cache(
    counts: ChatUsage, prompt: int | None, cached: int, parts: Parts
) -> tuple[int | None, int, Parts]:
    """Give the prompt that holds what was cached, the tokens read from it, and the other parts.

    Where OpenAI's own details say the same, theirs are taken.
    """
    cached = cached or counts.cache_read_input_tokens or 0
    written = parts.cache_write or counts.cache_creation_input_tokens or 0
    beside = cached + written
    if prompt is not None and counts.total_tokens == (
        prompt + (counts.completion_tokens or 0) + beside
    ):
        prompt += beside
    return prompt, cached, parts._replace(cache_write=written)
