"""What is wrong with a question: the one error that every report raises for bad input."""

from __future__ import annotations

from collections.abc import Iterable


class BadQuestion(ValueError):
    """A question that cannot be answered as it stands.

    ``parameter`` names what is wrong, the message says what would be right. Messages quote
    at most a short, printable piece of what was sent.
    """

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(f"{parameter}: {message}")
        self.parameter = parameter


def quoted(text: str) -> str:
    """Quote a piece of what was sent, so that it can stand in a message."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def one_of(names: Iterable[str]) -> str:
    """List what would have been right."""
    return "one of " + ", ".join(names)
