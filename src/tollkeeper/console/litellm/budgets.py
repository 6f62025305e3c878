"""``/budget/new``: figures that keys to come are given."""

from __future__ import annotations

import uuid

from tollkeeper.clock import second_text
from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import check_names, viewer_of
from tollkeeper.console.litellm.bounds import make_template, read_bounds
from tollkeeper.console.litellm.fields import Fields
from tollkeeper.console.shared import Console
from tollkeeper.domain.budget_windows import ENDLESS
from tollkeeper.domain.budget_words import is_of_file
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.litellm_terms import usd_number
from tollkeeper.services import names


def new(console: Console, access: Access, question: Question) -> Answer:
    """Keep a limit under an id; each key that names it gets a budget of its own like it."""
    check_names(question.query, ())
    fields, now_us = Fields(question.body), console.now_us()
    budget_id = fields.text("budget_id") or str(uuid.uuid4())
    bounds = read_bounds(fields)
    fields.done()
    names.require_id(budget_id, "budget_id")
    if is_of_file(budget_id):
        raise BadRequest("budget_id: 'file-' begins those of tollkeeper.yaml", code="bad_field")
    if bounds.max_nanos is None:
        raise BadRequest("max_budget: a budget here is an amount", code="bad_field")
    if any(bounds.rates):
        raise BadRequest(
            "rpm_limit, tpm_limit, max_parallel_requests: give them to each key",
            code="field_not_supported",
        )
    made = make_template(console, bounds, budget_id, viewer_of(access).name, now_us)
    window = made.window
    resets_us = None if window.kind in ENDLESS else window.around(now_us).end_us
    return Document(
        {
            "budget_id": made.budget_id,
            "max_budget": usd_number(made.limit),
            "budget_duration": bounds.duration or None,
            "budget_reset_at": second_text(resets_us),
            "soft_budget": None,
            "created_at": second_text(now_us),
            "created_by": viewer_of(access).name,
            "tollkeeper_notes": fields.notes,
        }
    )
