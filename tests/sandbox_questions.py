"""Requests of every kind that the sandbox plays, each with the reader of its replies."""

from __future__ import annotations

from typing import Any, NamedTuple

from sandbox_requests import CONTENTS, HI, PERSON

BOUNDARY = "a-boundary"


class Question(NamedTuple):
    """One request. ``generates`` tells that its text is generated bit by bit."""

    path: str
    body: Any
    reader: str
    content_type: str = "application/json"
    generates: bool = True


def form(*files: tuple[str, str, bytes], **fields: str) -> bytes:
    """Write a multipart form."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, filename, content in files:
        head = f'form-data; name="{name}"; filename="{filename}"'
        parts.append(
            f"--{BOUNDARY}\r\nContent-Disposition: {head}\r\n\r\n".encode() + content + b"\r\n"
        )
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FORM = f"multipart/form-data; boundary={BOUNDARY}"
SOUND = ("file", "sound.wav", b"\0" * 40_000)
PICTURE = ("image", "dot.png", b"\x89PNG")
CHAT_PATH = "/v1/chat/completions"
GEMINI_PATH = "/v1beta/models/gemini-x"
STREAM = {"stream": True}
ASKED = {"stream": True, "stream_options": {"include_usage": True}}
CHAT = {"model": "m", "messages": HI}
RESPONSE = {"model": "m", "input": HI}
MESSAGE = {"model": "m", "messages": HI, "max_tokens": 1_000_000}
CONTENT = {"contents": CONTENTS}
FUNCTION = {"name": "add_person", "parameters": PERSON}
TOOL = {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "required"}
ODD_TOOL = {
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "watch",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "enum": ["image_url", "text"]},
                        "source": {"type": ["string", "null"]},
                    },
                },
            },
        }
    ]
}
"""Kimi Code and Qwen Code have tools whose parameters are called like the words of a schema."""

FLAT_TOOL = {"tools": [{"type": "function", **FUNCTION}], "tool_choice": "required"}
OWN_TOOL = {
    "tools": [{"name": "add_person", "input_schema": PERSON}],
    "tool_choice": {"type": "any"},
}
GOOGLE_TOOL = {
    "tools": [{"functionDeclarations": [FUNCTION]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
}
THOUGHTS = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}, "candidateCount": 2}}
CACHED = {
    "system": [
        {"type": "text", "text": "a" * 400, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "b" * 200, "cache_control": {"type": "ephemeral"}},
    ]
}
MEDIA = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "input_audio", "input_audio": {"data": "A" * 10_000, "format": "wav"}},
        ],
    }
]
CHAT_READER, RESPONSES_READER = "openai_chat", "openai_responses"
MESSAGES_READER, GEMINI_READER = "anthropic_messages", "gemini"

STREAMS: dict[str, Question] = {
    "chat": Question(CHAT_PATH, CHAT | ASKED, CHAT_READER),
    "chat tool": Question(CHAT_PATH, CHAT | ASKED | TOOL, CHAT_READER),
    "chat two": Question(CHAT_PATH, CHAT | ASKED | {"n": 2}, CHAT_READER),
    "completions": Question(
        "/v1/completions",
        {"model": "m", "prompt": "abc def", "max_tokens": 99} | ASKED,
        "openai_completions",
    ),
    "responses": Question("/v1/responses", RESPONSE | STREAM, RESPONSES_READER),
    "responses tool": Question("/responses", RESPONSE | STREAM | FLAT_TOOL, RESPONSES_READER),
    "responses thinking": Question(
        "/v1/responses", RESPONSE | STREAM | {"reasoning": {"effort": "low"}}, RESPONSES_READER
    ),
    "messages": Question("/v1/messages", MESSAGE | STREAM, MESSAGES_READER),
    "messages tool": Question("/v1/messages", MESSAGE | STREAM | OWN_TOOL, MESSAGES_READER),
    "messages thinking": Question(
        "/messages", MESSAGE | STREAM | {"thinking": {"type": "adaptive"}}, MESSAGES_READER
    ),
    "messages cached": Question("/v1/messages", MESSAGE | STREAM | CACHED, MESSAGES_READER),
    "gemini": Question(f"{GEMINI_PATH}:streamGenerateContent?alt=sse", CONTENT, GEMINI_READER),
    "gemini tool": Question(
        f"{GEMINI_PATH}:streamGenerateContent?alt=sse", CONTENT | GOOGLE_TOOL, GEMINI_READER
    ),
    "gemini thinking": Question(
        f"{GEMINI_PATH}:streamGenerateContent?alt=sse", CONTENT | THOUGHTS, GEMINI_READER
    ),
    "gemini array": Question(f"{GEMINI_PATH}:streamGenerateContent", CONTENT, GEMINI_READER),
    "code assist": Question(
        "/v1internal:streamGenerateContent?alt=sse",
        {"model": "m", "request": CONTENT},
        GEMINI_READER,
    ),
}
"""Requests whose text is streamed."""

WHOLES: dict[str, Question] = {
    "chat": Question(CHAT_PATH, CHAT, CHAT_READER),
    "chat media": Question("/chat/completions", {"model": "m", "messages": MEDIA}, CHAT_READER),
    "chat thinking": Question(CHAT_PATH, CHAT | {"reasoning_effort": "medium"}, CHAT_READER),
    "chat tool": Question(CHAT_PATH, CHAT | TOOL | {"n": 3}, CHAT_READER),
    "chat odd tool": Question(CHAT_PATH, CHAT | ODD_TOOL, CHAT_READER),
    "fill in": Question(
        "/v1/fim/completions", {"model": "m", "prompt": "a", "suffix": "c"}, CHAT_READER
    ),
    "completions": Question(
        "/v1/completions", {"model": "m", "prompt": ["a", "b"], "n": 2}, "openai_completions"
    ),
    "responses": Question(
        "/v1/responses", RESPONSE | {"reasoning": {"effort": "high"}}, RESPONSES_READER
    ),
    "responses tool": Question("/v1/responses", RESPONSE | FLAT_TOOL, RESPONSES_READER),
    "compaction": Question("/v1/responses/compact", RESPONSE, RESPONSES_READER),
    "messages": Question("/v1/messages", MESSAGE, MESSAGES_READER),
    "messages thinking": Question(
        "/v1/messages",
        MESSAGE | {"thinking": {"type": "enabled", "budget_tokens": 50}},
        MESSAGES_READER,
    ),
    "messages cached": Question("/v1/messages", MESSAGE | CACHED, MESSAGES_READER),
    "gemini": Question(f"{GEMINI_PATH}:generateContent", CONTENT | THOUGHTS, GEMINI_READER),
    "gemini cached": Question(
        f"{GEMINI_PATH}:generateContent",
        CONTENT | GOOGLE_TOOL | {"cachedContent": "x"},
        GEMINI_READER,
    ),
    "code assist": Question(
        "/v1internal:generateContent", {"model": "m", "request": CONTENT}, GEMINI_READER
    ),
    "vertex": Question(
        "/v1beta1/publishers/google/models/g:generateContent", CONTENT, GEMINI_READER
    ),
    "embeddings": Question(
        "/v1/embeddings", {"model": "m", "input": ["a b c", "d"]}, "openai_embeddings"
    ),
    "gemini embedding": Question(
        f"{GEMINI_PATH}:embedContent", {"content": CONTENTS[0]}, GEMINI_READER
    ),
    "gemini embeddings": Question(
        f"{GEMINI_PATH}:batchEmbedContents",
        {"requests": [{"content": CONTENTS[0]}, {"content": CONTENTS[0]}]},
        GEMINI_READER,
    ),
    "images": Question(
        "/v1/images/generations",
        {"model": "gpt-image-1", "prompt": "a dot", "n": 2},
        "openai_images",
    ),
    "older images": Question(
        "/v1/images/generations", {"model": "dall-e-3", "prompt": "a dot"}, "openai_images"
    ),
    "edits": Question(
        "/v1/images/edits",
        form(PICTURE, PICTURE, model="gpt-image-1", prompt="bigger", quality="high"),
        "openai_images",
        FORM,
    ),
    "image stream": Question(
        "/v1/images/generations",
        {"model": "gpt-image-1", "prompt": "a dot", "stream": True},
        "openai_images",
    ),
    "transcript": Question(
        "/v1/audio/transcriptions",
        form(SOUND, model="gpt-4o-transcribe", prompt="names"),
        "openai_transcription",
        FORM,
    ),
    "timed transcript": Question(
        "/v1/audio/transcriptions", form(SOUND, model="whisper-1"), "openai_transcription", FORM
    ),
    "verbose transcript": Question(
        "/v1/audio/translations",
        form(SOUND, model="whisper-1", response_format="verbose_json"),
        "openai_transcription",
        FORM,
    ),
    "transcript stream": Question(
        "/v1/audio/transcriptions",
        form(SOUND, model="gpt-4o-transcribe", stream="true"),
        "openai_transcription",
        FORM,
    ),
    "speech stream": Question(
        "/v1/audio/speech",
        {"model": "gpt-4o-mini-tts", "voice": "a", "input": "hello", "stream_format": "sse"},
        "openai_speech",
    ),
}
"""Requests that are answered as a whole, or by a stream that is not text."""
