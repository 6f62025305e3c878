"""Usage in replies of the Responses API.

In a stream it stands in the last event (completed, incomplete or failed). Searches and
pictures are counted beside it: in ``tool_usage`` where the reply has it, else by the items
of the output. A reply to a background call has no usage yet: it only begins a job, whose bill
stands in a later reply (see ``background``).
"""

from __future__ import annotations

from typing import Final

from tollkeeper.domain import usage as u
from tollkeeper.domain.jobs import JobNews
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.generated_text import REASONED, call_size, sealed_size
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.late_reading import End
from tollkeeper.wire.lenient_json import ABSENT, Shape, compact_text, is_present
from tollkeeper.wire.openai_chat import error_word, rare_parts
from tollkeeper.wire.openai_chat_shapes import OutputDetails, PromptDetails
from tollkeeper.wire.openai_extras import tool_units, with_statement, with_units
from tollkeeper.wire.openai_responses_shapes import (
    ByKind,
    Event,
    ImageUsage,
    LastEvent,
    Response,
    ResponsesUsage,
)
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import EventStream, Glimpse, RecentEvents, data_of, event_around
from tollkeeper.wire.token_counts import PARTS_EXCEED_WHOLE, exclusive

_LAST_EVENTS: Final = (b"response.completed", b"response.incomplete", b"response.failed")
RESPONSE_END: Final = End(b'"response"')
"""The event that ends a stream has the whole response in it."""

_UNFINISHED: Final = frozenset({"queued", "in_progress"})
# Sound is no text, and a summary of the reasoning is none of the tokens that are billed.
_NOT_OUTPUT: Final = frozenset({"response.audio.delta", "response.reasoning_summary_text.delta"})
_IMAGE_TOOL: Final = "image_generation"
_NO_TOOLS: Final = frozenset({"message", "reasoning", "function_call"})
"""Items of an output that are not of tools which the provider bills."""


_USAGE: Final = Shape(ResponsesUsage)
_RESPONSE: Final = Shape(Response)
_LAST_EVENT: Final = Shape(LastEvent)
_EVENT: Final = Shape(Event)
_NO_PROMPT_DETAILS: Final = PromptDetails()
_NO_OUTPUT_DETAILS: Final = OutputDetails()


def responses_reader() -> JsonReader:
    """Give a reader of a reply that is one JSON object."""
    return JsonReader(lambda text, complete: response_reading(text))


