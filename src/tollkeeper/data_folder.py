"""Where a deployment keeps its files."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import NamedTuple

_SOCKET_PATH_BYTES_MAX = 100
SQLITE_LEDGER = "sqlite:///"
"""What the address of a ledger in an SQLite file begins with; the path of the file follows."""


class DataFolder(NamedTuple):
    """Where a deployment keeps its files.

    ``store_url`` is the configured address of the store, "" for the file in the folder. It may
    hold a password. See ``storage.store.store_address``. ``ledger_url`` is that of the ledger,
    ``sqlite:///<file>``, or "" for DuckDB in the folder.
    """

    root: Path
    store_url: str = ""
    ledger_url: str = ""

    def __repr__(self) -> str:
        return f"DataFolder({str(self.root)!r})"

    @property
    def store(self) -> Path:
        """The store's file, where it is one."""
        path = self.store_url.removeprefix("sqlite:///")
        return Path(path) if path != self.store_url else self.root / "store.sqlite3"

    @property
    def has_sqlite_ledger(self) -> bool:
        """Tell whether the ledger is kept by SQLite, not by DuckDB."""
        return self.ledger_url.startswith(SQLITE_LEDGER)

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        if self.has_sqlite_ledger:
            return Path(self.ledger_url.removeprefix(SQLITE_LEDGER))
        return self.root / "ledger.duckdb"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def run(self) -> Path:
        """Sockets, locks and tokens of the running processes."""
        return self.root / "run"

    def socket(self, name: str) -> Path:
        """Give the path of a process's unix socket.

        Socket paths have a short limit (104 bytes on macOS); a folder that lies too deep
        gets its sockets under a name of its own in the system's folder for such things.
        """
        path = self.run.resolve() / f"{name}.sock"
        if len(str(path).encode()) <= _SOCKET_PATH_BYTES_MAX:
            return path
        digest = sha256(str(self.root.resolve()).encode()).hexdigest()[:16]
        return Path(gettempdir()) / f"tollkeeper-{digest}" / f"{name}.sock"

    @property
    def operator_token(self) -> Path:
        """The command line's credential for the running console, new with each of its starts."""
        return self.run / "operator.token"

    @property
    def habits(self) -> Path:
        """What gateways have learned of models, for estimates."""
        return self.root / "habits.json"

    @property
    def replies(self) -> Path:
        """What gateways have learned of usual replies, for how much calls hold."""
        return self.root / "replies.json"

    @property
    def secret_key(self) -> Path:
        return self.root / "secret.key"
