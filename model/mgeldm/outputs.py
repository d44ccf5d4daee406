"""Files of a command: written aside, then given their names together."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from .audio import names_beside, writing
from .errors import OutputError
from .naming import PART, aside_of, give_name

_LEFT_S = 86400.0
_ASIDE = re.compile(rf"\.[0-9a-f]{{12}}{re.escape(PART)}")


def discard(*paths: Path) -> None:
    """Remove files that nobody needs; one that somebody still has mapped stays on Windows, for a sweep to remove."""
    for path in paths:
        with contextlib.suppress(PermissionError):
            path.unlink(missing_ok=True)


def sweep_old_parts(folder: Path) -> None:
    """Remove what was being written aside when an earlier run was killed, in a folder where others may be writing.

    That is what is called as ours are and is a day old.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _ASIDE.fullmatch(path.name) and time.time() - path.lstat().st_mtime > _LEFT_S:
                remove = partial(shutil.rmtree, ignore_errors=True) if path.is_dir() else discard
                remove(path)


@contextlib.contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A folder inside another one, to write in; it goes at the end, with all that `place` has not taken.

    Raises:
        OutputError: Nothing can be made there; what is raised inside names `folder`, too.
    """
    sweep_old_parts(folder)
    made = aside_of(folder / "files")
    try:
        with writing(made, made):
            made.mkdir()
        yield made
    except OutputError as error:
        raise OutputError("{told}", told=str(error).replace(str(made), str(folder))) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def place(files: Sequence[Path], folder: Path, names: Sequence[str], suffix: str = "", prefix: str = "") -> list[Path]:
    """Move files into a folder of their file system under `audio.names_beside` what is there: all of them, or none.

    Raises:
        OutputError: They cannot be moved there.
    """

    def names_now(came: Sequence[str]) -> list[Path]:
        there = [path.name for path in folder.iterdir()]
        return [folder / name for name in names_beside([*there, *came], names, suffix, prefix)]

    with contextlib.ExitStack() as undone:
        paths = held(names_now, undone)
        for file, path in zip(files, paths, strict=True):
            with writing(path, file):
                give_name(file, path)
        undone.pop_all()
    return list(paths)


def held(names: Callable[[Sequence[str]], Sequence[Path]], undone: contextlib.ExitStack) -> Sequence[Path]:
    """Free paths, each held by an empty file that goes with `undone` where nothing takes its place.

    Args:
        names: Paths that are free, from the names that came since one looked.
        undone: Removes them again.

    Raises:
        OutputError: Nothing can be made there.
    """
    came: list[str] = []
    while True:
        with contextlib.ExitStack() as trying:
            paths = names(came)
            lost = next((path for path in paths if not hold(path, trying)), None)
            if lost is None:
                undone.push(trying.pop_all())
                return paths
            came.append(lost.name)


def hold(path: Path, undone: contextlib.ExitStack, folder: bool = False) -> bool:
    """Take a name by an empty file or folder, so that nobody else gets it; False where somebody has it.

    Args:
        path: The name.
        undone: Removes it again.
        folder: Which of the two.

    Raises:
        OutputError: Nothing can be made there.
    """
    with writing(path, aside_of(path)):
        try:
            path.mkdir() if folder else path.touch(exist_ok=False)
        except FileExistsError:
            return False
    undone.callback(partial(shutil.rmtree, ignore_errors=True) if folder else discard, path)
    return True
