"""Results of batches, line by line: each is a reply of its own, and a bill of its job.

OpenAI and those who copy it (Azure, Groq, Together, Mistral) put a chat, response or
embedding into ``response.body``, Anthropic a message into ``result``, Gemini a reply into
``response``. Requests that failed cost nothing. A file may hold anything: the first line says
whether these are results. Source: recorded replies and the vendors' references on batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from tollkeeper.domain.jobs import Bill, JobNews
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.anthropic_messages import message_reader
from tollkeeper.wire.gemini import gemini_reader
from tollkeeper.wire.json_lines import LineStream, lines_in
from tollkeeper.wire.lenient_json import ABSENT, Count, Shape, is_present
from tollkeeper.wire.openai_chat import chat_reader
from tollkeeper.wire.openai_media import images_usage, media_reader
from tollkeeper.wire.openai_responses import responses_reader
from tollkeeper.wire.readings import Reading, ReplyReader

BILLS_MAX: Final = 50
"""So many bills are given on at a time."""

UNREADABLE: Final = "unreadable_line"
TOO_LONG: Final = "line_too_long"
NO_USAGE: Final = "no_usage"
_DIGEST_CHARS: Final = 24

OnBills = Callable[[Sequence[Bill]], None]


class Answer(msgspec.Struct):
    """What one request of a batch was answered with."""

    status_code: Count = None
    body: msgspec.Raw = ABSENT


class AnthropicResult(msgspec.Struct):
    type: str | None = None
    message: msgspec.Raw = ABSENT


class Named(msgspec.Struct):
    """What Gemini gives back of a request that had no place for a name of its own."""

    key: str | None = None
    custom_id: str | None = None


class Line(msgspec.Struct):
    """One line of results, of any vendor."""

    id: str | None = None
    custom_id: str | None = None
    key: str | None = None
    response: msgspec.Raw = ABSENT
    result: msgspec.Raw = ABSENT
    error: Any = None
    metadata: Named | None = None


class Body(msgspec.Struct):
    """What of a reply tells its kind and its time."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    created: Count = None
    created_at: Count = None
    usage: msgspec.Raw = ABSENT
    candidates: msgspec.Raw = ABSENT
    usage_metadata: msgspec.Raw = msgspec.field(default=ABSENT, name="usageMetadata")


class InputCount(msgspec.Struct):
    input_tokens: Count = None


_LINE: Final = Shape(Line)
_ANSWER: Final = Shape(Answer)
_RESULT: Final = Shape(AnthropicResult)
_BODY: Final = Shape(Body)
_INPUT_COUNT: Final = Shape(InputCount)


class ResultLinesReader:
    """Reads a file of results as it passes; no more than a line is kept.

    ``job`` names the job, which the file does not, and ``certain`` tells that these are results
    whatever they look like; both are set before the first byte. ``on_bills`` takes the bills
    as they come; without it they are in the reading.
    """

    finished = False

    def __init__(self) -> None:
        self.job = ""
        self.certain = False
        self.on_bills: OnBills | None = None
        self._lines = LineStream()
        self._lost = 0
        self._bills: list[Bill] = []
        self._other = False  # it is a file of something else

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._other:
            return
        region = self._lines.feed(data)
        for _ in range(self._lost, self._lines.lost):
            self._take_lost()
        for line in lines_in(region):
            self._take(line)
        if self.on_bills is not None:
            self._give_on()

    def close(self, *, complete: bool) -> Reading:
        """Say what was read. The line that a body broke off in comes again with the next."""
        if complete:
            self.feed(self._lines.rest())
        if self._other or not self.certain:
            return Reading()
        bills, self._bills = tuple(self._bills), []
        return Reading(job=JobNews(self.job, bills=bills, ended=complete))

    def _take(self, text: bytes) -> None:
        if self._other:
            return
        line, _ = _LINE.read(text)
        if not self.certain:
            self.certain = line is not None and _is_result(line)
            self._other = not self.certain
            if self._other:
                return
        if line is None or not _is_result(line):
            self._add(Bill(Usage(), _digest(text), reason=UNREADABLE))
            return
        bill = line_bill(line)
        if bill is not None:
            self._add(bill)

    def _take_lost(self) -> None:
        self._lost += 1
        if not self.certain:
            self._other = True
        else:
            self._add(Bill(Usage(), f"lost {self._lost}", reason=TOO_LONG))

    def _add(self, bill: Bill) -> None:
        self._bills.append(bill)
        if self.on_bills is not None and len(self._bills) >= BILLS_MAX:
            self._give_on()

    def _give_on(self) -> None:
        bills, self._bills = self._bills, []
        if bills and self.on_bills is not None:
            self.on_bills(bills)


def read_line(text: bytes | msgspec.Raw) -> Bill | None:
    """Read one result that stands in a batch object; None if it costs nothing."""
    line, _ = _LINE.read(text)
    return None if line is None else line_bill(line)


def line_bill(line: Line) -> Bill | None:
    """Give the bill of one result; None if it costs nothing."""
    name = line.custom_id or line.key or ""
    if line.metadata is not None:
        name = name or line.metadata.key or line.metadata.custom_id or ""
    if is_present(line.result):
        result, _ = _RESULT.read(line.result)
        if result is None or result.type != "succeeded":
            return None
        return reply_bill(bytes(result.message), line.id or "", name)
    if not is_present(line.response):
        return None
    answer, _ = _ANSWER.read(line.response)
    if answer is None or not is_present(answer.body):
        if answer is not None and answer.status_code is not None:
            return None
        return reply_bill(bytes(line.response), line.id or "", name)  # Gemini has no frame
    if answer.status_code is not None and answer.status_code >= 400:
        return None
    return reply_bill(bytes(answer.body), line.id or "", name)


def reply_bill(body: bytes, item: str, custom_id: str) -> Bill:
    """Give the bill of one reply, of whatever kind, that was made in a batch."""
    head = _BODY.read(body)[0] or Body()
    reading = _read(_reader_of(head, body), body)
    item = item or reading.response_id or head.id or custom_id or _digest(body)
    at_s = head.created_at or head.created or 0
    usage = reading.usage
    if usage is None:
        return Bill(Usage(model=head.model or ""), item, custom_id, at_s, NO_USAGE)
    usage = usage._replace(
        model=usage.model or head.model or "",
        batch=True,
        components=tuple(part._replace(batch=True) for part in usage.components),
    )
    return Bill(usage, item, custom_id, at_s)


def _reader_of(head: Body, body: bytes) -> ReplyReader:
    if head.object == "response":
        return responses_reader()
    if is_present(head.usage_metadata) or is_present(head.candidates):
        return gemini_reader()
    if b'"type"' in body and b'"stop_reason"' in body:
        return message_reader()
    counts, _ = _INPUT_COUNT.read(head.usage)
    if counts is not None and counts.input_tokens is not None:
        return media_reader(images_usage)
    return chat_reader()


def _read(reader: ReplyReader, body: bytes) -> Reading:
    reader.feed(body)
    return reader.close(complete=True)


def _digest(text: bytes) -> str:
    """Tell apart what has no name: the same text is the same line, each time it comes."""
    return f"sha256 {sha256(text).hexdigest()[:_DIGEST_CHARS]}"


def _is_result(line: Line) -> bool:
    """Tell a result from other things that stand in files of JSON lines."""
    named = line.custom_id is not None or line.key is not None or line.metadata is not None
    answered = is_present(line.response) or is_present(line.result) or line.error is not None
    return named and answered
