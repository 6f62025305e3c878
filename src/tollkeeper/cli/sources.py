"""Who answers for the commands that report: see ``bootstrap.report_source``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import typer

from tollkeeper import bootstrap
from tollkeeper.cli.context import data_folder
from tollkeeper.ports import ReportSource


@contextmanager
def open_source(data: Path | None) -> Iterator[ReportSource]:
    """Ask the running server of a data folder, or read its ledger where none runs."""
    opened = import_module("tollkeeper.bootstrap.report_source").open_source
    with opened(data_folder(data), bootstrap.configuration(None), _tell) as source:
        yield source


def _tell(sentence: str) -> None:
    """Say something beside the answer, where it is in nobody's way."""
    typer.echo(f"tollkeeper: {sentence}", err=True)
