"""Every recorded interaction of every provider, as the gateway would recognise, read and bill it.

The path says what kind of call a record is, as it does in the gateway: ``/providers/NAME``
stands in front of it. What is booked comes from the same ``settle`` that the gateway uses.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aws_frames import EVENTS, re_encoded
from recorded_replies import CONTENT_TYPES, Record, asked_model
from tollkeeper.domain.calls import Held, Part, Profile
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.kinds import KINDS
from tollkeeper.services.settlement import Ending, settle
from tollkeeper.wire import asked
from tollkeeper.wire.endpoints import match
from tollkeeper.wire.json_object import read_members
from tollkeeper.wire.native_endpoints import at_kind
from tollkeeper.wire.readers import COUNT_IN_HEAD, reader_for, take_head
from tollkeeper.wire.readings import Reading

NO_USAGE = "_nousage"
ORACLE = "_oracle"
KIND_OF = {"gemini": "google"}
"""Folders of the corpus that are named differently from the catalogue's kinds."""

BEDROCK = {
    "converse": "bedrock_converse",
    "converse-stream": "bedrock_converse",
    "invoke": "bedrock_invoke",
    "invoke-stream": "bedrock_invoke",
}
MEDIA_TYPES = {
    **CONTENT_TYPES,
    "aws-eventstream": EVENTS,
    "jsonl": "application/x-ndjson",
    "text": "text/plain",
}
_LEFT_OUT: dict[str, Any] = {
    **dict.fromkeys(("model", "req_model", "recorded_at", "synthetic_suspect")),
    "usage": [],
}
"""What records without usage do not have."""

_BLOTTED = re.compile(r"<[A-Z_]+>")
_WRONG_PATH = frozenset({"chat", "responses"})


class Recorded(Record):
    """One recorded interaction of any provider."""

    @property
    def kind(self) -> str:
        """Name its provider as the catalogue does, or as the corpus does where that has none."""
        name = str(self.row["provider"])
        return KIND_OF.get(name, name)

    @property
    def provider(self) -> str:
        """Give the provider's id in the price book, "" where it has none."""
        kind = KINDS.get(self.kind)
        return kind.price_id if kind is not None else ""

    @cached_property
    def endpoint(self) -> str:
        """Name the call as the gateway's table does, "" where it knows it only as passed on."""
        return self._recognised[0]

    @cached_property
    def reader(self) -> str:
        """Name the kind of call, "" where no reader is meant for it."""
        return self._recognised[1]

    @cached_property
    def _recognised(self) -> tuple[str, str]:
        row = self.row
        if self.api in BEDROCK:
            return self.api, BEDROCK[self.api]
        if self.api in _WRONG_PATH and _is_response(row["response_body"]):
            return "responses", "openai_responses"
        path = _BLOTTED.sub("blotted", str(row["path"])).replace("//", "/")
        path = path if path.startswith("/") else f"/{path}"
        try:
            found = match(str(row["method"]).upper(), f"/providers/{self.kind}{path}")
        except BadRequest:
            return "", ""
        if found is None:
            return "", ""
        if self.corpus == "vertex" and found.endpoint.reader == "openai_embeddings":
            return "embedContent", "gemini"  # a fixture under OpenAI's path
        endpoint = at_kind(self.kind, found).endpoint
        return endpoint.name, "" if endpoint.reader == "none" else endpoint.reader

    @cached_property
    def body(self) -> bytes:
        """Give the reply's bytes; AWS's frames, which are recorded decoded, are made again."""
        row = self.row
        kind = row["body_kind"]
        if self.api in BEDROCK and row["streaming"] and kind in {"aws-eventstream", "sse"}:
            return re_encoded(row["response_body"], kind)
        return str(row["response_body"]).encode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        kind = str(self.row["body_kind"])
        if kind == "sse" and self.api in BEDROCK:
            return EVENTS
        return MEDIA_TYPES[kind]

    @cached_property
    def asked_for(self) -> str:
        """Name the model that was asked for, by the request or by the path."""
        row = self.row
        return unquote(str(row["req_model"] or row["model"] or ""))

    def has_answer(self) -> bool:
        """Tell whether the provider answered, and not with an error."""
        return 200 <= int(self.row["status"]) < 300


