"""A ledger with everything in it that makes sums go wrong, and plain SQL that sums it up again.

The SQL is written by hand against the file's tables, and knows nothing of the reports.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb

from arbitrary_entries import taken_back
from ledger_entries import new_id
from tollkeeper.domain.ledger import TOKEN_FIELDS, Basis, LedgerEntry, Outcome

ZONES = {
    "UTC": ["2026-09-01", "2026-12-31"],
    "America/New_York": ["2026-03-08", "2026-11-01"],  # days of 23 and of 25 hours
    "Europe/Berlin": ["2026-03-29", "2026-10-25"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],  # half an hour
    "Asia/Kolkata": ["2026-11-01"],
}
"""Where clocks hang, and days there at whose borders things happen."""

NOW_US = 1_795_000_000_000_000
"""A Wednesday afternoon of November 2026."""

_DAY_US = 86_400_000_000
_AMOUNTS = ("cost_nanos", "list_cost_nanos", "saved_nanos")
HOSTILE = ("<script>alert(1)</script>", "=cmd|'/c calc'!A0", '"; DROP TABLE entries; --', "a,b:c")
VALUES: Mapping[str, Sequence[str]] = {
    "team": ["core", "other", 'r&d, "x"', "", *HOSTILE[:2]],
    "user": ["alice@acme.com", "mallory@acme.com", ""],
    "key": ["k1", "key k2", ""],
    "model": ["gpt-4o", "claude", "fast", *HOSTILE],
    "provider": ["openai", "anthropic", "mistral", "google", "xai", "groq", "azure", "bedrock"],
    "tool": ["claude-code", "codex", "", HOSTILE[3]],
    "session": ["s1", "s2", ""],
    "customer": ["c1", "\u202eevil\u2066", ""],
    "streamed": ["true", "false"],
    "status": ["200", "429", "500"],
    "outcome": [Outcome.OK, Outcome.REFUSED, Outcome.UPSTREAM_ERROR, Outcome.DISCONNECTED],
    "basis": list(Basis),
    "weekday": ["1", "3", "7"],
    "hour_of_day": ["0", "2", "11"],
    "tag:feature": ["chat", "search", HOSTILE[1], ""],
    "tag:Team_2": ["x", ""],
}
"""What filters ask for, by dimension; "" finds entries that have none."""

_MODEL = "CASE WHEN model_served = '' THEN model_requested ELSE model_served END"
_COLUMNS: Mapping[str, str] = {
    "team": "team",
    "user": "user_id",
    "key": "key_id",
    "model": _MODEL,
    "provider": "provider",
    "tool": "tool",
    "session": "session_id",
    "customer": "end_customer",
    "streamed": "streamed::VARCHAR",
    "status": "status::VARCHAR",
    "outcome": "outcome",
    "basis": "basis",
    "tag:feature": "coalesce(tags['feature'], '')",
    "tag:Team_2": "coalesce(tags['Team_2'], '')",
    "weekday": "isodow(timezone('{zone}', timezone('UTC', started_at)))::VARCHAR",
    "hour_of_day": "hour(timezone('{zone}', timezone('UTC', started_at)))::VARCHAR",
}


def entries(seed: int, people: Mapping[str, str], count: int) -> list[LedgerEntry]:
    """Make attempts with their further models and corrections. ``people`` maps ids to names."""
    chance = random.Random(seed)
    found: list[LedgerEntry] = []
    for _ in range(count):
        call = _attempt(chance, people)
        calls = [call]
        if chance.random() < 0.15:
            again = call._replace(entry_id=new_id(), attempt=2, **_cost(chance, call.outcome))
            calls.append(again)
        for each in list(calls):
            if chance.random() < 0.15:  # a further model that the same request billed
                model = chance.choice(VALUES["model"])
                calls.append(each._replace(part=1, model_served=model, **_cost(chance, Outcome.OK)))
        for each in calls:
            found += [each, *_corrections(chance, each)]
    chance.shuffle(found)
    return found


def _attempt(chance: random.Random, people: Mapping[str, str]) -> LedgerEntry:
    user = chance.choice([*people, ""])
    identifier = new_id()
    outcome = chance.choice([*[Outcome.OK] * 6, *VALUES["outcome"]])
    key = chance.choice(["k1", "k2", ""])
    return LedgerEntry(
        entry_id=identifier,
        call_id=identifier,
        started_at_us=_moment(chance),
        org=chance.choice(["acme"] * 9 + ["elsewhere"]),
        team=chance.choice(VALUES["team"]),
        user_id=user,
        user_name=user and people[user],
        key_id=key,
        key_name=chance.choice([key and f"key {key}", ""]),
        session_id=chance.choice(VALUES["session"]),
        end_customer=chance.choice(VALUES["customer"]),
        tool=chance.choice(VALUES["tool"]),
        provider=chance.choice(VALUES["provider"]),
        model_requested="fast",
        model_served="" if outcome == Outcome.REFUSED else chance.choice(VALUES["model"]),
        streamed=chance.random() < 0.5,
        status=int(chance.choice(VALUES["status"])),
        outcome=outcome,
        duration_ms=chance.randrange(5_000),
        tags={
            name: value
            for name in ("feature", "Team_2")
            if (value := chance.choice(VALUES[f"tag:{name}"]))
        },
        repeats=chance.choice([0, 0, 7]) if outcome == Outcome.REFUSED else 0,
        **_cost(chance, outcome),
    )


def _cost(chance: random.Random, outcome: str) -> dict[str, Any]:
    """Give a basis with the amounts and tokens that such an entry has."""
    tokens = {
        "input_tokens": chance.randrange(2_000),
        "cache_read_tokens": chance.choice([0, 0, 900, 2**58]),
        "output_tokens": chance.randrange(900),
        "reasoning_tokens": chance.choice([0, 5]),
    }
    if outcome == Outcome.REFUSED:
        return {"basis": Basis.MEASURED, "cost_nanos": 0, "list_cost_nanos": 0}
    basis = chance.choice([*[Basis.MEASURED] * 5, *Basis])
    nanos = chance.choice([1, 208_000, chance.randrange(10**7), chance.randrange(10**15)])
    listed = chance.choice([nanos, None])
    if basis == Basis.UNPRICED:
        return tokens | {"basis": basis, "unpriced_reason": "unknown_model"}
    if basis in {Basis.FLAT_RATE, Basis.CACHED}:
        return tokens | {"basis": basis, "cost_nanos": 0, "list_cost_nanos": listed}
    saved = chance.choice([None, 0, 77])
    return tokens | {
        "basis": basis,
        "cost_nanos": nanos,
        "list_cost_nanos": listed,
        "saved_nanos": saved,
    }


def _corrections(chance: random.Random, entry: LedgerEntry) -> list[LedgerEntry]:
    """Book an entry anew, once or twice, some of the time: each time in a pair."""
    found: list[LedgerEntry] = []
    standing = entry
    times = 0 if entry.outcome == Outcome.REFUSED else chance.choice([0, 0, 0, 1, 2])
    for revision in range(1, times + 1):
        pair = standing._replace(
            corrects=entry.entry_id, revision=revision, corrected_at_us=NOW_US, repeats=0
        )
        back = pair._replace(
            entry_id=new_id(),
            sign=-1,
            **{name: -getattr(pair, name) for name, _ in TOKEN_FIELDS},
            **{name: taken_back(getattr(pair, name)) for name in _AMOUNTS},
        )
        standing = pair._replace(
            entry_id=new_id(),
            basis=Basis.MEASURED,
            unpriced_reason="",
            cost_nanos=chance.randrange(10**10),
            model_served=pair.model_served and chance.choice([pair.model_served, "gpt-4o"]),
        )
        found += [back, standing]
    return found


def _moment(chance: random.Random) -> int:
    """Give a past moment: this month, some time this year, or just around a border of days."""
    place = chance.random()
    if place < 0.35:
        return NOW_US - 1 - chance.randrange(40 * _DAY_US)
    if place < 0.5:
        return NOW_US - 1 - chance.randrange(260 * _DAY_US)
    zone = chance.choice(list(ZONES))
    day = datetime.fromisoformat(chance.choice(ZONES[zone])).replace(tzinfo=ZoneInfo(zone))
    hours = chance.choice([0, 0, 1, 2, 3, 24, -24])
    at = day.astimezone(UTC).timestamp() * 1_000_000 + hours * 3_600_000_000
    return min(NOW_US - 1, int(at) - chance.choice([0, 1]))


# --------------------------------------------------------------------- summed up again


class Facts(NamedTuple):
    """What plain SQL says. Money is USD, None where there are entries and no cost is known."""

    cost: Decimal | None
    listed: Decimal | None
    requests: int
    refusals: int
    calls: int
    tokens_in: int
    tokens_out: int
    unpriced: int
    estimated: Decimal

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    @property
    def known(self) -> Decimal:
        """Give the cost as far as it is known."""
        return self.cost or Decimal(0)


class Wanted(NamedTuple):
    """A filter: entries whose dimension has one of the values, or none of them."""

    dimension: str
    values: tuple[str, ...]
    negated: bool = False

    @property
    def text(self) -> str:
        """Write it as people do, every value in quotes."""
        sign, mark = "-" * self.negated, "=" if self.dimension.startswith("tag:") else ":"
        quoted = [value.replace('"', '""') for value in self.values]
        return ",".join(f'{sign}{self.dimension}{mark}"{value}"' for value in quoted)


class Recount:
    """Sums up a copy of a ledger's file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def facts(
        self,
        viewer: str,
        start_us: int,
        end_us: int,
        filters: Sequence[Wanted] = (),
        zone: str = "UTC",
    ) -> Facts:
        """Sum up a stretch of time. ``viewer`` is a condition in SQL, clocks hang in ``zone``."""
        where = [
            "org = 'acme'",
            viewer,
            f"started_at >= make_timestamp({start_us})",
            f"started_at < make_timestamp({end_us})",
        ]
        values: list[str] = []
        for each in filters:
            slots = ", ".join("?" * len(each.values))
            holds = f"{_COLUMNS[each.dimension].format(zone=zone)} IN ({slots})"
            values += each.values
            if each.dimension in {"user", "key"}:  # people write names
                name = f"{each.dimension}_name"
                holds = f"({holds} OR ({name} <> '' AND {name} IN ({slots})))"
                values += each.values
            where.append(f"NOT ({holds})" if each.negated else holds)
        query = f"""
            SELECT CASE WHEN sum(sign) = 0 OR count(*) = 0 THEN coalesce(sum(cost_usd), 0)
                        ELSE sum(cost_usd) END,
                   CASE WHEN sum(sign) = 0 OR count(*) = 0 THEN coalesce(sum(list_cost_usd), 0)
                        ELSE sum(list_cost_usd) END,
                   coalesce(sum(requests), 0), coalesce(sum(refusals), 0),
                   coalesce(sum(requests) FILTER (attempt = 1), 0),
                   coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0),
                   coalesce(sum(unpriced), 0),
                   coalesce(sum(cost_usd) FILTER (basis = 'estimated'), 0)
            FROM entries WHERE {" AND ".join(where)}
        """  # noqa: S608 - names of this module
        row = self._connection.execute(query, values).fetchall()[0]
        return Facts(*row[:2], *(int(count) for count in row[2:8]), row[8])


@contextmanager
def recount(ledger: Path, folder: Path) -> Iterator[Recount]:
    """Open a copy of a ledger's file, into which everything was written out."""
    twin = folder / "twin.duckdb"
    shutil.copy(ledger, twin)
    with duckdb.connect(str(twin), read_only=True) as connection:
        yield Recount(connection)
