"""A digest as plain text, for whoever reads mail without HTML, and in short for chats."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from tollkeeper.console.digests.content import Digest, Row, Section
from tollkeeper.domain.deliveries import TEXT_CHARS_MAX

CHAT_ROWS_MAX: Final = 5
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "RLE", "RLO", "RLI"})
_APART: Final = "\N{FIRST STRONG ISOLATE}"
_END: Final = "\N{POP DIRECTIONAL ISOLATE}"
_CHAT_CHARS_MAX: Final = TEXT_CHARS_MAX - 200


def text_of(digest: Digest) -> str:
    """Write all of it, every figure and every address."""
    lines = [f"{digest.about}: {digest.when} ({digest.zone})", ""]
    lines += [_headline(digest), ""]
    for section in digest.sections:
        lines += [*_section(section), ""]
    lines += [f"{link.text}: {link.href}" for link in digest.links]
    return "\n".join(lines) + "\n"


def chat_of(digest: Digest) -> tuple[str, str]:
    """Give the title and the text of a chat: the figures, and of each list the first few."""
    lines = [f"{digest.when} ({digest.zone})", _headline(digest)]
    for section in digest.sections:
        if section.chart is not None:
            continue
        lines += ["", section.title]
        most = None if section.whole else CHAT_ROWS_MAX
        lines += [_chat_row(section, row) for row in section.rows[:most]]
        if not section.rows:
            lines.append(section.nothing)
    text = "\n".join(lines)
    if len(text) > _CHAT_CHARS_MAX:
        text = text[: _CHAT_CHARS_MAX - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return digest.subject, text


def apart(text: str) -> str:
    """Keep a name that runs from right to left from turning the figures beside it."""
    if any(unicodedata.bidirectional(it) in _RIGHT_TO_LEFT for it in text):
        return f"{_APART}{text}{_END}"
    return text


def _headline(digest: Digest) -> str:
    if digest.is_empty:
        return "Nothing was spent, neither in this week nor in the one before."
    return f"{digest.headline.cost}: {digest.headline.versus}."


def _section(section: Section) -> Iterator[str]:
    yield section.title.upper()
    if section.chart is not None:
        yield section.chart.picture.alt
    if section.rows:
        yield from _table(section.head, section.rows)
    elif section.nothing:
        yield section.nothing
    if section.note:
        yield section.note
    if section.link is not None:
        yield f"{section.link.text}: {section.link.href}"


def _table(head: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """Write rows under each other, figures to the right; the address of a row stands below it."""
    texts = [
        list(head),
        *([apart(row.cells[0].text), *(it.text for it in row.cells[1:])] for row in rows),
    ]
    widths = [max(len(each[column]) for each in texts) for column in range(len(head))]
    for each in texts:
        name = each[0].ljust(widths[0])
        rest = (text.rjust(width) for text, width in zip(each[1:], widths[1:], strict=True))
        yield "  ".join((name, *rest)).rstrip()


def _chat_row(section: Section, row: Row) -> str:
    """Write a row in one line: its name, and each figure by its column's name."""
    figures = (
        f"{title.lower()} {cell.text}"
        for title, cell in zip(section.head[1:], row.cells[1:], strict=True)
        if cell.text
    )
    return f"\N{BULLET} {apart(row.cells[0].text)}: {', '.join(figures)}"
