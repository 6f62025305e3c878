"""How far estimates are off: recorded replies whose usage is taken out, against what it said.

Each call is settled by the gateway's own code as one whose provider said nothing. Records go by
in the order of their time, and each is learned from afterwards, as a measured call would be; what
a gateway would have estimated that had learned nothing stands beside it. Prompts with pictures,
files or the provider's own tools stand apart, and so do replies with reasoning: their size cannot
be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import NamedTuple

from accuracy_lines import Line
from accuracy_tables import table
from recorded_recounts import inclusive
from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Part
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.texts import RequestText
from tollkeeper.services.model_habits import ModelHabits
from tollkeeper.services.settlement import Ending, Hints, settle
from tollkeeper.wire.kept_requests import kept_request
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.request_text import request_text
from whole_corpus import Recorded, held_for
from without_usage import read_silenced


class Estimate(NamedTuple):
    """One reply: what it stated and what would have been estimated. None where nothing was.

    ``exchange`` is what was asked and said: many were recorded several times.
    """

    record: Recorded
    stated_in: int
    stated_out: int
    estimated_in: int | None
    estimated_out: int | None
    unseen: bool
    thought: bool
    held_out: bool
    basis: str
    unlearned_in: int | None
    unlearned_out: int | None
    exchange: tuple[str, str, str]

    @property
    def error_in(self) -> float | None:
        return _error(self.estimated_in, self.stated_in)

    @property
    def error_out(self) -> float | None:
        return _error(self.estimated_out, self.stated_out)

    @property
    def unlearned_error_in(self) -> float | None:
        return _error(self.unlearned_in, self.stated_in)

    @property
    def unlearned_error_out(self) -> float | None:
        return _error(self.unlearned_out, self.stated_out)


def _error(estimated: int | None, stated: int) -> float | None:
    return None if estimated is None or not stated else estimated / stated - 1


def estimates_of(
    lines: Iterable[Line], book: PriceBook, each: Callable[[], None]
) -> list[Estimate]:
    """Estimate every record whose usage can be taken out. ``each`` is called after each."""
    habits = ModelHabits()
    found = []
    for line in sorted(lines, key=lambda line: line.record.at_us):
        each()
        usage = line.made.reading.usage
        if usage is None or usage.fault or not line.carries_usage:
            continue
        estimate = _estimate(line, book, habits)
        if estimate is not None:
            found.append(estimate)
        output = sum(usage.quantities.get(name, 0) for name in u.OUTPUT_TOKENS)
        size = len(line.record.row["request_body"] or "")
        habits.learn(line.made.model, output, size, usage.quantities)
    return found


def _estimate(line: Line, book: PriceBook, habits: ModelHabits) -> Estimate | None:
    record, usage = line.record, line.made.reading.usage
    assert usage is not None
    reading = read_silenced(record)
    if reading.usage is not None:
        return None  # counted by the piece, or elsewhere
    body = (record.row["request_body"] or "").encode()
    asked = request_text(body) if body else None
    kept_body = kept_request(body)
    kept = request_text(kept_body) if kept_body else None
    part = _booked(line, reading, kept, habits, book)
    bare = _booked(line, reading, kept, ModelHabits(), book)
    stated = inclusive(usage.quantities)
    made, unlearned = inclusive(part.quantities), inclusive(bare.quantities)
    return Estimate(
        record,
        stated["in"],
        stated["out"],
        made["in"] if asked is not None else None,
        made["out"] if reading.output_bytes else None,
        asked is not None and asked.unseen > 0,
        stated["thought"] > 0,
        int(str(record.row["sha"])[:8], 16) % 2 == 1,
        part.basis,
        unlearned["in"] if asked is not None else None,
        unlearned["out"] if reading.output_bytes else None,
        (line.made.model, body.decode(), getattr(reading.output_bytes, "sample", "")),
    )


def _booked(
    line: Line, reading: Reading, asked: RequestText | None, habits: ModelHabits, book: PriceBook
) -> Part:
    """Settle a call whose reply said nothing, with what was learned of its model so far."""
    record, model = line.record, line.made.model
    body_bytes = len((record.row["request_body"] or "").encode())
    held = held_for(record, line.made.reading.usage)
    held = held._replace(prompt_bytes=body_bytes, output_tokens=habits.expected(model, None))
    held = held._replace(profile=held.profile._replace(model=model))
    hints = Hints(asked, habits.bytes_per_token(model), habits.hidden_tokens(model))
    ending = Ending(200, Outcome.OK, 0, output_bytes=reading.output_bytes, hints=hints)
    return settle(held, ending, book).parts[0]


def errors_of(estimates: Sequence[Estimate], of: Callable[[Estimate], float | None]) -> str:
    """Write how many there are, the median error and the bias: "12: 3.4 %, -0.5 %"."""
    errors = [error for one in estimates if (error := of(one)) is not None]
    if not errors:
        return ""
    return f"{len(errors)}: {typical(errors):.1%}, {median(errors):+.1%}"


def typical(errors: Iterable[float | None]) -> float:
    """Give the median size of the errors that are known."""
    return median(abs(error) for error in errors if error is not None)


def table_of_errors(estimates: Sequence[Estimate]) -> str:
    """Write the errors of streams and of plain replies, for each kind of call."""
    parts = []
    for streamed, name in ((True, "streams"), (False, "plain replies")):
        group = [one for one in estimates if one.record.streamed is streamed]
        rows = [(f"**all {name}**", *_cells(group))]
        together = (
            errors_of(group, lambda one: one.error_out),
            errors_of(group, lambda one: one.error_in),
        )
        unlearned = (
            errors_of(group, lambda one: one.unlearned_error_out),
            errors_of(group, lambda one: one.unlearned_error_in),
        )
        rows.append((f"**{name}, seen or not, together**", together[0], "", together[1], ""))
        once = list({one.exchange: one for one in group}.values())
        rows.append(
            (
                "the same, each exchange once",
                errors_of(once, lambda one: one.error_out),
                "",
                errors_of(once, lambda one: one.error_in),
                "",
            )
        )
        rows.append(("the same, with nothing learned before", unlearned[0], "", unlearned[1], ""))
        half = [one for one in group if one.held_out]
        rows.append((f"half of the {name}, by digest", *_cells(half)))
        for reader in sorted({one.record.reader for one in group}):
            cells = _cells([one for one in group if one.record.reader == reader])
            if any(cells):
                rows.append((reader, *cells))
        parts.append(table(_HEAD, rows, texts=len(_HEAD)))
    return "\n".join(parts)


_HEAD = (
    "kind of call",
    "output",
    "output with reasoning",
    "input",
    "input with pictures, files or the provider's tools",
)


def _cells(group: Sequence[Estimate]) -> tuple[str, ...]:
    return (
        errors_of([one for one in group if not one.thought], lambda one: one.error_out),
        errors_of([one for one in group if one.thought], lambda one: one.error_out),
        errors_of([one for one in group if not one.unseen], lambda one: one.error_in),
        errors_of([one for one in group if one.unseen], lambda one: one.error_in),
    )


def all_are_marked(estimates: Sequence[Estimate]) -> bool:
    """Tell whether no estimate would be shown as measured."""
    allowed = {Basis.ESTIMATED, Basis.UNPRICED}
    return all(one.basis in allowed for one in estimates)
