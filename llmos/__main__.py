"""``python3 -m llmos``: check the interpreter, enter the project's virtual environment, run the command."""

from __future__ import annotations

import sys


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - the reader may well have an older one
        print(
            f"llmos: Python {sys.version_info.major}.{sys.version_info.minor} is too old\n"
            "  To fix: run it with Python 3.11 or newer, e.g. python3.11 -m llmos",
            file=sys.stderr,
        )
        return 2
    from llmos.console import show_what_can_be_shown
    from llmos.failures import end_in_order, reported

    show_what_can_be_shown(sys.stdout, sys.stderr)
    end_in_order()
    arguments = sys.argv[1:]
    with reported(debug="--debug" in arguments) as outcome:
        from llmos import bootstrap

        bootstrap.enter(arguments, install="--no-install" not in arguments)
        from llmos.cli import run

        outcome.exit_code = run(arguments)
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
