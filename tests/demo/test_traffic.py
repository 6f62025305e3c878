"""Live calls of the made-up company: each is what the tool that it names would send."""

from __future__ import annotations

import pytest

from tollkeeper.demo.callers import Callers
from tollkeeper.demo.company import company_of
from tollkeeper.demo.dice import Dice
from tollkeeper.demo.prices import price_book
from tollkeeper.demo.stories import DAY_US
from tollkeeper.demo.tools import AGENTS, SDK_VERSIONS
from tollkeeper.demo.traffic import body_of, caller_headers, text_of, user_agent
from tollkeeper.wire.clients import ClientTable
from tollkeeper.wire.controls import Controls
from tollkeeper.wire.endpoints import match

NOW_US = 1_795_000_000_000_000


@pytest.mark.parametrize(
    ("tool", "version"),
    [*((it.name, it.versions[-1]) for it in AGENTS.values()), *SDK_VERSIONS.items()],
)
def test_the_gateway_knows_each_tool_by_its_name(tool: str, version: str) -> None:
    sent = {b"user-agent": user_agent(tool, version).encode()}
    if tool == "claude-code":
        sent[b"x-claude-code-session-id"] = b"0123"
    found = ClientTable().identify(sent.get, Controls())
    assert (found.tool, found.version) == (tool, version)


def test_requests_go_to_the_path_of_their_api_and_say_whom_they_are_for() -> None:
    company = company_of(NOW_US)
    callers = Callers(company, Dice(1), price_book(company.stories))
    callers.on(NOW_US // DAY_US)
    sessions = [callers.app() for _ in range(300)]
    sessions += [callers.app(nightly=True) for _ in range(20)]
    agents = [callers.agent(*callers.somebody(), 1) for _ in range(200)]
    for profile in (session.profile for session in (*sessions, *agents)):
        path, body = body_of(profile, text_of(40))
        endpoint = match("POST", path)
        assert endpoint is not None
        assert endpoint.endpoint.name == profile.endpoint
        assert profile.model in path or body["model"].endswith(profile.model)
        headers = caller_headers(profile)
        assert headers.get("x-tollkeeper-user", "") == profile.end_customer
        assert profile.session_id in {"", *headers.values()}
        assert ("authorization" in headers) == profile.flat_rate
    assert 140 < len(text_of(40)) <= 160
