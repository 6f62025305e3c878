"""What the console process does for the audit log by itself, now and then."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from tollkeeper import config
from tollkeeper.clock import monotonic_s
from tollkeeper.console.shared import Console
from tollkeeper.domain.errors import ConfigError
from tollkeeper.jobs.table import Job
from tollkeeper.runtime import FileMark, file_mark
from tollkeeper.services import audit
from tollkeeper.telemetry import logger

FAILURES_S: Final = 60.0
CONFIGURATION_S: Final = 2.0
WALK_LOOK_S: Final = 60.0
HOUR_S: Final = 3_600.0
_ENVIRONMENT: Final = "environment"


class ConsoleAudit:
    """Records other settings and failed sign-ins, walks along the log, and logs its head."""

    def __init__(self, console: Console, file: Path | None) -> None:
        self._console = console
        self._file = file
        self._seen: FileMark | None = None
        self._walk_at_s = monotonic_s()

    def begin(self) -> None:
        """Do what is due at a start."""
        try:
            self._follow_configuration()
            self._log_head()
        except OSError as error:  # the jobs come back to it
            logger.warning("audit log not reached", extra={"reason": str(error)})

    def finish(self) -> None:
        """Record what is still counted."""
        try:
            self._record_failures()
        except OSError as error:
            logger.warning("failed sign-ins not recorded", extra={"reason": str(error)})

    def jobs(self) -> tuple[Job, ...]:
        """Give the jobs."""
        return (
            Job("record failed sign-ins", FAILURES_S, self._record_failures),
            Job("record other settings", CONFIGURATION_S, self._follow_configuration),
            Job("walk along the audit log", WALK_LOOK_S, self._walk),
        )

    def _record_failures(self) -> None:
        self._console.failed_sign_ins.record(self._console.store)

    def _follow_configuration(self) -> None:
        """Record which sections are others, once the file has changed and is good."""
        mark = file_mark(self._file) if self._file else (0, 0, 0)
        if mark == self._seen:
            return
        with suppress(ConfigError):  # whoever reads it to use it says so
            sections = config.sections(self._file, config.environment())
            source = self._file.name if self._file else _ENVIRONMENT
            audit.record_configuration(self._console.store, self._console.vault, sections, source)
        self._seen = mark

    def _walk(self) -> None:
        """Walk along the log a minute after the start, and then every hour."""
        if monotonic_s() < self._walk_at_s:
            return
        self._walk_at_s = monotonic_s() + HOUR_S
        self._console.audit_watch.walk(self._console.store, self._console.now_us)
        self._log_head()

    def _log_head(self) -> None:
        audit.log_head(self._console.store, self._console.vault, self._console.now_us())
