"""How a deployment is set up, in words for people: what the page Settings gets to show.

Whoever makes these words names what may be shown, one by one, and never a secret: a section of
the configuration file that is new shows up nowhere before somebody has written it here.
"""

from __future__ import annotations

from typing import NamedTuple


class SettingLine(NamedTuple):
    """One setting: what it is called, how it is, and what to do about it, "" for nothing."""

    name: str
    value: str
    remedy: str = ""


class SettingsSection(NamedTuple):
    """Settings that belong together. ``option`` is their section of the configuration file."""

    title: str
    option: str
    lines: tuple[SettingLine, ...]


class ShownSettings(NamedTuple):
    """All of it. ``file`` is where the configuration stands, "" where there is none; ``fault``
    says why the file is not in force as it is now, "" if it is."""

    file: str = ""
    fault: str = ""
    sections: tuple[SettingsSection, ...] = ()
