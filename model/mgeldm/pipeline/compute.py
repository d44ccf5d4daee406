"""Where the model runs, and what happens when memory runs out: half the batch, then the CPU, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..language import say

OnNotice = Callable[[str], None]
CPU_BATCH, GPU_BATCH = 4, 16


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
    """Runs functions of batches on a device.

    Args:
        modules: What moves to the device.
        device: Where to begin.
        on_notice: Receives a sentence when the batch or the device changes.
    """

    def __init__(self, modules: nn.ModuleDict, device: torch.device, on_notice: OnNotice | None = None):
        self.modules, self.device, self.on_notice = modules.to(device).eval(), device, on_notice
        self.batch = CPU_BATCH if device.type == "cpu" else GPU_BATCH

    @torch.inference_mode()
    def map(self, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """`function` of the inputs, split along their first axis into batches; the result is on the CPU.

        A batch that does not fit is tried again smaller, then on the CPU; finished ones are kept.
        """
        results: list[Tensor] = []
        done, total = 0, len(inputs[0])
        while done < total:
            parts = (x[done : done + self.batch].to(self.device) for x in inputs)
            try:
                results.append(function(*parts).float().cpu())
            except (torch.OutOfMemoryError, MemoryError) as error:
                self._retreat(error)
                continue
            done += len(results[-1])
        return torch.cat(results)

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
            raise error
        if self.on_notice is not None:
            self.on_notice(notice)
