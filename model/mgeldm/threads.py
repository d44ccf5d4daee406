"""Threads of the processor, for work of many small steps.

torch shares each operation among its threads, which wait for one another before the next. In a small network, thousands
of times a second; where another program fills the cores, each time for a turn of the scheduler. So small work stays on
one thread, and several pieces of it, which need not wait, on one each.

Measured on two cores that a training run kept busy: 44 s of song extracted at `standard` in 33 and 50 s by shared
operations, in 3.2 to 4.2 s so; on idle ones in 2.1 s either way. A new part of 8 s, whose three evaluations a step do
not divide by two: 3.9 and 41 s for 3.2 to 4.3 s; on idle cores 1.8 s for 2.4 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, operations that this thread begins are not shared with others."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
