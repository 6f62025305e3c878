"""Runs, interactions and batches of other vendors through a running gateway: one bill each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job_books import JobBooks
from job_provider import chat_line, lines_of
from job_replies import GEMINI, interaction, interaction_stream, operation, run, run_stream
from raw_http import Answer, ask, get, request
from rough_upstream import json_reply
from running import usual_configuration
from scripted_provider import Scripted, scripted_provider

GOOGLE_MODEL = "gemini-2.5-flash"
MISTRAL: dict[str, Any] = {
    "id": "job-1",
    "object": "batch",
    "status": "SUCCESS",
    "model": "mistral-small-latest",
    "output_file": "file-m",
    "outputs": [chat_line(1, "mistral-small-latest"), chat_line(2, "mistral-small-latest")],
}


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Scripted]:
    with scripted_provider(tmp_path) as made:
        address = made.rough.url
        configuration = usual_configuration(address)
        configuration["providers"]["mistral"] = {
            "api_key": "mistral-canary-0007",
            "base_url": f"{address}/v1",
        }
        made.gateway.configure(configuration)
        made.gateway.stop()
        made.gateway.start()
        yield made


def streamed(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def results(lines: list[Any]) -> bytes:
    body = lines_of(*lines)
    kind = "content-type: application/octet-stream"
    head = f"HTTP/1.1 200 OK\r\n{kind}\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def look(scripted: Scripted, path: str, reply: bytes, times: int = 1) -> None:
    scripted.answers(reply)
    for _ in range(times):
        answer = get(scripted.port, path, {"authorization": f"Bearer {scripted.key}"})
        assert answer.status == 200, answer.body


def begin(scripted: Scripted, path: str, body: Any, reply: bytes) -> Answer:
    scripted.answers(reply)
    headers = {"authorization": f"Bearer {scripted.key}"}
    answer = ask(scripted.port, request(path, body, headers))
    assert answer.status == 200, answer.body
    return answer


def cost_of(books: JobBooks) -> tuple[int, int]:
    """Give nano-dollars, and how many calls have no price."""
    sums = books.sums()
    return int(sums["cost"] * 10**9), sums.get("unpriced", 0)


def test_a_run_is_billed_when_it_is_looked_at_or_streamed(scripted: Scripted) -> None:
    books = JobBooks(scripted.gateway)
    asked = {"assistant_id": "a"}
    begin(scripted, "/v1/threads/t/runs", asked, json_reply(run("queued", None)))
    assert cost_of(books) == (0, 1)
    look(scripted, "/v1/threads/t/runs/run_1", json_reply(run("in_progress", None)))
    look(scripted, "/v1/threads/t/runs/run_1", json_reply(run()), times=3)
    once = cost_of(books)
    assert once[0] > 0
    assert once[1] == 0
    other = run() | {"id": "run_2"}
    stream = run_stream().replace(b"run_1", b"run_2")
    begin(scripted, "/v1/threads/t/runs", asked | {"stream": True}, streamed(stream))
    look(scripted, "/v1/threads/t/runs/run_2", json_reply(other), times=2)
    assert cost_of(books) == (2 * once[0], 0)


def test_a_run_that_waits_for_tools_is_billed_by_the_stream_it_goes_on_in(
    scripted: Scripted,
) -> None:
    books = JobBooks(scripted.gateway)
    waiting = streamed(run_stream(last="requires_action"))
    begin(scripted, "/v1/threads/t/runs", {"assistant_id": "a", "stream": True}, waiting)
    assert cost_of(books) == (0, 1)
    path = "/v1/threads/t/runs/run_1/submit_tool_outputs"
    begin(scripted, path, {"tool_outputs": [], "stream": True}, streamed(run_stream()))
    assert cost_of(books)[1] == 0
    (bill,) = [row for row in books.rows() if row["cost_usd"]]
    assert bill["endpoint"] == "threads/runs"


@pytest.mark.parametrize("streams", [False, True])
def test_an_interaction_is_billed_by_the_call_that_made_it(
    scripted: Scripted, streams: bool
) -> None:
    books = JobBooks(scripted.gateway)
    reply = streamed(interaction_stream()) if streams else json_reply(interaction())
    asked = {"model": "gemini-3-flash-preview", "input": "hi", "stream": streams}
    answer = begin(scripted, "/v1beta/interactions", asked, reply)
    assert (b"x-tollkeeper-cost-usd" in str(answer.headers).encode()) != streams
    made = cost_of(books)
    assert made[0] > 0
    look(scripted, "/v1beta/interactions/v1_abc", json_reply(interaction()), times=3)
    assert cost_of(books) == made


def test_a_background_interaction_is_billed_when_it_is_fetched(scripted: Scripted) -> None:
    books = JobBooks(scripted.gateway)
    begun = interaction(status="in_progress", usage=None)
    asked = {"model": "gemini-3-flash-preview", "input": "hi", "background": True}
    begin(scripted, "/v1beta/interactions", asked, json_reply(begun))
    look(scripted, "/v1beta/interactions/v1_abc", json_reply(begun))
    assert cost_of(books) == (0, 1)
    look(scripted, "/v1beta/interactions/v1_abc", json_reply(interaction()), times=2)
    nanos, unpriced = cost_of(books)
    assert nanos > 0
    assert unpriced == 0


def test_an_agent_needs_no_model(scripted: Scripted) -> None:
    begun = interaction(status="in_progress", usage=None, model=None, agent="deep-research")
    asked = {"agent": "deep-research", "input": "hi", "background": True}
    begin(scripted, "/v1beta/interactions", asked, json_reply(begun))
    assert scripted.entry().provider == "google"


def test_a_batch_of_geminis_is_billed_by_its_replies(scripted: Scripted) -> None:
    books = JobBooks(scripted.gateway)
    path = f"/v1beta/models/{GOOGLE_MODEL}:batchGenerateContent"
    begin(scripted, path, {"batch": {}}, json_reply({"name": "batches/1", "metadata": {}}))
    assert cost_of(books) == (0, 1)
    inlined = {"inlinedResponses": [{"response": GEMINI, "metadata": {"key": "k"}}]}
    done = json_reply(operation(inlinedResponses=inlined))
    look(scripted, "/v1beta/batches/1", done, times=3)
    # Half of 0.30 and 2.50 USD per million.
    assert cost_of(books) == (13 * 150 + 1 * 1_250, 0)


def test_a_batch_of_mistrals_is_billed_by_itself_or_by_its_file(scripted: Scripted) -> None:
    books = JobBooks(scripted.gateway)
    asked = {"model": "mistral-small-latest", "input_files": [], "endpoint": "/v1/chat/completions"}
    queued = MISTRAL | {"status": "QUEUED", "outputs": None, "output_file": None}
    begin(scripted, "/v1/batch/jobs", asked, json_reply(queued))
    look(scripted, "/v1/batch/jobs/job-1", json_reply(MISTRAL))
    nanos, unpriced = cost_of(books)
    assert nanos > 0
    assert unpriced == 0
    scripted.answers(results(MISTRAL["outputs"]))
    for _ in range(2):
        path = "/providers/mistral/v1/files/file-m/content"
        get(scripted.port, path, {"authorization": f"Bearer {scripted.key}"})
    assert cost_of(books) == (nanos, 0)
    assert {row["provider"] for row in books.rows()} == {"mistral"}


def test_what_a_cache_costs_is_not_known(scripted: Scripted) -> None:
    kept = {"name": "cachedContents/1", "usageMetadata": {"totalTokenCount": 3512}}
    asked = {"model": f"models/{GOOGLE_MODEL}", "contents": []}
    begin(scripted, "/v1beta/cachedContents", asked, json_reply(kept))
    entry = scripted.entry()
    assert entry.unpriced_reason in {"unknown_dimension:cache_kept_tokens", "unknown_model"}
    assert entry.units == {"cache_kept_tokens": 3512}
