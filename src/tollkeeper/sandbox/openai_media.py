"""Pictures, transcripts and speech, OpenAI's shape: tiny, but valid."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.sandbox.asked import Json, text_at
from tollkeeper.sandbox.behaviour import UsageStyle
from tollkeeper.sandbox.counts import Counts, tokens_of
from tollkeeper.sandbox.form import Form
from tollkeeper.sandbox.reply import CREATED_S, Reply, event, event_headers, json_reply
from tollkeeper.sandbox.stated_usage import put_usage, times_at_end

_PICTURE_TOKENS: Final = 388  # of one input picture
_OUTPUT_TOKENS: Final[Mapping[str, tuple[int, int, int]]] = {
    # quality → square, portrait, landscape; as OpenAI's guide lists them for gpt-image-1
    "low": (272, 408, 400),
    "medium": (1_056, 1_584, 1_568),
    "high": (4_160, 6_240, 6_208),
}
_SIZES: Final = ("1024x1024", "1024x1536", "1536x1024")
_PICTURES_MAX: Final = 10
_SOUND_BYTES_PER_S: Final = 32_000  # 16 bit at 16 kHz, one channel
_TOKENS_PER_S: Final = 10
_SPOKEN_CHARS_PER_S: Final = 15
_WAV_RATE: Final = 8_000
_WAV_S_MAX: Final = 2
_WITHOUT_TOKENS: Final = "dall-e"
_BY_DURATION: Final = "whisper"
_BY_CHARACTERS: Final = "tts-1"
_PLAIN: Final = b"content-type: text/plain; charset=utf-8\r\n"
_WAV: Final = b"content-type: audio/wav\r\n"


# ---------------------------------------------------------------------- pictures


def images_reply(form: Form, model: str, style: UsageStyle, headers: bytes) -> Reply:
    """Answer a request to make, change or vary pictures."""
    model = model or "gpt-image-1"
    number = min(form.whole_number("n", 1), _PICTURES_MAX)
    picture = base64.b64encode(tiny_png()).decode()
    if model.startswith(_WITHOUT_TOKENS):
        whole: dict[str, Any] = {"created": CREATED_S, "data": [{"b64_json": picture}] * number}
        return json_reply(whole, counts=Counts(images=number), model=model, headers=headers)
    quality = form.text("quality")
    quality = quality if quality in _OUTPUT_TOKENS else "medium"
    size = form.text("size")
    size = size if size in _SIZES else _SIZES[0]
    pictures_in = sum(file.field.startswith("image") for file in form.files)
    counts = Counts(
        input=tokens_of(form.text("prompt")),
        input_image=_PICTURE_TOKENS * pictures_in,
        output_image=_OUTPUT_TOKENS[quality][_SIZES.index(size)] * number,
    )
    made = {"background": "opaque", "output_format": "png", "quality": quality, "size": size}
    if form.fields.get("stream") in {True, "true"}:
        return _picture_stream(picture, made, counts, model, style, headers)
    whole = {"created": CREATED_S, **made, "data": [{"b64_json": picture}] * number}
    put_usage(whole, _images_usage(counts), style)
    return json_reply(whole, counts=counts, model=model, headers=headers)


def tiny_png() -> bytes:
    """Draw one red pixel."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    chunks = ((b"IHDR", head), (b"IDAT", pixels), (b"IEND", b""))
    written = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _picture_stream(
    picture: str,
    made: dict[str, str],
    counts: Counts,
    model: str,
    style: UsageStyle,
    headers: bytes,
) -> Reply:
    partial = {"b64_json": picture, "created_at": CREATED_S, **made}
    early = {"type": "image_generation.partial_image", "partial_image_index": 0, **partial}
    last = {"type": "image_generation.completed", **partial}
    put_usage(last, _images_usage(counts), style)
    return Reply(
        200,
        event_headers(headers),
        (event(early, "image_generation.partial_image"),),
        end=event(last, "image_generation.completed"),
        streamed=True,
        counts=counts,
        model=model,
    )


def _images_usage(counts: Counts) -> dict[str, Any]:
    into = counts.input + counts.input_image
    return {
        "total_tokens": into + counts.output_image,
        "input_tokens": into,
        "input_tokens_details": {
            "text_tokens": counts.input,
            "image_tokens": counts.input_image,
        },
        "output_tokens": counts.output_image,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": counts.output_image},
    }


