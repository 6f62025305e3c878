"""Recorded replies of the smaller providers go through a running gateway, and into its ledger.

The client must receive what was recorded, byte for byte; the ledger must hold what the reader
of such a reply says, which other tests hold against a recount.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from booked import by_call, quantities_of
from raw_http import RawConnection, request
from rough_upstream import RoughUpstream
from running import deployment
from scripted_provider import Scripted, good
from tollkeeper.providers.kinds import KINDS
from whole_corpus import Recorded, all_records, read

PROVIDERS = (
    *("cohere", "ollama", "voyage", "mistral", "watsonx", "writer", "snowflake", "databricks"),
    *("huggingface", "crusoe", "heroku", "portkey", "pydantic-gateway", "other", "local"),
)
CONTENT_TYPES = {"sse": "text/event-stream", "json": "application/json"}
LINES = {"cohere": "application/stream+json", "ollama": "application/x-ndjson"}
BLOTTED = re.compile(r"^<[A-Z_]+>")
"""What the recorder has made of an address."""

UNUSUAL = {
    "other-other-852bb22038a8519d": "a fixture without a path",
    "local-converse-986c38b7d9a1e90f": "Bedrock's dialect below a path of somebody else's",
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with RoughUpstream(good) as rough:
        providers: dict[str, Any] = {}
        for name in PROVIDERS:
            kind = name if name in KINDS else "openai"
            providers[name] = {"kind": kind, "base_url": rough.url}
            if kind != "ollama":
                providers[name]["api_key"] = f"canary-{name}-recorded-1"
        folder = tmp_path_factory.mktemp("recorded")
        with deployment(folder, rough.url, {"providers": providers}) as gateway:
            yield Scripted(gateway, rough)


def _request(record: Recorded) -> dict[str, Any]:
    """Give the recorded request, or a fitting one where the recording has left it out."""
    try:
        body = json.loads(record.row["request_body"] or "{}")
    except (ValueError, TypeError):
        body = {}
    body = body if isinstance(body, dict) else {}
    named = "model_id" if record.corpus == "watsonx" else "model"
    body.setdefault(named, record.asked_for or "some-model")
    if record.corpus != "watsonx":
        body["stream"] = record.streamed
    return body


def _reply(record: Recorded) -> bytes:
    kind = str(record.row["body_kind"])
    content_type = CONTENT_TYPES.get(kind) or LINES[str(record.row["provider"])]
    head = f"HTTP/1.1 {record.row['status']} Recorded\r\ncontent-type: {content_type}\r\n"
    return f"{head}content-length: {len(record.body)}\r\n\r\n".encode() + record.body


def _replay(provider: Scripted, record: Recorded) -> str:
    """Send a record's request; what comes back must be what was recorded. Gives the call's id."""
    provider.rough.script = lambda conversation: conversation.answer(_reply(record))
    below = BLOTTED.sub("/blotted", str(record.row["path"]))
    asked, path = _request(record), f"/providers/{record.row['provider']}{below}"
    with RawConnection(provider.port) as connection:
        headers = {"authorization": f"Bearer {provider.key}"}
        answer = connection.send(request(path, asked, headers)).answer()
    assert answer.status == int(record.row["status"]), (record.name, answer.body[:200])
    may_hide = record.streamed and not asked.get("stream_options")
    assert answer.body == record.body or may_hide, record.name
    return answer.headers["x-tollkeeper-call-id"]


def test_every_recorded_reply_is_passed_on_and_booked(provider: Scripted, shared: Path) -> None:
    calls: dict[str, Recorded] = {}
    for record in all_records(shared):
        is_call = str(record.row["method"]).upper() == "POST" and record.api != "transcription"
        if record.row["provider"] in PROVIDERS and is_call and record.name not in UNUSUAL:
            calls[_replay(provider, record)] = record
    entries = by_call(provider.gateway.entries())
    booked: Counter[str] = Counter()
    silent: Counter[tuple[str, ...]] = Counter()
    for call_id, record in calls.items():
        assert call_id in entries, record.name
        (entry,) = entries[call_id]
        if not record.has_answer():
            assert (entry.basis, entry.cost_nanos) == ("free", 0), record.name
            continue
        usage = read(record).usage
        if usage is None:
            assert entry.cost_nanos != 0, record.name
            silent[entry.basis, *quantities_of(entry)] += 1
            continue
        assert quantities_of(entry) == usage.quantities, record.name
        assert entry.streamed == record.streamed, record.name
        booked[str(record.row["provider"])] += 1
    assert silent == {
        ("measured", "input_characters"): 1,  # speech says nothing: what it was to say is billed
        ("unpriced", "input", "output"): 9,  # estimated, for models that no list has
    }
    assert booked.keys() == set(PROVIDERS)
    assert booked.total() > 400
