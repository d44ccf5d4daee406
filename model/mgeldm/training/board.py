"""TensorBoard beside a run: scalars, and what the model makes as pictures and sound. Needs the `train` extra."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..errors import InputError


class Board:
    """Writes events into a folder.

    Args:
        folder: Where; `tensorboard --logdir` reads it.
        step: What an earlier run wrote from this step on is dropped: it is done again.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "TensorBoard is not installed; install mgeldm-desktop[train], or set tensorboard to false."
            ) from error
        self.writer = SummaryWriter(folder, purge_step=step)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Numbers at a step."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def sketch(self, step: int, parts: dict[str, Tensor], rate_hz: int) -> None:
        """Sounds [samples] as audio, spectrograms [bands, frames] as pictures, low notes at the bottom."""
        for name, part in parts.items():
            part = part.detach().float().cpu()
            if part.ndim == 1:
                self.writer.add_audio(name, part.clamp(-1, 1), step, sample_rate=rate_hz)
            else:
                self.writer.add_image(name, (part / part.amax().clamp(min=1e-9)).flip(0)[None], step)
        self.writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()
