"""Usage in replies of Gemini's Interactions API.

The input contains what came from a cache; thinking and what tools put into the prompt are
extra: the total is the sum of input, output, thoughts and tool use. A stored interaction
repeats the usage of the call that made it, and is the bill of one that ran in the
background. Source: recorded replies, and Google's reference.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.jobs import Bill, JobNews
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.gemini import billed_searches
from tollkeeper.wire.gemini_shapes import OfKind, UsageMetadata
from tollkeeper.wire.gemini_usage import usage_quantities
from tollkeeper.wire.generated_text import text_size
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import ABSENT, Count, Shape, compact_text, is_present
from tollkeeper.wire.openai_chat import error_word
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import EventStream, Glimpse, RecentEvents, data_of, event_around

_WORKING: Final = frozenset({"in_progress", "queued"})
_COSTLESS: Final = "failed"
_MARKER: Final = b'"interaction"'
NO_USAGE: Final = "no_usage"


class Modality(msgspec.Struct):
    modality: str | None = None
    tokens: Count = None


class InteractionUsage(msgspec.Struct):
    """The ``usage`` object."""

    total_input_tokens: Count = None
    total_output_tokens: Count = None
    total_thought_tokens: Count = None
    total_tool_use_tokens: Count = None
    total_cached_tokens: Count = None
    total_tokens: Count = None
    input_tokens_by_modality: list[Modality] | None = None
    output_tokens_by_modality: list[Modality] | None = None
    cached_tokens_by_modality: list[Modality] | None = None


class SearchArguments(msgspec.Struct):
    queries: list[str] | None = None


class Step(msgspec.Struct):
    type: str | None = None
    arguments: SearchArguments | None = None


class Interaction(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    agent: str | None = None
    status: str | None = None
    service_tier: str | None = None
    usage: msgspec.Raw = ABSENT
    steps: list[Step] | None = None
    error: Any = None


class Delta(msgspec.Struct):
    text: Any = None
    arguments: SearchArguments | None = None
    type: str | None = None


class Event(msgspec.Struct):
    """What an event of a stream says."""

    event_type: str | None = None
    interaction: msgspec.Raw = ABSENT
    step: Step | None = None
    delta: Delta | None = None
    error: Any = None


_USAGE: Final = Shape(InteractionUsage)
_INTERACTION: Final = Shape(Interaction)
_EVENT: Final = Shape(Event)


def interaction_reader() -> JsonReader:
    """Give a reader of the reply that an interaction was made with."""
    return JsonReader(lambda text, complete: _made(_interaction_of(text), set()))


def stored_interaction_reader() -> JsonReader:
    """Give a reader of a stored interaction."""
    return JsonReader(lambda text, complete: _stored(_interaction_of(text), set()))


class InteractionStreamReader:
    """Reads an interaction that is a stream of events; ``stored`` tells that it is an old one."""

    def __init__(self, *, stored: bool = False) -> None:
        self.finished = False
        self._stored = stored
        self._events = EventStream()
        self._recent = RecentEvents(_EVENT, look_at_event)
        self._last: Interaction | None = None
        self._queries: set[str] = set()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self.finished:
            return
        region = self._events.feed(data)
        if not region:
            return
        if b'"google_search_call"' in region:
            self._take_all(region, b'"google_search_call"')
        if _MARKER in region:
            self._take_all(region, _MARKER)
        self._recent.keep(region)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read; without a usage, what went by is looked at for an estimate."""
        self.feed(self._events.rest())
        last = self._last
        if self._stored:
            reading = _stored(last, self._queries) if self.finished else Reading()
            return reading._replace(final=self.finished, marked=True)
        reading = _made(last, self._queries)
        if reading.usage is not None:
            return reading
        seen = self._recent.glimpse()
        known = last is not None or seen.known
        # Its stored copy may say more one day; what is booked now stays the only bill.
        job = _news(last, begun=True, billed=True) if last is not None else None
        return Reading(
            None,
            last.id or "" if last is not None else "",
            seen.text_bytes,
            seen.error_code or reading.error_code,
            final=self.finished or not known,
            marked=True,
            job=job,
        )

    def _take_all(self, region: bytes, marker: bytes) -> None:
        at = region.find(marker)
        while at >= 0 and not self.finished:
            start, end = event_around(region, at)
            event, _ = _EVENT.read(data_of(region[start:end]))
            if event is not None:
                self._take(event)
            at = region.find(marker, end)

    def _take(self, event: Event) -> None:
        for part in (event.step, event.delta):
            if part is not None and part.arguments is not None:
                self._queries.update(part.arguments.queries or ())
        if not is_present(event.interaction):
            return
        found, _ = _INTERACTION.read(event.interaction)
        if found is not None:
            self._last = found
            self.finished = is_present(found.usage)


