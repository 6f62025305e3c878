"""What replies say of work that is begun by one call and billed by another."""

from __future__ import annotations

from typing import Any

import pytest

from job_provider import chat_line, failed_line, lines_of
from job_replies import (
    BYTES,
    GEMINI,
    INTERACTION_QUANTITIES,
    INTERACTION_USAGE,
    LINES,
    MESSAGES,
    REPLIES,
    RESULTS,
    RUN_QUANTITIES,
    RUN_USAGE,
    SSE,
    VIDEO,
    batch,
    interaction,
    interaction_stream,
    operation,
    response,
    response_stream,
    run,
    run_stream,
    text,
)
from provider_replies import RESPONSES_QUANTITIES, read, read_cut
from tollkeeper.domain.jobs import Bill, JobNews
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.batches_lines import BILLS_MAX, ResultLinesReader


def news(reader: str, body: bytes | dict[str, Any], content_type: str = "") -> JobNews | None:
    found = text(body) if isinstance(body, dict) else body
    return read(reader, found, content_type or "application/json").job


def only_bill(reader: str, body: bytes | dict[str, Any], content_type: str = "") -> Bill:
    found = news(reader, body, content_type)
    assert found is not None
    (bill,) = found.bills
    return bill


# ---------------------------------------------------------------------- responses


@pytest.mark.parametrize("body", [text(response()), response_stream()])
def test_a_stored_response_is_the_bill_of_one_in_the_background(body: bytes) -> None:
    kind = SSE if body.startswith(b"event") else ""
    found = news("openai_stored", body, kind)
    assert found is not None
    assert (found.job, found.begun, found.ended) == ("response/resp_1", False, True)
    (bill,) = found.bills
    assert (bill.usage.quantities, bill.usage.model) == (RESPONSES_QUANTITIES, "gpt-5.6-sol")
    assert (bill.item, bill.at_s) == ("", 1_790_000_000)


@pytest.mark.parametrize(
    "more",
    [{"background": False}, {"background": None}, {"status": "in_progress", "usage": None}],
)
def test_others_bill_nothing(more: dict[str, Any]) -> None:
    assert news("openai_stored", response(**more)) is None


def test_who_was_cancelled_without_usage_has_an_unknown_cost() -> None:
    bill = only_bill("openai_stored", response(status="cancelled", usage=None))
    assert (bill.reason, bill.usage.quantities) == ("no_usage", {})
    found = news("openai_stored", response(status="failed", usage=None, error={"code": "x"}))
    assert found is not None
    assert (found.bills, found.ended) == ((), True)


def test_a_stored_stream_that_breaks_off_says_nothing_of_a_bill() -> None:
    reading = read_cut("openai_stored", response_stream()[:-400], SSE)
    assert (reading.job, reading.final) == (None, False)


def test_the_first_reply_begins_a_job_or_is_its_bill() -> None:
    assert news("openai_responses", response(status="queued", usage=None)) == JobNews(
        "response/resp_1", begun=True
    )
    whole = read("openai_responses", text(response()))
    assert whole.job == JobNews("response/resp_1", begun=True, billed=True)
    assert whole.usage is not None
    assert news("openai_responses", response(background=False)) is None
    begun = {"type": "response.created", "response": response(status="queued", usage=None)}
    cut = b"event: response.created\ndata: " + text(begun) + b"\n\n"
    reading = read_cut("openai_responses", cut, SSE)
    assert (reading.job, reading.final) == (JobNews("response/resp_1", begun=True), False)


# ---------------------------------------------------------------------- batches


def test_a_batch_that_ended_states_its_totals_and_its_file() -> None:
    found = news("batch", batch())
    assert found is not None
    assert (found.job, found.other, found.ended) == ("batch/batch_1", "file/file-out", False)
    assert found.total is not None
    assert found.total.batch
    assert (found.total.quantities, found.total.model) == (RESPONSES_QUANTITIES, "gpt-4.1-mini")


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling", None])
def test_one_that_works_on_says_nothing(status: str | None) -> None:
    assert news("batch", batch(status=status)) is None


