"""Files that are there whole or not at all, the folders they go to, and how commands that write them end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..audio import writing
from ..errors import MgeldmError, OutputError
from ..naming import give_name

RUN_OPTION = "`run` in the configuration"
"""What names a folder of runs, for `make_folder`."""


def run(main: Callable[[], None]) -> None:
    """A module as a program: its `main`, whose errors and interruption end it with a sentence and status 1."""
    try:
        main()
    except MgeldmError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted; what is finished stays, and the same command goes on from there.")


def make_folder(folder: Path, option: str = "--out") -> None:
    """Make a folder, and those above it, unless it is there.

    Args:
        folder: The folder.
        option: What names it, for who has to name another.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"The folder {folder} cannot be made ({reason}); choose another with {option}.") from error


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` at the end; broken off, it is removed and `path` stays.

    Raises:
        OutputError: The disk is full, or the file cannot be written.
    """
    aside = path.with_name(path.name + ".tmp")
    with writing(path, aside):
        try:
            with aside.open("wb") as file:
                yield file
            give_name(aside, path)
        except BaseException as error:
            aside.unlink(missing_ok=True)
            if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
                raise error.__context__ from None  # torch has an error of its own for what went wrong in the file
            raise
