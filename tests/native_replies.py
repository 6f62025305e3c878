"""Replies of Cohere, Ollama, Mistral, Voyage, watsonx and rerank calls: (reader, type, body)."""

from __future__ import annotations

import json
from typing import Any

JSON = "application/json; charset=utf-8"
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
STREAM_JSON = "application/stream+json"
"""What Cohere's first version calls its lines."""


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def lines(*objects: Any) -> bytes:
    return b"".join(compact(each) + b"\n" for each in objects)


def events(*objects: Any, named: str = "type") -> bytes:
    """Write server-sent events, each named as its own field says."""
    parts = []
    for each in objects:
        name = f"event: {each[named]}\n".encode() if named in each else b""
        parts.append(name + b"data: " + compact(each) + b"\n\n")
    return b"".join(parts)


# ---------------------------------------------------------------------------------- Cohere

BILLED = {"input_tokens": 62, "output_tokens": 35}
COHERE_USAGE = {
    "billed_units": BILLED,
    "tokens": {"input_tokens": 968, "output_tokens": 90},
    "cached_tokens": 208,
}
COHERE_META = {"api_version": {"version": "1"}, "billed_units": BILLED}
CHAT_END = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}}


def cohere_chat(**more: Any) -> dict[str, Any]:
    return {
        "id": "c-1",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Grüße"}]},
        "finish_reason": "COMPLETE",
        "usage": COHERE_USAGE,
        **more,
    }


def cohere_text(text: str) -> dict[str, Any]:
    message = {"content": {"text": text}}
    return {"type": "content-delta", "index": 0, "delta": {"message": message}}


COHERE_BEGIN = {"id": "c-1", "type": "message-start", "delta": {"message": {"role": "assistant"}}}


def cohere_events(*, end: Any = CHAT_END) -> bytes:
    plan = {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}}
    words = cohere_text('Grüße 🌍 "message-end" {"usage":{"billed_units":{"input_tokens":9}}}')
    tail = () if end is None else (end,)
    return events(COHERE_BEGIN, plan, words, *tail) + b"data: [DONE]\n\n"


def cohere_lines(*, end: bool = True, kind: str = "stream-end") -> bytes:
    whole = {"response_id": "r-1", "text": "Grüße", "generation_id": "g-1", "meta": COHERE_META}
    return lines(
        {"is_finished": False, "event_type": "stream-start", "generation_id": "g-1"},
        {"is_finished": False, "event_type": "text-generation", "text": 'Grü "stream-end"'},
        {"is_finished": False, "event_type": "text-generation", "text": "ße 🌍"},
        *(
            [
                {
                    "is_finished": True,
                    "event_type": kind,
                    "finish_reason": "COMPLETE",
                    "response": whole,
                }
            ]
            if end
            else []
        ),
    )


# ---------------------------------------------------------------------------------- Ollama

OLLAMA_COUNTS = {
    "total_duration": 3_722_518_334,
    "load_duration": 1_534_053_125,
    "prompt_eval_count": 17,
    "prompt_eval_duration": 179_676_000,
    "eval_count": 63,
    "eval_duration": 2_006_086_000,
}


def ollama_line(text: str = "", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"model": "llama3", "created_at": "2026-11-27T11:00:00Z", "message": message} | {
        "done": False,
        **more,
    }


def ollama_end(**more: Any) -> dict[str, Any]:
    return ollama_line(done=True, done_reason="stop", **(OLLAMA_COUNTS | more))


def ollama_stream(**more: Any) -> bytes:
    return lines(ollama_line("Grüße 🌍"), ollama_line('"done":true'), ollama_end(**more))


def ollama_generated(**more: Any) -> bytes:
    reply = ollama_end(response="Grüße", context=[128006, 882, 128007], **more)
    del reply["message"]
    return compact(reply)


def ollama_embedded(**more: Any) -> bytes:
    vectors = [[0.1, -0.2, 0.3]] * 2
    counts = {"total_duration": 14_143_917, "load_duration": 1_019_500, "prompt_eval_count": 8}
    return compact({"model": "all-minilm", "embeddings": vectors, **counts, **more})


# ------------------------------------------------------------------- Mistral and the others

PAGES = {"pages_processed": 3, "doc_size_bytes": 4096}


def document(**more: Any) -> bytes:
    page = {"index": 0, "markdown": "# Grüße", "images": [{"id": "i", "image_base64": "QUJD" * 9}]}
    return compact({"pages": [page] * 3, "model": "mistral-ocr-2505", "usage_info": PAGES, **more})


CONVERSATION_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 5120,
    "connector_tokens": 5000,
    "connectors": {"web_search": 2, "code_interpreter": 1},
}


def conversation(**more: Any) -> bytes:
    output = {"type": "message.output", "model": "mistral-medium-latest", "content": "Grüße"}
    tool = {"type": "tool.execution", "name": "web_search", "arguments": "{}"}
    reply = {"conversation_id": "conv_1", "outputs": [tool, output], "usage": CONVERSATION_USAGE}
    return compact({"object": "conversation.response", **reply, **more})


