"""Compiles the price book from all releases of genai-prices, the oldest first.

    .venv/bin/python tools/compile_price_history.py --wheels FOLDER [--download]

The folder holds the wheels of all releases in genai_prices_releases.tsv, and wheels of LiteLLM,
which bear witness to what prices were on their days (``--download`` gets those that are missing
through pip, and the package that compile_price_gaps.py needs through npm). No wheel is imported.
The same wheels always give the same bytes. With ``--keep`` the version as it is now is kept for
good in src/tollkeeper/prices/versions, and nothing is compiled: for a release of Tollkeeper,
whose calls have to be explained by later ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from litellm_prices import PUBLISHED, LiteLLMWitness
from models_dev_prices import PACKAGE, PACKED
from tollkeeper.domain.price_data import ModelRow, ProviderRow
from tollkeeper.domain.price_history import Release, Witness, with_release
from tollkeeper.domain.price_windows import DAY_US, instant_us
from tollkeeper.providers.genai_rows import provider_rows
from tollkeeper.providers.genai_source import read_file
from tollkeeper.providers.price_text import book_text
from tollkeeper.providers.price_versions import PRICES, file_name, packed, shipped_parts

RELEASES = Path(__file__).resolve().parent / "genai_prices_releases.tsv"
SOURCE = "genai-prices"
LISTED_DAYS = 90


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--download", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if options.keep:
        return keep()
    if options.wheels is None:
        parser.error("--wheels names the folder of the wheels")
    releases = listed_releases()
    if options.download:
        options.wheels.mkdir(exist_ok=True)
        for version, _ in releases:
            _download(SOURCE, version, options.wheels)
        for version in PUBLISHED:
            _download("litellm", version, options.wheels)
        if not (options.wheels / PACKED).exists():
            subprocess.run(["npm", "pack", PACKAGE, "--silent"], cwd=options.wheels, check=True)
    witness = LiteLLMWitness.of_wheels(options.wheels)
    text = compiled(releases, options.wheels, witness)
    target = PRICES / "book.jsonl"
    target.write_bytes(text)
    print(f"wrote {target.name}: {len(text):,} bytes")
    return 0


def keep() -> int:
    """Keep the shipped version for good. One that is kept already is not written again."""
    parts = shipped_parts()
    path = PRICES / "versions" / file_name(parts.version)
    if not path.exists():
        path.write_bytes(packed(parts))
    print(f"{path.name} is kept: {path.stat().st_size:,} bytes")
    return 0


def listed_releases() -> list[tuple[str, str]]:
    """Give (version, time of publication) of every release, the oldest first."""
    lines = RELEASES.read_text("utf-8").splitlines()
    return [(version, seen) for version, seen in (line.split("\t") for line in lines if line)]


def compiled(releases: list[tuple[str, str]], wheels: Path, witness: Witness) -> bytes:
    """Give the text of the book, with what every release says."""
    book: list[ProviderRow] = []
    first_seen: dict[tuple[str, str], str] = {}
    for version, seen in releases:
        (wheel,) = wheels.glob(f"genai_prices-{version}-*.whl")
        rows, unread = provider_rows(read_file(wheel).providers)
        if unread:
            print(f"{version}: not read: {', '.join(unread)}", file=sys.stderr)
        book = with_release(book, Release(f"{SOURCE} {version}", seen, rows), witness)
        for row in rows:
            for model in row["models"]:
                first_seen.setdefault((row["provider"], model["model"]), seen)
    for row in book:
        row["models"] = [
            model
            for model in row["models"]
            if "gone" not in model
            or _was_offered(
                row["provider"], model, first_seen[row["provider"], model["model"]], witness
            )
        ]
    version, seen = releases[-1]
    return book_text(f"{SOURCE} {version}", seen, book)


def _was_offered(provider: str, model: ModelRow, first_seen: str, witness: Witness) -> bool:
    """Tell whether a model that is gone was offered at its last price, or listed by mistake.

    It was if it was listed for a quarter of a year and no witness contradicts, or if one agrees.
    """
    gone_us = instant_us(model["gone"])
    witnessed = [
        says == Decimal(price)
        for name, price in model["prices"][-1]["usd"].items()
        if (says := witness.says(provider, model["model"], name, gone_us)) is not None
    ]
    if witnessed:
        return all(witnessed)
    is_name = "%" not in model["model"]  # as it stands in an address
    return is_name and gone_us - instant_us(first_seen) >= LISTED_DAYS * DAY_US


def _download(name: str, version: str, wheels: Path) -> None:
    if next(wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl"), None) is None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", wheels, f"{name}=={version}"], check=True)


if __name__ == "__main__":
    sys.exit(main())
