"""How the deployment is set up, for admins and auditors to read. It is changed in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from tollkeeper.console.early import stands
from tollkeeper.console.shared import Console, Query
from tollkeeper.console.shown_settings import SettingsSection
from tollkeeper.domain.access import Role, Viewer

PATH: Final = "/settings"
READERS: Final = frozenset({Role.ADMIN, Role.AUDITOR})


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """The settings in sections. ``file`` is "" where there is no configuration file."""

    template: ClassVar[str] = "settings.html"
    file: str
    fault: str
    sections: tuple[SettingsSection, ...]


def settings(console: Console, viewer: Viewer, query: Query) -> SettingsPage:
    """Show how the deployment is set up."""
    stands(SettingsPage)
    return SettingsPage(*console.settings())
