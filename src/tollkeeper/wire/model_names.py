"""What may stand where a model is named, whichever wire names it."""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.key_tokens import holds_key

MODEL_CHARS_MAX: Final = 256


def require_model_name(model: str) -> str:
    """Give the name back unchanged, or raise BadRequest.

    A name is compared exactly and shown to people, so nothing may hide in it: no control or
    format characters, no blank at either end, no surrogate, and no key of ours that somebody
    put into the wrong field.
    """
    if holds_key(model):
        raise BadRequest("a key stands where a model should be named", code="model_invalid")
    if len(model) <= MODEL_CHARS_MAX and model.isprintable() and model.strip() == model:
        return model
    if len(model) > MODEL_CHARS_MAX:
        raise BadRequest(
            f"the model name is longer than {MODEL_CHARS_MAX} characters", code="model_invalid"
        )
    raise BadRequest("the model name contains characters that cannot be seen", code="model_invalid")
