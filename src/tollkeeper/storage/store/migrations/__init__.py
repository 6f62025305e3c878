"""How a store gets from one schema to the next: one file for each step, in ``versions``."""
