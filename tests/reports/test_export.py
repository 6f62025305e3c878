"""Files: numbers stay numbers, texts stay texts, and nothing becomes a formula."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.reports.export import csv_lines, json_lines


def cell(value: object) -> str:
    """Write one value as CSV and read it back as a spreadsheet would."""
    text = "".join(csv_lines(["value", "after"], [{"value": value, "after": 1}]))
    (_, row) = csv.reader(io.StringIO(text, newline=""))
    assert row[1] == "1"
    return row[0]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (0, "0"),
        (-5, "-5"),
        (2**70, str(2**70)),
        (True, "true"),
        (Decimal("-0.000052000"), "-0.000052000"),
        (Decimal("1E+3"), "1000"),
        (datetime(2026, 11, 1, 12, 0, tzinfo=UTC), "2026-11-01T12:00:00Z"),
        ("plain", "plain"),
        ('with "quotes", commas\r\nand lines', 'with "quotes", commas\r\nand lines'),
        ({"a": "=1"}, '{"a": "=1"}'),
        ("", ""),
    ],
)
def test_values_are_written_plainly(value: object, written: str) -> None:
    assert cell(value) == written


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "  =1+1",
        "\ufeff=1+1",
        "\u200b=1+1",
        "\u00a0@SUM(A1)",
        "\uff1d1+1",  # full-width equals sign
        "\uff0b1",
        "\uff0d1",
        "\uff20SUM(A1)",
        "\x00=1+1",
        "\ttext",
        '=HYPERLINK("http://evil.example","open")',
        "-2+3+cmd|' /C calc'!D2",
    ],
)
def test_a_formula_is_a_text(text: str) -> None:
    assert cell(text) == "'" + text


@given(st.text(max_size=20))
def test_any_text_comes_back_with_at_most_an_apostrophe(text: str) -> None:
    found = cell(text)
    assert found in {text, "'" + text}
    assert not found.lstrip().startswith(("=", "+", "-", "@"))


def test_heads_cannot_be_formulas_either() -> None:
    (head,) = csv_lines(["tag:x", "=evil"], [])
    assert head == "tag:x,'=evil\r\n"


def test_a_missing_column_is_an_empty_cell() -> None:
    assert "".join(csv_lines(["a", "b"], [{"b": 1}])) == "a,b\r\n,1\r\n"


def test_json_lines_keep_amounts_exact() -> None:
    rows = [
        {
            "cost_usd": Decimal("12345678901234567890.123456789"),
            "at": datetime(2026, 11, 1, tzinfo=UTC),
            "tags": {"ü": "\u2028"},
            "none": None,
        }
    ]
    (line,) = json_lines(rows)
    assert line.endswith("\n")
    assert json.loads(line) == {
        "cost_usd": "12345678901234567890.123456789",
        "at": "2026-11-01T00:00:00Z",
        "tags": {"ü": "\u2028"},
        "none": None,
    }


def test_what_has_no_json_is_an_error() -> None:
    with pytest.raises(TypeError, match="no JSON for a set"):
        list(json_lines([{"a": {1}}]))
