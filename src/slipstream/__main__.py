"""The command `slipstream`, also as `python -m slipstream`: it can be ended while it still loads."""

from __future__ import annotations

from slipstream import _interrupts


def main() -> None:
    """Run the command line."""
    _interrupts.begin()
    from slipstream.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
