"""Calls whose provider stated its own cost, held against the price book: equal, or why not.

The statements are read from the recordings' own index, not by our readers. Each difference
must be explained by a rule that checks its arithmetic.

Run as a program it writes the table of docs/accuracy-oracle.md:
`.venv/bin/python tests/oracle_rows.py ../shared docs/accuracy-oracle.md`
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from ledger_entries import held_call, profile
from recorded_replies import COMPATIBLE, CORPORA, Record, read_reply, records
from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Part
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.services.settlement import Ending, settle

HOSTS = {
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
    "api.perplexity.ai": "perplexity",
    "openai-compatible.local": "xai",  # a fixture that has blotted the host out
}
MADE_UP = {"xai-responses-742aaef3aef33b33", "xai-responses-9aa7912ead21bff8"}
"""Fixtures written by hand: ticks of 123456, at a time before the model."""

BEGIN, END = "<!-- oracle -->\n", "<!-- end of oracle -->\n"
_THOUSANDTH_OF_A_CENT = 10_000  # in nano-dollars


@dataclass(frozen=True)
class Row:
    """One call: what its provider stated, and what we make of it."""

    record: Record
    stated_usd: Decimal
    counted: dict[str, Any]
    book: PriceBook

    @property
    def provider(self) -> str:
        if self.record.row["host"] == "api.openai.com":
            return "openrouter"  # the recorder has put another host in its place
        return HOSTS[self.record.row["host"]]

    @property
    def model(self) -> str:
        return self.usage.model or str(self.record.row["req_model"] or "")

    @property
    def stated_nanos(self) -> int:
        return int(self.stated_usd.scaleb(9).to_integral_value(ROUND_HALF_EVEN))

    @cached_property
    def usage(self) -> Usage:
        usage = read_reply(self.record).usage
        assert usage is not None, self.record.name
        return usage

    @cached_property
    def part(self) -> Part:
        return self.settled(self.usage)

    def settled(self, usage: Usage) -> Part:
        """Give what is booked for a usage of this call."""
        asked = str(self.record.row["req_model"] or usage.model)
        caller = profile(price_provider=self.provider, model=asked)
        held = held_call(profile=caller, started_at_us=self.record.at_us)
        return settle(held, Ending(200, Outcome.OK, 1, usage=usage), self.book).parts[0]

    def list_nanos(self, usage: Usage) -> int | None:
        return self.settled(usage).list_cost_nanos

    @property
    def difference(self) -> int | None:
        """Give how much more was stated than the list says, None where it says nothing."""
        known = self.part.list_cost_nanos
        return None if known is None else self.stated_nanos - known


def oracle_rows(shared: Path) -> list[Row]:
    """Give every call whose cost was stated, without fixtures and what later calls collect."""
    with gzip.open(shared / "corpus" / "_oracle.jsonl.gz") as lines:
        stated = {row["sha"]: row for row in map(json.loads, lines)}
    book = shipped_price_book()
    rows = []
    for record in records(shared, (*CORPORA, *COMPATIBLE)):
        row = stated.get(record.row["sha"])
        if row is not None and record.reader and record.name not in MADE_UP:
            rows.append(Row(record, Decimal(row["reported_cost_usd"]), row["usage"], book))
    return rows


# ------------------------------------------------------------------------------ why not


def _without(usage: Usage, *names: str) -> Usage:
    return usage._replace(quantities={k: n for k, n in usage.quantities.items() if k not in names})


def _searches(row: Row) -> str:
    """OpenRouter's searches cost what the engine costs that it chose."""
    count = row.usage.quantities.get(u.WEB_SEARCHES, 0)
    if not count or row.provider != "openrouter":
        return ""
    without = row.list_nanos(_without(row.usage, u.WEB_SEARCHES))
    if without is None:
        return ""
    fee, rest = divmod(row.stated_nanos - without, count)
    engines = {10_000_000: "the model's own", 7_000_000: "Exa"}
    if rest or fee not in engines:
        return ""
    return f"{count} x ${fee / 10**9:.3f} for searches; the engine ({engines[fee]}) is not told"


def _another_model(row: Row) -> str:
    """A tool of OpenRouter's asked another model: only the sum is told."""
    details = row.counted.get("server_tool_use_details") or {}
    upstream = (row.counted.get("cost_details") or {}).get("upstream_inference_cost")
    if not details.get("tool_calls_executed") or upstream is None:
        return ""
    own = round(Decimal(str(upstream)).scaleb(9))
    return "another model that was asked by a tool" if own == row.part.list_cost_nanos else ""


def _parsed_file(row: Row) -> str:
    if row.difference != 2_000_000 or '"type": "file"' not in row.record.row["response_body"]:
        return ""
    return "$0.002 for a page of a PDF that was made readable"


def _tier(row: Row) -> str:
    """Words for a tier that is no tier: an echo of the request, or whose capacity it was."""
    tier = row.usage.tier
    plain = row.list_nanos(row.usage._replace(tier=""))
    if row.part.reason != f"unknown_tier:{tier}" or plain is None:
        return ""
    other = "" if plain == row.stated_nanos else _endpoint(row)
    if plain != row.stated_nanos and not other:
        return ""
    return f"tier {tier!r} is not in the book; the ordinary price is the stated one" + (
        f", but for: {other}" if other else ""
    )


