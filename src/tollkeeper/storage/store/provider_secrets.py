"""The store's sealed keys of providers."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from tollkeeper.storage.store.schema import provider_secrets


def set_secret(db: Connection, provider: str, sealed: bytes, now_us: int) -> None:
    """Keep a provider's sealed key in place of any that was there."""
    db.execute(delete(provider_secrets).where(provider_secrets.c.provider == provider))
    db.execute(insert(provider_secrets).values(provider=provider, sealed=sealed, set_at_us=now_us))


def secrets(db: Connection) -> dict[str, bytes]:
    """Give all sealed keys by provider."""
    rows = db.execute(
        select(provider_secrets.c.provider, provider_secrets.c.sealed).order_by(
            provider_secrets.c.provider
        )
    )
    return {provider: bytes(sealed) for provider, sealed in rows}


def set_times(db: Connection) -> dict[str, int]:
    """Say when each provider's key was set."""
    rows = db.execute(
        select(provider_secrets.c.provider, provider_secrets.c.set_at_us).order_by(
            provider_secrets.c.provider
        )
    )
    return {row.provider: row.set_at_us for row in rows}


def remove_secret(db: Connection, provider: str) -> None:
    """Forget a provider's key. Raises LookupError when there is none."""
    removed = db.execute(delete(provider_secrets).where(provider_secrets.c.provider == provider))
    if not removed.rowcount:
        raise LookupError(f"no key is stored for provider {provider!r}")
