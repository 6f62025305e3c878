"""Pages, JSON API and session: everything a person needs."""
