"""The data plane: from a client's bytes to a provider and back, metered."""
