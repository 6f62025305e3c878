"""Stored responses: where the usage of background calls of the Responses API arrives.

A stored response repeats the usage of the call that made it. Only where that call ran in
the background is the stored one its bill: the call itself said nothing of it. Source:
recorded replies, and the API's reference on background mode.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.jobs import Bill, JobNews
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import Shape
from tollkeeper.wire.openai_responses import ResponsesStreamReader, job_name, usage_of
from tollkeeper.wire.openai_responses_shapes import Response
from tollkeeper.wire.readings import Reading

NO_USAGE: Final = "no_usage"
_COSTLESS: Final = "failed"
_ENDED: Final = frozenset({"completed", "incomplete", "cancelled", _COSTLESS})
_RESPONSE: Final = Shape(Response)


def stored_reader() -> JsonReader:
    """Give a reader of a stored response."""
    return JsonReader(lambda text, complete: stored_reading(text))


class StoredStreamReader(ResponsesStreamReader):
    """Reads a stored response that is streamed, from its start or from some later event."""

    def close(self, *, complete: bool) -> Reading:
        """Say what was read. A stream that broke off said nothing of the bill."""
        reading = super().close(complete=complete)
        if not self.last_response:
            return Reading(None, reading.response_id, final=reading.final, marked=reading.marked)
        return stored_reading(self.last_response)


def stored_reading(text: bytes) -> Reading:
    """Read a stored response: its bill, if it ran in the background and has ended."""
    response, _ = _RESPONSE.read(text)
    if response is None or not response.id:
        return Reading()
    if not response.background or response.status not in _ENDED:
        return Reading(None, response.id)
    bills: tuple[Bill, ...] = ()
    if bytes(response.usage) not in {b"", b"null", b"{}"}:
        bills = (Bill(usage_of(response), at_s=response.created_at or 0),)
    elif response.status != _COSTLESS:
        # Of one that was cancelled nobody says what it had used until then.
        bills = (Bill(Usage(model=response.model or ""), reason=NO_USAGE),)
    job = JobNews(job_name(response.id), bills=bills, ended=True)
    return Reading(None, response.id, job=job)
