"""The JSON of pictures, transcripts and speech, as far as it is read."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.wire.lenient_json import ABSENT, Count
from tollkeeper.wire.openai_responses_shapes import ImageUsage
from tollkeeper.wire.stated_costs import Statement


class Picture(msgspec.Struct):
    """One picture. Nothing of it is read."""


class Reply(msgspec.Struct):
    type: str | None = None
    usage: msgspec.Raw = ABSENT
    data: list[Picture] | None = None
    duration: msgspec.Raw = ABSENT
    error: Any = None


class ImageTotals(ImageUsage):
    total_tokens: Count = None
    prompt_tokens: Count = None  # OpenRouter counts pictures as chats


class AudioParts(msgspec.Struct):
    text_tokens: Count = None
    audio_tokens: Count = None


class AudioUsage(Statement):
    type: str | None = None
    seconds: msgspec.Raw = ABSENT
    input_tokens: Count = None
    output_tokens: Count = None
    total_tokens: Count = None
    input_token_details: AudioParts | None = None
    prompt_audio_seconds: Count = None  # Mistral, as the next
    prompt_tokens: Count = None
