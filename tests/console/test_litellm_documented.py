"""``docs/litellm.md`` says of LiteLLM's calls what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from consoles import RunningConsole
from litellm_curl import ADMIN, parse_curl
from tollkeeper.console.litellm.fields import NOTED, REFUSED
from tollkeeper.console.litellm.routes import LITELLM
from tollkeeper.services.names import ID_CHARS_MAX

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "litellm.md").read_text("utf-8")


def paragraph(beginning: str) -> str:
    return TEXT.partition(beginning)[2].partition("\n\n")[0]


def test_every_call_is_listed_and_no_other() -> None:
    listed = re.findall(r"^\| `(GET|POST) (/[a-z/]+)", TEXT, re.MULTILINE)
    assert listed == [(route.method, route.path) for route in LITELLM]


def test_every_field_that_is_left_out_is_named() -> None:
    named = paragraph("Left out, with a line in the answer's `tollkeeper_notes`:")
    assert set(re.findall(r"`(\w+)`", named.partition(";")[0])) == set(NOTED)


def test_every_field_that_is_refused_is_named() -> None:
    named = set(re.findall(r"`(\w+)`", paragraph("Refused with status 400")))
    assert set(REFUSED) <= named


def test_how_long_an_id_may_be_is_said() -> None:
    assert f"at most {ID_CHARS_MAX} letters" in TEXT


def test_the_lines_that_are_shown_work(console: RunningConsole) -> None:
    shown = re.findall(r"^curl .*?}'$", TEXT, re.MULTILINE | re.DOTALL)
    assert len(shown) == 3
    team_id = ""
    for line in shown:
        asked = parse_curl(line.replace("TEAM_ID", team_id).replace("tk_admin_…", ADMIN))
        headers = {**asked.headers, **console.as_admin_key}
        reply = console.ask(asked.method, asked.target, headers=headers, body=asked.body)
        assert reply.status == 200, reply.text
        assert reply.json()["tollkeeper_notes"] == []
        team_id = reply.json()["team_id"]
