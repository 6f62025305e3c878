"""Names that were made to do harm: they are shown as they are, and do nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest

from consoles import RunningConsole, running_console
from hostile_texts import FORMULAS, SCRIPTS, Page
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.errors import Refused
from tollkeeper.domain.ledger import Outcome
from tollkeeper.services import keys, people


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """A console in whose ledger every name that a caller chooses does harm if it can."""
    with running_console(tmp_path_factory.mktemp("hostile")) as console:
        for number, text in enumerate((*SCRIPTS, *FORMULAS)):
            console.load(
                console.entry_of(
                    "member",
                    call_id=f"call-{number}",
                    entry_id=f"call-{number}",
                    started_at_us=console.now_us - 1_000_000 * (number + 1),
                    team="core" if number % 2 else text,
                    user_name=text,
                    key_name=text,
                    end_customer=text,
                    session_id=text,
                    tool=text,
                    tool_version=text,
                    provider=text,
                    model_requested=text,
                    model_served=text,
                    endpoint=text,
                    error_code=text,
                    outcome=Outcome.UPSTREAM_ERROR,
                    unpriced_reason=text,
                    price_key=text,
                    tier=text,
                    request_id_upstream=text,
                    usage_raw=f'{{"x": {text!r}}}',
                    tags={"feature": text, "customer": text},
                )
            )
        _people_and_keys(console)
        yield console


def _people_and_keys(console: RunningConsole) -> None:
    for text in SCRIPTS:
        try:
            people.add_team(console.store, text, console.now_us)
            request = keys.KeyRequest(text, email="alice@acme.com", models=(text,))
            keys.issue(console.store, console.vault, request, keys.OPERATOR, console.now_us)
        except Refused:
            continue  # some names are refused, which is as good


PAGES = (
    *("/explore?group_by=team,tool,tag:feature&view=sankey", "/explore?group_by=user,key"),
    *("/", "/?by=tool", "/?by=tag:feature", "/?by=user&rows=all", "/?by=team", "/?by=provider"),
    *("/calls", "/calls?outcome=upstream_error", "/keys?show=all", "/me", "/login?token=x"),
    *("/account", "/people?show=all", "/savings", "/why", "/why?by=model", "/why?by=tag:feature"),
    *("/explore?group_by=model,tag:customer", "/explore?group_by=tool&view=heat", "/models"),
    *("/statements", "/statements/2026-09", "/statements/2026-09/core", "/settings"),
    *("/adoption", "/alerts", "/budgets", "/settings/audit"),
)


@pytest.mark.parametrize("target", PAGES)
@pytest.mark.parametrize("swap", [False, True], ids=["whole", "part"])
def test_pages_show_hostile_names_as_text(hostile: RunningConsole, target: str, swap: bool) -> None:
    sent = {"x_swap": "main"} if swap else {}
    reply = hostile.get(target, hostile.session("admin"), **sent)
    assert reply.status == 200
    assert Page(reply.text).harm == []


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_one_call_shows_hostile_names_as_text(hostile: RunningConsole, number: int) -> None:
    reply = hostile.get(f"/calls/call-{number}", hostile.session("admin"))
    assert reply.status == 200
    page = Page(reply.text)
    assert page.harm == []
    assert any(SCRIPTS[number] in text for text in page.texts)


@pytest.mark.parametrize("text", SCRIPTS)
def test_what_is_typed_comes_back_as_text(hostile: RunningConsole, text: str) -> None:
    session = hostile.session("admin")
    for path, names in (
        ("/", ("by", "tag", "filter", "period", "from", "to", "tz", "rows", "x", "format")),
        (
            "/calls",
            ("filter", "user", "model", "tag", "cursor", "outcome", "status", "limit", "to"),
        ),
        ("/keys", ("name", "email", "team", "days", "models", "done", "show", "kind")),
        ("/login", ("token", "next", "signed_out")),
        ("/me", ("tz", "x")),
        ("/account", ("next", "done", "start", "tz")),
        ("/nothing", ("y",)),
    ):
        for name in names:
            reply = hostile.get(f"{path}?{urlencode({name: text})}", session)
            assert reply.status in {200, 404, 422}, (path, name, reply)
            if reply.header("content-type").startswith("text/html"):
                assert Page(reply.text).harm == [], (path, name)


@pytest.mark.parametrize("text", SCRIPTS)
def test_forms_come_back_as_text(hostile: RunningConsole, text: str) -> None:
    session = hostile.session("admin")
    fields = {"name": text, "email": text, "team": text, "models": text, "days": text}
    reply = hostile.post("/keys", fields, session)
    assert reply.status in {200, 400, 404, 422}
    assert Page(reply.text).harm == []


@pytest.mark.parametrize(
    "target",
    [
        *("/api/v1/calls?format=csv&limit=1000", "/calls?format=csv", "/?format=csv&by=model"),
        *("/api/v1/usage?format=csv&group_by=tool,tag:feature", "/?format=csv&by=tag:feature"),
        "/explore?format=csv&group_by=tool,tag:feature&view=table",
        "/explore?format=csv&group_by=model&filter=" + quote(f'model:"{FORMULAS[0]}"'),
        *("/why?format=csv&by=tag:feature", "/why?format=csv&by=provider"),
        *(f"/api/v1/statements/2026-09?format={kind}" for kind in ("csv", "focus_csv")),
        *("/models?format=csv", "/api/v1/changes?format=csv&by=provider"),
    ],
)
def test_no_cell_of_a_file_is_a_formula(hostile: RunningConsole, target: str) -> None:
    reply = hostile.get(target, hostile.session("admin"))
    assert reply.status == 200
    assert re.fullmatch(
        r'attachment; filename="[a-z0-9-]+\.csv"', reply.header("content-disposition")
    )
    rows = list(csv.reader(io.StringIO(reply.text.removeprefix("\ufeff"), newline="")))
    assert len(rows) > 5
    cells = [cell for row in rows[1:] for cell in row]
    assert any("cmd|" in cell for cell in cells)
    for cell in cells:
        if re.fullmatch(r"-?[0-9.]+", cell):
            continue  # a number
        assert not re.match(r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]", cell), cell


def test_a_management_key_has_no_more_rights_for_its_name(hostile: RunningConsole) -> None:
    made = keys.issue(
        hostile.store,
        hostile.vault,
        keys.KeyRequest("root <b>", kind=KeyKind.ADMIN),
        keys.OPERATOR,
        hostile.now_us,
    )
    reply = hostile.get("/keys?show=all", hostile.session("admin"))
    assert "root &lt;b&gt;" in reply.text
    assert made.token not in reply.text


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_a_name_that_is_refused_comes_back_as_text(hostile: RunningConsole, number: int) -> None:
    form = {"email": SCRIPTS[number], "password": SCRIPTS[number], "next": SCRIPTS[number]}
    reply = hostile.post("/login/password", form, x_forwarded_for=f"198.51.100.{number}")
    assert reply.status == 401
    assert Page(reply.text).harm == []
