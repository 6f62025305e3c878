"""What the commands share: the data folder's option, and the open store and vault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from tollkeeper import bootstrap
from tollkeeper.domain.errors import ConfigError
from tollkeeper.ports import DataFolder, Store, Vault

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="TOLLKEEPER_DATA",
        help="The data folder. Default: what tollkeeper.yaml says, else tollkeeper-data.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
UrlOption = Annotated[
    str, typer.Option("--url", help="Where people reach the dashboard. Default: as configured.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The configuration file.")
]


class Opened(NamedTuple):
    """The store of one data folder, and the vault that belongs to it."""

    store: Store
    vault: Vault


def data_folder(data: Path | None) -> DataFolder:
    """Give the folder that was named, or else the configured one."""
    return bootstrap.data_folder(data)


@contextmanager
def opened(data: Path | None, *, create: bool = False) -> Iterator[Opened]:
    """Open the store for one command. It works whether the server runs or not.

    ``create`` makes a store where there is none; otherwise that is an error, because a
    mistyped folder would look like an empty one.
    """
    folder = data_folder(data)
    if not create and not bootstrap.has_store(folder):
        raise ConfigError(
            "there is no store in this data folder",
            file=str(folder.root),
            hint="start it once with: tollkeeper serve; or name the right folder with --data",
        )
    store = open_store(folder)
    try:
        yield Opened(store, bootstrap.open_vault(folder))
    finally:
        store.close()


def open_store(data: DataFolder) -> Store:
    """Open the store of a data folder, ready for use."""
    return bootstrap.open_store(data)
