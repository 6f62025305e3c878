"""Recorded interactions made ready to be replayed: what to send to a gateway, what comes back.

A recording is sent as it was, except where a named rule says what had to change and why.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from recorded_replies import CORPORA, NOT_METERED, Record, asked_model, read_reply, records
from replay_upstream import MARK, Replay
from sandbox_questions import BOUNDARY, FORM, form

CHANGES: Final = {
    "no body": "the recording has left the request out: a fitting one is made up",
    "form": "recordings leave uploads out: a form is made up",
    "no model": "the recorded request names no model, because a fixture holds the reply only",
    "stream": "the recorded request does not say that it is to be streamed, its reply is",
    "double slash": "a client with a slash too many; the gateway refuses such a path on purpose",
    "blotted place": "the recorder has blotted out project and location",
    "unknown model": "a fixture whose path says 'unknown'",
    "wrong path": "fixtures of the Responses API that stand under the path of chat completions",
    "path of a fixture": "a fixture of Vertex AI that stands under OpenAI's path",
    "through the provider": "no call that is metered: sent below /providers/, as anything can be",
}
OWN_DEPLOYMENTS: Final = ("openllmetry-testing", "AZURE_DEPLOYMENT", "test-deployment")
"""Names of Azure deployments that no other provider has, so that they can be routed by."""

_PLACEHOLDER: Final = re.compile(r"<GOOGLE_CLOUD_(PROJECT|LOCATION)>")
_KEPT_FIELDS: Final = ("accept", "anthropic-", "openai-beta", "x-goog-api-client", "x-stainless-")
_FRAMING_FIELDS: Final = frozenset(
    {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive"}
)
_CONTENT_TYPES: Final = {
    "sse": "text/event-stream",
    "json": "application/json",
    "json-array": "application/json; charset=UTF-8",
    "jsonl": "application/x-jsonl",
}
_CUTS_MAX: Final = 12


class Call(NamedTuple):
    """One recorded interaction as it is replayed.

    ``fields`` are header fields of the request without credential and framing. ``changes``
    name the rules that changed it. ``hidden`` tells that the stream states its usage
    without being asked by this client, so that the gateway has to ask, and to hide it.
    """

    name: str
    record: Record
    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    replay: Replay
    changes: frozenset[str] = frozenset()
    hidden: bool = False

    @property
    def provider(self) -> str:
        """Name the provider that must be called."""
        return provider_of(self.record)

    @property
    def streamed(self) -> bool:
        """Tell whether the request asks for a stream."""
        return ":stream" in self.target or b'"stream":true' in self.body

    def request(self, key: str) -> bytes:
        """Write the request, with a virtual key; now and then its body is chunked."""
        fields = [("Host", "gateway.test"), ("Authorization", f"Bearer {key}"), *self.fields]
        body, chance = self.body, random.Random(f"request of {self.name}")
        if self.method != "GET":
            if chance.random() < 0.1:
                fields.append(("Transfer-Encoding", "chunked"))
                body = _chunked(body, chance)
            else:
                fields.append(("Content-Length", str(len(body))))
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def recorded_calls(shared: Path) -> Iterator[Call]:
    """Give every recorded interaction of the five providers, in the order of the recordings."""
    for record in records(shared):
        yield _call(record)
    for record in records(shared, ("_nousage",)):
        if record.row["provider"] in CORPORA:
            yield _call(record)


def unasked(call: Call) -> Call | None:
    """Give a streamed chat whose client does not ask for usage, None for any other call."""
    if b'"include_usage":true' not in call.body:
        return None
    sent = json.loads(call.body)
    del sent["stream_options"]
    name = f"{call.name}-unasked"
    body = _body_of(sent | ({MARK: name} if MARK in sent else {}))
    fields = tuple((key, name if key == MARK else value) for key, value in call.fields)
    plain = _replay(call.record, random.Random(name), compressed=False)  # nothing else is hidden in
    return call._replace(name=name, fields=fields, body=body, replay=plain, hidden=True)


def provider_of(record: Record) -> str:
    """Name the provider of a recording as the gateway's configuration does."""
    vendor = str(record.row["provider"])
    return "google" if vendor == "gemini" else vendor


def without_extra_chunk(body: bytes) -> bytes:
    """Take the usage chunk out of a recorded chat stream, by another way than the gateway's."""
    end = b"\r\n\r\n" if b"\r\n\r\n" in body else b"\n\n"
    kept, removed = [], 0
    for event in body.split(end):
        data = event.strip().removeprefix(b"data:").strip()
        if not removed and data.startswith(b"{"):
            chunk = json.loads(data)
            if chunk.get("choices") == [] and chunk.get("usage"):
                removed += 1
                continue
        kept.append(event)
    return end.join(kept)


# ---------------------------------------------------------------------- the request


