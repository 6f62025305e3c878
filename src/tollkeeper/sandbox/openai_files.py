"""Files and batches, OpenAI's shape: kept in memory, for as long as there is room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from tollkeeper.domain.errors import BadRequest, NotFound
from tollkeeper.sandbox.asked import Json, text_at
from tollkeeper.sandbox.form import Form
from tollkeeper.sandbox.reply import CREATED_S, Identity, Reply, json_reply

KEPT_BYTES_MAX: Final = 32 << 20
_BATCH_LINES_MAX: Final = 10_000
_OPAQUE: Final = b"content-type: application/octet-stream\r\n"
_STATUS_OK: Final = 200

AnswerLine = Callable[[str, bytes], tuple[int, bytes]]
"""Answers one request of a batch: path and body give status and body."""


class Kept(NamedTuple):
    """Something kept: what is said of it, and its content."""

    state: dict[str, Any]
    content: bytes = b""


class FileShelf:
    """Files and batches by id. When there are too many bytes the oldest go."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._size_bytes = 0

    def put(self, kept: Kept) -> None:
        """Keep something under the id that it states."""
        name = kept.state["id"]
        self.remove(name)
        if len(kept.content) > KEPT_BYTES_MAX:
            kept = kept._replace(content=b"")
        self._kept[name] = kept
        self._size_bytes += _size(kept)
        while self._size_bytes > KEPT_BYTES_MAX and len(self._kept) > 1:
            self.remove(next(iter(self._kept)))

    def get(self, name: str) -> Kept:
        """Give what is kept under an id. Raises NotFound."""
        kept = self._kept.get(name)
        if kept is None:
            raise NotFound(f"nothing is kept under {name[:64]!r}")
        return kept

    def remove(self, name: str) -> bool:
        """Forget one thing; False if there is none."""
        kept = self._kept.pop(name, None)
        if kept is None:
            return False
        self._size_bytes -= _size(kept)
        return True

    def states(self, kind: str) -> list[dict[str, Any]]:
        """List what is kept of one kind, the latest first."""
        states = [kept.state for kept in self._kept.values() if kept.state["object"] == kind]
        return states[::-1]

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._size_bytes = 0


def files_reply(
    shelf: FileShelf, method: str, rest: str, form: Form | None, identity: Identity, headers: bytes
) -> Reply:
    """Answer a call on files; ``rest`` is the path behind ``/files``."""
    if form is not None and method == "POST":
        if not form.files:
            raise BadRequest("the form has no file", code="field_missing")
        upload = form.files[0]
        kept = _file(identity.id("file-"), upload.name, form.text("purpose"), upload.content)
        shelf.put(kept)
        return _state_reply(kept.state, headers)
    name, _, content = rest.strip("/").partition("/")
    if not name:
        return _listing(shelf.states("file"), headers)
    kept = shelf.get(name)
    if method == "DELETE":
        shelf.remove(name)
        return _state_reply({"id": name, "object": "file", "deleted": True}, headers)
    if content:
        return Reply(200, _OPAQUE + headers, (kept.content,), repeatable=False)
    return _state_reply(kept.state, headers)


def batches_reply(
    shelf: FileShelf,
    method: str,
    rest: str,
    body: Json,
    identity: Identity,
    headers: bytes,
    answer: AnswerLine,
) -> Reply:
    """Answer a call on batches. A batch is complete as soon as it is made."""
    name = rest.strip("/").partition("/")[0]
    if name:
        return _state_reply(shelf.get(name).state, headers)
    if method != "POST":
        return _listing(shelf.states("batch"), headers)
    input_id, endpoint = text_at(body, "input_file_id"), text_at(body, "endpoint")
    lines = [line for line in shelf.get(input_id).content.splitlines() if line.strip()]
    if not endpoint or len(lines) > _BATCH_LINES_MAX:
        raise BadRequest(f"a batch has an endpoint and at most {_BATCH_LINES_MAX} lines")
    results = [_result(line, identity, at, answer) for at, line in enumerate(lines)]
    failed = sum(result["response"]["status_code"] != _STATUS_OK for result in results)
    content = b"".join(msgspec.json.encode(result) + b"\n" for result in results)
    output = _file(identity.id("file-out-"), "output.jsonl", "batch_output", content)
    shelf.put(output)
    state = {
        "id": identity.id("batch_"),
        "object": "batch",
        "endpoint": endpoint,
        "errors": None,
        "input_file_id": input_id,
        "completion_window": text_at(body, "completion_window") or "24h",
        "status": "completed",
        "output_file_id": output.state["id"],
        "error_file_id": None,
        "created_at": CREATED_S,
        "completed_at": CREATED_S,
        "request_counts": {
            "total": len(lines),
            "completed": len(lines) - failed,
            "failed": failed,
        },
        "metadata": body.get("metadata"),
    }
    shelf.put(Kept(state))
    return _state_reply(state, headers)


def _file(name: str, filename: str, purpose: str, content: bytes) -> Kept:
    state = {
        "id": name,
        "object": "file",
        "bytes": len(content),
        "created_at": CREATED_S,
        "filename": filename,
        "purpose": purpose or "user_data",
        "status": "processed",
    }
    return Kept(state, content)


def _result(line: bytes, identity: Identity, at: int, answer: AnswerLine) -> dict[str, Any]:
    """Answer one line of a batch, or say why it cannot be answered."""
    custom_id = ""
    try:
        asked = msgspec.json.decode(line, type=dict[str, Any])
        custom_id = text_at(asked, "custom_id")
        status, body = answer(text_at(asked, "url"), msgspec.json.encode(asked.get("body")))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        status, body = 400, b'{"error":{"message":"the line is not a JSON object"}}'
    response = {
        "status_code": status,
        "request_id": identity.id(f"req_{at}"),
        "body": msgspec.Raw(body),
    }
    return {
        "id": identity.id(f"batch_req_{at}"),
        "custom_id": custom_id,
        "response": response,
        "error": None,
    }


def _listing(states: list[dict[str, Any]], headers: bytes) -> Reply:
    whole = {
        "object": "list",
        "data": states,
        "first_id": states[0]["id"] if states else None,
        "last_id": states[-1]["id"] if states else None,
        "has_more": False,
    }
    return _state_reply(whole, headers)


def _state_reply(state: dict[str, Any], headers: bytes) -> Reply:
    return json_reply(state, headers=headers)._replace(repeatable=False)


def _size(kept: Kept) -> int:
    return len(kept.content) + 1_000
