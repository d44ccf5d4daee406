"""Other processes to share work with: those that vanish are missed, and none outlives the one that started it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import Thread

from ..errors import MgeldmError


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes, each one new: a copy of this one could hold its threads' locks for ever.

    Raises:
        MgeldmError: One was ended from outside.
    """
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _end_with_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise MgeldmError(
            f"One of {count} processes was ended from outside, most likely for want of memory; what is finished stays: "
            "run the command again with fewer workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """An executor's processes wait for work for ever where the one that gives it was killed."""

    def wait() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()