def _call(record: Record) -> Call:
    chance = random.Random(record.name)
    method = str(record.row["method"]).upper()
    path, changes = _path(record)
    query = record.row["query"]
    kind, body = (b"", b"") if method == "GET" else _body(record, path, changes, chance)
    fields = [("User-Agent", "Replay/1.2 (tests)")]
    if MARK.encode() not in body[:80]:
        fields.append((MARK, record.name))
    if kind:
        fields.append(("Content-Type", kind.decode()))
    for name, value in (record.row["request_headers"] or {}).items():
        if name.lower().startswith(_KEPT_FIELDS):
            fields.append((name, value))
    return Call(
        record.name,
        record,
        method,
        path + (f"?{query}" if query else ""),
        tuple(fields),
        body,
        _replay(record, chance),
        frozenset(changes),
    )


def _path(record: Record) -> tuple[str, set[str]]:
    """Give the path to send, and the names of the rules that made it differ."""
    changes: set[str] = set()
    path = str(record.row["path"])
    if path.startswith("//"):
        path = path[1:]
        changes.add("double slash")
    if _PLACEHOLDER.search(path):
        path = _PLACEHOLDER.sub(lambda found: f"the-{found[1].lower()}", path)
        changes.add("blotted place")
    if "/models/unknown:" in path:
        path = path.replace("/unknown:", f"/{_model_of(record)}:")
        changes.add("unknown model")
    if record.reader == "openai_responses" and path.endswith("/chat/completions"):
        path = path.replace("/chat/completions", "/responses")
        changes.add("wrong path")
    if record.row["provider"] == "vertex" and path == "/v1/embeddings":
        path = "/v1beta1/publishers/google/models/text-embedding-005:predict"
        changes.add("path of a fixture")
    if record.api in NOT_METERED or path.startswith("/v1/organization/"):
        return f"/providers/{provider_of(record)}{path}", changes | {"through the provider"}
    if record.row["provider"] == "azure" and not any(f"/{it}/" in path for it in OWN_DEPLOYMENTS):
        path = f"/providers/azure{path}"  # the model alone would lead to its maker
    return path, changes


def _model_of(record: Record) -> str:
    usage = read_reply(record).usage
    assert usage is not None
    return usage.model or asked_model(record, usage)


def _body(
    record: Record, path: str, changes: set[str], chance: random.Random
) -> tuple[bytes, bytes]:
    """Give media type and body of the request."""
    if record.api == "transcription" or path.endswith(("/images/edits", "/images/variations")):
        changes.add("form")
        model = record.row.get("req_model") or _form_model(record)
        upload = ("file", "upload.bin", chance.randbytes(chance.randrange(1, 90_000)))
        return FORM.encode(), form(upload, model=model, prompt=f"of {BOUNDARY}")
    sent = _recorded_body(record, changes)
    if record.api in NOT_METERED:
        return b"application/json", _body_of(sent)
    if ":" not in path and not sent.get("model"):
        changes.add("no model")
        sent = {"model": _asked(record)} | sent
    if record.streamed and ":" not in path and not sent.get("stream"):
        changes.add("stream")
        sent["stream"] = True
        if record.reader in {"openai_chat", "openai_completions"}:
            sent["stream_options"] = {"include_usage": True}
    if chance.random() < 0.5:  # then the head says nothing, and is like many others
        sent = {MARK: record.name} | sent
    return b"application/json", _body_of(sent)


def _recorded_body(record: Record, changes: set[str]) -> dict[str, Any]:
    text = record.row["request_body"] or ""
    if not text:
        changes.add("no body")
        return {}
    sent = json.loads(text)
    assert isinstance(sent, dict)
    return sent


def _asked(record: Record) -> str:
    stated = record.row.get("req_model") or record.row.get("model")
    if stated:
        return str(stated)
    return _model_of(record) if record.corpus in CORPORA else "gpt-4o-mini"


def _form_model(record: Record) -> str:
    if record.corpus in CORPORA:
        return _model_of(record)
    return "gpt-image-1" if record.api == "images" else "whisper-1"


def _body_of(sent: dict[str, Any]) -> bytes:
    return json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _chunked(body: bytes, chance: random.Random) -> bytes:
    cuts = sorted(chance.randrange(len(body)) for _ in range(chance.randrange(4)))
    parts = [body[start:end] for start, end in pairwise((0, *cuts, len(body)))]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


# ---------------------------------------------------------------------- the reply


def _replay(record: Record, chance: random.Random, *, compressed: bool = True) -> Replay:
    recorded = {name.lower(): value for name, value in record.row["response_headers"].items()}
    fields = [(name, value) for name, value in recorded.items() if name not in _FRAMING_FIELDS]
    if "content-type" not in recorded:
        fields.append(("content-type", _CONTENT_TYPES[record.row["body_kind"]]))
    body = record.body
    if compressed and recorded.get("content-encoding") == "gzip":
        body = gzip.compress(body, compresslevel=1, mtime=0)
        fields.append(("content-encoding", "gzip"))
    framing = "chunks" if "chunked" in recorded.get("transfer-encoding", "") else "length"
    if chance.random() < 0.05:
        framing = "close"
    count = chance.randrange(_CUTS_MAX) if len(body) > 1 else 0
    cuts = tuple(chance.randrange(len(body)) for _ in range(count))
    return Replay(int(record.row["status"]), tuple(fields), body, framing, cuts)
