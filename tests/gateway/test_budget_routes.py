"""No way past a budget: every call that can reach a provider is asked of budgets before.

Each path of the table of endpoints is called twice: without a budget, to see whether such a call
reaches the provider, and under one that allows no request at all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from budget_desks import budget
from capped import keep_budgets
from raw_http import Answer, RawConnection, request
from rough_upstream import RoughUpstream
from running import Deployment, deployment
from scripted_provider import good
from tollkeeper.domain.budgets import Unit
from tollkeeper.wire import endpoints
from tollkeeper.wire.endpoint_types import Body

NAMES = ("openai", "anthropic", "google", "cohere", "mistral", "voyage", "xai", "bedrock")
MODEL_OF = {
    "openai": "openai/gpt-4.1-mini",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "google/gemini-2.5-pro",
    "cohere": "cohere/command-r",
    "ollama": "ollama/llama3",
}
FORM = b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nopenai/whisper-1\r\n--x--\r\n'
IDS = [
    *("GET /v1/responses/resp_1", "POST /v1/responses/resp_1/cancel", "GET /v1/batches/batch_1"),
    *("POST /v1/batches/batch_1/cancel", "GET /v1/files/file-1/content", "DELETE /v1/files/file-1"),
    *("POST /v1/uploads/u1/parts", "GET /v1/messages/batches/msgbatch_1/results"),
    *("GET /v1/messages/batches/msgbatch_1", "POST /v1/threads/t1/runs", "GET /v1/videos/v1"),
    *("POST /v1beta/models/gemini-2.5-pro:generateContent", "GET /v1beta/batches/b1"),
    *("POST /v1beta/models/gemini-2.5-pro:streamGenerateContent", "GET /v1beta/files/f1"),
    *("POST /v1beta/models/gemini-2.5-pro:countTokens", "POST /v1/batch/jobs"),
    *("POST /openai/deployments/gpt-4.1-mini/chat/completions", "GET /v1/batch/jobs/j1"),
    *("POST /model/anthropic.claude-3-haiku-20240307-v1:0/invoke", "POST /v1/conversations/c1"),
    *("POST /model/anthropic.claude-3-haiku-20240307-v1:0/converse", "GET /providers/openai/x"),
    *("POST /providers/openai/v1/chat/completions", "POST /providers/anthropic/v1/messages"),
    *("POST /providers/openai/v1/anything/else", "PUT /providers/openai/v1/anything"),
    *("DELETE /providers/openai/v1/anything", "POST /providers/google/v1beta/x:generateContent"),
]


class Way(NamedTuple):
    """One call: its line, and the body that it wants."""

    line: str
    dialect: str
    body: Body


def ways() -> list[Way]:
    """Give every path of the exact tables, and one for each kind of path with a name in it."""
    exact = [
        Way(f"{method} {path}", str(found.endpoint.dialect), found.endpoint.body)
        for method, table in endpoints._EXACT.items()
        for path, found in table.items()
        if not found.endpoint.local
    ]
    named = []
    for line in IDS:
        method, path = line.split(" ")
        found = endpoints.match(method, path)
        assert found is not None, line
        named.append(Way(line, str(found.endpoint.dialect), found.endpoint.body))
    return exact + named


@pytest.fixture(scope="module")
def rough() -> Iterator[RoughUpstream]:
    with RoughUpstream(good) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(rough: RoughUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    providers: dict[str, Any] = {
        name: {"api_key": f"canary-{name}-routes-1", "base_url": rough.url} for name in NAMES
    }
    providers["ollama"] = {"base_url": rough.url, "prices": {"input": 1, "output": 2}}
    folder: Path = tmp_path_factory.mktemp("routes")
    with deployment(folder, rough.url, {"providers": providers}) as made:
        yield made


def ask(made: Deployment, way: Way) -> Answer:
    method, path = way.line.split(" ")
    headers: dict[str, str | None] = {"authorization": f"Bearer {made.key}"}
    body: bytes = b""
    if method in {"POST", "PUT"}:
        model = MODEL_OF.get(way.dialect, MODEL_OF["openai"])
        content: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "a"}]}
        if way.dialect in {"gemini", "bedrock"}:
            del content["model"]
        body = json.dumps(content).encode()
        if way.body is Body.MULTIPART:
            headers["content-type"] = "multipart/form-data; boundary=x"
            body = FORM
    with RawConnection(made.port) as connection:
        connection.send(request(path, body, headers, method=method))
        return connection.answer()


def test_no_path_leads_past_budgets(gateway: Deployment, rough: RoughUpstream) -> None:
    reached = []
    for way in ways():
        before = len(rough.requests)
        ask(gateway, way)
        if len(rough.requests) > before:
            reached.append(way)
    assert len(reached) > 100
    assert {way.body for way in reached} == set(Body)
    keep_budgets(gateway, budget(limit=0, unit=Unit.REQUESTS))
    time.sleep(1.0)
    before = len(rough.requests)
    for way in reached:
        reply = ask(gateway, way)
        assert reply.status in {400, 402, 429}, (way, reply)
        assert b"requests" in reply.body, (way, reply)
        assert len(rough.requests) == before, way
