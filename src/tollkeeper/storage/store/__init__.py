"""The store: organisation, teams, people, keys, sessions and sealed provider secrets.

Importing this package costs nothing: SQLAlchemy and Alembic are loaded only by the modules
that need them, so that a gateway can read keys without either.
"""
