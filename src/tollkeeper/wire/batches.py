"""Batch objects: what a batch is called, whether it has ended, and what it says it used.

Its results are in a file (OpenAI and those who copy it), at a path of their own (Anthropic,
xAI) or in the object itself (Mistral, Gemini). OpenAI also states the totals of all
lines. Source: recorded replies, and the vendors' references.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollkeeper.domain.jobs import Bill, JobNews
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.batches_lines import read_line, reply_bill
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import ABSENT, Count, Shape, is_present
from tollkeeper.wire.openai_responses import usage_of
from tollkeeper.wire.openai_responses_shapes import Response
from tollkeeper.wire.readings import Reading

_ENDED: Final = frozenset(
    {"completed", "expired", "cancelled", "failed", "success", "timeout_exceeded"}
)


class Counts(msgspec.Struct):
    succeeded: Count = None


class Batch(msgspec.Struct):
    """A batch object of OpenAI's, Mistral's or Anthropic's shape."""

    id: str | None = None
    status: str | None = None
    model: str | None = None
    output_file_id: str | None = None
    output_file: str | None = None
    usage: msgspec.Raw = ABSENT
    outputs: list[msgspec.Raw] | None = None
    job: msgspec.Raw = ABSENT  # Together puts a new batch in here
    processing_status: str | None = None  # Anthropic
    request_counts: Counts | None = None


class Inlined(msgspec.Struct, rename="camel"):
    inlined_responses: list[msgspec.Raw] | None = None


class Output(msgspec.Struct, rename="camel"):
    """What a batch of Gemini's made: in itself, or in a file."""

    inlined_responses: Inlined | None = None
    responses_file: str | None = None


class OperationMetadata(msgspec.Struct):
    output: Output | None = None


class Operation(msgspec.Struct):
    """A batch of Gemini's: a long-running operation."""

    name: str | None = None
    done: bool | None = None
    metadata: OperationMetadata | None = None
    response: Output | None = None
    error: Any = None


class PageResult(msgspec.Struct):
    batch_request_id: str | None = None
    batch_result: msgspec.Raw = ABSENT


class Page(msgspec.Struct):
    """A page of xAI's results."""

    results: list[PageResult] | None = None
    pagination_token: str | None = None


class PageAnswer(msgspec.Struct):
    response: dict[str, msgspec.Raw] | None = None


_BATCH: Final = Shape(Batch)
_OPERATION: Final = Shape(Operation)
_PAGE: Final = Shape(Page)
_PAGE_ANSWER: Final = Shape(PageAnswer)


def new_batch_reader() -> JsonReader:
    """Give a reader of the reply that a batch was created with."""
    return JsonReader(lambda text, complete: _new_reading(text))


def batch_reader() -> JsonReader:
    """Give a reader of a batch that is looked at."""
    return JsonReader(lambda text, complete: _batch_reading(text))


def new_operation_reader() -> JsonReader:
    """Give a reader of the operation that a batch of Gemini's was created with."""
    return JsonReader(lambda text, complete: _new_operation_reading(text))


def operation_reader() -> JsonReader:
    """Give a reader of an operation that is looked at."""
    return JsonReader(lambda text, complete: _operation_reading(text))


class ResultPageReader(JsonReader):
    """Reads a page of xAI's results. ``job`` names the batch, which the page does not."""

    def __init__(self) -> None:
        self.job = ""
        super().__init__(lambda text, complete: self._page_reading(text))

    def _page_reading(self, text: bytes) -> Reading:
        page, _ = _PAGE.read(text)
        if page is None or page.results is None:
            return Reading()
        bills = tuple(bill for result in page.results for bill in _page_bills(result))
        return Reading(job=JobNews(self.job, bills=bills, ended=not page.pagination_token))


def job_name(batch_id: str) -> str:
    """Name the job that a batch is."""
    return f"batch/{batch_id}"


def file_name(file_id: str) -> str:
    """Name the job whose results are in a file, where nothing else is known of it."""
    return f"file/{file_id}"


def _batch_of(text: bytes) -> Batch | None:
    batch, _ = _BATCH.read(text)
    if batch is not None and not batch.id and is_present(batch.job):
        batch, _ = _BATCH.read(batch.job)
    return batch if batch is not None and batch.id else None


def _new_reading(text: bytes) -> Reading:
    batch = _batch_of(text)
    if batch is None or not batch.id:
        return Reading()
    return Reading(None, batch.id, pending=True, job=JobNews(job_name(batch.id), begun=True))


def _batch_reading(text: bytes) -> Reading:
    batch = _batch_of(text)
    if batch is None or not batch.id:
        return Reading()
    if batch.processing_status:
        counts = batch.request_counts or Counts()
        # Anthropic's results stand elsewhere; there are none if nothing succeeded.
        ended = batch.processing_status == "ended" and counts.succeeded == 0
        job = JobNews(job_name(batch.id), ended=True) if ended else None
        return Reading(None, batch.id, job=job)
    if (batch.status or "").lower() not in _ENDED:
        return Reading(None, batch.id)
    read = [read_line(output) for output in batch.outputs or ()]
    bills = tuple(bill for bill in read if bill is not None)
    file = batch.output_file_id or batch.output_file or ""
    total = None if bills else _total(batch)
    job = JobNews(
        job_name(batch.id),
        bills=bills,
        total=total,
        other=file_name(file) if file else "",
        ended=bool(bills) or (not file and total is None),
    )
    return Reading(None, batch.id, job=job)


def _total(batch: Batch) -> Usage | None:
    """Give what the provider says that all lines used; None if that is nothing."""
    if not is_present(batch.usage):
        return None
    usage = usage_of(Response(model=batch.model, usage=batch.usage))
    return usage._replace(batch=True) if usage.quantities or usage.fault else None


def _operation_of(text: bytes) -> Operation | None:
    operation, _ = _OPERATION.read(text)
    name = operation.name if operation is not None else ""
    return operation if name and name.startswith("batches/") else None


def _new_operation_reading(text: bytes) -> Reading:
    operation = _operation_of(text)
    if operation is None or not operation.name:
        return Reading()
    job = JobNews(job_name(operation.name), begun=True)
    return Reading(None, operation.name, pending=True, job=job)


def _operation_reading(text: bytes) -> Reading:
    operation = _operation_of(text)
    if operation is None or not operation.name:
        return Reading()
    output = operation.metadata.output if operation.metadata else None
    output = operation.response or output or Output()
    inlined = output.inlined_responses.inlined_responses if output.inlined_responses else None
    if not (inlined or output.responses_file or operation.done):
        return Reading(None, operation.name)
    read = [read_line(response) for response in inlined or ()]
    job = JobNews(
        job_name(operation.name),
        bills=tuple(bill for bill in read if bill is not None),
        other=file_name(output.responses_file) if output.responses_file else "",
        ended=not output.responses_file,
    )
    return Reading(None, operation.name, job=job)


def _page_bills(result: PageResult) -> list[Bill]:
    """Give the bills of one of xAI's results; ``response`` has one member, named by its kind."""
    answer, _ = _PAGE_ANSWER.read(result.batch_result)
    name = result.batch_request_id or ""
    replies = answer.response if answer is not None and answer.response else {}
    return [reply_bill(bytes(reply), "", name) for reply in replies.values() if is_present(reply)]
