"""One line for each recorded interaction: what was read, booked and expected, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from litellm_side import Answer, answers, question
from recorded_recounts import inclusive
from recorded_replies import STITCHED
from reference_elsewhere import Reference, reference_of
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.wire.readings import Reading
from whole_corpus import Booked, Recorded, all_records, booked, oracle_rows, read
from whole_recounts import Totals, totals_of

NOTHING = Booked(Reading(), ())
NOT_READ = (
    # What stands in a path, and what such a call is.
    ("/agents/", "an agent of Bedrock, which calls models by itself"),
    ("/guardrail/", "a guardrail's check, which uses no tokens"),
    ("/cachedContents/", "the state of a cache, made by another call"),
    ("/videos/", "the state of a video, made by another call"),
    ("googleapis.com", "the fixture has no path"),
)
_RIGHT_NANOS = Decimal(1)


@dataclass
class Line:
    """One recorded interaction. ``answer`` is LiteLLM's, where it was asked."""

    record: Recorded
    made: Booked
    totals: Totals | None
    reference: Reference
    is_free: bool
    answer: Answer | None = None

    @property
    def carries_usage(self) -> bool:
        """Tell whether the recorded reply says that something was used."""
        return _counts_something(self.record.row["usage"])

    @property
    def was_read(self) -> bool:
        return bool(self.made.parts) or self.made.reading.job is not None

    @property
    def equals_recount(self) -> bool | None:
        """Tell whether the quantities are the recounted ones; None where nobody can recount."""
        usage = self.made.reading.usage
        if usage is None or self.totals is None or usage.fault or self.record.name in STITCHED:
            return None
        together = Counter(usage.quantities)
        for component in usage.components:
            together.update(component.quantities)
        # A provider's own total is that of the call itself, or (Groq) of all models together.
        return self.totals in (inclusive(usage.quantities), inclusive(together))

    @property
    def equals_reference(self) -> bool | None:
        """Tell whether the cost is the expected one; None where either is unknown."""
        if self.made.nanos is None or self.reference.nanos is None or not self.made.parts:
            return None
        return abs(self.made.nanos - self.reference.nanos) < _RIGHT_NANOS

    @property
    def silent_zero(self) -> bool:
        """Tell whether something was used, and booked at 0 although it is not free."""
        used = any(part.quantities for part in self.made.parts)
        return used and self.made.nanos == 0 and not self.is_free

    @property
    def misses(self) -> list[str]:
        """Say what is wrong here, in words; mostly nothing."""
        found = []
        if self.carries_usage and not self.was_read:
            found.append(f"not read: {_why_unread(self.record)}")
        if self.equals_recount is False:
            found.append("other quantities than the recount")
        if self.equals_reference is False:
            found.append(f"booked {self.made.nanos}, {self.reference.how} {self.reference.nanos}")
        if self.silent_zero:
            found.append("a silent zero")
        return found


def _why_unread(record: Recorded) -> str:
    path = str(record.row["path"])
    return next((words for part, words in NOT_READ if part in path), "no reader for such a call")


def _counts_something(stated: Any) -> bool:
    if isinstance(stated, dict):
        return any(_counts_something(value) for value in stated.values())
    if isinstance(stated, list):
        return any(_counts_something(value) for value in stated)
    return isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0


def lines_of(shared: Path, book: PriceBook, each: Callable[[], None]) -> Iterator[Line]:
    """Read, book and look up every record of the corpus. ``each`` is called after each."""
    stated = oracle_rows(shared)
    for record in all_records(shared):
        yield _line(record, book, stated)
        each()


def _line(record: Recorded, book: PriceBook, stated: dict[str, dict[str, Any]]) -> Line:
    made = NOTHING
    if record.reader and record.has_answer():
        made = booked(record, read(record), book)
    if not made.parts:
        return Line(record, made, None, Reference(None, "nothing was billed"), is_free=True)
    totals = totals_of(record)
    reference = reference_of(record, made, stated)
    return Line(record, made, totals, reference, _is_free(record, made, book))


def _is_free(record: Recorded, made: Booked, book: PriceBook) -> bool:
    """Tell whether a cost of 0 is a price of 0, or what the provider itself stated."""
    usage = made.reading.usage
    if made.nanos != 0 or usage is None:
        return True
    if usage.provider_cost_nanos == 0:
        return True
    explained = book.explain(record.provider, made.model, usage, record.at_us)
    return all(line.cost is not None and not float(line.cost) for line in explained)


def questions_for_litellm(lines: list[Line]) -> list[dict[str, Any]]:
    """Put every record with a reference into words for LiteLLM."""
    asked = [line.record for line in lines if line.reference.nanos is not None]
    return [put for record in asked if (put := question(record)) is not None]


def ask_litellm(
    lines: list[Line], questions: list[dict[str, Any]], each: Callable[[], None]
) -> None:
    """Ask LiteLLM what the records cost. Raises CouldNotRun."""
    by_name = {line.record.name: line for line in lines}
    for name, answer in answers(questions):
        by_name[name].answer = answer
        each()
