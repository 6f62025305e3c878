"""Which reader reads a reply: by the kind of call, and by what the provider really sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from tollkeeper.wire.anthropic_messages import MESSAGE_END, MessageStreamReader, message_reader
from tollkeeper.wire.assistants import (
    RunStreamReader,
    later_run_stream,
    run_reader,
    stored_run_reader,
)
from tollkeeper.wire.background import StoredStreamReader, stored_reader
from tollkeeper.wire.background_videos import StoredVideoReader, new_video_reader
from tollkeeper.wire.batches import (
    ResultPageReader,
    batch_reader,
    new_batch_reader,
    new_operation_reader,
    operation_reader,
)
from tollkeeper.wire.batches_lines import ResultLinesReader
from tollkeeper.wire.bedrock import (
    ConverseStreamReader,
    InvokeReader,
    InvokeStreamReader,
    converse_reader,
)
from tollkeeper.wire.cohere import (
    COHERE_END,
    COHERE_LINES_END,
    CohereEventReader,
    CohereLineReader,
    cohere_chat_reader,
)
from tollkeeper.wire.gemini import GeminiStreamReader, gemini_reader
from tollkeeper.wire.gemini_cache import cache_reader
from tollkeeper.wire.interactions import (
    InteractionStreamReader,
    interaction_reader,
    stored_interaction_reader,
    stored_interaction_stream,
)
from tollkeeper.wire.json_lines import MEDIA_TYPES
from tollkeeper.wire.late_reading import late
from tollkeeper.wire.mistral import (
    CONVERSATION_END,
    ConversationStreamReader,
    conversation_reader,
    ocr_reader,
)
from tollkeeper.wire.ollama import OllamaLineReader, ollama_chat_reader, ollama_embed_reader
from tollkeeper.wire.openai_chat import CHAT_END, ChatStreamReader, chat_reader
from tollkeeper.wire.openai_media import (
    MediaStreamReader,
    images_usage,
    media_reader,
    speech_usage,
    transcription_usage,
)
from tollkeeper.wire.openai_responses import (
    RESPONSE_END,
    ResponsesStreamReader,
    responses_reader,
)
from tollkeeper.wire.readings import NoReader, ReplyReader
from tollkeeper.wire.rerank import rerank_reader
from tollkeeper.wire.voyage import voyage_reader
from tollkeeper.wire.watsonx import WatsonxStreamReader, watsonx_reader


class _Family(NamedTuple):
    """The readers of one kind of call: of one object, of a stream, of a stream of lines."""

    whole: Callable[[], ReplyReader]
    stream: Callable[[], ReplyReader] = NoReader
    lines: Callable[[], ReplyReader] = NoReader


_CHAT: Final = _Family(chat_reader, late(ChatStreamReader, CHAT_END))
_FAMILIES: Final[Mapping[str, _Family]] = {
    "openai_chat": _CHAT,
    "openai_completions": _CHAT,
    "openai_embeddings": _CHAT,
    "openai_responses": _Family(responses_reader, late(ResponsesStreamReader, RESPONSE_END)),
    "openai_images": _Family(
        lambda: media_reader(images_usage), lambda: MediaStreamReader(images_usage)
    ),
    "openai_transcription": _Family(
        lambda: media_reader(transcription_usage), lambda: MediaStreamReader(transcription_usage)
    ),
    "openai_speech": _Family(
        lambda: media_reader(speech_usage), lambda: MediaStreamReader(speech_usage)
    ),
    "anthropic_messages": _Family(message_reader, late(MessageStreamReader, MESSAGE_END)),
    "gemini": _Family(gemini_reader, late(GeminiStreamReader, None)),
    "bedrock_converse": _Family(converse_reader, ConverseStreamReader),
    "bedrock_invoke": _Family(InvokeReader, InvokeStreamReader),
    "cohere_chat": _Family(
        cohere_chat_reader,
        late(CohereEventReader, COHERE_END),
        late(CohereLineReader, COHERE_LINES_END),
    ),
    "cohere_embed": _Family(rerank_reader),
    "ollama_chat": _Family(ollama_chat_reader, OllamaLineReader, OllamaLineReader),
    "ollama_embed": _Family(ollama_embed_reader),
    "mistral_ocr": _Family(ocr_reader),
    "mistral_conversations": _Family(
        conversation_reader, late(ConversationStreamReader, CONVERSATION_END)
    ),
    "rerank": _Family(rerank_reader),
    "voyage_multimodal": _Family(voyage_reader),
    "watsonx_text": _Family(watsonx_reader, WatsonxStreamReader),
    "watsonx_counts": _Family(watsonx_reader),
    "openai_stored": _Family(stored_reader, StoredStreamReader),
    "new_batch": _Family(new_batch_reader),
    "batch": _Family(batch_reader),
    "batch_page": _Family(ResultPageReader),
    "batch_results": _Family(ResultLinesReader, ResultLinesReader, ResultLinesReader),
    "runs": _Family(run_reader, RunStreamReader),
    "stored_runs": _Family(stored_run_reader, later_run_stream),
    "interactions": _Family(interaction_reader, InteractionStreamReader),
    "stored_interactions": _Family(stored_interaction_reader, stored_interaction_stream),
    "new_operation": _Family(new_operation_reader),
    "operation": _Family(operation_reader),
    "gemini_cache": _Family(cache_reader),
    "new_video": _Family(new_video_reader),
    "stored_video": _Family(StoredVideoReader),
    "none": _Family(NoReader),
}

_TYPE_CHARS_MAX: Final = 256  # longer ones differ behind the part that decides
_TYPES_REMEMBERED: Final = 500


def reader_for(reader: str, *, streamed: bool, content_type: str) -> ReplyReader:
    """Give a reader for one reply.

    ``reader`` names the kind of call, as the endpoint table does. ``content_type`` is the
    reply's own header and decides; ``streamed``, what was asked for, only counts where the
    provider does not say what it sent. Raises LookupError for an unknown kind.
    """
    return _maker(reader, streamed, content_type[:_TYPE_CHARS_MAX])()


def take_head(reader: ReplyReader, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Give the reply's header fields to a reader of those that ``COUNT_IN_HEAD``."""
    if isinstance(reader, InvokeReader | InvokeStreamReader):
        reader.take_head(headers)


COUNT_IN_HEAD: Final = "bedrock_invoke"
"""The kind of call whose replies say in their headers what they used."""

_AWS_EVENTS: Final = "application/vnd.amazon.eventstream"
_RESULTS: Final = "batch_results"
_AWS: Final = frozenset({"bedrock_converse", "bedrock_invoke"})


@lru_cache(_TYPES_REMEMBERED)
def _maker(reader: str, streamed: bool, content_type: str) -> Callable[[], ReplyReader]:
    family = _FAMILIES[reader]
    media_type = content_type.partition(";")[0].strip().lower()
    if reader == _RESULTS:
        return family.lines  # whatever a file is called
    if media_type in {"text/event-stream", _AWS_EVENTS}:
        is_spoken = (media_type == _AWS_EVENTS) == (reader in _AWS)
        return family.stream if is_spoken else NoReader
    if media_type in MEDIA_TYPES:
        return family.lines
    if media_type == "application/json" or media_type.endswith("+json"):
        return family.whole
    if media_type in {"", "text/plain", "application/octet-stream"} and reader not in _BINARY:
        return family.stream if streamed else family.whole
    return NoReader


_BINARY: Final = frozenset({"openai_speech", "openai_transcription"})
"""Kinds of calls that also answer with sound or plain text, which say nothing of usage."""
