"""The tables of docs/accuracy.md, made of one line for each recorded interaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from accuracy_lines import Line
from litellm_side import LITELLM_VERSION, Answer
from reference_elsewhere import COUNTED, EQUAL, STATED

_NANO_USD = Decimal("1e-9")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, texts: int = 1) -> str:
    """Write a Markdown table. The first ``texts`` columns hold words, the others numbers."""
    marks = ["---" if column < texts else "--:" for column in range(len(head))]
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(marks)}|"]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def summary(lines: Sequence[Line]) -> str:
    """The figures that decide, over the whole corpus."""
    carrying = [line for line in lines if line.carries_usage]
    missed = [line for line in lines if line.misses]
    read = sum(line.was_read for line in carrying)
    recounts = [line.equals_recount for line in lines]
    costs = [line.equals_reference for line in lines]
    rows = [
        ("recorded interactions", len(lines), ""),
        ("carry usage, and it was read", f"{read} of {len(carrying)}", _share(read, len(carrying))),
        _counted("quantities equal an independent recount", recounts),
        _counted("cost equals an independent reference, to the nano-dollar", costs),
        ("silent zeros", sum(line.silent_zero for line in lines), ""),
        ("misses, each listed below", len(missed), _share(len(missed), len(lines))),
    ]
    return table(("whole corpus", "records", "share"), rows)


def by_provider(lines: Sequence[Line]) -> str:
    """What became of the recordings of each provider and API."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        record = line.record
        place = str(record.row["provider"])
        groups.setdefault((place, record.api), []).append(line)
    rows = []
    for (provider, api), group in sorted(groups.items()):
        rows.append((provider, api, *_cells(group), _reasons(group)))
    rows.append(("**all**", "", *_cells(lines), ""))
    head = (
        *("provider", "API", "records", "with usage", "read", "= recount", "priced"),
        *("= reference", "not priced, why"),
    )
    return table(head, rows, texts=2).replace("--:|\n", "---|\n", 1)


def _cells(group: Sequence[Line]) -> tuple[object, ...]:
    carrying = [line for line in group if line.carries_usage]
    recounts = [line.equals_recount for line in group if line.equals_recount is not None]
    costs = [line.equals_reference for line in group if line.equals_reference is not None]
    return (
        len(group),
        len(carrying),
        sum(line.was_read for line in carrying),
        _of(recounts),
        sum(bool(line.made.parts) and line.made.nanos is not None for line in group),
        _of(costs),
    )


def _reasons(group: Sequence[Line]) -> str:
    reasons: Counter[str] = Counter()
    for line in group:
        if line.made.nanos is None:
            reasons.update(set(line.made.reasons))
    return "; ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def misses(lines: Sequence[Line]) -> str:
    """Every miss with its reason."""
    rows = [(line.record.name, "; ".join(line.misses)) for line in lines if line.misses]
    if not rows:
        return "None.\n"
    return table(("record", "what is missed"), rows, texts=2)


def references(lines: Sequence[Line]) -> str:
    """Where the references come from, and how many costs equal them."""
    rows: list[tuple[object, ...]] = []
    for how in (STATED, EQUAL, COUNTED):
        found = [line for line in lines if line.reference.how == how]
        plain = [line for line in found if not line.reference.rules]
        rows.append((how, *_reference_cells(plain)))
        rules = Counter(rule for line in found for rule in line.reference.rules)
        for rule in sorted(rules):
            group = [line for line in found if rule in line.reference.rules]
            rows.append((f"{how}, put right: {rule}", *_reference_cells(group)))
    head = ("reference", "records", "equal", "differ", "unpriced here")
    none = Counter(
        line.reference.how for line in lines if line.reference.nanos is None and line.made.parts
    )
    return (
        table(head, rows) + "\n" + table(("no reference, because", "records"), sorted(none.items()))
    )


def _reference_cells(group: Sequence[Line]) -> tuple[int, int, int, int]:
    equal = [line.equals_reference for line in group]
    return len(group), equal.count(True), equal.count(False), equal.count(None)


def side_by_side(lines: Sequence[Line]) -> str:
    """Us and LiteLLM on the records that have a reference and that LiteLLM could take in."""
    asked = [line for line in lines if line.answer is not None]
    fair = [line for line in asked if line.answer is not None and _could_answer(line.answer)]
    rows = []
    for name in [*sorted({line.record.corpus for line in fair}), ""]:
        group = [line for line in fair if name in {"", line.record.corpus}]
        ours = Counter(_verdict(line, _our_usd(line)) for line in group)
        theirs = Counter(_verdict(line, line.answer.usd) for line in group if line.answer)
        cells = [side[word] for side in (ours, theirs) for word in _VERDICTS]
        rows.append((name or "**all**", len(group), *cells))
    head = ["provider", "records"]
    head += [f"{side}: {word}" for side in ("here", "LiteLLM") for word in _VERDICTS]
    left_out = len(asked) - len(fair)
    return table(head, rows) + (
        f"\nLiteLLM {LITELLM_VERSION}. {left_out} records with a reference are left out: its code "
        "could not take the reply in, which may be the fault of how it was asked here.\n"
    )


_VERDICTS = ("right", "wrong", "silently zero", "no price")


def _verdict(line: Line, usd: Decimal | float | None) -> str:
    expected = line.reference.nanos
    assert expected is not None
    if usd is None:
        return "no price"
    difference = abs(Decimal(usd) - expected * _NANO_USD)
    if difference <= _NANO_USD:
        return "right"
    return "silently zero" if not usd else "wrong"


def _our_usd(line: Line) -> Decimal | None:
    return None if line.made.nanos is None else line.made.nanos * _NANO_USD


def _could_answer(answer: Answer) -> bool:
    return answer.usd is not None or answer.no_price


def _share(count: int, total: int) -> str:
    return f"{count / total:.2%}" if total else ""


def _of(verdicts: Sequence[bool | None]) -> str:
    known = [verdict for verdict in verdicts if verdict is not None]
    good = known.count(True)
    return str(good) if good == len(known) else f"{good} of {len(known)}"


def _counted(words: str, verdicts: Sequence[bool | None]) -> tuple[object, ...]:
    known = [verdict for verdict in verdicts if verdict is not None]
    good = known.count(True)
    return words, f"{good} of {len(known)}", _share(good, len(known))


Section = Callable[[Sequence[Line]], str]
SECTIONS: dict[str, Section] = {
    "summary": summary,
    "table": by_provider,
    "misses": misses,
    "references": references,
    "side by side": side_by_side,
}
