"""Recorded replies with everything taken out that says what they used: to be estimated.

What is left is read by the gateway's own readers, as a reply that never stated its usage.
"""

from __future__ import annotations

import json
from typing import Any

from aws_frames import re_encoded
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import Reading
from whole_corpus import Recorded

_STATED = frozenset(
    {
        *("usage", "usageMetadata", "x_groq", "amazon-bedrock-invocationMetrics", "meta"),
        *("prompt_eval_count", "eval_count", "input_token_count", "generated_token_count"),
        *("prompt_token_count", "generation_token_count", "inputTextTokenCount"),
        *("totalOutputTextTokenCount", "usage_breakdown"),
    }
)


def silenced(record: Recorded) -> bytes:
    """Give a record's body without its usage."""
    text, kind = str(record.row["response_body"]), record.row["body_kind"]
    if kind == "sse":
        return "".join(_line(line) for line in text.splitlines(keepends=True)).encode()
    if kind == "aws-eventstream":
        lines = [json.loads(line) for line in text.splitlines()]
        kept = [_bare(line) for line in lines if line["event"] != "metadata"]
        return re_encoded("\n".join(json.dumps(line) for line in kept))
    if kind == "jsonl":
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        return "".join(json.dumps(_bare(line)) + "\n" for line in lines).encode()
    return json.dumps(_bare(json.loads(text)), ensure_ascii=False).encode("utf-8", "replace")


def read_silenced(record: Recorded) -> Reading:
    """Read a record as if its provider had said nothing of what it used."""
    made = reader_for(record.reader, streamed=record.streamed, content_type=record.media_type)
    made.feed(silenced(record))
    return made.close(complete=True)


def _line(line: str) -> str:
    if not line.startswith("data:") or not line[5:].strip().startswith("{"):
        return line
    end = line[len(line.rstrip("\r\n")) :]
    try:
        return f"data: {json.dumps(_bare(json.loads(line[5:])), ensure_ascii=False)}{end}"
    except ValueError:
        return line


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(inner) for name, inner in value.items() if name not in _STATED}
    if isinstance(value, list):
        return [_bare(inner) for inner in value]
    return value
