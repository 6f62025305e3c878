"""``python -m tollkeeper``."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    raise SystemExit("not built yet")


if __name__ == "__main__":
    main()
