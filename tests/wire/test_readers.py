"""The choice of a reader."""

from __future__ import annotations

import pytest

from provider_replies import JSON, SSE, chat_reply, chat_stream
from tollkeeper.wire import endpoints, job_endpoints
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import NoReader, Reading

KINDS = (
    "openai_chat",
    "openai_completions",
    "openai_embeddings",
    "openai_responses",
    "openai_images",
    "openai_transcription",
    "openai_speech",
    "anthropic_messages",
    "gemini",
    "cohere_chat",
    "cohere_embed",
    "ollama_chat",
    "ollama_embed",
    "mistral_ocr",
    "mistral_conversations",
    "rerank",
    "voyage_multimodal",
    "watsonx_text",
    "watsonx_counts",
    "openai_stored",
    "new_batch",
    "batch",
    "batch_page",
    "batch_results",
    "runs",
    "stored_runs",
    "interactions",
    "stored_interactions",
    "new_operation",
    "operation",
    "gemini_cache",
    "new_video",
    "stored_video",
    "none",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("content_type", [SSE, JSON, "", "audio/mpeg", "text/html"])
def test_every_kind_has_readers(kind: str, streamed: bool, content_type: str) -> None:
    reader = reader_for(kind, streamed=streamed, content_type=content_type)
    reader.feed(b"")
    assert not reader.finished
    assert reader.close(complete=True).usage is None


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(LookupError):
        reader_for("telepathy", streamed=False, content_type=JSON)


def test_every_endpoint_names_a_kind_that_exists() -> None:
    named = {
        value.reader for value in vars(endpoints).values() if isinstance(value, endpoints.Endpoint)
    }
    named |= {
        value.reader
        for value in vars(job_endpoints).values()
        if isinstance(value, endpoints.Endpoint)
    }
    for table in vars(endpoints).values():
        if isinstance(table, dict):
            entries = (getattr(value, "endpoint", value) for value in table.values())
            named |= {entry.reader for entry in entries if isinstance(entry, endpoints.Endpoint)}
    assert len(named) > 5
    assert named <= set(KINDS)


@pytest.mark.parametrize(
    ("content_type", "streamed", "body", "is_read"),
    [
        ("Text/Event-Stream;charset=UTF-8", False, chat_stream(), True),
        ("application/json", True, chat_reply(), True),
        ("application/vnd.api+json", True, chat_reply(), True),
        ("", True, chat_stream(), True),
        ("", False, chat_reply(), True),
        ("text/plain", True, chat_stream(), True),
        ("text/html", True, chat_stream(), False),
        ("image/png", False, chat_reply(), False),
    ],
)
def test_what_was_sent_decides(
    content_type: str, streamed: bool, body: bytes, is_read: bool
) -> None:
    reader = reader_for("openai_chat", streamed=streamed, content_type=content_type)
    reader.feed(body)
    assert (reader.close(complete=True).usage is not None) is is_read


def test_the_reader_of_nothing() -> None:
    reader = reader_for("none", streamed=True, content_type=SSE)
    assert isinstance(reader, NoReader)
    reader.feed(chat_stream())
    assert reader.close(complete=True) == Reading()
