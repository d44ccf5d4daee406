"""Where the model runs, and what happens when memory runs out: half the batch, then the CPU, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from functools import cached_property

import torch
from torch import Tensor, nn

from ..checkpoint import lacks_memory
from ..errors import CheckpointError, InputError, MgeldmError
from ..language import say
from ..threads import one_thread

OnNotice = Callable[[str], None]
CPU_BATCH, GPU_BATCH = 4, 16
SMALL_PARAMETERS = 100_000_000  # of a network whose operations are too short to be shared among threads


def choose_device(wanted: str = "auto") -> torch.device:
    """The device to use: `wanted`, or the best there is.

    Raises:
        InputError: `wanted` is unknown or not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, is_there in there.items() if is_there))
    if wanted not in there:
        raise InputError("There is no device {wanted!r}; choose auto, cpu, cuda or mps.", wanted=wanted)
    if not there[wanted]:
        raise InputError("This computer offers no {wanted} device to torch; choose auto or cpu.", wanted=wanted)
    return torch.device(wanted)


class Compute:
    """Runs functions of batches on a device; on the CPU, small networks on a batch for each thread (see `threads`).

    Args:
        modules: What moves to the device.
        device: Where to begin.
        on_notice: Receives a sentence when the batch or the device changes.
    """

    def __init__(self, modules: nn.ModuleDict, device: torch.device, on_notice: OnNotice | None = None):
        self.modules, self.device, self.on_notice = modules.to(device).eval(), device, on_notice
        self.batch = CPU_BATCH if device.type == "cpu" else GPU_BATCH
        is_small = sum(p.numel() for p in modules.parameters()) < SMALL_PARAMETERS
        self._cores = torch.get_num_threads() if is_small else 1

    @property
    def threads(self) -> int:
        """Threads that work on a batch each; 1 where torch shares each operation among its own."""
        return self._cores if self.device.type == "cpu" else 1

    @property
    def at_once(self) -> int:
        """How many items are worth being asked for together."""
        return max(self.batch, self.threads)

    @torch.inference_mode()
    def map(self, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """`function` of the inputs, split along their first axis into batches; the result is on the CPU.

        A batch that does not fit is tried again smaller, then on the CPU; finished ones are kept.

        Raises:
            MgeldmError: There is not even memory for one of the smallest.
            CheckpointError: What comes are not numbers.
        """
        results: list[Tensor] = []
        done, total = 0, len(inputs[0])
        while done < total:
            with one_thread() if self.threads > 1 else nullcontext():
                try:
                    for result in self._batches(function, [x[done:] for x in inputs]):
                        results.append(self._numbers(result))
                        done += len(result)
                except (RuntimeError, MemoryError) as error:
                    if not lacks_memory(error):
                        raise
                    self._retreat(error)
        return torch.cat(results)

    def _numbers(self, result: Tensor) -> Tensor:
        """A result on the CPU, in single precision."""
        result = result.float().cpu()
        if not torch.isfinite(result).all():
            raise CheckpointError(
                "The model gives values that are not numbers; see that its file is whole, or choose another device "
                "than {device}.",
                device=self.device.type,
            )
        return result

    def spread(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The same function, for use inside of `map`, with its batch shared among threads that would be idle."""

        def spreading(*inputs: Tensor) -> Tensor:
            if self.threads == 1 or _at_work.is_worker:
                return function(*inputs)
            return torch.cat(list(self._batches(function, inputs)))

        return spreading

    def _batches(self, function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> Iterator[Tensor]:
        """`function` of each batch of the inputs, in order; one that is alone stays on this thread."""
        total = len(inputs[0])
        size = min(self.batch, -(-total // self.threads))
        batches = ([x[start : start + size] for x in inputs] for start in range(0, total, size))
        if self.threads == 1 or size == total:
            yield from (function(*(x.to(self.device) for x in batch)) for batch in batches)
            return
        waiting = [self._pool.submit(_work, function, batch) for batch in batches]
        try:
            yield from (each.result() for each in waiting)
        finally:  # also when one of them failed: none may still be at work when they are begun anew
            for each in waiting:
                each.cancel()
            wait(waiting)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, "batches", lambda: setattr(_at_work, "is_worker", True))

    def _retreat(self, error: Exception) -> None:
        if self.batch > 1:
            self.batch //= 2
            notice = say(
                "{device} ran out of memory; going on with {number} windows at once.",
                device=self.device.type,
                number=self.batch,
            )
        elif self.device.type != "cpu":
            self.device, self.batch = torch.device("cpu"), CPU_BATCH
            self.modules.to(self.device)
            notice = say("The graphics card ran out of memory; going on with the CPU.")
        else:
            raise MgeldmError(
                "The computer ran out of memory. Close other programs or choose a shorter region, then try again."
            ) from error
        if self.on_notice is not None:
            self.on_notice(notice)


class _AtWork(threading.local):
    """Whether this thread is one of a pool: such a thread must not wait for others of it."""

    is_worker = False


_at_work = _AtWork()


@torch.inference_mode()
def _work(function: Callable[..., Tensor], batch: Sequence[Tensor]) -> Tensor:
    """The function of a batch, on a thread that does not inherit `map`'s mode."""
    return function(*batch)