@dataclass(frozen=True)
class Booked:
    """What we make of a record: what was read of it, and what would be booked for it."""

    reading: Reading
    parts: tuple[Part, ...]

    @property
    def nanos(self) -> int | None:
        """Give the whole cost, None where any part of it is unknown."""
        total = 0
        for part in self.parts:
            if part.cost_nanos is None:
                return None
            total += part.cost_nanos
        return total

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(part.reason for part in self.parts if part.cost_nanos is None)

    @property
    def model(self) -> str:
        return self.parts[0].model


def all_records(shared: Path) -> Iterator[Recorded]:
    """Give every recorded interaction; the table of stated costs is no recording."""
    for path in sorted((shared / "corpus").glob("*.jsonl.gz")):
        corpus = path.name.removesuffix(".jsonl.gz")
        if corpus != ORACLE:
            with gzip.open(path) as lines:
                for line in lines:
                    yield _recorded(corpus, {**_LEFT_OUT, **json.loads(line)})


def _recorded(corpus: str, row: dict[str, Any]) -> Recorded:
    if "REDACTED" in str(row["recorded_at"]):
        row["recorded_at"] = None
    return Recorded(corpus, row)


def oracle_rows(shared: Path) -> dict[str, dict[str, Any]]:
    """Give what providers stated that a call cost, by the record's digest."""
    with gzip.open(shared / "corpus" / f"{ORACLE}.jsonl.gz") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["sha"]: row for row in rows}


def read(record: Recorded) -> Reading:
    """Read a record's body in one piece."""
    made = reader_for(record.reader, streamed=record.streamed, content_type=record.media_type)
    if record.reader == COUNT_IN_HEAD:
        head = record.row["response_headers"] or {}
        take_head(made, [(name.encode(), str(value).encode()) for name, value in head.items()])
    made.feed(record.body)
    return made.close(complete=True)


def usages_of(reading: Reading) -> list[Usage]:
    """Give what a reply bills: its own usage, or that of work which other calls began."""
    if reading.usage is not None:
        return [reading.usage]
    if reading.job is None:
        return []
    total = reading.job.total
    return [bill.usage for bill in reading.job.bills] + ([total] if total is not None else [])


def booked(record: Recorded, reading: Reading, book: PriceBook) -> Booked:
    """Say what the gateway would book for a record that bills something."""
    whole = reading.final and not reading.partial
    parts: list[Part] = []
    for usage in usages_of(reading):
        ending = Ending(200, Outcome.OK, 0, usage=usage, complete=whole)
        parts += settle(held_for(record, usage), ending, book).parts
    return Booked(reading, tuple(parts))


def held_for(record: Recorded, usage: Usage | None = None) -> Held:
    """Give a record's call as it would stand in the journal before it is answered."""
    usage = usage or Usage()
    model = record.asked_for or (usage.model or asked_model(record, usage))
    texts = [""] * len(Profile._fields)
    profile = Profile(*texts)._replace(
        price_provider=record.provider,
        model=model,
        model_requested=model,
        endpoint=record.endpoint,
        streamed=record.streamed,
        flat_rate=False,
    )
    units, terms = _asked(record, model)
    return Held(record.name, record.name, record.at_us, 1, True, 0, 0, profile, units, terms)


def _asked(record: Recorded, model: str) -> asked.Asked:
    """Give what the request itself says of its price; forms are not recorded."""
    body = str(record.row["request_body"] or "").lstrip()
    if record.reader not in asked.READERS or not body.startswith("{"):
        return asked.NOTHING
    members = read_members(body.encode())
    return asked.asked_in_json(record.reader, members, model, 1)


def _is_response(body: str) -> bool:
    start = body[:400]
    return '"object": "response"' in start or '"type":"response.created"' in start
