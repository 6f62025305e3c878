"""One round of all recorded interactions through a running gateway, and what became of each.

Run as a program it writes its table into docs/accuracy.md:
`.venv/bin/python tests/replay_round.py ../shared docs/accuracy.md`
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from booked import by_call, quantities_of
from loopback import free_port, run
from pipelined_client import Answer, PipelinedClient
from recorded_replies import CORPORA, read_reply
from replay_upstream import Received, ReplayUpstream
from replayed_calls import (
    OWN_DEPLOYMENTS,
    Call,
    recorded_calls,
    unasked,
    without_extra_chunk,
)
from running import deployment
from tollkeeper.domain.ledger import LedgerEntry

CONNECTIONS = 12
KEYS = {
    "openai": ("authorization: Bearer ", "sk-canary-replay-openai-01"),
    "anthropic": ("x-api-key: ", "sk-ant-canary-replay-02"),
    "google": ("x-goog-api-key: ", "AIza-canary-replay-03"),
    "azure": ("api-key: ", "canary-replay-azure-04"),
    "vertex": ("x-goog-api-key: ", "AIza-canary-replay-05"),
}
NO_SUCH_MODELS = (
    "this-model-does-not-exist*",
    "there-is-no-such-model",
    "invalid-model*",
    "non-existent-model",
    "nonexistent-model",
    "not-found-*",
)
REFUSED_HERE = {
    "_nousage-chat-2e6934a178e2343e": "max_tokens is 0, which the provider refused as well",
    "_nousage-completions-fe4bdf6232cb9637": "max_tokens is -1, which the provider refused as well",
}
NOT_AS_RECORDED = {
    "openai-chat-70b220db478f1075": "the fixture's head says JSON, its body is a stream",
}
STORED = "responses/stored"
"""Such a reply repeats the usage of the call that made it: its bill is another entry."""


class Replayed(NamedTuple):
    """One call with everything that became of it."""

    call: Call
    answer: Answer
    received: Received | None
    entries: list[LedgerEntry]
    bills: list[LedgerEntry]
    """Of work that began elsewhere: what was fetched, which the loader books once."""

    @property
    def entry(self) -> LedgerEntry:
        return self.entries[0]

    @property
    def exact(self) -> bool:
        """Tell whether the ledger must hold what the recording says."""
        call = self.call
        if call.record.corpus == "_nousage" or not call.record.reader:
            return False
        return call.name not in NOT_AS_RECORDED and self.entry.endpoint != STORED

    @property
    def booked(self) -> list[dict[str, int]]:
        """Give the quantities in the ledger: of the call, then of further models it billed."""
        return [quantities_of(entry) for entry in self.entries]

    @property
    def stated(self) -> list[dict[str, int]]:
        """Give the quantities of the recorded usage, in the same order."""
        usage = read_reply(self.call.record).usage
        parts = (usage, *usage.components) if usage is not None else ()
        return [dict(part.quantities) for part in parts]


class Round(NamedTuple):
    """All calls, and over how many connections they went."""

    calls: list[Replayed]
    client_connections: int
    upstream_connections: int


def configuration(upstream: str) -> dict[str, Any]:
    """The five providers, all played by one upstream."""
    bases = {"openai": "/v1", "azure": "/openai/v1", "vertex": "/v1beta1/publishers/google"}
    providers = {
        name: {"api_key": key, "base_url": upstream + bases.get(name, "")}
        for name, (_, key) in KEYS.items()
    }
    aliases: dict[str, Any] = dict.fromkeys(OWN_DEPLOYMENTS, "azure")
    aliases["muse-spark-1.1"] = "openai"  # another maker's model, on a server like OpenAI's
    aliases |= {name: ["openai", "anthropic", "google"] for name in NO_SUCH_MODELS}
    return {"providers": providers, "models": aliases}


def replay(shared: Path, folder: Path) -> Round:
    """Send every recorded call through a gateway of its own, and gather what became of it."""
    calls = list(recorded_calls(shared))
    calls += [again for call in calls if (again := unasked(call)) is not None]
    upstream = ReplayUpstream({call.name: call.replay for call in calls})
    upstream.port = free_port()
    base = f"http://127.0.0.1:{upstream.port}"
    with deployment(folder, base, configuration(base)) as deployed:
        client = PipelinedClient(deployed.port, seed=20261121)

        async def work() -> list[Answer]:
            async with upstream.serving():
                requests = [call.request(deployed.key) for call in calls]
                return await client.ask(requests, CONNECTIONS)

        answers = run(work)
        entries = by_call(deployed.entries())
    return Round(
        [
            Replayed(
                call,
                answer,
                upstream.received.get(call.name),
                *_own_and_bills(entries.get(answer.fields["x-tollkeeper-call-id"], [])),
            )
            for call, answer in zip(calls, answers, strict=True)
        ],
        client.opened,
        upstream.connections,
    )


def _own_and_bills(entries: list[LedgerEntry]) -> tuple[list[LedgerEntry], list[LedgerEntry]]:
    bills = [entry for entry in entries if entry.entry_id.startswith("job-")]
    return [entry for entry in entries if entry not in bills], bills


# ---------------------------------------------------------------------- the table


BEGIN = "<!-- replay -->\n"
END = "<!-- end of replay -->\n"


def replay_table(made: Round) -> str:
    """Write what became of the recordings of each provider, in Markdown."""
    counts: dict[str, Counter[str]] = {corpus: Counter() for corpus in CORPORA}
    for one in made.calls:
        row = counts[str(one.call.record.row["provider"])]
        if one.call.hidden:
            row["asked for usage by us"] += 1
            row["hidden, all else equal"] += one.answer.body == without_extra_chunk(
                one.call.replay.body
            )
            continue
        row["recorded"] += 1
        row["byte for byte"] += one.answer.body == one.call.replay.body
        if one.exact:
            row["with usage"] += 1
            row["quantities equal"] += one.booked == one.stated
    columns = tuple(dict.fromkeys(name for row in counts.values() for name in row))
    lines = [
        f"| provider | {' | '.join(columns)} |",
        f"|---|{'--:|' * len(columns)}",
    ]
    lines += [_line(corpus, row, columns) for corpus, row in counts.items()]
    total = sum(counts.values(), Counter[str]())
    lines.append(_line("**all**", total, columns))
    return "\n".join(lines) + "\n"


def _line(name: str, row: Counter[str], columns: tuple[str, ...]) -> str:
    return f"| {name} | {' | '.join(str(row[column]) for column in columns)} |"


def _write(shared: Path, page: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = replay_table(replay(shared, Path(folder)))
    head, _, rest = page.read_text("utf-8").partition(BEGIN)
    page.write_text(head + BEGIN + table + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1]), Path(sys.argv[2]))
