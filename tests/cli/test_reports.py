"""``tollkeeper spend`` and ``tollkeeper calls`` on a real ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from typer import Typer
from typer.testing import CliRunner

from command_line import Ended
from ledger_entries import START_US, ledger_entry
from ledgers import open_duckdb
from tollkeeper.cli import calls, spend
from tollkeeper.domain.access import Scope
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.domain.explanation import Explanation
from tollkeeper.domain.ledger import Basis, LedgerEntry
from tollkeeper.domain.pricing import PriceLine
from tollkeeper.ports import Ledger, Position, ReportSource
from tollkeeper.reports.source import LedgerReports

NOW_US = START_US + 3_600_000_000


class Opened(NamedTuple):
    ledger: Ledger
    source: ReportSource

    def run(self, app: Typer, *arguments: str) -> Ended:
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def spend(self, *arguments: str) -> Ended:
        return self.run(spend.commands(self.open), *arguments)

    def calls(self, *arguments: str) -> Ended:
        return self.run(calls.commands(self.open), *arguments)

    @contextmanager
    def open(self, data: Path | None) -> Iterator[ReportSource]:
        yield self.source


def explain(entry: LedgerEntry) -> Explanation:
    lines = [PriceLine("input", entry.input_tokens, "input", "2", 10**6, "0.000096")]
    return Explanation(lines, "genai-prices", "agreed")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    ledger = open_duckdb(tmp_path)
    yield Opened(ledger, LedgerReports(ledger, Scope("acme"), lambda: NOW_US, explain=explain))
    ledger.close()


@pytest.fixture
def busy(opened: Opened) -> Opened:
    opened.ledger.append(
        [
            ledger_entry(entry_id="a", call_id="call-a", cost_nanos=1_234_000_000_000, team="core"),
            ledger_entry(started_at_us=START_US + 1, cost_nanos=52_000, basis=Basis.ESTIMATED),
            ledger_entry(
                started_at_us=START_US + 2,
                cost_nanos=None,
                basis=Basis.UNPRICED,
                unpriced_reason="unknown_model",
                model_served="evil\x1b[31m",
                team="",
            ),
        ],
        Position("a", 1),
    )
    return opened


# --------------------------------------------------------------------- spend


def test_spend_shows_groups_totals_and_how_far_they_can_be_trusted(busy: Opened) -> None:
    done = busy.spend("--by", "team,user", "--since", "7d")
    assert done.code == 0
    lines = done.out.splitlines()
    assert "alice@acme.com (u_1)" in lines[3]
    assert "$1,234" in lines[3]
    assert any("(none)" in line and "—" in line for line in lines)
    assert any(line.startswith("│ Total") and "$1,234" in line for line in lines)
    assert lines[-3] == "2026-09-15 00:00 to 2026-09-22 00:00, UTC"
    assert lines[-2] == "estimated: <1% of the cost, 33% of the requests"
    assert lines[-1].startswith("unpriced: 1 call, 62 tokens; their cost is unknown and in no sum")


def test_spend_as_json_is_the_apis_answer(busy: Opened) -> None:
    done = busy.spend(
        "--by", "day,team", "--since", "2026-09-01", "--until", "2026-09-30", "--json"
    )
    assert done.json() == busy.source.usage(
        {
            "group_by": "day,team",
            "metrics": spend.DEFAULT_METRICS,
            "from": "2026-09-01",
            "to": "2026-09-30",
            "tz": "UTC",
            "limit": "100",
        }
    )


def test_spend_without_groups_is_one_row(busy: Opened) -> None:
    done = busy.spend("--by", "", "--metrics", "requests,error_rate,duration_p95_ms")
    assert done.code == 0
    (row,) = [line for line in done.out.splitlines() if line.startswith("│")]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["3", "0%", "120 ms", "1"]


def test_spend_filters_may_be_given_several_times(busy: Opened) -> None:
    done = busy.spend("--filter", "team:core", "--filter", "basis:estimated", "--json")
    assert done.json()["totals"]["requests"] == 1


def test_a_limit_is_told(busy: Opened) -> None:
    done = busy.spend("--by", "model", "--limit", "1")
    assert done.out.splitlines()[-1] == "only the first 1 rows; the totals are of all"


def test_nothing_spent_is_said_in_words(opened: Opened) -> None:
    done = opened.spend()
    assert done.code == 0
    assert done.out.startswith("Nothing was spent in this period")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--by", "color"), "'color' is no dimension"),
        (("--since", "whenever"), "'whenever' is none"),
        (("--since", "30d", "--until", "2026-09-01"), "--until needs a date"),
        (("--tz", "Mars"), "not an IANA time zone"),
        (("--filter", "nonsense"), "terms are dimension:value"),
    ],
)
def test_a_question_that_cannot_be_understood_is_wrong_usage(
    opened: Opened, arguments: tuple[str, ...], words: str
) -> None:
    done = opened.spend(*arguments)
    assert done.code == 2
    assert words in " ".join(done.err.replace("│", " ").split())


# --------------------------------------------------------------------- calls


def test_calls_are_listed_newest_first(busy: Opened) -> None:
    done = busy.calls()
    assert done.code == 0
    rows = [line for line in done.out.splitlines() if line.startswith("│")]
    assert len(rows) == 3
    assert "—" in rows[0]
    assert "~$0.000052" in rows[1]
    assert "$1,234.00" in rows[2]
    assert "call-a" in rows[2]
    assert "\x1b" not in done.out
    assert "evil\\u001b[31m" in rows[0]


def test_calls_as_json_are_the_apis_answer(busy: Opened) -> None:
    done = busy.calls("--filter", "team:core", "--json")
    assert done.json() == busy.source.calls({"filter": "team:core", "tz": "UTC", "limit": "50"})


def test_no_calls_are_said_in_words(opened: Opened) -> None:
    assert opened.calls().out == f"{calls.NOTHING}\n"


def test_one_call_is_explained(busy: Opened) -> None:
    done = busy.calls("show", "call-a", "--tz", "Europe/Berlin")
    assert done.code == 0
    text = done.out
    assert "Started      2026-09-21 16:13:20.000000 CEST" in text
    assert "User         alice@acme.com (u_1)" in text
    assert "Attempt 1: openai gpt-4.1-2025-04-14 (asked for gpt-4.1): ok 200" in text
    assert "the provider's usage times the price book" in text
    (line,) = [line for line in text.splitlines() if line.startswith("│ input")]
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "input",
        "48",
        "$2",
        "1,000,000",
        "$0.000096",
    ]
    assert busy.calls("show", "call-a", "--json").json() == busy.source.call("call-a")


def test_an_unpriced_call_says_why(busy: Opened) -> None:
    (row,) = busy.source.calls({"filter": "basis:unpriced"})["calls"]
    done = busy.calls("show", row["call_id"])
    assert "Basis        unknown (unknown_model)" in done.out


def test_attempts_parts_and_corrections_are_told_apart(opened: Opened) -> None:
    first = ledger_entry(call_id="c", outcome="upstream_error", status=500, error_code="overloaded")
    second = ledger_entry(entry_id="e2", call_id="c", attempt=2, cost_nanos=100)
    opened.ledger.append(
        [
            first._replace(cost_nanos=0),
            second,
            second._replace(entry_id="e2.1", part=1, model_served="judge"),
            second._replace(entry_id="fix", corrects="e2", cost_nanos=-40),
        ],
        Position("a", 1),
    )
    text = opened.calls("show", "c").out
    assert "Attempt 1: openai gpt-4.1-2025-04-14 (asked for gpt-4.1): upstream_error 500" in text
    assert "overloaded" in text
    assert "Attempt 2, model 2: openai judge" in text
    assert "Correction of e2: -$0.00000004" in text
    assert "Together     $0.00000016" in text


def test_an_unknown_call_is_a_failure(opened: Opened) -> None:
    with pytest.raises(TollkeeperError, match="no such call"):
        opened.calls("show", "nope")


def test_following_gives_every_call_once_as_it_ends(busy: Opened) -> None:
    late = ledger_entry(
        entry_id="late", call_id="late", started_at_us=NOW_US - 900_000_000, duration_ms=900_000
    )
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        busy.ledger.append([late], Position("a", 2))

    rows = calls.follow_calls(busy.source, {"limit": "2"}, now_us=lambda: NOW_US, pause=pause)
    found = [row["call_id"] for row in islice(rows, 3)]
    assert found[-1] == "late"
    assert len(set(found)) == 3
    assert pauses == [calls.POLL_S]


def test_what_is_followed_is_printed_line_by_line(
    busy: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = busy.source.calls({})["calls"]

    def interrupted() -> Iterator[dict[str, object]]:
        yield from rows
        raise KeyboardInterrupt

    calls.print_following(interrupted(), {"tz": "UTC"}, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Time")
    assert len(lines) == 4
    calls.print_following(interrupted(), {}, as_json=True)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows
