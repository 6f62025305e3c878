"""Replies that others recorded from real providers, read and priced by us and by the oracle.

The oracle is genai-prices: it reads the recorded usage object and prices it, knowing nothing
of our readers. Where it is known to be wrong, a named rule says what is right instead.

Run as a program it writes the table of docs/accuracy.md:
`.venv/bin/python tests/recorded_replies.py ../shared docs/accuracy.md`
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import Reading

CORPORA = ("openai", "anthropic", "gemini", "azure", "vertex")
COMPATIBLE = (
    # Whoever else speaks OpenAI's dialect, and says more or less than OpenAI does.
    *("alibaba", "cerebras", "crusoe", "databricks", "deepseek", "groq", "heroku"),
    *("huggingface", "local", "moonshot", "openrouter", "other", "perplexity", "portkey"),
    *("pydantic-gateway", "snowflake", "together", "writer", "xai", "zai"),
)
READERS = {
    "chat": "openai_chat",
    "completions": "openai_completions",
    "embeddings": "openai_embeddings",
    "responses": "openai_responses",
    "images": "openai_images",
    "transcription": "openai_transcription",
    "messages": "anthropic_messages",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "rawPredict": "gemini",
}
NOT_METERED = {
    "assistants": "the Assistants API reports the usage of runs that it made by itself",
    "batch": "a batch object or its results, collected by a later call",
    "other": "file content, cached contents and other calls that bill nothing themselves",
    "converse": "Bedrock's own dialect, at a server that only passes it on",
    "interactions": "the Interactions API is not among the endpoints yet",
}
CONTENT_TYPES = {
    "sse": "text/event-stream",
    "json": "application/json; charset=utf-8",
    "json-array": "application/json",
}
STITCHED = {
    # Fixtures that hold several replies one behind the other, as one body: the first is read.
    "openai-responses-d64e5e8da21add07",
    "azure-chat-477ce380f39ba6d0",
    "anthropic-messages-b25c5f6a6cb6339a",
    "anthropic-messages-a1f8a87331b7edd2",
    "anthropic-messages-0f6bce614eceda51",
}
WITHOUT_DATE = datetime(2026, 11, 12, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Record:
    """One recorded interaction."""

    corpus: str
    row: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.corpus}-{self.row['api']}-{self.row['sha']}"

    @property
    def api(self) -> str:
        return str(self.row["api"])

    @property
    def body(self) -> bytes:
        return str(self.row["response_body"]).encode()

    @property
    def streamed(self) -> bool:
        return bool(self.row["streaming"])

    @property
    def provider(self) -> str:
        return {"gemini": "google", "vertex": "google"}.get(self.corpus, self.corpus)

    @cached_property
    def reader(self) -> str:
        """Name the kind of call, "" where no reader is meant for it."""
        if self.row["path"].endswith("/api/v1/images"):
            return "openai_images"  # OpenRouter's own place for them
        if self.api in NOT_METERED:
            return ""
        if self.api == "chat" and _is_response(self.row["response_body"]):
            return "openai_responses"  # fixtures of one project stand under the wrong path
        if self.api == "embeddings" and self.corpus in {"gemini", "vertex"}:
            return "gemini"
        return READERS[self.api]

    @cached_property
    def at(self) -> datetime:
        stated = self.row["recorded_at"]
        if not stated:
            return WITHOUT_DATE
        try:
            moment = parsedate_to_datetime(stated)
        except ValueError:
            moment = datetime.fromisoformat(stated)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    @property
    def at_us(self) -> int:
        return int(self.at.timestamp() * 1_000_000)

    def objects(self) -> list[dict[str, Any]]:
        """Decode everything in the body: one object, a list of them, or each event's data."""
        if self.row["body_kind"] != "sse":
            found = json.loads(self.row["response_body"])
            return found if isinstance(found, list) else [found]
        lines = self.row["response_body"].splitlines()
        data = [line[5:].strip() for line in lines if line.startswith("data:")]
        return [json.loads(text) for text in data if text and text != "[DONE]"]

    def final(self) -> dict[str, Any]:
        """Give the object that ends the reply: the whole one, or the last event's."""
        if self.reader == "openai_responses" and self.streamed:
            ended = [item["response"] for item in self.objects() if "response" in item]
            return dict(ended[-1])
        return self.objects()[-1]

    def single_models(self) -> list[dict[str, Any]]:
        """Give the usage objects of the models that a compound system called, mostly none."""
        if "usage_breakdown" not in self.row["response_body"]:
            return []
        return [entry["usage"] for entry in self.row["usage"][1:]]

    def stated(self) -> dict[str, Any]:
        """Give the usage object as the recording's own index has it, merged over a stream."""
        entries = self.row["usage"][: 1 if self.single_models() else None]
        found = [
            value
            for entry in entries
            for key, value in entry.items()
            if key in {"usage", "usageMetadata"} and isinstance(value, dict)
        ]
        if self.reader == "anthropic_messages":
            merged: dict[str, Any] = {}
            for usage in found:
                merged |= {key: value for key, value in usage.items() if value is not None}
            return merged
        return dict(found[-1]) if found else {}


