"""Alerts as the console runs them: the configured channels, who sends, and the courier's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tollkeeper import clock, config
from tollkeeper.bootstrap.digests import ConsoleDigests
from tollkeeper.bootstrap.mailing import mailing_of, senders_of
from tollkeeper.config import Configuration
from tollkeeper.console.digests.content import Sources
from tollkeeper.domain.digests import EVENT
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.failpoints import FailPoint
from tollkeeper.jobs.alerts import alert_jobs
from tollkeeper.jobs.table import Job
from tollkeeper.ports import Ledger, Notifier, Store
from tollkeeper.reports.usual_figures import LedgerUsualFigures
from tollkeeper.runtime import file_mark
from tollkeeper.services.alerting import Alerting
from tollkeeper.services.alerts import BudgetAlerts, forget_old
from tollkeeper.services.anomalies import Anomalies, Limits
from tollkeeper.services.delivering import Courier, Mailing
from tollkeeper.telemetry import logger

_EVERY_S: Final = 1.0
_END_S: Final = 2.0


class FollowedMailing:
    """Holds the channels by the configuration as it is now."""

    def __init__(self, read: Callable[[], Configuration], file: Path | None) -> None:
        self._read = read
        self._file = file
        self._mark = None if file is None else file_mark(file)
        self._take(read())

    def follow(self) -> None:
        """Read the configuration again if its file has changed. A faulty one changes nothing."""
        if self._file is None:
            return
        mark = file_mark(self._file)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._take(self._read())
        except (TollkeeperError, OSError) as error:
            logger.error("alerts not taken over", extra={"reason": str(error)})

    def mailing(self) -> Mailing:
        """Give the channels, and what else concerns messages."""
        return self._mailing

    def notifier(self) -> Notifier:
        """Give who sends."""
        return self._notifier

    def configuration(self) -> Configuration:
        """Give the configuration that was taken over last."""
        return self._configuration

    def _take(self, configuration: Configuration) -> None:
        self._notifier = senders_of(configuration)
        self._mailing = mailing_of(configuration)
        self._configuration = configuration


class CourierThread:
    """Runs a courier beside everything else."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begin to bring messages."""
        self._thread.start()

    def finish(self) -> None:
        """End soon. What is in hand comes back when its claim runs out."""
        self._stop.set()
        self._courier.close()
        self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self._courier.work()
            except OSError as error:
                logger.warning("messages not brought", extra={"reason": str(error)})
            except Exception:  # noqa: BLE001 - whatever it is, messages must be brought
                if self._stop.is_set():
                    return
                logger.exception("bringing messages failed")


class ConsoleAlerts:
    """Everything about alerts that a console runs: the rules, the courier, and what pages need."""

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        ledger: Ledger,
        org: str,
        failpoint: FailPoint,
        digest_sources: Sources,
    ) -> None:
        self._store = store
        self._followed = FollowedMailing(
            lambda: config.load(configuration.file, config.environment()), configuration.file
        )
        self._thresholds = BudgetAlerts(store, clock.now_us, failpoint)
        zone = configuration.settings.timezone
        figures = LedgerUsualFigures(ledger, org, zone)
        self._anomalies = Anomalies(store, figures, self._limits, clock.now_us)
        followed = self._followed
        self._digests = ConsoleDigests(
            digest_sources, followed.configuration, followed.notifier, failpoint
        )
        self._courier = CourierThread(
            Courier(
                *(store, followed.notifier, followed.mailing, clock.now_us, failpoint),
                {EVENT: self._digests.send},
            )
        )
        self.alerting = Alerting(followed.mailing, followed.notifier, self._anomalies.states)

    def jobs(self) -> tuple[Job, ...]:
        """Give what is done now and then."""
        alerts = alert_jobs(
            self._look, self._anomalies.look, lambda: forget_old(self._store, clock.now_us())
        )
        return (*alerts, *self._digests.jobs())

    def start(self) -> None:
        """Begin to bring messages."""
        self._courier.start()

    def finish(self) -> None:
        """Bring no more."""
        self._courier.finish()

    def _look(self) -> None:
        self._followed.follow()
        self._thresholds.look()

    def _limits(self) -> Limits:
        configuration = self._followed.configuration()
        alerts = configuration.alerts
        return Limits(
            alerts.off, alerts.min_usd, alerts.deviations, configuration.settings.timezone
        )
