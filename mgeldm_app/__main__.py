"""`python -m mgeldm_app [FILE]`: the window. `--demo` opens the demo song, `--self-test` checks the program."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    from .services.engine_process import FROZEN_FLAG

    if given[:1] == [FROZEN_FLAG]:  # a bundled program is its own engine process
        from .services import engine_process

        engine_process.main()
        return 0
    parser = argparse.ArgumentParser(prog="mgeldm-desktop", description="Remix any song by a sentence.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE", help="a song or a project to open")
    parser.add_argument("--demo", action="store_true", help="open the demo song")
    parser.add_argument("--self-test", action="store_true", help="check that everything works, and say so in a line")
    args = parser.parse_args(given)
    if args.self_test:
        from .self_test import self_test

        return self_test()
    from .app import run

    return run(args.paths, args.demo)


if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
