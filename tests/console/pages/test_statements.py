"""Statements on pages and by the API: who sees what, closing, files, and the columns of FOCUS."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consoles import RunningConsole, running_console
from json_shapes import faults
from stores import DAY
from tollkeeper.domain.audit import AuditQuestion
from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.reports import focus

HOSTILE = "=cmd|'/c calc'!A0<script>alert(1)</script>"
AUGUST_US = -40 * DAY  # from the console's now, which is in September 2026
CATEGORIES = {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}
FREQUENCIES = {"One-Time", "Recurring", "Usage-Based"}
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NULLABLE = {
    *("BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit"),
    *("ConsumedQuantity", "ConsumedUnit", "InvoiceId", "PricingCategory", "ResourceId", "SkuId"),
    *("SkuMeter", "SubAccountId", "SubAccountName", "SubAccountType", "Tags"),
}
"""Columns of FOCUS 1.2 that may be without a value, of those that are in our files."""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """August and September: two teams, one of nobody, one with a hostile name, a plan."""
    with running_console(tmp_path_factory.mktemp("statements")) as made:
        august = made.now_us + AUGUST_US
        made.plans = (SeatPlan('max, "20x"', "anthropic", 3, 100 * 10**9, "core"),)
        costs = {"core": 3_000_000_000, "other": 1_000_000_000, "": 40, HOSTILE: 5}
        for team, cost in costs.items():
            made.load(
                made.entry_of("member", team=team, started_at_us=august, cost_nanos=cost),
                made.entry_of("member", team=team, cost_nanos=cost, list_cost_nanos=2 * cost),
            )
        unknown = {"basis": Basis.UNPRICED, "cost_nanos": None, "list_cost_nanos": None}
        flat = {"basis": Basis.FLAT_RATE, "cost_nanos": 0, "list_cost_nanos": 9_000_000_000}
        made.load(
            made.entry_of("member", started_at_us=august, unpriced_reason="no_price", **unknown),
            made.entry_of("member", started_at_us=august, tags={}, **flat),
        )
        yield made


def rows_of(console: RunningConsole, target: str, who: str = "finance") -> list[dict[str, str]]:
    reply = console.get(target, console.session(who))
    assert reply.status == 200, reply.text
    return list(csv.DictReader(io.StringIO(reply.text, newline="")))


def test_who_sees_which_teams(console: RunningConsole) -> None:
    for who in ("finance", "auditor", "admin"):
        answer = console.get("/api/v1/statements/2026-08", console.session(who)).json()
        assert {each["team"] for each in answer["teams"]} == {"", "core", "other", HOSTILE}
    lead = console.session("lead")
    answer = console.get("/api/v1/statements/2026-08", lead).json()
    assert [each["team"] for each in answer["teams"]] == ["core"]
    assert {line["team"] for line in answer["lines"]} == {"core"}
    (share,) = [line for line in answer["lines"] if line["kind"] == "shared"]
    assert (share["weights"], answer["entries"], answer["waiting"]) == (None, {}, None)
    assert "other" not in json.dumps(answer)  # no total, weight or rule tells of another team
    (august,) = console.get("/api/v1/statements", lead).json()["months"][1:]
    assert [each["team"] for each in august["teams"]] == ["core"]
    assert console.get("/api/v1/statements/2026-08/core", lead).status == 200
    for path in ("/api/v1/statements/2026-08/other", "/statements/2026-08/other"):
        foreign, missing = console.get(path, lead), console.get(f"{path}-no-such", lead)
        assert foreign.status == missing.status == 404
    assert "other" not in console.get("/statements/2026-08?format=csv", lead).text
    for path in ("/statements", "/statements/2026-08", "/api/v1/statements"):
        assert console.get(path, console.session("member")).status == 403


def test_answers_are_what_the_description_says(console: RunningConsole) -> None:
    document = console.get("/api/v1/openapi.json").json()
    session = console.session("finance")
    for target, schema in (
        ("/api/v1/statements", "StatementMonths"),
        ("/api/v1/statements/2026-08", "Statement"),
        ("/api/v1/statements/2026-08/core", "Statement"),
    ):
        found = document["components"]["schemas"][schema]
        assert faults(document, found, console.get(target, session).json()) == []
    assert console.get("/api/v1/statements/2026-08?tz=UTC", session).status == 422
    assert console.get("/api/v1/statements/2026-08?format=xml", session).status == 422
    assert console.get("/api/v1/statements/2027-08", session).status == 400
    assert console.get("/api/v1/statements/august", session).status == 400


def test_the_pages_lead_from_months_to_a_team_to_its_calls(console: RunningConsole) -> None:
    session = console.session("finance")
    months = console.get("/statements", session).text
    assert "August 2026" in months
    assert "/statements/2026-08/core" in months
    month = console.get("/statements/2026-08", session).text
    assert "1 call has no price: no price" in month
    assert "Issue and close August 2026" in month
    team = console.get("/statements/2026-08/core", session).text
    assert "$3.00" in team
    assert "max, &#34;20x&#34;" in team
    (link,) = {each for each in re.findall(r'href="(/calls[^"]*)"', team) if "measured" in each}
    calls = console.get(link.replace("&amp;", "&"), session)
    assert calls.status == 200
    assert calls.text.count('data-row="') == 1
    assert (
        "Issue and close" not in console.get("/statements/2026-08", console.session("auditor")).text
    )


def test_a_hostile_name_is_only_a_name(console: RunningConsole) -> None:
    session = console.session("finance")
    for page in ("/statements", "/statements/2026-08", f"/statements/2026-08/{quote(HOSTILE, '')}"):
        reply = console.get(page, session)
        assert reply.status == 200
        assert "<script>alert" not in reply.text
        assert "&lt;script&gt;alert(1)" in reply.text
    for target in ("/api/v1/statements/2026-08?format=csv", "/statements/2026-08?format=csv"):
        teams = {row["team"] for row in rows_of(console, target)}
        assert teams == {"", "core", "other", "'" + HOSTILE}
    accounts = {row["SubAccountId"] for row in rows_of(console, _focus("2026-08"))}
    assert accounts == {"", "core", "other", "'" + HOSTILE}


def test_files_add_up_and_each_is_recorded(console: RunningConsole) -> None:
    session = console.session("finance")
    answer = console.get("/api/v1/statements/2026-08", session).json()
    before = len(console.store.audit(AuditQuestion(action="data.export")))
    rows = rows_of(console, "/api/v1/statements/2026-08?format=csv")
    booked = [row for row in rows if row["kind"] != "seats"]
    assert sum(Decimal(row["cost_usd"] or 0) for row in booked) == Decimal(
        answer["totals"]["cost_usd"]
    )
    assert sum(Decimal(row["cost_usd"]) for row in rows if row["kind"] == "seats") == 300
    whole = sum(Decimal(row["BilledCost"]) for row in rows_of(console, _focus("2026-08")))
    assert whole == Decimal(answer["totals"]["cost_usd"]) + 300
    for wanted in ("parquet", "focus_parquet"):
        reply = console.get(f"/api/v1/statements/2026-08/core?format={wanted}", session)
        assert reply.status == 200
    said = console.store.audit(AuditQuestion(action="data.export"))
    assert len(said) == before + 4
    assert said[0].target_id == "statement-2026-08-focus.parquet"


def _focus(month: str, kind: str = "csv") -> str:
    return f"/api/v1/statements/{month}?format=focus_{kind}"


def test_closing_is_for_finance_and_admins_and_for_ever(console: RunningConsole) -> None:
    finance, auditor = console.session("finance"), console.session("auditor")
    assert console.post("/statements/2026-08/close", {}, auditor).status == 403
    running = console.post("/statements/2026-09/close", {}, finance)
    assert running.status == 409
    assert "is not over yet" in running.text
    before = console.get("/api/v1/statements/2026-08", finance).json()
    focus_before = rows_of(console, _focus("2026-08"))
    assert console.post("/statements/2026-08/close", {}, finance).status == 303
    after = console.get("/api/v1/statements/2026-08", finance).json()
    assert after["issued"]["by"] == "fred@acme.com"
    assert len(after["issued"]["sha256"]) == 64
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"state", "issued", "waiting"}
    again = console.send("POST", "/api/v1/statements/2026-08/close", headers=console.as_admin_key)
    assert (again.status, again.json()["code"]) == (409, "month_closed")
    lead = console.get("/api/v1/statements/2026-08", console.session("lead")).json()
    assert lead["issued"]["by"] is None
    assert "fred@acme.com" not in console.get("/statements/2026-08", console.session("lead")).text
    actions = [entry.action for entry in console.store.audit(AuditQuestion(target="2026-08"))]
    assert sorted(actions[:2]) == ["month.close", "statement.issue"]

    august = console.now_us + AUGUST_US
    console.load(console.entry_of("member", started_at_us=august, cost_nanos=7, tags={}))
    assert console.get("/api/v1/statements/2026-08", finance).json() == after
    page = console.get("/statements/2026-09/core", finance).text
    assert "Corrections of months issued before" in page
    assert "$0.000000007" in page
    focus_after = rows_of(console, _focus("2026-08"))
    stated = ("x_StatementState", "x_StatementSha256")
    assert [{**row, **dict.fromkeys(stated, "")} for row in focus_after] == [
        {**row, **dict.fromkeys(stated, "")} for row in focus_before
    ]
    (correction,) = [row for row in rows_of(console, _focus("2026-09")) if row["ChargeClass"]]
    assert (correction["ChargeClass"], correction["x_CorrectsMonth"]) == ("Correction", "2026-08")
    assert correction["BilledCost"] == "0.000000007"


@pytest.mark.parametrize("month", ["2026-08", "2026-09"])
def test_focus_columns_are_as_the_specification_has_them(
    console: RunningConsole, month: str
) -> None:
    reply = console.get(_focus(month, "parquet"), console.session("finance"))
    table = pq.read_table(io.BytesIO(reply.body))
    assert tuple(table.column_names) == focus.COLUMNS
    assert set(focus.MANDATORY) <= set(table.column_names)
    for field in table.schema:
        if field.name.endswith(("PeriodStart", "PeriodEnd")):
            assert field.type == pa.timestamp("us", tz="UTC")
        elif field.name.endswith(("Cost", "Quantity", "Value")):
            assert field.type == pa.decimal128(38, 9)
        elif field.name in focus.KINDS:
            assert field.type == pa.int64()
        else:
            assert field.type == pa.string()
    for row in table.to_pylist():
        _require_row(row)
    for text in rows_of(console, _focus(month)):
        for name, value in text.items():
            if name.endswith(("Cost", "Quantity")):
                assert not value or NUMBER.fullmatch(value), (name, value)
            if name.endswith(("PeriodStart", "PeriodEnd")):
                assert TIME.fullmatch(value), (name, value)


def _require_row(row: dict[str, Any]) -> None:
    """Fail unless a row keeps the rules of FOCUS 1.2 for its columns."""
    for name, value in row.items():
        assert value is not None or name in NULLABLE or name.startswith("x_"), name
        assert value != "", f"{name} is an empty text, which no value is not"
    assert row["ChargeCategory"] in CATEGORIES
    assert row["ChargeClass"] in {None, "Correction"}
    assert row["ChargeFrequency"] in FREQUENCIES
    assert row["PricingCategory"] in {None, "Standard", "Dynamic", "Committed", "Other"}
    assert row["ServiceCategory"] == "AI and Machine Learning"
    assert row["BillingCurrency"] == "USD"
    assert row["BillingPeriodStart"] < row["BillingPeriodEnd"]
    assert (row["ConsumedQuantity"] is None) == (row["ConsumedUnit"] is None)
    assert (row["PricingQuantity"] is None) == (row["PricingUnit"] is None)
    assert (row["SubAccountId"] is None) == (row["SubAccountType"] is None)
    assert row["SkuMeter"] is None or row["SkuId"] is not None
    category = row["ChargeCategory"]
    assert category == "Usage" or row["ConsumedQuantity"] is None
    if category == "Usage":
        assert row["ConsumedQuantity"] is not None
    if category in {"Usage", "Purchase"}:
        assert None not in (row["PricingQuantity"], row["SkuId"], row["PricingCategory"])
    assert category != "Purchase" or row["ChargeFrequency"] != "Usage-Based"
    if row["Tags"] is not None:
        tags = json.loads(row["Tags"])
        assert all(isinstance(value, str) for value in tags.values())