class ResponsesStreamReader:
    """Reads a reply that is a stream of events.

    ``last_response`` is the response in its last event, JSON; empty until that came.
    """

    def __init__(self) -> None:
        self.finished = False
        self._events = EventStream()
        self._recent = RecentEvents(_EVENT, look_at_event)
        self.last_response = b""

    def feed(self, data: bytes, *, marked: bool = True) -> None:
        """Take the next bytes of the body (see ``late_reading``)."""
        if self.finished:
            return
        region = self._events.feed(data)
        if not region:
            return
        for name in _LAST_EVENTS if marked else ():
            if region.rfind(name) >= 0:
                region = self._until_last(region, name)
        self._recent.keep(region)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read; without a usage, what went by is looked at for an estimate."""
        self.feed(self._events.rest())
        reading = response_reading(self.last_response) if self.last_response else Reading()
        if reading.usage is not None:
            return reading
        seen = self._recent.glimpse()
        response_id = reading.response_id or seen.response_id
        return Reading(
            None,
            response_id,
            seen.text_bytes,
            reading.error_code or seen.error_code,
            final=self.finished or not seen.known,
            marked=True,
            job=_begun(response_id) if seen.background else reading.job,
        )

    def _until_last(self, region: bytes, name: bytes) -> bytes:
        """Cut a region at the last event, unless its name only stands in a text."""
        at = region.find(name)
        while at >= 0:
            start, end = event_around(region, at)
            event, _ = _LAST_EVENT.read(data_of(region[start:end]))
            if event is not None and event.type == name.decode() and is_present(event.response):
                self.finished = True
                self.last_response = bytes(event.response)
                return region[:start]
            at = region.find(name, end)
        return region


def response_reading(text: bytes) -> Reading:
    """Read a response object."""
    response, _ = _RESPONSE.read(text)
    if response is None:
        return Reading()
    error = error_word(response.error) if response.error else ""
    response_id = response.id or ""
    if bytes(response.usage) in {b"", b"null", b"{}"}:
        pending = response.status in _UNFINISHED
        job = _begun(response_id) if pending else None
        return Reading(None, response_id, None, error, pending, job=job)
    # Its stored copy will say the same usage again, and be no second bill.
    job = _begun(response_id, billed=True) if response.background else None
    return Reading(usage_of(response), response_id, None, error, job=job)


def job_name(response_id: str) -> str:
    """Name the job that a response is."""
    return f"response/{response_id}"


def _begun(response_id: str, *, billed: bool = False) -> JobNews | None:
    return JobNews(job_name(response_id), begun=True, billed=billed) if response_id else None


def look_at_event(event: Event, glimpse: Glimpse) -> None:
    """Add to a glimpse what one event says and generates."""
    if event.response is not None and not glimpse.response_id:
        glimpse.response_id = event.response.id or ""
        glimpse.model = event.response.model or ""
        glimpse.background = bool(event.response.background)
    kind = event.type or ""
    if isinstance(event.delta, str) and kind not in _NOT_OUTPUT:
        glimpse.hear(event.delta)
    elif kind == "response.output_item.added" and event.item is not None:
        glimpse.add(call_size(event.item.name, None))
    elif kind == "response.output_item.done" and event.item is not None:
        if event.item.type == "reasoning":
            sealed = event.item.encrypted_content
            glimpse.add(sealed_size(sealed) if sealed else REASONED)
    elif kind == "error":
        glimpse.error_code = event.code or error_word(event.error)


def image_quantities(counts: ImageUsage) -> tuple[dict[str, int], str]:
    """Give the exclusive quantities of making pictures, and a fault.

    What is not said to be text is a picture.
    """
    into = counts.input_tokens_details or ByKind()
    out = counts.output_tokens_details or ByKind()
    input_image = into.image_tokens or 0
    output_text = out.text_tokens or 0
    quantities = {
        u.INPUT: (counts.input_tokens or 0) - input_image,
        u.INPUT_IMAGE: input_image,
        u.OUTPUT: output_text,
        u.OUTPUT_IMAGE: (counts.output_tokens or 0) - output_text,
    }
    if min(quantities.values()) < 0:
        return {}, PARTS_EXCEED_WHOLE
    return {name: count for name, count in quantities.items() if count}, ""


def usage_of(response: Response) -> Usage:
    """Give the usage of a response that has one."""
    model, tier = response.model or "", response.service_tier or ""
    counts, fault = _USAGE.read(response.usage)
    if counts is None:
        return Usage(model=model, tier=tier, fault=fault)
    prompt = counts.input_tokens_details or _NO_PROMPT_DETAILS
    output = counts.output_tokens_details or _NO_OUTPUT_DETAILS
    quantities, contradiction = exclusive(
        counts.input_tokens,
        counts.output_tokens,
        counts.total_tokens,
        prompt.cached_tokens or 0,
        output.reasoning_tokens or 0,
        rare_parts(prompt, output),
    )
    uses_tools = response.tool_usage is not None or any(
        item.type not in _NO_TOOLS for item in response.output or ()
    )
    usage = Usage(
        quantities,
        model,
        tier,
        components=_pictures(response) if uses_tools else (),
        fault=fault or contradiction,
        raw=compact_text(response.usage),
    )
    if counts.cost is not ABSENT or counts.cost_in_usd_ticks is not ABSENT or tool_units(counts):
        usage = with_statement(usage, counts)
    if uses_tools:
        # What a provider counted itself comes before what we count.
        seen = _tool_units(response).items()
        stated = tool_units(counts)
        units = {name: count for name, count in seen if count and name not in stated}
        if units:
            usage = usage._replace(quantities=with_units(usage.quantities, units))
    return usage


def _tool_units(response: Response) -> dict[str, int]:
    """Count what is billed by the piece: searches, and where code ran.

    OpenAI bills a container, however often it is used in one reply, xAI each run of code.
    """
    items = response.output or ()
    searches = sum(
        item.type == "web_search_call" and (item.action is None or item.action.type == "search")
        for item in items
    )
    stated = response.tool_usage.web_search if response.tool_usage else None
    if stated is not None and stated.num_requests is not None:
        searches = stated.num_requests
    kinds = {tool.type or "" for tool in response.tools or ()}
    is_preview = "web_search" not in kinds and any(
        kind.startswith("web_search_preview") for kind in kinds
    )
    runs = [item.container_id for item in items if item.type == "code_interpreter_call"]
    shells = [item.environment for item in items if item.type == "shell_call"]
    containers = {*runs, *(shell.container_id for shell in shells if shell)} - {None}
    return {
        u.WEB_SEARCHES_PREVIEW if is_preview else u.WEB_SEARCHES: searches,
        u.SOCIAL_SEARCHES: sum(item.type == "x_search_call" for item in items),
        u.FILE_SEARCHES: sum(item.type == "file_search_call" for item in items),
        u.CODE_SESSIONS: len(containers),
        u.CODE_EXECUTIONS: runs.count(None),
    }


def _pictures(response: Response) -> tuple[Usage, ...]:
    """Give what the image tool used: another model, whose tokens are not in the usage.

    Older replies do not say how many tokens that were. Then the pictures are counted, and
    have no price: it is better to show them as unpriced than not at all.
    """
    models = [tool.model for tool in response.tools or () if tool.type == _IMAGE_TOOL]
    model = next((name for name in models if name), _IMAGE_TOOL)
    counts = response.tool_usage.image_gen if response.tool_usage else None
    if counts is not None:
        quantities, fault = image_quantities(counts)
        return (Usage(quantities, model, fault=fault),) if quantities or fault else ()
    made = sum(item.type == "image_generation_call" for item in response.output or ())
    return (Usage({u.IMAGES: made}, model),) if made else ()
