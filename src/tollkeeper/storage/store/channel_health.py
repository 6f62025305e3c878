"""How channels do, read from a store that is only looked at: nothing is migrated or changed."""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.deliveries import ChannelState, Failed
from tollkeeper.storage.store.schema_check import rows_of
from tollkeeper.storage.store.store_address import StoreAddress

_STATES: Final = (
    "SELECT channel, failures, closed_at_us, fault, delivered_at_us FROM alert_channels"
)
_FAILED: Final = (
    "SELECT d.channel, d.changed_at_us, m.created_at_us, d.fault "
    "FROM alert_deliveries d JOIN alert_messages m ON m.message_id = d.message_id "
    "WHERE d.fault <> '' AND d.attempts > 0 AND d.state IN ('waiting', 'dead') "
    "ORDER BY d.changed_at_us DESC LIMIT 1000"
)


def stored_channel_states(at: StoreAddress) -> dict[str, ChannelState]:
    """Give what is known of channels, by their names. Raises OSError, ConfigError."""
    return {row[0]: ChannelState(*row) for row in rows_of(at, _STATES)}


def stored_failures(at: StoreAddress) -> list[Failed]:
    """List the newest deliveries whose last try failed. Raises OSError, ConfigError."""
    return [Failed(*row) for row in rows_of(at, _FAILED)]
