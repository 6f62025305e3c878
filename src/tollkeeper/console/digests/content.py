"""A digest as it is before it becomes a mail or a text: a headline, and sections of rows.

Every way of writing it walks through the same sections, so none leaves a figure out. Names that
people chose are made harmless here, once: one line, nothing unseen, not too long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from tollkeeper.console.colours import ColourBook
from tollkeeper.console.links import Links
from tollkeeper.domain.access import Scope
from tollkeeper.domain.adoption import Publication
from tollkeeper.domain.digests import Week
from tollkeeper.domain.mails import Picture
from tollkeeper.ports import Ledger, Store
from tollkeeper.reports import formatting
from tollkeeper.reports.comparison import Comparison
from tollkeeper.reports.digest import WeekSpend
from tollkeeper.services.digests import Audience

NAME_CHARS_MAX: Final = 60

Tone = Literal["", "good", "bad", "warn"]


class Sources(NamedTuple):
    """What digests are put together from. ``address`` is where our pages are.

    ``adoption`` gives the last count of who uses what, in weeks of ``adoption_zone``.
    """

    org: str
    address: str
    ledger: Ledger
    store: Store
    adoption: Callable[[], Publication]
    adoption_zone: str
    colours: ColourBook
    now_us: Callable[[], int]


class Link(NamedTuple):
    """Words that lead to one of our pages."""

    text: str
    href: str


class Cell(NamedTuple):
    """One cell. The first of a row is its name; the others stand to the right."""

    text: str
    href: str = ""
    tone: Tone = ""


class Row(NamedTuple):
    """One row. ``swatch`` is the ``cid`` of its colour in the picture, "" without one."""

    cells: tuple[Cell, ...]
    swatch: str = ""
    is_total: bool = False


class Chart(NamedTuple):
    """A picture with what is written beside it: the amount at its top, a name for each day."""

    picture: Picture
    top: str
    days: tuple[str, ...]


class Section(NamedTuple):
    """A part of a digest. ``nothing`` is said where there are no rows; ``note`` below them.

    Of a section that is ``whole`` chats get all rows, of others the first few.
    """

    title: str
    head: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    nothing: str = ""
    note: str = ""
    chart: Chart | None = None
    link: Link | None = None
    whole: bool = False


class Headline(NamedTuple):
    """What the week cost, and how that compares."""

    cost: str
    versus: str
    tone: Tone
    short: str


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything that one digest says.

    ``about`` names whom it is about; ``pictures`` are all that its sections refer to.
    ``is_empty`` tells that nothing was called in this week nor in the one before.
    """

    week: Week
    zone: str
    audience: Audience
    about: str
    when: str
    spend: WeekSpend
    headline: Headline
    sections: tuple[Section, ...]
    links: tuple[Link, ...]
    pictures: tuple[Picture, ...]
    is_empty: bool

    @property
    def subject(self) -> str:
        """Give the subject: one line, however anybody is called."""
        if self.is_empty:
            return f"{self.about}: nothing was spent in week {self.week.number}"
        return f"{self.about}: {self.headline.cost} in week {self.week.number}, " + (
            self.headline.short
        )


class Places(NamedTuple):
    """Addresses in full. ``links`` are about the week."""

    address: str
    links: Links
    before: Links

    def at(self, path: str) -> str:
        """Give the address of a path of ours."""
        return f"{self.address}{path}"


def scope_of(org: str, audience: Audience) -> Scope:
    """Say what of the ledger an audience sees: its teams, or the company."""
    return Scope(org, audience.teams)


def called(name: str, otherwise: str = "", most: int = NAME_CHARS_MAX) -> str:
    """Make a name harmless: one line of what can be seen, cut where it is too long."""
    clean = "".join(it if it.isprintable() else " " for it in name)
    clean = " ".join(clean.split())
    if len(clean) > most:
        clean = clean[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return clean or otherwise


def headline_of(compared: Comparison) -> Headline:
    """Write the cost, and how it compares with the week before."""
    change = compared.change
    words = formatting.change(change.ratio, now=change.now, before=change.before)
    before = formatting.money_tile(change.before)
    match words.direction:
        case "up" | "down":
            more = "more" if words.direction == "up" else "less"
            amount = formatting.money_tile(abs(change.amount or Decimal(0)))
            versus = f"{amount} ({words.text}) {more} than the week before, which cost {before}"
        case "flat":
            versus = f"as much as the week before, which cost {before}"
        case "new":
            versus = "nothing was spent the week before"
        case _:
            versus = "it cannot be compared with the week before: some cost is unknown"
    tone: Tone = "bad" if words.direction == "up" else "good" if words.direction == "down" else ""
    return Headline(formatting.money_tile(change.now), versus, tone, words.words)


def tone_of(direction: str, more_is_worse: bool | None) -> Tone:
    """Say whether a change is good news: of a cost that fell, for example."""
    if more_is_worse is None or direction not in {"up", "down"}:
        return ""
    return "bad" if (direction == "up") == more_is_worse else "good"


def arrow(change: formatting.ChangeText) -> str:
    """Write a change with the arrow of its direction: ``↑ 17%``."""
    mark = {"up": "\N{UPWARDS ARROW} ", "down": "\N{DOWNWARDS ARROW} "}.get(change.direction, "")
    return mark + change.text
