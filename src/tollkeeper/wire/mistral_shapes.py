"""The JSON of what only Mistral has: documents, conversations and sound, as far as it is read."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.wire.lenient_json import ABSENT, Count


class PageCounts(msgspec.Struct):
    """The ``usage_info`` of a document that was read."""

    pages_processed: Count = None
    pages_processed_annotation: Count = None


class Picture(msgspec.Struct):
    image_annotation: msgspec.Raw = ABSENT


class Page(msgspec.Struct):
    images: list[Picture] | None = None


class DocumentReply(msgspec.Struct):
    model: str | None = None
    usage_info: msgspec.Raw = ABSENT
    document_annotation: msgspec.Raw = ABSENT
    pages: list[Page] | None = None


class ConversationUsage(msgspec.Struct):
    """The ``usage`` of a conversation. ``connectors`` counts the uses of each."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    connector_tokens: Count = None
    connectors: dict[str, Any] | None = None


class Output(msgspec.Struct):
    """One thing that a conversation brought forth."""

    model: str | None = None
    content: Any = None
    arguments: Any = None


class ConversationReply(msgspec.Struct):
    conversation_id: str | None = None
    outputs: list[Output] | None = None
    usage: msgspec.Raw = ABSENT


class ConversationEvent(msgspec.Struct):
    type: str | None = None
    conversation_id: str | None = None
    model: str | None = None
    content: Any = None
    arguments: str | None = None
    usage: msgspec.Raw = ABSENT
    code: Any = None
