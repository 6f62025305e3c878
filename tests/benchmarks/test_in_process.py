"""The gateway without sockets answers what is asked of it, and writes it down."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.in_process import CONNECTIONS, KINDS, InProcess, run
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.storage.journal.tail import FolderTail


def booked(folder: Path, kind: str) -> list[LedgerEntry]:
    """Make one call on each connection; give what the journal says of them."""

    async def calls(_: Path) -> None:
        made = InProcess(folder)
        await made.turns(KINDS[kind], 1)
        made.close()

    run(calls)
    tail = FolderTail(folder / "data" / "journal")
    return [entry for info in tail.segments() for entry in tail.read(info.name, 0, 1_000).entries]


@pytest.mark.parametrize("kind", KINDS)
def test_every_call_is_booked_with_its_measured_cost(kind: str, tmp_path: Path) -> None:
    entries = booked(tmp_path, kind)
    assert len(entries) == CONNECTIONS
    for entry in entries:
        assert (entry.outcome, entry.basis) == (Outcome.OK, Basis.MEASURED)
        assert (entry.input_tokens, entry.cache_read_tokens, entry.output_tokens) == (102, 128, 50)
        assert entry.cost_nanos == 102 * 400 + 128 * 100 + 50 * 1_600
        assert entry.tags == {"feature": "chat", "customer": "acme"}
        assert entry.streamed == (kind in {"stream", "hidden"})