def stored_interaction_stream() -> InteractionStreamReader:
    """Give a reader of a stored interaction that is streamed."""
    return InteractionStreamReader(stored=True)


def look_at_event(event: Event, glimpse: Glimpse) -> None:
    """Add to a glimpse what one event generates."""
    if event.delta is not None:
        glimpse.add(text_size(event.delta.text))
    if event.error is not None:
        glimpse.error_code = error_word(event.error)


def _interaction_of(text: bytes) -> Interaction | None:
    return _INTERACTION.read(text)[0]


def _made(found: Interaction | None, queries: set[str]) -> Reading:
    """Read the reply that made an interaction, or only began it."""
    if found is None:
        return Reading()
    error = error_word(found.error) if found.error else ""
    if is_present(found.usage):
        usage = _usage_of(found, queries)
        return Reading(
            usage, found.id or "", None, error, job=_news(found, begun=True, billed=True)
        )
    pending = found.status in _WORKING
    job = _news(found, begun=True) if pending else None
    return Reading(None, found.id or "", None, error, pending, job=job)


def _stored(found: Interaction | None, queries: set[str]) -> Reading:
    """Read a stored interaction: its bill, if it has ended."""
    if found is None or not found.id or not found.status or found.status in _WORKING:
        return Reading()
    bills: tuple[Bill, ...] = ()
    if is_present(found.usage):
        bills = (Bill(_usage_of(found, queries)),)
    elif found.status != _COSTLESS:
        bills = (Bill(Usage(model=_model_of(found)), reason=NO_USAGE),)
    job = JobNews(_job_name(found.id), bills=bills, ended=True)
    return Reading(None, found.id, job=job)


def _news(found: Interaction, *, begun: bool, billed: bool = False) -> JobNews | None:
    """Say that an interaction was made; one that is not stored has no id and no second life."""
    return JobNews(_job_name(found.id), begun=begun, billed=billed) if found.id else None


def _job_name(interaction_id: str) -> str:
    return f"interaction/{interaction_id}"


def _model_of(found: Interaction) -> str:
    return found.model or found.agent or ""


def _usage_of(found: Interaction, queries: set[str]) -> Usage:
    model, tier, raw = _model_of(found), found.service_tier or "", compact_text(found.usage)
    counts, fault = _USAGE.read(found.usage)
    if counts is None:
        return Usage(model=model, tier=tier, fault=fault, raw=raw)
    quantities, contradiction = usage_quantities(
        UsageMetadata(
            prompt_token_count=counts.total_input_tokens,
            candidates_token_count=counts.total_output_tokens,
            thoughts_token_count=counts.total_thought_tokens,
            tool_use_prompt_token_count=counts.total_tool_use_tokens,
            cached_content_token_count=counts.total_cached_tokens,
            total_token_count=counts.total_tokens,
            prompt_tokens_details=_by_kind(counts.input_tokens_by_modality),
            cache_tokens_details=_by_kind(counts.cached_tokens_by_modality),
            candidates_tokens_details=_by_kind(counts.output_tokens_by_modality),
        )
    )
    for step in found.steps or ():
        if step.type == "google_search_call" and step.arguments is not None:
            queries = queries | set(step.arguments.queries or ())
    searches = billed_searches(model, queries - {""})
    if searches:
        quantities[u.WEB_SEARCHES] = searches
    return Usage(quantities, model, tier, fault=fault or contradiction, raw=raw)


def _by_kind(details: list[Modality] | None) -> list[OfKind] | None:
    """Write a list by kind as the older API writes it."""
    if details is None:
        return None
    return [OfKind((detail.modality or "").upper(), detail.tokens) for detail in details]
