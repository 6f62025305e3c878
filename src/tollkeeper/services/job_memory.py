"""What the ledger remembers of jobs, asked for and kept while batches are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tollkeeper.domain.job_bills import JobState
from tollkeeper.ports import Ledger, SegmentChunk
from tollkeeper.services import late_bills

WAIT_MAX_S: Final = 10.0
"""So long a segment waits for the beginning of a job whose bill it holds."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(JobState).decode


class JobMemory:
    """Decides about the jobs of one chunk after the other. Only the loader's thread uses it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: dict[str, tuple[float, set[str] | None]] = {}

    def resolve(self, chunk: SegmentChunk, at_us: int) -> late_bills.Resolved:
        """Say what of a chunk is to be stored."""
        states = self._states(chunk)
        known: set[str] = set()
        for started_at_us, ids in late_bills.line_ids(chunk.marks, states):
            known |= self._ledger.known(ids, started_at_us)
        return late_bills.resolve(chunk.entries, chunk.marks, states, frozenset(known), at_us)

    def waits(self, segment: str, chunk: SegmentChunk, others: set[str], now_s: float) -> bool:
        """Tell whether a chunk must wait until all other segments were read once more.

        Its bills' beginnings may stand there: they were written before, and are not
        necessarily read before. ``others`` are the segments that exist now. Of segments that
        only wait for each other the first goes on.
        """
        if not late_bills.unstarted(chunk.marks.values(), self._states(chunk)):
            self._waiting.pop(segment, None)
            return False
        since_s, left = self._waiting.get(segment, (now_s, None))
        if segment not in self._waiting:
            self._waiting[segment] = (now_s, None)
            return True
        if left is None:
            left = set(others)
            self._waiting[segment] = (since_s, left)
        left &= others  # one that is gone was read to its end
        goes_first = segment == next(iter(self._waiting)) and self._waiting.keys() >= left
        if left and not goes_first and now_s - since_s < WAIT_MAX_S:
            return True
        del self._waiting[segment]
        return False

    def read_to_end(self, segment: str) -> None:
        """Note that nothing more stood in a segment just now."""
        for _, left in self._waiting.values():
            if left is not None:
                left.discard(segment)

    def _states(self, chunk: SegmentChunk) -> dict[str, JobState]:
        names = late_bills.named_jobs(chunk.marks.values())
        states: dict[str, JobState] = {}
        while names:
            found = {name: _decode(text) for name, text in self._ledger.jobs(sorted(names)).items()}
            states |= found
            names = {state.alias for state in found.values() if state.alias} - states.keys()
        return states


def written(jobs: Mapping[str, JobState]) -> dict[str, str]:
    """Write the states of jobs as the ledger keeps them."""
    return {name: _encode(state).decode() for name, state in jobs.items()}