@dataclass(frozen=True)
class Billed:
    """What we make of a record. ``nanos`` is None where any part of it has no price."""

    reading: Reading
    model: str
    nanos: int | None
    reasons: tuple[str, ...]


Both = tuple[tuple[Record, Billed], ...]


def records(shared: Path, corpora: tuple[str, ...] = CORPORA) -> Iterator[Record]:
    for corpus in corpora:
        with gzip.open(shared / "corpus" / f"{corpus}.jsonl.gz") as lines:
            for line in lines:
                yield Record(corpus, json.loads(line))


def read_reply(record: Record, pieces: list[bytes] | None = None) -> Reading:
    """Read a record's body, in one piece or in the given ones."""
    reader = reader_for(
        record.reader,
        streamed=record.streamed,
        content_type=CONTENT_TYPES[record.row["body_kind"]],
    )
    for piece in pieces or [record.body]:
        reader.feed(piece)
    return reader.close(complete=True)


def bill(record: Record, book: PriceBook) -> Billed:
    """Read and price a record, with all models that it billed."""
    reading = read_reply(record)
    usage = reading.usage
    if usage is None:
        return Billed(reading, "", None, ("no_usage",))
    model = usage.model or asked_model(record, usage)
    total, reasons = 0, []
    for part in (usage, *usage.components):
        name = part.model or model
        priced = book.price(record.provider, name, part, record.at_us)
        total += priced.nanos or 0
        reasons += [priced.reason] if priced.nanos is None else []
    return Billed(reading, model, None if reasons else total, tuple(reasons))


@cache
def billed_records(shared: Path) -> Both:
    """Read and price every record that a reader is meant for."""
    book = shipped_price_book()
    return tuple((record, bill(record, book)) for record in records(shared) if record.reader)


def is_refused(record: Record) -> bool:
    """Tell whether Anthropic refused before it generated anything."""
    objects = record.objects()
    reasons = [(item.get("delta") or item).get("stop_reason") for item in objects]
    generated = any(item.get("type") == "content_block_delta" for item in objects)
    return "refusal" in reasons and not generated and not objects[-1].get("content")


def asked_model(record: Record, usage: Usage) -> str:
    """Name the model that was asked for, which the recordings of uploads have left out."""
    asked = record.row["req_model"] or record.row["model"]
    if asked:
        return str(asked)
    if record.api == "transcription":
        return "whisper-1" if "audio_ms" in usage.quantities else "gpt-4o-transcribe"
    return "gpt-image-1" if record.api == "images" else ""


def _is_response(body: str) -> bool:
    start = body[:400]
    return '"object": "response"' in start or '"type":"response.created"' in start


def accuracy_table(shared: Path) -> str:
    """Write the table of what was read and priced."""
    book = shipped_price_book()
    counts: dict[tuple[str, str], Counter[str]] = {}
    for record in records(shared):
        row = counts.setdefault((record.corpus, record.api), Counter())
        row["records"] += 1
        if not record.reader:
            row["reason: not metered"] += 1
            continue
        billed = bill(record, book)
        row["read"] += billed.reading.usage is not None
        row["priced"] += billed.nanos is not None
        row.update({f"reason: {reason}" for reason in billed.reasons})
    lines = [
        "| provider | API | records | read | priced | not priced, why |",
        "|---|---|--:|--:|--:|---|",
    ]
    for (corpus, api), row in sorted(counts.items()):
        why = "; ".join(
            f"{count} {name.removeprefix('reason: ')}"
            for name, count in sorted(row.items())
            if name.startswith("reason: ")
        )
        lines.append(
            f"| {corpus} | {api} | {row['records']} | {row['read']} | {row['priced']} | {why} |"
        )
    total = sum((row for row in counts.values()), Counter[str]())
    lines.append(f"| **all** | | {total['records']} | {total['read']} | {total['priced']} | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[2])
    text = target.read_text("utf-8")
    begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
    head, _, rest = text.partition(begin)
    target.write_text(
        head + begin + accuracy_table(Path(sys.argv[1])) + end + rest.partition(end)[2]
    )
