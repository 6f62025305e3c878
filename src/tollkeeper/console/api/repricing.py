"""``POST /api/v1/prices/reprice``: price old calls again, one step at a time."""

from __future__ import annotations

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import check_names, viewer_of
from tollkeeper.console.shared import Console
from tollkeeper.reports.repricing import asked_step, step_document


def reprice(console: Console, access: Access, question: Question) -> Answer:
    """Price calls again, and book corrections unless it is a dry run.

    One step of at most a few thousand entries; ``next_cursor`` leads to the next one, null
    after the last. What was booked already is not booked again, so a step may be repeated.
    """
    check_names(question.query, ())
    asked = asked_step(question.body, console.now_us(), console.zone)
    repricer = console.repricer
    total = repricer.count(asked.question) if asked.first else None
    step = repricer.step(asked.question, write=not asked.dry_run, by=viewer_of(access).name)
    return Document(step_document(step, asked, total))
