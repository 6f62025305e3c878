"""What a run of the benchmarks has at hand: programs that were started, and how long to load."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import CouldNotRun
from benchmarks.targets import LiteLlm, Nginx, Target, Tollkeeper, Upstreams

_SETTLE_S: Final = 15.0


@dataclass
class Setting:
    """``targets`` are the programs that run; ``missing`` says why others do not.

    ``stops`` ends everything, also after a failure.
    """

    folder: Path
    rounds: int
    seconds: float
    stops: ExitStack
    targets: dict[str, Target] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    upstreams: Upstreams | None = None
    tollkeeper: Tollkeeper | None = None
    unsettled: int = 0

    def start(self, wanted: set[str], advance: Callable[[str], None]) -> None:
        """Start the upstreams and what is compared."""
        self.upstreams = Upstreams(self.folder)
        self.stops.callback(self.upstreams.end)
        self.targets["direct"] = self.upstreams.target()
        if "tollkeeper" in wanted:
            advance("tollkeeper")
            self.tollkeeper = Tollkeeper(self.folder, self.upstreams)
            self.stops.callback(self.tollkeeper.end)
            self.tollkeeper.start()
            self.targets["tollkeeper"] = self.tollkeeper.target()
        for name, kind in (("nginx", Nginx), ("LiteLLM", LiteLlm)):
            if name in wanted:
                advance(name)
                self._try(name, kind)

    def _try(self, name: str, kind: Callable[[Path, Upstreams], Any]) -> None:
        assert self.upstreams is not None
        try:
            made = kind(self.folder, self.upstreams)
        except (CouldNotRun, OSError) as error:
            self.missing[name] = str(error).splitlines()[-1][:300] if str(error) else "no reason"
            return
        self.stops.callback(made.end)
        self.targets[name] = made.target()

    def require_tollkeeper(self) -> Tollkeeper:
        """Give the running Tollkeeper. Raises CouldNotRun without one."""
        if self.tollkeeper is None:
            raise CouldNotRun("tollkeeper was not started")
        return self.tollkeeper

    def settle(self) -> None:
        """Let the loader catch up, so that it does not take time from the next target."""
        if self.tollkeeper is not None and not self.tollkeeper.settle(_SETTLE_S):
            self.unsettled += 1
