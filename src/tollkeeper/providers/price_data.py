"""Reads the price book that the package ships: the compiled source and our overlay.

The file is kept as bytes and cut into providers; a provider's models are decoded when they
are first asked for, so that a process pays in time and memory only for what it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from tollkeeper.domain.price_data import ModelRow, OverlayRow, ProviderRow
from tollkeeper.domain.price_overlay import with_overlay
from tollkeeper.domain.pricing import PriceBook

PRICES: Final = Path(__file__).resolve().parent.parent / "prices"

OTHER_NAMES: Final[Mapping[str, str]] = {
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "xai": "x-ai",
    "moonshot": "moonshotai",
    "voyage": "voyageai",
    "z-ai": "zai",
}
"""What others call a provider, and what the book calls it."""

_PROVIDER_LINE: Final = b'{"provider":'
_DIGEST_CHARS: Final = 12


def shipped_price_book() -> PriceBook:
    """Give the price book of this release.

    Its version names the source's release and a digest of every price and correction, so
    two books with the same version price everything alike.
    """
    source = next(PRICES.glob("genai-prices-*.jsonl"))
    overlay = (PRICES / "overlay.jsonl").read_bytes()
    return price_book(source.stem, source.read_bytes(), overlay)


def price_book(name: str, compiled: bytes, overlay: bytes) -> PriceBook:
    """Make a price book from a compiled source and an overlay, both JSON lines.

    Raises ValueError (also as ``msgspec.ValidationError``) for lines that cannot be used;
    a fault among a provider's models shows when that provider is first asked for.
    """
    digest = sha256(sha256(compiled).digest() + sha256(overlay).digest()).hexdigest()
    corrections = msgspec.json.Decoder(OverlayRow).decode_lines(overlay)
    providers = _Providers(compiled, corrections)
    return PriceBook(f"{name}+{digest[:_DIGEST_CHARS]}", providers, OTHER_NAMES)


class _Providers(Mapping[str, ProviderRow]):
    """The providers of a compiled source, decoded one by one."""

    def __init__(self, compiled: bytes, corrections: list[OverlayRow]) -> None:
        self._corrections = corrections
        self._decoded: dict[str, ProviderRow] = {}
        self._sections: dict[str, bytes] = {}
        for section in compiled.split(b"\n" + _PROVIDER_LINE):
            head, _, models = section.removeprefix(_PROVIDER_LINE).partition(b"\n")
            # What was cut off is put back, so that the head is the provider's line again.
            line = _PROVIDER_LINE + head
            provider = msgspec.json.decode(line, type=_Head).provider
            self._sections[provider] = line + b"\n" + models

    def __getitem__(self, provider: str) -> ProviderRow:
        if provider not in self._decoded:
            self._decoded[provider] = self._decode(self._sections[provider])
        return self._decoded[provider]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)

    def __contains__(self, provider: object) -> bool:
        return provider in self._sections

    def _decode(self, section: bytes) -> ProviderRow:
        line, _, models = section.partition(b"\n")
        head = msgspec.json.decode(line, type=_Head)
        row: ProviderRow = {
            "provider": head.provider,
            "name": head.name,
            "models": msgspec.json.Decoder(ModelRow).decode_lines(models),
        }
        if head.borrows:
            row["borrows"] = head.borrows
        return with_overlay(row, self._corrections)


class _Head(msgspec.Struct):
    """The line that opens a provider's section."""

    provider: str
    name: str
    borrows: list[str] = []
