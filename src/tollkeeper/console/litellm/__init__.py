"""LiteLLM's management calls, answered from our own teams, people, keys, budgets and ledger.

Nothing is kept here: what a call says becomes a team, a person, a key, a budget or a rate limit
of ours, and what it answers is read from these.
"""