def said(text: str, model: str = "mistral-medium-latest") -> dict[str, Any]:
    return {"type": "message.output.delta", "id": "msg_1", "content": text, "model": model}


CONVERSATION_BEGIN = {"type": "conversation.response.started", "conversation_id": "conv_1"}
CONVERSATION_END = {"type": "conversation.response.done", "usage": CONVERSATION_USAGE}


def conversation_events(*more: Any, end: Any = CONVERSATION_END) -> bytes:
    tail = () if end is None else (end,)
    words = said("Grüße conversation.response.done")
    return events(CONVERSATION_BEGIN, words, *more, *tail)


HEARD_USAGE = {
    "prompt_audio_seconds": 3,
    "prompt_tokens": 9,
    "completion_tokens": 248,
    "total_tokens": 632,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375},
    "service_tier": "standard",
}


def heard() -> bytes:
    done = {"type": "transcription.done", "model": "voxtral-mini-latest", "text": "Grüße"}
    part = {"type": "transcription.text.delta", "text": "Grüße"}
    return events(part, done | {"usage": HEARD_USAGE, "segments": []})


MULTIMODAL = {"text_tokens": 5, "image_pixels": 2_000_000, "total_tokens": 3576}


def multimodal(**more: Any) -> bytes:
    vector = {"object": "embedding", "embedding": [0.1, -0.2], "index": 0}
    return compact(
        {"object": "list", "data": [vector], "model": "voyage-multimodal-3"}
        | {"usage": MULTIMODAL}
        | more
    )


def reranked(**more: Any) -> bytes:
    found = [{"index": 1, "relevance_score": 0.9}]
    return compact({"id": "r-1", "model": "rerank-2", "results": found, **more})


def watsonx_event(text: str, put_in: int, made: int, why: str = "not_finished") -> dict[str, Any]:
    counts = {"generated_token_count": made, "input_token_count": put_in}
    result = {"generated_text": text, **counts, "stop_reason": why}
    return {"model_id": "ibm/granite-3-8b", "results": [result]}


def watsonx_events(*more: Any, end: bool = True) -> bytes:
    whole = [watsonx_event("", 8, 0), watsonx_event("Grü", 0, 1), watsonx_event("ße", 0, 2)]
    tail = [watsonx_event("", 0, 3, "eos_token")] if end else []
    parts = [
        b"id: %d\nevent: message\ndata: " % number + compact(each) + b"\n\n"
        for number, each in enumerate([*whole, *more, *tail])
    ]
    return b"".join(parts)


def watsonx(*results: dict[str, Any], **more: Any) -> bytes:
    given = list(results) or [watsonx_event("2", 7, 2, "eos_token")["results"][0]]
    return compact({"model_id": "ibm/granite-3-8b", "results": given, **more})


REPLIES: dict[str, tuple[str, str, bytes]] = {
    "cohere chat": ("cohere_chat", JSON, compact(cohere_chat())),
    "cohere chat stream": ("cohere_chat", SSE, cohere_events()),
    "cohere chat stream twice": ("cohere_chat", SSE, cohere_events() * 2),
    "cohere chat stream cut": ("cohere_chat", SSE, cohere_events(end=None)),
    "cohere lines": ("cohere_chat", STREAM_JSON, cohere_lines()),
    "cohere lines without a last end": ("cohere_chat", STREAM_JSON, cohere_lines()[:-1]),
    "cohere lines cut": ("cohere_chat", STREAM_JSON, cohere_lines(end=False)),
    "cohere embed": ("cohere_embed", JSON, reranked(meta={"billed_units": {"input_tokens": 9}})),
    "ollama chat": ("ollama_chat", JSON, compact(ollama_end())),
    "ollama stream": ("ollama_chat", NDJSON, ollama_stream()),
    "ollama stream CRLF": ("ollama_chat", NDJSON, ollama_stream().replace(b"\n", b"\r\n")),
    "ollama stream twice": ("ollama_chat", NDJSON, ollama_stream() * 2),
    "ollama stream cut": ("ollama_chat", NDJSON, lines(ollama_line("Grüße"))[:-3]),
    "ollama stream with an error": (
        "ollama_chat",
        NDJSON,
        lines(ollama_line("Grüße"), {"error": "out of memory"}),
    ),
    "ollama generate": ("ollama_chat", JSON, ollama_generated()),
    "ollama embed": ("ollama_embed", JSON, ollama_embedded()),
    "mistral document": ("mistral_ocr", JSON, document()),
    "mistral conversation": ("mistral_conversations", JSON, conversation()),
    "mistral conversation stream": ("mistral_conversations", SSE, conversation_events()),
    "mistral conversation cut": ("mistral_conversations", SSE, conversation_events(end=None)),
    "mistral transcription stream": ("openai_transcription", SSE, heard()),
    "voyage multimodal": ("voyage_multimodal", JSON, multimodal()),
    "rerank": ("rerank", JSON, reranked(usage={"total_tokens": 43})),
    "watsonx": ("watsonx_text", JSON, watsonx()),
    "watsonx stream": ("watsonx_text", SSE, watsonx_events()),
    "watsonx stream cut": ("watsonx_text", SSE, watsonx_events(end=False)),
}
