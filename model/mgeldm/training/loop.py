"""The one training loop: schedule, accumulation, clip, EMA, a budget in minutes, exact resume after a kill at any step.

What a batch holds follows from the run's seed, the step and the batch's number within the step, and from nothing else.
So a run of a count of steps that goes on from a saved one repeats what was lost to the last bit (where minutes are the
budget the rate follows the clock), and any number of processes draws what one would have drawn.
"""

from __future__ import annotations

import json
import math
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoint import lacks_memory
from ..data.files import RUN_OPTION, make_folder, whole
from ..errors import InputError, MgeldmError, OutputError
from .board import Board
from .machine import Machine
from .parts import send

Scalars = dict[str, float | Tensor]
"""Figures by name; those that still lie on a device are read where they are logged, since reading waits for it."""
_SKIPPED_IN_A_ROW = 50  # steps that moved nothing, after which a run has diverged
_LEAST = {  # that numbers of a run may be
    "minutes": 0,
    "steps": 1,
    "learning_rate": 0,
    "critic_rate": 0,
    "weight_decay": 0,
    "warmup_steps": 0,
    "accumulate": 1,
    "clip": 0,
    "ema": 0,
    "processes": 1,
    "nodes": 1,
    "save_every_s": 0,
    "score_every_s": 0,
    "log_every_steps": 1,
    "seed": 0,
}


class Recipe(Protocol):
    """What a recipe gives the loop: the modules it trains and the loss of one freshly drawn batch.

    A recipe may have more: `critic`, a module trained against the model on `critic_loss()`, which judges what the last
    `loss` made; `sketch(rng)`, sounds and spectrograms worth seeing, by name, at `rate_hz`; `scores()`, figures on
    material held out from training.
    """

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        ...

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Scalars]:
        """Loss of one batch drawn with `rng` and torch's own numbers, and scalars worth logging."""
        ...


