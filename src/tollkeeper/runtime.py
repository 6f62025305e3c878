"""What one process holds: its settings and the ports it may use."""
