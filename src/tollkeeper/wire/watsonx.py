"""Usage in replies of IBM watsonx: text generation, whole and streamed, and embeddings.

Each result states its own counts. In a stream every event does: the input once, in the first
of them, and the output as it has grown so far. Chat has OpenAI's shape.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.generated_text import text_size
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import Count, Shape
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import EventStream, all_data
from tollkeeper.wire.token_counts import CONTRADICTS_TOTAL, MISSING_COUNT

_NOT_FINISHED: Final = "not_finished"


class Result(msgspec.Struct):
    generated_text: str | None = None
    input_token_count: Count = None
    generated_token_count: Count = None
    stop_reason: str | None = None


class Fault(msgspec.Struct):
    code: str | None = None


class WatsonxReply(msgspec.Struct):
    """A whole reply, or one event. Embeddings state their input outside the results."""

    model_id: str | None = None
    results: list[Result] | None = None
    input_token_count: Count = None
    errors: list[Fault] | None = None


_REPLY: Final = Shape(WatsonxReply)


def watsonx_reader() -> JsonReader:
    """Give a reader of a reply that is one JSON object."""
    return JsonReader(_reading_of)


class WatsonxStreamReader:
    """Reads a reply that is a stream of events."""

    def __init__(self) -> None:
        self.finished = False
        self._events = EventStream()
        self._model = ""
        self._input: int | None = None
        self._output: int | None = None
        self._text_bytes = 0
        self._fault = ""
        self._error = ""
        self._ended = False
        self._known = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self.finished:
            return
        region = self._events.feed(data)
        if region:
            said: list[str] = []
            for event, fault in _REPLY.read_each(all_data(region)):
                if event is not None and not self._ended:
                    self._fault = self._fault or fault
                    self._take(event, said)
            self._text_bytes += text_size("".join(said))

    def close(self, *, complete: bool) -> Reading:
        """Say what was read."""
        self.feed(self._events.rest())
        if self._input is None and self._output is None and not self._fault:
            return Reading(
                None, "", self._text_bytes, self._error, final=not self._known, marked=True
            )
        fault = self._fault
        if self._input is None or self._output is None:
            fault = fault or MISSING_COUNT
        counts = {u.INPUT: self._input, u.OUTPUT: self._output}
        usage = Usage(
            {name: count for name, count in counts.items() if count},
            self._model,
            fault=fault,
            raw=_raw(self._input, self._output),
        )
        return Reading(
            usage, "", self._text_bytes, self._error, final=self._ended, marked=not self._ended
        )

    def _take(self, event: WatsonxReply, said: list[str]) -> None:
        if event.errors:
            self._error = event.errors[0].code or "error"
        self._model = self._model or event.model_id or ""
        for result in event.results or ():
            self._known = True
            if result.input_token_count is not None:
                self._input = (self._input or 0) + result.input_token_count
            if result.generated_token_count is not None:
                if result.generated_token_count < (self._output or 0):
                    self._fault = self._fault or CONTRADICTS_TOTAL  # it only ever grows
                self._output = result.generated_token_count
            said.append(result.generated_text or "")
            if result.stop_reason and result.stop_reason != _NOT_FINISHED:
                self._ended = self.finished = True


def _raw(prompt: int | None, output: int | None) -> str:
    stated = {"input_token_count": prompt, "generated_token_count": output}
    return msgspec.json.encode(stated).decode()


def _reading_of(text: bytes, complete: bool) -> Reading:
    reply, fault = _REPLY.read(text)
    if reply is None:
        return Reading()
    if reply.errors:
        return Reading(error_code=reply.errors[0].code or "error")
    results = reply.results or []
    stated = [result for result in results if _counts(result)]
    if not stated and reply.input_token_count is None and not fault:
        return Reading(None, "", sum(text_size(result.generated_text) for result in results))
    prompt = _sum([reply.input_token_count, *(result.input_token_count for result in results)])
    output = _sum([result.generated_token_count for result in results])
    if prompt is None or any(result.generated_token_count is None for result in stated):
        fault = fault or MISSING_COUNT
    counts = {u.INPUT: prompt, u.OUTPUT: output}
    return Reading(
        Usage(
            {name: count for name, count in counts.items() if count},
            reply.model_id or "",
            fault=fault,
            raw=_raw(prompt, output),
        )
    )


def _counts(result: Result) -> bool:
    return result.input_token_count is not None or result.generated_token_count is not None


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
