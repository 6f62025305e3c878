"""Videos are made in the background: one call begins one, another says that it is there.

xAI states what it cost, and names the video only in the path; OpenAI states how long it
is. Source: a recorded reply of xAI's, and the vendors' references.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.jobs import Bill, JobNews
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import ABSENT, Count, Shape, compact_text, is_present
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.stated_costs import Statement, stated_cost

NO_USAGE: Final = "no_usage"
_DONE: Final = frozenset({"done", "completed"})
_FAILED: Final = frozenset({"failed", "expired"})
_SECONDS_MAX: Final = 86_400


class Made(msgspec.Struct):
    duration: float | None = None


class Video(msgspec.Struct):
    id: str | None = None
    request_id: str | None = None
    status: str | None = None
    model: str | None = None
    seconds: Any = None  # OpenAI writes it as text
    created_at: Count = None
    video: Made | None = None
    usage: msgspec.Raw = ABSENT


_VIDEO: Final = Shape(Video)
_STATEMENT: Final = Shape(Statement)


def new_video_reader() -> JsonReader:
    """Give a reader of the reply that a video was begun with."""
    return JsonReader(lambda text, complete: _begun(text))


class StoredVideoReader(JsonReader):
    """Reads what is said of a video that was begun. ``job`` names it as its path does."""

    def __init__(self) -> None:
        self.job = ""
        super().__init__(lambda text, complete: self._looked_at(text))

    def _looked_at(self, text: bytes) -> Reading:
        video, _ = _VIDEO.read(text)
        if video is None or video.status not in _DONE | _FAILED:
            return Reading()
        job = self.job or job_name(video.id or "")
        if video.status in _FAILED:
            return Reading(job=JobNews(job, ended=True))
        return Reading(job=JobNews(job, bills=(_bill(video),), ended=True))


def job_name(video_id: str) -> str:
    """Name the job that a video is."""
    return f"video/{video_id}"


def _begun(text: bytes) -> Reading:
    video, _ = _VIDEO.read(text)
    name = (video.id or video.request_id or "") if video is not None else ""
    if not name:
        return Reading()
    return Reading(None, name, pending=True, job=JobNews(job_name(name), begun=True))


def _bill(video: Video) -> Bill:
    model, at_s = video.model or "", video.created_at or 0
    seconds = _seconds(video.seconds if video.video is None else video.video.duration)
    quantities = {u.VIDEO_MS: round(seconds * 1_000)} if seconds else {}
    stated = fault = ""
    nanos = None
    if is_present(video.usage):
        statement, fault = _STATEMENT.read(video.usage)
        stated = compact_text(video.usage)
        if statement is not None:
            cost = stated_cost(statement)
            nanos, fault = cost.nanos, fault or cost.fault
    reason = "" if quantities or nanos is not None or fault else NO_USAGE
    usage = Usage(quantities, model, fault=fault, provider_cost_nanos=nanos, raw=stated)
    return Bill(usage, at_s=at_s, reason=reason)


def _seconds(value: Any) -> float:
    """Read a length; whatever is none counts as not told."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 < value <= _SECONDS_MAX else 0.0