def test_one_of_which_nothing_came_has_ended() -> None:
    found = news("batch", batch(status="failed", output_file_id=None, usage=None))
    assert found == JobNews("batch/batch_1", ended=True)


def test_a_new_batch_also_where_it_is_wrapped() -> None:
    begun = JobNews("batch/batch_1", begun=True)
    assert news("new_batch", batch(status="validating")) == begun
    assert news("new_batch", {"job": batch(status="VALIDATING"), "warning": ""}) == begun
    assert news("new_batch", {"error": {"code": "x"}}) is None


def test_message_batches_have_ended_when_nothing_succeeded() -> None:
    body = {"id": "msgbatch_1", "processing_status": "ended", "request_counts": {"succeeded": 0}}
    assert news("batch", body) == JobNews("batch/msgbatch_1", ended=True)
    assert news("batch", body | {"request_counts": {"succeeded": 1}}) is None
    assert news("batch", body | {"processing_status": "in_progress"}) is None


def test_a_batch_of_geminis_holds_its_replies_or_names_their_file() -> None:
    inlined = {"inlinedResponses": [{"response": GEMINI, "metadata": {"key": "k"}}, {"error": {}}]}
    found = news("operation", operation(inlinedResponses=inlined))
    assert found is not None
    (bill,) = found.bills
    assert (bill.item, bill.custom_id, bill.usage.batch) == ("abc", "k", True)
    assert bill.usage.quantities == {"input": 13, "output": 1}
    assert found.ended
    assert news("operation", operation(responsesFile="files/x")) == JobNews(
        "batch/batches/1", other="file/files/x"
    )
    assert news("operation", {"name": "batches/1", "metadata": {}}) is None
    assert news("operation", {"name": "models/x/operations/1", "done": True}) is None


def test_a_page_of_xais_states_the_cost() -> None:
    bill = only_bill(*REPLIES["batch page"][::2])
    assert bill.usage.provider_cost_nanos == 208_720
    assert (bill.custom_id, bill.item) == ("0", "chatcmpl-1")


# ---------------------------------------------------------------------- lines


def test_each_line_is_a_bill_and_failed_ones_are_none() -> None:
    found = news("batch_results", RESULTS, BYTES)
    assert found is not None
    first, broken, third = found.bills
    assert (first.item, first.custom_id, first.at_s) == (
        "batch_req_1",
        "request-1",
        1_790_000_000,
    )
    assert (first.usage.quantities, first.usage.batch) == ({"input": 100, "output": 10}, True)
    assert (broken.reason, broken.usage) == ("unreadable_line", Usage())
    assert third.usage.model == "gpt-4.1"
    message = only_bill("batch_results", MESSAGES, LINES)
    assert (message.item, message.custom_id) == ("msg_1", "a")
    assert (message.usage.tier, message.usage.batch) == ("batch", True)


def test_lines_are_given_on_as_they_come() -> None:
    reader = ResultLinesReader()
    taken: list[int] = []
    reader.on_bills = lambda bills: taken.append(len(bills))
    reader.feed(lines_of(*(chat_line(number) for number in range(2 * BILLS_MAX + 1))))
    assert taken == [BILLS_MAX, BILLS_MAX, 1]
    reader.feed(lines_of(chat_line(999))[:-10])
    assert taken == [BILLS_MAX, BILLS_MAX, 1]
    reading = reader.close(complete=False)
    assert reading.job is not None
    assert (reading.job.bills, reading.job.ended) == ((), False)