@dataclass(frozen=True)
class LoopConfig:
    """Settings of a run.

    The rate rises over `warmup_steps`, then falls as a cosine to a tenth: over `steps` where they are given, else over
    `minutes` of training, or until a call ends that gives its weights away in parts. A step sums the gradients of
    `accumulate` batches, which `processes` on each of `nodes` computers share.
    """

    minutes: float
    steps: int | None = None
    learning_rate: float = 5e-4
    critic_rate: float = 3e-4
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    warmup_steps: int = 100
    accumulate: int = 1
    clip: float = 1.0
    ema: float = 0.999
    precision: str = "32"
    device: str = "auto"
    processes: int = 1
    nodes: int = 1
    save_every_s: float = 120.0
    score_every_s: float = 600.0
    log_every_steps: int = 50
    tensorboard: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:  # so that NaN is none either
                raise InputError(f"{name} is {value}, which no run can have; give {least} or more.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"betas are {list(self.betas)}; give two numbers, each from 0 to less than 1.")


class Player:
    """One side of a run: a module and its optimiser. Most runs have one, adversarial ones two."""

    def __init__(self, module: nn.Module, rate: float, config: LoopConfig):
        self.module, self.rate, self.clip = module, rate, config.clip
        matrices = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=rate, betas=config.betas, fused=True)
        self.skipped = self.in_a_row = torch.zeros((), device=next(module.parameters()).device)

    def step(self, share: float) -> None:
        """Move by the summed gradients, at `share` of the rate; gradients that are not finite move nothing."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * share
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.clip)
        failed = (~torch.isfinite(norm)).float()
        self.optimiser.found_inf = failed  # type: ignore[attr-defined]  # asked here, the device would be waited for
        self.optimiser.step()
        self.skipped, self.in_a_row = self.skipped + failed, (self.in_a_row + 1) * failed
        self.optimiser.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """Weights and optimiser."""
        return {"model": self.module.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """What `state` gave; decay and betas stay those of the configuration at hand."""
        now = [(group["weight_decay"], group["betas"]) for group in self.optimiser.param_groups]
        self.module.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group, (decay, betas) in zip(self.optimiser.param_groups, now, strict=True):
            group["weight_decay"], group["betas"] = decay, betas


class Run:
    """State of a run in a folder: `state.pt` for exact resume, `ema.pt` with the averaged weights alone.

    Args:
        recipe: What is trained, on which batches.
        config: How.
        folder: Holds the run.
        machine: Where it computes.
        parts: A folder that receives the averaged weights as small files at each save, if any (see `parts.py`).

    Raises:
        OutputError: The folder cannot be made.
        InputError: What the folder holds cannot be gone on from, see `_resume`.
    """

    def __init__(
        self,
        recipe: Recipe,
        config: LoopConfig,
        folder: Path,
        machine: Machine | None = None,
        parts: Path | None = None,
    ):
        self.recipe, self.config, self.folder, self.parts = recipe, config, folder, parts
        self.machine = machine or Machine("cpu", config.precision)
        make_folder(folder, RUN_OPTION)
        self.players = [Player(recipe.model.to(self.machine.device), config.learning_rate, config)]
        critic: nn.Module | None = getattr(recipe, "critic", None)
        if critic is not None:
            self.players.append(Player(critic.to(self.machine.device), config.critic_rate, config))
        self.ema = {k: v.detach().clone() for k, v in recipe.model.state_dict().items()}
        self.step, self.spent_s = 0, 0.0
        self.end_s = config.minutes * 60  # of `spent_s`, where the rate is at its least
        self._shown = -1  # the step that was scored last
        self._resume()
        self.first = self.machine.rank == 0  # the one process that writes
        if self.first:
            self._forget()
        self.board = Board(folder / "board", self.step + 1) if config.tensorboard and self.first else None

    def _resume(self) -> None:
        """Go on from a saved state; from averaged weights alone where the optimiser's state is gone.

        Raises:
            InputError: What is saved is damaged, or of a network of other sizes, or there is no memory for it.
        """
        for path, load in ((self.folder / "state.pt", self._load_state), (self.folder / "ema.pt", self._load_weights)):
            if not path.exists():
                continue
            try:
                load(torch.load(path, weights_only=True, map_location="cpu"))  # beside the networks the GPU may be full
                return
            except (RuntimeError, MemoryError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
                if lacks_memory(error):
                    raise InputError(
                        f"There is not enough memory to go on from {path}; end other programs or choose another device."
                    ) from error
                raise InputError(
                    f"{path} is damaged or of a network of other sizes; give `run` another folder, or move it away."
                ) from error

    def _load_state(self, state: dict[str, Any]) -> None:
        for player, saved in zip(self.players, (state, state.get("critic")), strict=False):
            if saved is not None:
                player.load(saved)
        self.ema = {name: value.to(self.machine.device) for name, value in state["ema"].items()}
        self.step, self.spent_s = state["step"], state["spent_s"]

    def _load_weights(self, weights: dict[str, Tensor]) -> None:
        self.recipe.model.load_state_dict(weights)
        self.ema = {name: value.to(self.machine.device, copy=True) for name, value in weights.items()}

    def _forget(self) -> None:
        """Drop from the log what is done again, after a kill say.

        Raises:
            OutputError: The disk is full, or the folder cannot be written to; the log from before stays.
        """
        path = self.folder / "log.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= self.step]
        if len(kept) < len(lines):
            with whole(path) as file:
                file.writelines(kept)

    def save(self) -> None:
        """Write the state; one process does.

        Raises:
            OutputError: The disk is full, or the folder cannot be written to; the state from before stays.
        """
        if not self.first:
            return
        state = self.players[0].state() | {"ema": self.ema, "step": self.step, "spent_s": self.spent_s}
        if len(self.players) > 1:
            state["critic"] = self.players[1].state()
        for name, content in (("state.pt", state), ("ema.pt", self.ema)):
            with whole(self.folder / name) as file:
                torch.save(content, file)
        if self.parts is not None:
            send(self.ema, self.parts, self.folder.parent, self.folder.name)

    def _rate(self) -> float:
        """Share of the learning rate at this step."""
        warm = min(1.0, (self.step + 1) / max(self.config.warmup_steps, 1))
        done = self.step / self.config.steps if self.config.steps else self.spent_s / self.end_s
        return warm * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def _draw(self, number: int) -> np.random.Generator:
        """The source of everything random in one batch of this step; torch's is set from it."""
        rng = np.random.default_rng([self.config.seed, self.step, number])
        torch.manual_seed(int(rng.integers(2**63)))
        return rng

    def _update(self) -> Scalars:
        """One step; its mean loss and scalars over the batches of this process."""
        sums: Scalars = {}
        count = self.config.accumulate
        numbers = self.machine.share(count)
        for number in numbers:
            with self.machine.autocast():
                loss, scalars = self.recipe.loss(self._draw(number))
            (loss / count).backward()
            if len(self.players) > 1:
                with self.machine.autocast():
                    judged = self.recipe.critic_loss()  # type: ignore[attr-defined]
                (judged / count).backward()
                scalars |= {"critic": judged.detach()}
            for key, value in ({"loss": loss.detach()} | scalars).items():
                sums[key] = sums.get(key, 0.0) + value / len(numbers)
        self.machine.add_gradients([player.module for player in self.players])
        for player in self.players:
            player.step(self._rate())
        self.step += 1
        self._average()
        return sums

    @torch.no_grad()
    def _average(self) -> None:
        """The averaged weights follow; faster in the beginning, when there is little to average."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        pairs = [(self.ema[key], value) for key, value in self.recipe.model.state_dict().items()]
        averages, values = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(averages, values, 1 - decay)  # at once: one by one they cost more than they compute
        for average, value in pairs:
            if not average.is_floating_point():
                average.copy_(value)

    def train(self, stop_s: float = math.inf) -> None:
        """Train until the budget is spent; the state is saved at the end and every `save_every_s`.

        Args:
            stop_s: Stop at this reading of `time.monotonic` too. The schedule stays the budget's, unless `parts` take
                the weights away: what they hold is to be finished, so the rate is at its least by then.

        Raises:
            MgeldmError: The run has diverged, or nothing can be read any more; the steps until then are saved.
            KeyboardInterrupt: The run was interrupted or terminated; the step at hand was finished and saved.
            OutputError: The disk is full, or the folder cannot be written to; what was saved before stays.
        """
        if not self._unfinished() and self.first:
            print(f"The run in {self.folder} has had all its time or steps; raise them in the configuration to go on.")
        first = self.step
        with _interruptions() as interrupted:
            try:
                self._train(lambda: math.inf if interrupted else time.monotonic() - stop_s)
            except MgeldmError:
                if self.step > first:
                    with suppress(OutputError):  # what went wrong first is what is to be said
                        self.save()
                raise
        if interrupted:
            raise KeyboardInterrupt(f"{self.folder} holds the run up to here; the same command goes on with it.")
        self._show()
        if self.board is not None:
            self.board.close()

    def _train(self, over_s: Callable[[], float]) -> None:
        """Steps until the budget is spent or `over_s`, the seconds since this call's end, is positive anywhere."""
        rows: list[Scalars] = []  # of the steps since the last log, or since a resume
        saved_s = scored_s = time.monotonic()
        while self._unfinished() and (over := self.machine.latest(over_s())) < 0:
            if self.parts is not None:
                self.end_s = min(self.config.minutes * 60, self.spent_s - over)
            began_s = time.monotonic()
            rows.append(self._update())
            if self.step % self.config.log_every_steps == 0:
                self._log(_means(rows) | self._skipped())
                rows = []
            self.spent_s += self.machine.latest(time.monotonic() - began_s)
            if time.monotonic() - scored_s > self.config.score_every_s:
                self._show()
                scored_s = time.monotonic()
            if time.monotonic() - saved_s > self.config.save_every_s:
                self.save()
                saved_s = time.monotonic()
        self._skipped()
        self.save()

    def _skipped(self) -> dict[str, float]:
        """How many steps moved nothing so far in this call, if any.

        Raises:
            MgeldmError: The last ones all did.
        """
        if max(int(player.in_a_row) for player in self.players) >= _SKIPPED_IN_A_ROW:
            raise MgeldmError(
                f"At least {_SKIPPED_IN_A_ROW} steps in a row gave no finite gradients and moved nothing; what was "
                f"good is in {self.folder}. Lower learning_rate or set precision to 32, and run the command again."
            )
        skipped = sum(int(player.skipped) for player in self.players)
        return {"skipped": skipped} if skipped else {}

    def _unfinished(self) -> bool:
        if self.config.steps is not None:
            return self.step < self.config.steps
        return self.spent_s < self.config.minutes * 60

    def _show(self) -> None:
        """Figures on held-out material, and what the model makes, with the averaged weights."""
        scores: Callable[[], dict[str, float]] | None = getattr(self.recipe, "scores", None)
        sketch: Callable[..., dict[str, Tensor]] | None = getattr(self.recipe, "sketch", None)
        idle = scores is None and (sketch is None or self.board is None)
        if not self.first or idle or self._shown == self.step:
            return
        self._shown = self.step
        kept = {key: value.clone() for key, value in self.recipe.model.state_dict().items()}
        self.recipe.model.load_state_dict(self.ema)
        self.recipe.model.eval()
        try:
            with torch.no_grad():
                if scores is not None and (found := scores()):
                    self._log(found)
                if sketch is not None and self.board is not None:
                    parts = sketch(np.random.default_rng(self.config.seed))
                    self.board.sketch(self.step, parts, getattr(self.recipe, "rate_hz", 44100))
        finally:
            self.recipe.model.train()
            self.recipe.model.load_state_dict(kept)

    def _log(self, scalars: dict[str, float]) -> None:
        if not self.first:
            return
        rounded = {key: round(value, 4) for key, value in scalars.items() if math.isfinite(value)}  # JSON has no NaN
        line = {"step": self.step, "minutes": round(self.spent_s / 60, 2), **rounded}
        path = self.folder / "log.jsonl"
        try:
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written ({error.strerror}); see that there is room, then run the same command again."
            ) from error
        print(line, flush=True)
        if self.board is not None:
            self.board.scalars(self.step, rounded)


def _means(rows: list[Scalars]) -> dict[str, float]:
    """Means over some steps, of what is finite."""
    columns = {key: np.array([float(row[key]) for row in rows if key in row]) for key in rows[0]}
    finite = {key: values[np.isfinite(values)] for key, values in columns.items()}
    return {key: float(values.mean()) for key, values in finite.items() if len(values)}


def _step_of(line: bytes) -> float:
    """The step that a line of a log tells of; later than any of a line that a kill cut short."""
    try:
        return json.loads(line)["step"]
    except ValueError:
        return math.inf


@contextmanager
def _interruptions() -> Iterator[list[int]]:
    """Within it, signals to interrupt or terminate are noted in the list and not obeyed yet."""
    noted: list[int] = []
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # elsewhere nobody may listen to signals
        for caught in (signal.SIGINT, signal.SIGTERM):
            before[caught] = signal.signal(caught, lambda received, _: noted.append(received))
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
