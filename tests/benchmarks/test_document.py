"""Tables, and the document that is made of them."""

from __future__ import annotations

import json

import pytest

from benchmarks.figures import Bound, Target
from benchmarks.report import document, outcome
from benchmarks.tables import Findings, Table, target_table


def some_findings() -> Findings:
    table = Table(["target", "requests/s"])
    table.add("nginx", "68,143")
    return Findings(
        "plain",
        "Calls without streaming",
        tables=[("1 KB", table)],
        targets=[
            Target("speed", 0.63, Bound.AT_LEAST, 0.5, "of nginx"),
            Target("memory", 90.0, Bound.BELOW, 80, "MB"),
            Target("start", None, Bound.BELOW, 1, "s"),
        ],
        notes=["Something to know."],
        raw={"nginx": [1.0]},
    )


def test_table_is_markdown_with_numbers_to_the_right() -> None:
    table = Table(["name", "n", "m"])
    table.add("a|b", "1", "2")
    assert table.markdown() == "| name | n | m |\n| --- | ---: | ---: |\n| a\\|b | 1 | 2 |"


def test_table_refuses_a_row_of_another_width() -> None:
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        Table(["a", "b"]).add("1")


def test_targets_say_what_was_wanted_and_what_was_measured() -> None:
    lines = target_table(some_findings().targets).markdown().splitlines()
    assert lines[2:] == [
        "| speed | ≥ 0.50 of nginx | 0.63 of nginx | met |",
        "| memory | < 80 MB | 90 MB | MISSED |",
        "| start | < 1 s | n/a | not measured |",
    ]


def test_outcome_counts() -> None:
    assert outcome([some_findings()]).endswith(
        "\n\n1 of 3 targets are met, 1 missed, 1 could not be measured."
    )
    assert outcome([Findings("a", "A", targets=some_findings().targets[:1])]).endswith(
        "1 of 1 targets are met."
    )


def test_document_has_everything() -> None:
    text = document(
        [some_findings()],
        machine={"processor": "2 x something"},
        versions={"nginx": "1.22.1"},
        date="2026-11-26 12:00 UTC",
        command="python -m benchmarks",
        rounds=5,
        took_s=600,
    )
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Benchmarks",
        "## Targets",
        "## Calls without streaming",
        "### 1 KB",
        "## How this was measured",
        "## Machine and versions",
    ]
    for part in (
        "2026-11-26 12:00 UTC",
        "| nginx | 68,143 |",
        "- Something to know.",
        "over 5 rounds",
        "| processor | 2 x something |",
        "| nginx | 1.22.1 |",
        "| the run took | 10 min |",
    ):
        assert part in text


def test_document_of_a_busy_machine_says_so() -> None:
    facts = {"machine": {}, "versions": {}, "date": "today", "command": "c"}
    busy = document([], rounds=1, took_s=1, others=0.123, **facts)
    assert "had other work during this run** (12.3% of the" in busy
    assert "| other work meanwhile | 12.3% of the" in busy
    calm = document([], rounds=1, took_s=1, others=0.05, **facts)
    assert "had other work" not in calm
    assert "| other work meanwhile | 5.0% of the" in calm


def test_findings_survive_json() -> None:
    found = json.loads(json.dumps(some_findings().as_json()))
    assert [target["verdict"] for target in found["targets"]] == ["met", "MISSED", "not measured"]
    assert found["tables"][0]["rows"] == [["nginx", "68,143"]]
    assert found["raw"] == {"nginx": [1.0]}