def test_a_line_that_is_too_long_is_told_and_what_follows_is_read() -> None:
    reader = ResultLinesReader()
    reader.feed(lines_of(chat_line(1)))
    for _ in range(40):
        reader.feed(b'"0",' * 65_536)
    reader.feed(b"\n" + lines_of(chat_line(2)))
    reading = reader.close(complete=True)
    assert reading.job is not None
    assert [bill.reason for bill in reading.job.bills] == ["", "line_too_long", ""]


@pytest.mark.parametrize(
    "line",
    [
        {"messages": []},
        {"custom_id": "a", "method": "POST", "url": "/v1/x", "body": {}},
        {"response": {}},
        [],
        "text",
        None,
        b"\x00\xff",
    ],
)
def test_a_file_that_begins_with_something_else_is_no_result(line: Any) -> None:
    assert news("batch_results", lines_of(line, chat_line(1)), BYTES) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"usage": None}, "no_usage"),
        ({"usage": {}}, "no_usage"),
        ({"usage": {"prompt_tokens": -1, "completion_tokens": 1}}, ""),
        ({"usage": {"prompt_tokens": 2**63, "completion_tokens": 1}}, ""),
        ({"usage": {"prompt_tokens": "9", "completion_tokens": 1}}, ""),
    ],
)
def test_wrong_counts_in_a_line_are_faults(change: dict[str, Any], reason: str) -> None:
    line = chat_line(1)
    line["response"]["body"] |= change
    bill = only_bill("batch_results", lines_of(line), BYTES)
    assert bill.reason == reason
    assert bool(bill.usage.fault) != bool(reason)


def test_a_nameless_line_is_told_apart_by_what_it_says() -> None:
    bodies = [chat_line(number) | {"id": None} for number in (1, 2)]
    for body in bodies:
        body["response"]["body"]["id"] = None
    bodies[1]["custom_id"] = ""
    found = news("batch_results", lines_of(*bodies, *bodies), BYTES)
    assert found is not None
    items = [bill.item for bill in found.bills]
    assert items[0] == "request-1"
    assert items[1].startswith("sha256 ")
    assert items[:2] == items[2:]


def test_only_failed_lines_are_results_that_cost_nothing() -> None:
    assert news("batch_results", lines_of(failed_line(1)), BYTES) == JobNews("", ended=True)


# ---------------------------------------------------------------------- runs


def test_a_run_is_begun_or_streamed_to_its_end() -> None:
    assert news("runs", run("queued", None)) == JobNews("run/run_1", begun=True)
    whole = read("runs", run_stream(), SSE)
    assert whole.job == JobNews("run/run_1", begun=True, billed=True)
    assert whole.usage is not None
    assert (whole.usage.quantities, whole.usage.model) == (RUN_QUANTITIES, "gpt-4o-mini")
    assert whole.final
    waiting = read("runs", run_stream(last="requires_action"), SSE)
    assert (waiting.job, waiting.final) == (JobNews("run/run_1", begun=True), True)
    stream = run_stream()
    cut = read_cut("runs", stream[: stream.index(b"event: thread.run.completed")], SSE)
    assert (cut.job, cut.final) == (JobNews("run/run_1", begun=True), False)


def test_a_run_that_is_looked_at_is_billed_when_it_has_ended() -> None:
    for body, kind in ((text(run()), ""), (run_stream(), SSE)):
        assert only_bill("stored_runs", body, kind).usage.quantities == RUN_QUANTITIES
    assert news("stored_runs", run("in_progress", None)) is None
    assert only_bill("stored_runs", run("cancelled", None)).reason == "no_usage"
    assert news("stored_runs", run("expired", None)) == JobNews("run/run_1", ended=True)
    assert news("stored_runs", {"object": "list", "data": [run()]}) is None
    wrong = run(usage={**RUN_USAGE, "total_tokens": 1})
    assert only_bill("stored_runs", wrong).usage.fault == "contradicts_total"


# ---------------------------------------------------------------------- interactions


@pytest.mark.parametrize("body", [text(interaction()), interaction_stream()])
def test_an_interaction_states_its_usage(body: bytes) -> None:
    kind = SSE if body.startswith(b"event") else "application/json"
    reading = read("interactions", body, kind)
    assert reading.usage is not None
    assert reading.usage.quantities == INTERACTION_QUANTITIES
    assert (reading.usage.model, reading.usage.tier) == ("gemini-3-flash-preview", "standard")
    assert reading.job == JobNews("interaction/v1_abc", begun=True, billed=True)
    assert only_bill("stored_interactions", body, kind).usage == reading.usage


def test_older_models_pay_one_search_a_prompt() -> None:
    queries = {"type": "google_search_call", "arguments": {"queries": ["a", "b"]}}
    for model, searches in (("gemini-2.5-flash", 1), ("gemini-3-flash-preview", 2)):
        reading = read("interactions", text(interaction(model=model, steps=[queries])))
        assert reading.usage is not None
        assert reading.usage.quantities["web_searches"] == searches


def test_background_interactions_and_agents() -> None:
    begun = interaction(status="in_progress", usage=None, model=None, agent="deep-research")
    assert news("interactions", begun) == JobNews("interaction/v1_abc", begun=True)
    assert news("stored_interactions", begun) is None
    done = interaction(model=None, agent="deep-research")
    assert only_bill("stored_interactions", done).usage.model == "deep-research"
    assert only_bill("stored_interactions", interaction(usage=None)).reason == "no_usage"
    assert news("interactions", interaction(id=None)) is None  # not stored


def test_a_stream_that_breaks_off_is_estimated_once() -> None:
    reading = read_cut("interactions", interaction_stream(whole=False), SSE)
    assert (reading.usage, reading.final) == (None, False)
    assert reading.output_bytes == len('Grüße "interaction"'.encode())
    assert reading.job == JobNews("interaction/v1_abc", begun=True, billed=True)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"total_tokens": 1}, "contradicts_total"),
        ({"total_input_tokens": None}, "missing_count"),
        ({"total_cached_tokens": 9_999}, "parts_exceed_whole"),
        ({"total_output_tokens": -3}, "negative_count"),
    ],
)
def test_contradictions_are_faults(change: dict[str, Any], fault: str) -> None:
    reading = read("interactions", text(interaction(usage=INTERACTION_USAGE | change)))
    assert reading.usage is not None
    assert reading.usage.fault == fault


def test_what_a_cache_keeps_is_counted() -> None:
    reading = read(*REPLIES["cache"][::2])
    assert reading.usage is not None
    assert reading.usage.quantities == {"cache_kept_tokens": 3512}


# ---------------------------------------------------------------------- videos


def test_a_video_is_begun_and_billed_when_it_is_there() -> None:
    assert news("new_video", {"request_id": "v1"}) == JobNews("video/v1", begun=True)
    assert news("new_video", {"id": "v2", "status": "queued"}) == JobNews("video/v2", begun=True)
    usage = only_bill("stored_video", VIDEO).usage
    assert (usage.provider_cost_nanos, usage.quantities) == (50_000_000, {"video_ms": 1_000})
    assert news("stored_video", VIDEO | {"status": "pending"}) is None
    assert news("stored_video", {"id": "v2", "status": "failed"}) == JobNews("video/v2", ended=True)
    sora = {"id": "v2", "status": "completed", "model": "sora-2", "seconds": "8"}
    assert only_bill("stored_video", sora).usage.quantities == {"video_ms": 8_000}


@pytest.mark.parametrize("seconds", [None, "x", "-1", 2**70, True, [], -4, float("inf")])
def test_a_length_that_is_none_is_not_known(seconds: Any) -> None:
    video = {"id": "v", "status": "completed", "model": "sora-2", "seconds": seconds}
    if seconds == float("inf"):
        video["seconds"] = 1e308
    bill = only_bill("stored_video", video)
    assert (bill.usage.quantities, bill.reason) == ({}, "no_usage")
