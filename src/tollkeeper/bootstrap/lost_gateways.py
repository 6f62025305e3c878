"""Gateways that have not said what they spent of budgets: for the command line."""

from __future__ import annotations

from contextlib import closing

from tollkeeper import bootstrap
from tollkeeper.domain.errors import Conflict
from tollkeeper.domain.leases import OpenGateway
from tollkeeper.ports import DataFolder
from tollkeeper.storage.journal.spent_files import SpentFiles
from tollkeeper.telemetry import logger


def open_gateways(data: DataFolder) -> list[OpenGateway]:
    """List the gateways that have budgets leased, the longest not heard of first."""
    with closing(bootstrap.open_budget_authority(data)) as authority:
        return authority.open_gateways()


def journal_is_here(data: DataFolder, gateway: str) -> bool:
    """Tell whether a data folder has the journal of a gateway, or what it came to."""
    return SpentFiles(data.journal).knows(gateway)


def abandon(data: DataFolder, gateway: str, now_us: int) -> OpenGateway:
    """Charge in full what a gateway had leased whose journal is lost.

    Raises Conflict where it may live or its journal is here, NotFound, OSError.
    """
    if journal_is_here(data, gateway):
        raise Conflict(
            f"the journal of {gateway} is in {data.journal}: a server that runs with this data "
            "folder books what was spent, to the last unit",
            code="journal_here",
        )
    with closing(bootstrap.open_budget_authority(data)) as authority:
        ended = authority.abandon(gateway, now_us)
    logger.warning("a gateway was given up", extra={"gateway": gateway, "rows": len(ended.held)})
    return ended


def write_off(data: DataFolder, gateway: str, now_us: int) -> OpenGateway:
    """Take back what was charged for a gateway that was given up. Raises NotFound, OSError."""
    with closing(bootstrap.open_budget_authority(data)) as authority:
        ended = authority.write_off(gateway, now_us)
    logger.warning("written off", extra={"gateway": gateway, "rows": len(ended.held)})
    return ended
