"""``GET /api/v1/calls`` and ``GET /api/v1/calls/{call_id}``."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question, csv_file
from tollkeeper.console.api.reading import check_names, viewer_of
from tollkeeper.console.masking import ledger_for
from tollkeeper.console.shared import Console
from tollkeeper.reports import call as call_report
from tollkeeper.reports import calls as calls_report
from tollkeeper.reports.answers import call_document, calls_document
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.export import csv_lines
from tollkeeper.reports.parameters import calls_question
from tollkeeper.reports.questions import BadQuestion, one_of, quoted

FORMATS: Final = ("json", "csv")
_NO_COLUMNS: Final = ("tags",)


def calls(console: Console, access: Access, question: Question) -> Answer:
    """List calls, newest first, page by page."""
    wanted = question.query.get("format", "json")
    if wanted not in FORMATS:
        raise BadQuestion("format", f"{quoted(wanted)} is none; {one_of(FORMATS)}")
    asked = calls_question(question.query, console.now_us(), console.zone)
    viewer = viewer_of(access)
    page = calls_report.calls(ledger_for(console, viewer), viewer.scope, asked)
    document = calls_document(page)
    headers = {}
    if page.next_cursor:
        following = urlencode({**question.query, "cursor": page.next_cursor})
        headers["Link"] = f'</api/v1/calls?{following}>; rel="next"'
    if wanted == "json":
        return Document(document, headers=headers)
    rows = document["calls"]
    columns = call_columns()
    return csv_file("calls", csv_lines(columns, rows), headers)


def call_columns() -> tuple[str, ...]:
    """List the columns of the list as a file."""
    names = [name for name in CallRow.__slots__ if name != "started_at_us"]
    return ("call_id", "started_at", *(name for name in names if name != "call_id"))


def call(console: Console, access: Access, question: Question) -> Answer:
    """Explain one call. One of another team and one that there is not look the same."""
    check_names(question.query, ())
    viewer = viewer_of(access)
    ledger = ledger_for(console, viewer)
    detail = call_report.call(ledger, viewer.scope, question.path["call_id"])
    explained = [each.explained(console.explain(each.entry)) for each in detail.entries]
    return Document(call_document(replace(detail, entries=tuple(explained))))
