"""Who is who in the made-up company: teams, 120 people, their keys, 400 customers.

Made from a seed and the day on which the history ends, and from nothing else: the same
company everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Final, NamedTuple

from tollkeeper.demo.services import SERVICES, Service
from tollkeeper.demo.stories import DAY_US, Stories, stories

ORG: Final = "Meridian Freight"
DOMAIN: Final = "meridian.example"
DAYS: Final = 90
CUSTOMERS: Final = 400
SEED: Final = 7

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_ID_CHARS: Final = 8

_FIRST: Final = (
    *("Ada", "Amara", "Anton", "Bea", "Benno", "Carla", "Chidi", "Dana", "Devin", "Elif"),
    *("Emil", "Farah", "Finn", "Gia", "Goran", "Hanna", "Hugo", "Ines", "Ivo", "Jana"),
    *("Jonas", "Kaya", "Kofi", "Lena", "Liam", "Maya", "Mateo", "Nadia", "Noor", "Olive"),
    *("Oskar", "Petra", "Quinn", "Rosa", "Ravi", "Sana", "Tariq", "Uma", "Viktor", "Wanda"),
)
_LAST: Final = (
    *("Abel", "Bakker", "Costa", "Dietz", "Eriksen", "Fischer", "Garnier", "Haddad", "Ito"),
    *("Jansen", "Kovacs", "Lindqvist", "Moreau", "Novak", "Okafor", "Petit", "Quist", "Rossi"),
    *("Sato", "Tanaka", "Usman", "Varga", "Weber", "Yilmaz", "Zeller", "Brandt", "Clarke"),
)
_PLACES: Final = (
    *("Aldgate", "Bergen", "Calder", "Dover", "Elbe", "Fjord", "Granton", "Harbour", "Isar"),
    *("Jura", "Kestrel", "Lomond", "Mersey", "Nordhaven", "Oder", "Pinewood", "Quay", "Rhone"),
    *("Severn", "Tyne"),
)
_TRADES: Final = (
    *("Foods", "Textiles", "Steel", "Optics", "Garden", "Books", "Pharma", "Timber", "Toys"),
    *("Ceramics", "Electric", "Motors", "Paper", "Coffee", "Tools", "Glass", "Sports", "Wine"),
    *("Marine", "Homeware"),
)


class TeamPlan(NamedTuple):
    """A team: how many people, and which agents they use, with weights.

    ``flat_rate`` tells that these agents are signed in with the vendor's subscription.
    """

    name: str
    people: int
    agents: tuple[tuple[str, int], ...]
    parent: str = ""
    flat_rate: bool = False


TEAMS: Final = (
    TeamPlan("Engineering", 6, (("claude-code", 1),)),
    TeamPlan("Platform", 22, (("claude-code", 3), ("codex", 2)), "Engineering"),
    TeamPlan("Mobile", 16, (("claude-code", 1),), "Engineering", flat_rate=True),
    TeamPlan("Data science", 16, (("claude-code", 1),)),
    TeamPlan("Search", 14, (("codex", 3), ("opencode", 1)), flat_rate=True),
    TeamPlan("Support", 18, (("claude-code", 1),)),
    TeamPlan("Growth", 16, (("gemini-cli", 1),)),
    TeamPlan("Operations", 12, (("gemini-cli", 1),)),
)
_NEVER: Final = 0.16  # so many have an account, and never call anything
_WITHOUT_AGENTS: Final = {"Operations": 0.6, "Growth": 0.3}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody. ``agents`` are used one after the other: (tool, first day, day after the last).

    Days are those since 1970. ``weight`` is how much of the work with agents is theirs.
    ``left_day`` is when they left the company, None for most.
    """

    user_id: str
    name: str
    email: str
    team: str
    key_id: str
    agents: tuple[tuple[str, int, int], ...]
    flat_rate: bool
    weight: float
    joined_day: int
    left_day: int | None = None

    def tool_on(self, day: int) -> str:
        """Name the agent that is used on a day, "" for none."""
        for tool, first, end in self.agents:
            if first <= day < end:
                return tool
        return ""


