"""``GET /api/v1/usage``: any measures of any selection, as JSON, CSV or Parquet."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, File, Question, csv_file
from tollkeeper.console.api.reading import viewer_of
from tollkeeper.console.masking import ledger_for, unranked
from tollkeeper.console.shared import Console
from tollkeeper.reports import usage as report
from tollkeeper.reports.answers import usage_columns, usage_document, usage_rows
from tollkeeper.reports.export import csv_lines
from tollkeeper.reports.parameters import usage_question
from tollkeeper.reports.questions import BadQuestion, one_of, quoted

FORMATS: Final = ("json", "csv", "parquet")
_PARQUET: Final = "application/vnd.apache.parquet"


def usage(console: Console, access: Access, question: Question) -> Answer:
    """Answer in the format that was asked for."""
    wanted = question.query.get("format", "json")
    if wanted not in FORMATS:
        raise BadQuestion("format", f"{quoted(wanted)} is none; {one_of(FORMATS)}")
    asked = usage_question(question.query, console.now_us(), console.zone)
    viewer = viewer_of(access)
    asked = unranked(console, viewer, asked)
    answer = report.usage(ledger_for(console, viewer), viewer.scope, asked)
    if wanted == "json":
        return Document(usage_document(answer))
    columns, rows = usage_columns(answer), usage_rows(answer)
    if wanted == "csv":
        return csv_file("usage", csv_lines(columns, rows))
    return File("usage.parquet", _PARQUET, console.parquet(columns, rows))
