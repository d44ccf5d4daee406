"""Small files that appear whole or not at all, and how many files may be open."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mgeldm.audio import safe_name, writing
from mgeldm.naming import PART, aside_of, give_name
from mgeldm.outputs import discard

MANY_FILES = 4096  # more than a long day's clips; macOS refuses more than 10240


def let_many_be_open() -> None:
    """Let this process have many files open: each clip that is mapped is one, and macOS lets programs have 256."""
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MANY_FILES if hard == resource.RLIM_INFINITY else min(MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def may_be_open() -> int:
    """How many files this process may have open, `MANY_FILES` at most."""
    if sys.platform == "win32":
        return MANY_FILES
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MANY_FILES if soft == resource.RLIM_INFINITY else min(soft, MANY_FILES)


def is_of_file(error: BaseException) -> bool:
    """Whether a file is to blame that could not be read, not a computer that has no room to open any."""
    cause = error.__cause__
    return not isinstance(cause, OSError) or cause.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def whole_path(path: Path | str) -> Path:
    """A path as somebody types it, with the home folder for "~", from the root: it outlives the place it began in."""
    return Path(os.path.expanduser(path)).absolute()  # a pathlib.Path would not forgive the home of nobody


def numbered(path: Path, suffix: str) -> Iterator[Path]:
    """A path, then others beside it: "Song.dawproject", "Song 2.dawproject", and so on."""
    yield path
    for number in itertools.count(2):
        yield path.with_name(safe_name(path.name.removesuffix(suffix), f" {number}{suffix}"))


def write_whole(path: Path, data: bytes, flush: bool = True, before: Callable[[], None] | None = None) -> None:
    """Write a file aside, then give it its name; one that exists is replaced.

    Args:
        path: Its name.
        data: All of it.
        flush: Wait until it is on the disk, so that even a power cut cannot take it away.
        before: Called once all is written and before it has its name.

    Raises:
        OutputError: It cannot be written; what was there stays.
    """
    aside = aside_of(path)
    with writing(path, aside):
        try:
            with open(aside, "wb") as file:
                file.write(data)
                file.flush()
                if flush:
                    os.fsync(file.fileno())
            if before is not None:
                before()
            give_name(aside, path)
            if flush:
                flush_folder(path.parent)
        finally:
            aside.unlink(missing_ok=True)


def can_write(folder: Path) -> bool:
    """Whether a folder is there and lets files be made, found by making one: Windows says so of every folder.

    That it is full is another matter.
    """
    probe = aside_of(folder / "probe")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return True


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file that never changes; a copy where the file system has no such names.

    Raises:
        OSError: Neither can be made.
    """
    try:
        os.link(source, target)
    except OSError:
        aside = aside_of(target)
        try:
            shutil.copyfile(source, aside)
            with open(aside, "r+b") as file:
                os.fsync(file.fileno())
            give_name(aside, target)
        finally:
            aside.unlink(missing_ok=True)


def sweep_parts(folder: Path) -> None:
    """Remove what was being written aside when an earlier run was ended."""
    discard(*(path for path in folder.glob(".*") if is_aside(path) and path.is_file()))


def is_aside(path: Path) -> bool:
    """Whether it is named as what is being written aside."""
    return path.name.startswith(".") and path.name.endswith(PART)


def flush_folder(folder: Path) -> None:
    """Make a new name last through a power cut; Windows does so by itself and cannot open folders.

    Nor can some file systems flush them, which is no failure: what has its name there is written.

    Raises:
        OSError: The disk is broken or full.
    """
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise
