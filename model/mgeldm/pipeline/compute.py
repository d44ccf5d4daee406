"""Where the model runs, and what happens when memory runs out: half the batch, then the CPU, and nothing is lost."""

from __future__ import annotations

import threading
import traceback
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
        device: Where to begin; the CPU if they find no room there.
        on_notice: Receives a sentence when memory runs out and the batch or the device changes.

    Raises:
        MgeldmError: There is no memory for the modules.
    """

    def __init__(self, modules: nn.ModuleDict, device: torch.device, on_notice: OnNotice | None = None):
        self.modules, self.on_notice = modules.eval(), on_notice
        self.device, self.batch = torch.device("cpu"), CPU_BATCH
        self._before: tuple[torch.device, int] | None = None  # device and batch when memory first ran out
        self._move(device)
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

    def begin(self) -> None:
        """A new request: back to the device and batch that memory was short for, as what took it may have ended."""
        if self._before is not None:
            (device, batch), self._before = self._before, None
            self._move(device)
            self.batch = batch if self.device == device else self.batch

    def _move(self, device: torch.device) -> None:
        """Take the modules to a device, or to the CPU if they find no room there.

        Raises:
            MgeldmError: Nor there.
        """
        try:
            self.modules.to(device)
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
            self._flee(device, error)
            return
        self.device, self.batch = device, CPU_BATCH if device.type == "cpu" else GPU_BATCH

    def _flee(self, device: torch.device, error: Exception) -> None:
        """To the CPU, as a device has no memory."""
        if device.type == "cpu":
            raise MgeldmError(
                "The computer ran out of memory. Close other programs or choose a shorter region, then try again."
            ) from error
        self._move(torch.device("cpu"))
        _empty_cache(device)
        self._tell(say("The graphics card ran out of memory; going on with the CPU."))

    def _tell(self, notice: str) -> None:
        if self.on_notice is not None:
            self.on_notice(notice)

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
            device, size = self.device, self._size(total - done)
            with one_thread() if self.threads > 1 else nullcontext():
                try:
                    for result in self._batches(function, [x[done:] for x in inputs]):
                        results.append(self._numbers(result))
                        done += len(result)
                except (RuntimeError, MemoryError) as error:
                    if self.device != device:  # a job done between two steps of this one went to the CPU
                        continue
                    if not lacks_memory(error):
                        raise
                    self._retreat(error, min(size, total - done))
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

    def _size(self, total: int) -> int:
        """Of a batch, where there are so many items."""
        return min(self.batch, -(-total // self.threads))

    def _batches(self, function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> Iterator[Tensor]:
        """`function` of each batch of the inputs, in order; one that is alone stays on this thread."""
        total = len(inputs[0])
        size = self._size(total)
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

    def _retreat(self, error: Exception, size: int) -> None:
        """Half the batch, or the CPU, after a batch of `size` that did not fit."""
        traceback.clear_frames(error.__traceback__)  # they hold on to what did fit of it
        is_first, self._before = self._before is None, self._before or (self.device, self.batch)
        _empty_cache(self.device)
        if size > 1 or (self.batch > 1 and self.threads > 1):  # the latter's items may be batches in `spread`
            self.batch = -(-size // 2)
            self._tell(
                say(
                    "{device} ran out of memory; going on with {number} windows at once.",
                    device=self.device.type,
                    number=self.batch,
                )
            )
        elif self.device.type != "cpu" and is_first and not isinstance(error, torch.OutOfMemoryError):
            return  # what libraries beside torch lacked may have been in its cache, which it empties for itself alone
        else:
            self._flee(self.device, error)


def _empty_cache(device: torch.device) -> None:
    """Give the graphics card's memory that nothing is in back to it."""
    if device.type in ("cuda", "mps"):
        torch.get_device_module(device).empty_cache()


class _AtWork(threading.local):
    """Whether this thread is one of a pool: such a thread must not wait for others of it."""

    is_worker = False


_at_work = _AtWork()


@torch.inference_mode()
def _work(function: Callable[..., Tensor], batch: Sequence[Tensor]) -> Tensor:
    """The function of a batch, on a thread that does not inherit `map`'s mode."""
    return function(*batch)