def _video(row: Row) -> str:
    seen = row.usage.quantities.get(u.INPUT_VIDEO, 0)
    as_text = _without(row.usage, u.INPUT_VIDEO)
    folded = {**as_text.quantities, u.INPUT: as_text.quantities.get(u.INPUT, 0) + seen}
    if not seen or row.list_nanos(as_text._replace(quantities=folded)) != row.stated_nanos:
        return ""
    return "video has no price in the book; at that of text the sum is the stated one"


def _both_cached(row: Row) -> str:
    if row.part.reason != "inconsistent_usage:parts_exceed_whole":
        return ""
    prompt = row.counted["prompt_tokens_details"]
    if prompt["cached_tokens"] != prompt["cache_write_tokens"]:
        return ""
    return "the same tokens are said to be read from and written to the cache"


def _endpoint(row: Row) -> str:
    """OpenRouter chose an endpoint, or a day, with prices of its own: both halves are told."""
    details = row.counted.get("cost_details") or {}
    names = ("prompt_cost", "completions_cost"), ("input_cost", "output_cost")
    halves = next(
        (
            [Decimal(str(details[f"upstream_inference_{name}"])) for name in pair]
            for pair in names
            if f"upstream_inference_{pair[0]}" in details
        ),
        None,
    )
    if row.provider != "openrouter" or halves is None or sum(halves) != row.stated_usd:
        return ""
    tokens = (
        row.counted.get("prompt_tokens") or row.counted.get("input_tokens"),
        row.counted.get("completion_tokens") or row.counted.get("output_tokens"),
    )
    rates = [half * 10**6 / (count or 1) for half, count in zip(halves, tokens, strict=True)]
    told = " and ".join(f"${round(rate, 3).normalize():f}" for rate in rates)
    return f"the endpoint's own price that day: {told} per million in and out"


def _unnamed_endpoint(row: Row) -> str:
    """Before it told halves: two calls of one minute give the two prices."""
    used = row.usage.quantities
    by_rates = used.get(u.INPUT, 0) * 600 + used.get(u.OUTPUT, 0) * 2_500
    if row.model != "moonshotai/kimi-k2" or row.stated_nanos != by_rates:
        return ""
    return "the endpoint's own price that day: $0.6 and $2.5 per million, as two calls show"


def _rounded(row: Row) -> str:
    """Perplexity states each part in thousandths of a cent, also where a reseller passes it on."""
    if row.difference is None or abs(row.difference) > _THOUSANDTH_OF_A_CENT:
        return ""
    parts = row.counted.get("cost")
    if row.provider == "perplexity" and isinstance(parts, dict):
        whole = sum(Decimal(str(value)) for name, value in parts.items() if name != "total_cost")
        fits = whole == row.stated_usd
    else:
        fits = row.model.startswith("perplexity/")
    return "Perplexity rounds each part to a thousandth of a cent" if fits else ""


def _pictures_in(row: Row) -> str:
    body = row.record.row["request_body"] or ""
    shown = body.count('"image_url","url"')
    if row.provider != "xai" or not shown or row.difference != shown * 10_000_000:
        return ""
    return f"{shown} x $0.010 for pictures that went in, which the reply does not count"


def _unlisted(row: Row) -> str:
    reason = row.part.reason
    if not reason.startswith(("unknown_model", "unknown_dimension")):
        return ""
    name = reason.removeprefix("unknown_dimension:")
    if name == "unknown_model":
        name = row.model or "a call that names no model"
    told = _endpoint(row)
    return f"the book has no price for {name}" + (f"; {told}" if told else "")


RULES: tuple[Callable[[Row], str], ...] = (
    _searches,
    _another_model,
    _parsed_file,
    _tier,
    _video,
    _both_cached,
    _rounded,
    _pictures_in,
    _unlisted,
    _endpoint,
    _unnamed_endpoint,
)


def explanation(row: Row) -> str:
    """Say why the list differs from what was stated; "" if nothing explains it."""
    return next((words for rule in RULES if (words := rule(row))), "")


# ------------------------------------------------------------------------------ the table


def oracle_table(rows: list[Row]) -> str:
    """Write how many are equal, and every one that is not."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        equal = row.difference == 0
        counts.setdefault(row.provider, Counter()).update(
            {"rows": 1, "booked": row.part.cost_nanos == row.stated_nanos, "equal": equal}
        )
    lines = [
        "| provider | calls with a stated cost | booked as stated | list cost equal |",
        "|---|--:|--:|--:|",
    ]
    for provider, count in sorted(counts.items()):
        lines.append(f"| {provider} | {count['rows']} | {count['booked']} | {count['equal']} |")
    lines += ["", "| call | model | stated, USD | list, USD | why |", "|---|---|--:|--:|---|"]
    for row in sorted(rows, key=lambda row: (row.provider, row.model, row.record.name)):
        if row.difference == 0:
            continue
        known = row.part.list_cost_nanos
        listed = "unknown" if known is None else f"{known / 10**9:.9f}"
        stated = f"{row.stated_nanos / 10**9:.9f}"
        call = f"{row.provider} {row.record.api} {row.record.row['sha'][:8]}"
        lines.append(f"| {call} | {row.model or '?'} | {stated} | {listed} | {explanation(row)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[2])
    head, _, rest = target.read_text("utf-8").partition(BEGIN)
    table = oracle_table(oracle_rows(Path(sys.argv[1])))
    target.write_text(head + BEGIN + table + END + rest.partition(END)[2], "utf-8")
