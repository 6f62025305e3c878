"""The API's documents: from the query string to JSON, and nothing that cannot be said in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ledger_entries import ledger_entry
from ledgers import ENGINES, EVERY_ENGINE
from tollkeeper.domain.access import Scope
from tollkeeper.domain.explanation import Explanation
from tollkeeper.domain.ledger import Basis, LedgerEntry
from tollkeeper.domain.pricing import PriceLine
from tollkeeper.ports import Ledger, Position, ReportSource
from tollkeeper.reports import zones
from tollkeeper.reports.answers import overview_document, usage_columns, usage_rows
from tollkeeper.reports.me import spent_today
from tollkeeper.reports.overview import overview
from tollkeeper.reports.parameters import overview_question, usage_question
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.source import LedgerReports
from tollkeeper.reports.usage import usage

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
NOW_US = zones.epoch_us_of(NOW)
HOUR_US = 3_600_000_000
ACME = Scope("acme")


@pytest.fixture(params=EVERY_ENGINE)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    opened = ENGINES[request.param](tmp_path)
    opened.append(
        [
            ledger_entry(
                entry_id="01900000-0000-7000-8000-000000000001",
                call_id="01900000-0000-7000-8000-00000000000a",
                started_at_us=NOW_US - HOUR_US,
                cost_nanos=12_345_678_901,
                list_cost_nanos=12_345_678_901,
                price_key="openai/gpt-4.1",
            ),
            ledger_entry(
                started_at_us=NOW_US - 30 * HOUR_US,
                cost_nanos=None,
                list_cost_nanos=None,
                saved_nanos=None,
                basis=Basis.UNPRICED,
                unpriced_reason="unknown_model",
                tags={},
                user_id="u_2",
                user_name="bob@acme.com",
            ),
            ledger_entry(started_at_us=NOW_US - 400 * 24 * HOUR_US),
        ],
        Position("a", 1),
    )
    yield opened
    opened.close()


@pytest.fixture
def source(ledger: Ledger) -> ReportSource:
    def explain(entry: LedgerEntry) -> Explanation:
        lines = [PriceLine("input", entry.input_tokens, "input", "2", 10**6, "0.000096")]
        return Explanation(lines, "genai-prices", "agreed")

    return LedgerReports(ledger, ACME, lambda: NOW_US, explain=explain)


def test_usage_as_the_contract_shows_it(source: ReportSource) -> None:
    answer = source.usage(
        {
            "metrics": "cost_usd,requests",
            "group_by": "day,model,tag:feature",
            "from": "2026-11-01",
            "to": "2026-11-18",
        }
    )
    assert json.loads(json.dumps(answer)) == answer
    assert answer == {
        "period": {
            "name": "custom",
            "from": "2026-11-01T00:00:00Z",
            "to": "2026-11-19T00:00:00Z",
            "tz": "UTC",
        },
        "rows": [
            {
                "day": "2026-11-17",
                "model": "gpt-4.1-2025-04-14",
                "tag:feature": None,
                "cost_usd": None,
                "requests": 1,
                "unpriced": 1,
            },
            {
                "day": "2026-11-18",
                "model": "gpt-4.1-2025-04-14",
                "tag:feature": "chat",
                "cost_usd": "12.345678901",
                "requests": 1,
                "unpriced": 0,
            },
        ],
        "totals": {
            "cost_usd": "12.345678901",
            "requests": 2,
            "unpriced": 1,
            "unpriced_calls": 1,
            "unpriced_tokens": 62,
        },
        "basis": {
            "measured": {
                "requests": 1,
                "cost_usd": "12.345678901",
                "list_cost_usd": "12.345678901",
                "tokens": 62,
            },
            "unpriced": {"requests": 1, "cost_usd": None, "list_cost_usd": None, "tokens": 62},
        },
        "truncated": False,
    }


def test_ratios_and_names_in_usage(source: ReportSource) -> None:
    answer = source.usage(
        {
            "metrics": "cost_per_request_usd,error_rate,cached_share,duration_p50_ms",
            "group_by": "user",
            "filter": "user:alice@acme.com",
        }
    )
    assert answer["rows"] == [
        {
            "user": "u_1",
            "user_name": "alice@acme.com",
            "cost_per_request_usd": "12.345678901",
            "error_rate": 0.0,
            "cached_share": 0.0,
            "duration_p50_ms": 120,
            "unpriced": 0,
        }
    ]


def test_rows_for_files_are_flat_and_exact(ledger: Ledger) -> None:
    question = usage_question({"group_by": "user", "metrics": "cost_usd"}, NOW_US)
    answer = usage(ledger, ACME, question)
    assert usage_columns(answer) == ("user", "user_name", "cost_usd", "unpriced")
    assert usage_rows(answer)[0] == {
        "user": "u_1",
        "user_name": "alice@acme.com",
        "cost_usd": Decimal("12.345678901"),
        "unpriced": 0,
    }


def test_calls_page_by_page(source: ReportSource) -> None:
    first = source.calls({"limit": "2"})
    assert json.loads(json.dumps(first)) == first
    assert [row["started_at"] for row in first["calls"]] == [
        "2026-11-18T14:30:00Z",
        "2026-11-17T09:30:00Z",
    ]
    assert first["calls"][0]["cost_usd"] == "12.345678901"
    assert first["calls"][1]["cost_usd"] is None
    assert first["calls"][1]["unpriced_reason"] == "unknown_model"
    second = source.calls({"limit": "2", "cursor": first["next_cursor"]})
    assert len(second["calls"]) == 1
    assert second["next_cursor"] is None
    month = source.calls({"period": "30d", "tz": "Europe/Berlin"})
    assert len(month["calls"]) == 2
    followed = source.calls({"finished_after": "2026-11-18T14:00:00Z"})
    assert len(followed["calls"]) == 1


def test_one_call_explained(source: ReportSource) -> None:
    answer = source.call("01900000-0000-7000-8000-00000000000a")
    assert json.loads(json.dumps(answer)) == answer
    (entry,) = answer["entries"]
    assert answer["cost_usd"] == entry["cost_usd"] == "12.345678901"
    assert entry["quantities"] == {"input": 48, "output": 14}
    assert entry["lines"] == [
        {
            "quantity": "input",
            "count": 48,
            "priced_as": "input",
            "price_usd": "2",
            "per": 1_000_000,
            "cost_usd": "0.000096",
        }
    ]
    assert entry["usage_raw"] == {
        "prompt_tokens": 48,
        "completion_tokens": 14,
        "total_tokens": 62,
    }
    assert entry["started_at"] == "2026-11-18T14:30:00Z"
    assert entry["tags"] == {"feature": "chat"}
    with pytest.raises(LookupError):
        source.call("01900000-0000-7000-8000-00000000000b")


def test_the_first_page_as_data(ledger: Ledger) -> None:
    question = overview_question({"by": "user", "period": "7d"}, NOW_US)
    document = overview_document(overview(ledger, ACME, question, NOW_US))
    assert json.loads(json.dumps(document)) == document
    assert document["period"]["now"]["cost_usd"] == "12.345678901"
    assert document["period"]["now"]["basis"]["unpriced"]["requests"] == 1
    assert [part["name"] for part in document["parts"]] == ["alice@acme.com", "bob@acme.com"]
    assert document["days"][-1] == "2026-11-18"
    assert len(document["recent_calls"]) == 3


# --------------------------------------------------------------------- bad questions

SQL = "'; DROP TABLE entries; --"
FILES = "read_csv('/etc/passwd')"


@pytest.mark.parametrize(
    ("parameters", "parameter"),
    [
        ({"metrics": SQL}, "metrics"),
        ({"metrics": f"cost_usd,{FILES}"}, "metrics"),
        ({"group_by": SQL}, "group_by"),
        ({"group_by": FILES}, "group_by"),
        ({"group_by": f"tag:{SQL}"}, "group_by"),
        ({"group_by": 'tag:a"b'}, "group_by"),
        ({"group_by": "tag:$.a[*]"}, "group_by"),
        ({"group_by": "tag:"}, "group_by"),
        ({"group_by": "day desc"}, "group_by"),
        ({"order": f"cost_usd {SQL}"}, "order"),
        ({"order": "1"}, "order"),
        ({"order": "-team"}, "order"),
        ({"filter": f"{SQL}:x"}, "filter"),
        ({"filter": f"tag:{SQL}=x"}, "filter"),
        ({"filter": "org:other"}, "filter"),
        ({"filter": "status:1 OR 1=1"}, "filter"),
        ({"from": SQL}, "from"),
        ({"from": "2026-11-01", "to": SQL}, "to"),
        ({"to": "2026-11-01"}, "from"),
        ({"from": "2026-11-01", "period": "30d"}, "period"),
        ({"period": SQL}, "period"),
        ({"tz": SQL}, "tz"),
        ({"tz": "../../../etc/passwd"}, "tz"),
        ({"limit": SQL}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "1e3"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"limit": "999999999999"}, "limit"),
        ({"metrics": "," * 20_000}, "metrics"),
    ],
)
def test_nothing_but_known_names_and_values_gets_through(
    source: ReportSource, ledger: Ledger, parameters: dict[str, str], parameter: str
) -> None:
    with pytest.raises(BadQuestion) as caught:
        source.usage(parameters)
    assert caught.value.parameter == parameter
    assert len(str(caught.value)) < 1_200
    table = ledger.entries()
    assert ledger.run(table.agg(n=table.count())) == [{"n": 3}]


def test_a_parameter_that_there_is_not_is_refused(source: ReportSource) -> None:
    with pytest.raises(BadQuestion, match="no such parameter; one of metrics, group_by"):
        source.usage({"groupby": "team"})
    with pytest.raises(BadQuestion, match="no such parameter; one of period, from"):
        source.calls({"offset": "5"})
    with pytest.raises(BadQuestion, match="cursor: not a cursor"):
        source.calls({"cursor": SQL})
    with pytest.raises(BadQuestion, match="finished_after: a past time"):
        source.calls({"finished_after": SQL})


@pytest.mark.parametrize(
    "value", [SQL, FILES, "' OR '1'='1", "\\'; --", "%", "_", "\x00", "$org", "tollkeeper_bound_x"]
)
def test_values_are_values(source: ReportSource, ledger: Ledger, value: str) -> None:
    quoted = '"' + value.replace('"', '""') + '"'
    asked = [f"team:{quoted}", f"user:{quoted}", f"tag:feature={quoted}", f"model:{quoted}"]
    for text in asked:
        assert source.usage({"filter": text})["totals"]["requests"] == 0
        assert source.calls({"filter": text})["calls"] == []
        negated = source.usage({"filter": f"-{text}"})
        assert negated["totals"]["requests"] == 2
    with pytest.raises(LookupError):
        source.call(value)
    table = ledger.entries()
    assert ledger.run(table.agg(n=table.count())) == [{"n": 3}]


# --------------------------------------------------------------------- me


def test_what_i_spent_today(ledger: Ledger) -> None:
    found = spent_today(ledger, "acme", user_id="u_1", key_id="abcdefgh", zone="UTC", now_us=NOW_US)
    assert found.cost_usd == Decimal("12.345678901")
    assert (found.requests, found.refusals, found.unpriced) == (1, 0, 0)
    assert (found.tokens_in, found.tokens_out) == (48, 14)
    by_key = spent_today(ledger, "acme", user_id="", key_id="abcdefgh", zone="UTC", now_us=NOW_US)
    assert by_key == found
    other = spent_today(ledger, "acme", user_id="", key_id="zzzzzzzz", zone="UTC", now_us=NOW_US)
    assert (other.cost_usd, other.requests) == (Decimal(0), 0)
    yesterday = spent_today(
        ledger, "acme", user_id="u_2", key_id="", zone="UTC", now_us=NOW_US - 24 * HOUR_US
    )
    assert (yesterday.cost_usd, yesterday.unpriced) == (None, 1)
    with pytest.raises(ValueError, match="whose spend"):
        spent_today(ledger, "acme", user_id="", key_id="", zone="UTC", now_us=NOW_US)
