"""Usage of the Assistants API: a run states it when it has ended.

A run is begun by one call and looked at by others, or streamed to its end. What its tools
cost beside tokens (code sessions, file searches) stands nowhere in it. Source: recorded
replies, and OpenAI's reference, which calls the API deprecated.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollkeeper.domain.jobs import Bill, JobNews
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import ABSENT, Count, Shape, compact_text, is_present
from tollkeeper.wire.openai_chat import error_word
from tollkeeper.wire.openai_chat_shapes import OutputDetails, PromptDetails
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import EventStream, data_of, event_around
from tollkeeper.wire.token_counts import exclusive

_RUN_KIND: Final = "thread.run"
_WORKING: Final = frozenset({"queued", "in_progress", "requires_action", "cancelling"})
_MARKER: Final = b'"thread.run"'
NO_USAGE: Final = "no_usage"


class RunUsage(msgspec.Struct):
    """The ``usage`` object; its details are spelt in the singular."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_token_details: PromptDetails | None = None
    completion_tokens_details: OutputDetails | None = None


class Run(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    status: str | None = None
    model: str | None = None
    created_at: Count = None
    usage: msgspec.Raw = ABSENT
    last_error: Any = None


_RUN: Final = Shape(Run)
_USAGE: Final = Shape(RunUsage)


def run_reader() -> JsonReader:
    """Give a reader of the reply that a run was begun with."""
    return JsonReader(lambda text, complete: _begun(_RUN.read(text)[0]))


def stored_run_reader() -> JsonReader:
    """Give a reader of a run that is looked at, or goes on."""
    return JsonReader(lambda text, complete: _looked_at(_RUN.read(text)[0]))


class RunStreamReader:
    """Reads a run that is a stream of events; ``later`` tells that it had begun before."""

    def __init__(self, *, later: bool = False) -> None:
        self.finished = False
        self._later = later
        self._events = EventStream()
        self._run: Run | None = None
        self._error = ""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self.finished:
            return
        region = self._events.feed(data)
        at = region.find(_MARKER) if region else -1
        while at >= 0 and not self.finished:
            start, end = event_around(region, at)
            run, _ = _RUN.read(data_of(region[start:end]))
            if run is not None and run.object == _RUN_KIND and run.id:
                self._run = run
                self.finished = run.status not in _WORKING
            at = region.find(_MARKER, end)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read. A run goes on when nobody reads its stream."""
        self.feed(self._events.rest())
        run = self._run
        # One that waits for the caller's tools ends its stream, and goes on with another.
        final = self.finished or run is None or run.status == "requires_action"
        if self._later:
            return _looked_at(run)._replace(final=final, marked=True)
        return _begun(run)._replace(final=final, marked=True)


def later_run_stream() -> RunStreamReader:
    """Give a reader of the stream in which a run goes on."""
    return RunStreamReader(later=True)


def _begun(run: Run | None) -> Reading:
    if run is None or run.object != _RUN_KIND or not run.id:
        return Reading()
    error = error_word(run.last_error) if run.last_error else ""
    if is_present(run.usage):
        job = JobNews(_job_name(run.id), begun=True, billed=True)
        return Reading(_usage_of(run), run.id, None, error, job=job)
    job = JobNews(_job_name(run.id), begun=True)
    return Reading(None, run.id, None, error, pending=True, job=job)


def _looked_at(run: Run | None) -> Reading:
    if run is None or run.object != _RUN_KIND or not run.id or run.status in _WORKING:
        return Reading()
    bills: tuple[Bill, ...] = ()
    if is_present(run.usage):
        bills = (Bill(_usage_of(run), at_s=run.created_at or 0),)
    elif run.status not in {"failed", "expired"}:
        bills = (Bill(Usage(model=run.model or ""), reason=NO_USAGE),)
    return Reading(None, run.id, job=JobNews(_job_name(run.id), bills=bills, ended=True))


def _job_name(run_id: str) -> str:
    return f"run/{run_id}"


def _usage_of(run: Run) -> Usage:
    counts, fault = _USAGE.read(run.usage)
    model, raw = run.model or "", compact_text(run.usage)
    if counts is None:
        return Usage(model=model, fault=fault, raw=raw)
    prompt = counts.prompt_token_details or PromptDetails()
    output = counts.completion_tokens_details or OutputDetails()
    quantities, contradiction = exclusive(
        counts.prompt_tokens,
        counts.completion_tokens,
        counts.total_tokens,
        prompt.cached_tokens or 0,
        output.reasoning_tokens or 0,
    )
    return Usage(quantities, model, fault=fault or contradiction, raw=raw)