# ---------------------------------------------------------------------- transcripts


def transcription_reply(form: Form, model: str, style: UsageStyle, headers: bytes) -> Reply:
    """Answer a request to write down what is said."""
    size_bytes = sum(len(file.content) for file in form.files)
    seconds = max(1, -(-size_bytes // _SOUND_BYTES_PER_S))
    text = f"This is what the sandbox heard in {seconds} s of sound."
    counts = Counts(
        input=tokens_of(form.text("prompt")),
        input_audio=_TOKENS_PER_S * seconds,
        output=tokens_of(text),
    )
    usage: dict[str, Any] = _audio_usage(counts)
    if model.startswith(_BY_DURATION):
        counts = Counts(audio_ms=1_000 * seconds)
        usage = {"type": "duration", "seconds": seconds}
    wanted = form.text("response_format")
    if wanted in {"text", "srt", "vtt"}:
        return Reply(200, _PLAIN + headers, (_subtitled(text, wanted),), counts=counts, model=model)
    if form.text("stream") == "true" and not model.startswith(_BY_DURATION):
        return _transcript_stream(text, usage, counts, model, style, headers)
    whole: dict[str, Any] = {"text": text}
    if wanted == "verbose_json":
        counts = Counts(audio_ms=1_000 * seconds)
        usage = {"type": "duration", "seconds": seconds}
        whole = _verbose(text, seconds)
    put_usage(whole, usage, style)
    return json_reply(whole, counts=counts, model=model, headers=headers)


def _audio_usage(counts: Counts) -> dict[str, Any]:
    into = counts.input + counts.input_audio
    return {
        "type": "tokens",
        "input_tokens": into,
        "input_token_details": {"text_tokens": counts.input, "audio_tokens": counts.input_audio},
        "output_tokens": counts.output,
        "total_tokens": into + counts.output,
    }


def _verbose(text: str, seconds: int) -> dict[str, Any]:
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": float(seconds),
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
    return {
        "task": "transcribe",
        "language": "english",
        "duration": float(seconds),
        "text": text,
        "segments": [segment],
    }


def _subtitled(text: str, form: str) -> bytes:
    if form == "srt":
        text = f"1\n00:00:00,000 --> 00:00:01,000\n{text}\n"
    elif form == "vtt":
        text = f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{text}\n"
    return text.encode()


def _transcript_stream(
    text: str,
    usage: dict[str, Any],
    counts: Counts,
    model: str,
    style: UsageStyle,
    headers: bytes,
) -> Reply:
    words = text.split(" ")
    pieces = [
        event({"type": "transcript.text.delta", "delta": word if at == 0 else f" {word}"})
        for at, word in enumerate(words)
    ]
    done = put_usage({"type": "transcript.text.done", "text": text}, usage, style)
    return Reply(
        200,
        event_headers(headers),
        tuple(pieces),
        end=event(done),
        streamed=True,
        counts=counts,
        model=model,
    )


# ---------------------------------------------------------------------- speech


def speech_reply(body: Json, model: str, style: UsageStyle, headers: bytes) -> Reply:
    """Answer a request to speak a text."""
    text = text_at(body, "input")
    spoken_s = -(-len(text) // _SPOKEN_CHARS_PER_S)
    counts = Counts(input=tokens_of(text), output_audio=_TOKENS_PER_S * spoken_s)
    if model.startswith(_BY_CHARACTERS):
        counts = Counts(input_characters=len(text))
    sound = tiny_wav(min(spoken_s, _WAV_S_MAX))
    if body.get("stream_format") != "sse":
        return Reply(200, _WAV + headers, (sound,), counts=counts, model=model)
    done: dict[str, Any] = {"type": "speech.audio.done"}
    usage = {
        "input_tokens": counts.input,
        "output_tokens": counts.output_audio,
        "total_tokens": counts.input + counts.output_audio,
    }
    put_usage(done, usage, style)
    delta = {"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()}
    return Reply(
        200,
        event_headers(headers),
        (event(delta),),
        closing=event(done) * (times_at_end(style) - 1),
        end=event(done),
        streamed=True,
        counts=counts,
        model=model,
    )


def tiny_wav(seconds: int) -> bytes:
    """Record silence: 8 bit, one channel."""
    samples = b"\x80" * (_WAV_RATE * seconds)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _WAV_RATE, _WAV_RATE, 1, 8)
    data = struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data
