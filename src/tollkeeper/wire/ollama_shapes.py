"""The JSON of Ollama's own API, as far as it is read."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.wire.lenient_json import ABSENT, Count


class OllamaMessage(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: Any = None


class OllamaReply(msgspec.Struct):
    """A whole reply, or one line of a stream. Durations are nanoseconds."""

    model: str | None = None
    done: bool = False
    done_reason: str | None = None
    message: OllamaMessage | None = None
    response: str | None = None
    thinking: str | None = None
    error: str | None = None
    prompt_eval_count: Count = None
    prompt_eval_cached_count: Count = None
    eval_count: Count = None
    total_duration: msgspec.Raw = ABSENT
    embeddings: msgspec.Raw = ABSENT


class OllamaCounts(msgspec.Struct):
    """The fields that are kept of a reply as its usage."""

    prompt_eval_count: msgspec.Raw = ABSENT
    prompt_eval_cached_count: msgspec.Raw = ABSENT
    eval_count: msgspec.Raw = ABSENT
    total_duration: msgspec.Raw = ABSENT
    load_duration: msgspec.Raw = ABSENT
    prompt_eval_duration: msgspec.Raw = ABSENT
    eval_duration: msgspec.Raw = ABSENT
