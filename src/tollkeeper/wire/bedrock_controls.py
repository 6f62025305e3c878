"""What a request for Bedrock says of its length and tier, as far as that helps an estimate.

The model stands in the path, and each maker writes its limit in a way of its own. Nothing here
is refused: what a field means there, Bedrock says.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.wire.field_values import text_or_nothing
from tollkeeper.wire.json_object import Members, read_members

_LIMITS: Final = (
    "max_tokens",
    "max_tokens_to_sample",  # Claude 2
    "max_gen_len",  # Llama
    "max_completion_tokens",
    "maxTokens",  # AI21's older ones
)
_INNER_LIMITS: Final = {
    "inferenceConfig": ("maxTokens", "max_new_tokens"),  # Converse, Nova
    "textGenerationConfig": ("maxTokenCount",),  # Titan
}
_TIER: Final = "serviceTier"
_OBJECT_BYTES_MAX: Final = 16 << 10
_DIGITS_MAX: Final = 9


def bedrock_controls(members: Members) -> tuple[int | None, str]:
    """Give the limit on the output (None if there is none), and the tier that is asked for."""
    limits = [_number(members.get(name)) for name in _LIMITS]
    for name, fields in _INNER_LIMITS.items():
        inner = _object(members.get(name))
        limits += [_number(inner.get(field)) for field in fields]
    tier = text_or_nothing(_object(members.get(_TIER)).get("type"))
    return max((limit for limit in limits if limit), default=None), tier


def _object(value: msgspec.Raw | None) -> Members:
    if value is None or len(value) > _OBJECT_BYTES_MAX or bytes(value)[:1] != b"{":
        return {}
    return read_members(bytes(value))


def _number(value: msgspec.Raw | None) -> int | None:
    text = b"" if value is None else bytes(value)
    return int(text) if text.isdigit() and len(text) <= _DIGITS_MAX else None
