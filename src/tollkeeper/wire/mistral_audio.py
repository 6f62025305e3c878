"""Sound that Mistral's models hear: billed by the second, and beside the prompt's tokens.

Its tokens stand in the details and in the total, but in neither the prompt nor the output.
They are not paid for, so they are taken out of the total that the counts are held against.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.wire.token_counts import Parts

MS_PER_SECOND: Final = 1000


def without_sound(
    prompt: int | None, output: int | None, total: int | None, parts: Parts
) -> tuple[int | None, Parts]:
    """Give the total and the parts without what was heard.

    Older replies state no tokens of sound, and have none in their total.
    """
    heard = parts.input_audio
    if total is not None and total == (prompt or 0) + (output or 0) + heard:
        total -= heard
    return total, parts._replace(input_audio=0)
