"""``GET /api/v1/digest``: who may see whose, and an answer that is as described."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from json_shapes import faults
from ledger_entries import ledger_entry
from tollkeeper.domain.digests import last_week
from tollkeeper.reports import zones

DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("digest")) as made:
        monday = last_week("UTC", made.now_us).first_day
        at_us = zones.day_start(monday, zones.zone_info("UTC")) + DAY_US
        made.load(
            *(
                ledger_entry(started_at_us=at_us + number, team=team)._replace(
                    cost_nanos=3_000_000_000
                )
                for number, team in enumerate(("core", "core", "other"))
            )
        )
        yield made


def ask(console: RunningConsole, who: str, query: str = "") -> Any:
    reply = console.get(f"/api/v1/digest{query}", console.session(who))
    return reply.json() if reply.status == 200 else (reply.status, reply.json()["code"])


def test_each_sees_their_own(console: RunningConsole) -> None:
    company = ask(console, "finance")
    assert (company["team"], company["spend"]["now"]["cost_usd"]) == (None, "9.000000000")
    lead = ask(console, "lead")
    assert (lead["team"], lead["spend"]["now"]["cost_usd"]) == ("core", "6.000000000")
    assert ask(console, "admin", "?team=other")["spend"]["now"]["requests"] == 1
    assert ask(console, "lead", "?team=core") == lead
    assert ask(console, "lead", "?team=other") == (422, "bad_question")
    assert ask(console, "member")[0] == 403
    assert "other" not in lead["mail"]["text"]


@pytest.mark.parametrize("query", ["?week=2026-47", "?week=2100-W01", "?tz=Mars", "?weeks=1"])
def test_what_cannot_be_understood_is_refused(console: RunningConsole, query: str) -> None:
    assert ask(console, "admin", query) == (422, "bad_question")


def test_the_answer_is_as_described(console: RunningConsole) -> None:
    description = console.get("/api/v1/openapi.json").json()
    answer = ask(console, "auditor", "?tz=Europe/Berlin")
    schema = {"$ref": "#/components/schemas/Digest"}
    assert faults(description, schema, answer) == []
    for picture in answer["mail"]["pictures"]:
        assert base64.b64decode(picture["png"]).startswith(b"\x89PNG")
        assert f'cid:{picture["cid"]}"' in answer["mail"]["html"]
