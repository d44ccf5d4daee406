"""Where a run computes: this process alone, or one of several that share every step.

Several processes are started and joined by Lightning Fabric (the `train` extra); what they share are gradients and the
clock, summed or compared after each step. So the recipes know nothing of it, and a step means the same everywhere.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError

PRECISIONS = ("32", "bf16")


class Machine:
    """One process on one device.

    Args:
        device: Where networks and batches lie; "auto" is the GPU if there is one.
        precision: "32", or "bf16" for mixed precision: weights and sums stay in single precision.

    Raises:
        InputError: An unknown precision, or a device that this computer lacks.
    """

    rank, processes = 0, 1

    def __init__(self, device: str = "auto", precision: str = "32"):
        if precision not in PRECISIONS:
            raise InputError(f"There is no precision {precision!r}; choose one of {', '.join(PRECISIONS)}.")
        found = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self.device, self.precision = _device(found), precision
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")

    def autocast(self) -> AbstractContextManager:
        """Within it matrix products run in the chosen precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def share(self, count: int) -> range:
        """Which of a step's `count` batches this process draws.

        Raises:
            InputError: They cannot be shared evenly.
        """
        if count % self.processes:
            raise InputError(f"{count} batches a step cannot be shared by {self.processes} processes; set accumulate.")
        return range(self.rank, count, self.processes)

    def add_gradients(self, modules: Sequence[nn.Module]) -> None:
        """Replace every gradient by its sum over all processes; what no batch used has a gradient of zero."""
        for parameter in _trained(modules):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    def latest(self, seconds: float) -> float:
        """The largest of all processes' clocks, so that all stop at the same step."""
        return seconds


class FabricMachine(Machine):
    """One of several processes, on this computer or on several.

    Building it starts the other processes of this computer, which run this program's command again; with several
    computers the launcher of the cluster (torchrun, Slurm) starts them, and Fabric finds its place.

    Args:
        processes: Processes on this computer.
        nodes: Computers.
        device: As for `Machine`.
        precision: As for `Machine`.

    Raises:
        InputError: Lightning Fabric is not installed, or as for `Machine`.
    """

    def __init__(self, processes: int, nodes: int = 1, device: str = "auto", precision: str = "32"):
        super().__init__(device, precision)
        try:
            from lightning_fabric import Fabric
        except ImportError as error:
            raise InputError(
                "Several processes need Lightning Fabric; install mgeldm-desktop[train], or set processes to 1."
            ) from error
        accelerator = self.device.type
        self.fabric: Any = Fabric(accelerator=accelerator, devices=processes, num_nodes=nodes, strategy="ddp")
        self.fabric.launch()
        atexit.register(_leave)
        self.rank, self.processes, self.device = self.fabric.global_rank, self.fabric.world_size, self.fabric.device

    def add_gradients(self, modules: Sequence[nn.Module]) -> None:
        """Replace every gradient by its sum over all processes, all of them in one exchange."""
        super().add_gradients(modules)
        gradients = [p.grad for p in _trained(modules) if p.grad is not None]
        summed: Tensor = self.fabric.all_reduce(torch.cat([g.flatten() for g in gradients]), reduce_op="sum")
        for gradient, part in zip(gradients, summed.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def latest(self, seconds: float) -> float:
        """The largest of all processes' clocks."""
        clock = torch.tensor(seconds, dtype=torch.float64, device=self.device)
        return float(self.fabric.all_reduce(clock, reduce_op="max"))


def there(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Numbers made here, on a device. A GPU is not waited for: what it computes meanwhile would be the price."""
    return torch.as_tensor(values).to(device, non_blocking=device.type == "cuda")


def near(parts: Sequence[np.ndarray], device: torch.device) -> tuple[Tensor, ...]:
    """What batches are drawn from, on the GPU where it has room for all of it."""
    tensors = tuple(torch.from_numpy(part) for part in parts)
    if device.type != "cuda" or sum(t.nbytes for t in tensors) > 0.6 * torch.cuda.mem_get_info(device)[0]:
        return tensors
    return tuple(tensor.to(device) for tensor in tensors)


def _device(name: str) -> torch.device:
    """A device that is here. Nothing is put on it: of several processes each is to touch its own alone."""
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or (device.index or 0) >= counts.get(device.type, 0):
        here = ", ".join(kind for kind, count in counts.items() if count)
        raise InputError(f"There is no device {name!r} here; set device to auto, or to one of {here}.")
    return device


def _leave() -> None:
    """End the threads of the group of processes: left to the end of the program, gloo's may abort it."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _trained(modules: Sequence[nn.Module]) -> list[nn.Parameter]:
    return [p for module in modules for p in module.parameters() if p.requires_grad]


def machine(processes: int = 1, nodes: int = 1, device: str = "auto", precision: str = "32") -> Machine:
    """This process alone, or Lightning Fabric's place among several."""
    if processes * nodes == 1:
        return Machine(device, precision)
    return FabricMachine(processes, nodes, device, precision)