class ServiceKey(NamedTuple):
    """An app with its key."""

    service: Service
    key_id: str


class Customer(NamedTuple):
    """An end customer: what calls name them by, and how much of the work they make."""

    name: str
    weight: float


@dataclass(frozen=True)
class Company:
    """The company on a day: ``today`` counts days since 1970, and is the history's last.

    ``leaked`` is whose key is leaked; ``second_key_id`` is the one that takes its place.
    """

    today: int
    seed: int
    people: Sequence[Person]
    services: Sequence[ServiceKey]
    customers: Sequence[Customer]
    stories: Stories
    leaked: Person
    second_key_id: str

    @property
    def first_day(self) -> int:
        return self.today - DAYS + 1


def company_of(now_us: int, seed: int = SEED) -> Company:
    """Make the company whose history ends at a moment."""
    today = now_us // DAY_US
    dice = Random(seed)
    told = stories(today)
    people = _people(dice, today, told)
    services = [ServiceKey(each, _key_id(seed, each.key_name)) for each in SERVICES]
    customers = _customers(dice)
    second = _key_id(seed, "after the leak")
    leaked = next(it for it in people if it.team == "Platform" and _uses(it, "claude-code"))
    return Company(today, seed, people, services, customers, told, leaked, second)


def _uses(person: Person, tool: str) -> bool:
    return bool(person.agents) and person.agents[0][0] == tool


def _people(dice: Random, today: int, told: Stories) -> list[Person]:
    names = [(first, last) for first in _FIRST for last in _LAST]
    dice.shuffle(names)
    found: list[Person] = []
    for plan in TEAMS:
        for number in range(plan.people):
            first, last = names[len(found)]
            email = f"{first}.{last}@{DOMAIN}".lower()
            joined = today - dice.randrange(120, 900)
            agents = _agents(dice, plan, number, today, told)
            left = told.leaver_day if number == plan.people - 1 and plan.people >= 18 else None
            found.append(
                Person(
                    user_id=f"u-{first}-{last}".lower(),
                    name=f"{first} {last}",
                    email=email,
                    team=plan.name,
                    key_id=_key_id(dice.getrandbits(32), email),
                    agents=agents,
                    flat_rate=plan.flat_rate,
                    weight=dice.lognormvariate(0, 0.7),
                    joined_day=joined,
                    left_day=left,
                )
            )
    return found


def _agents(
    dice: Random, plan: TeamPlan, number: int, today: int, told: Stories
) -> tuple[tuple[str, int, int], ...]:
    """Say which agents somebody uses, and when. The first of each team always do."""
    chosen = dice.choices([each[0] for each in plan.agents], [each[1] for each in plan.agents])[0]
    idle = dice.random() < max(_NEVER, _WITHOUT_AGENTS.get(plan.name, 0))
    begins = today - 400 if dice.random() < 0.8 else today - dice.randrange(5, 80)
    if number < 2:
        chosen, idle, begins = plan.agents[0][0], False, today - 400
    forever = today + 100_000
    if idle:
        return ()
    if plan.name == "Support":
        begins = min(begins, told.support_stops_day - 10)
        return ((chosen, begins, told.support_stops_day),)
    if plan.name == "Data science":
        moves = told.kimi_day + 3 * number  # a few each week
        begins = min(begins, moves - 5)
        return ((chosen, begins, moves), ("kimi-code", moves, forever))
    return ((chosen, begins, forever),)


def _customers(dice: Random) -> list[Customer]:
    names = [f"{place} {trade}" for place in _PLACES for trade in _TRADES]
    dice.shuffle(names)
    return [Customer(name, 1.0 / (rank + 8) ** 0.9) for rank, name in enumerate(names[:CUSTOMERS])]


def _key_id(seed: int, what: str) -> str:
    number = int.from_bytes(sha256(f"{seed} {what}".encode()).digest()[:8], "big")
    digits = []
    for _ in range(_KEY_ID_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
