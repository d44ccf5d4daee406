"""The one training loop: schedule, gradient clip, EMA, a budget in minutes, exact resume after a kill at any step."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn


class Recipe(Protocol):
    """What a recipe gives the loop: the modules it trains and the loss of one freshly drawn batch."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        ...

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss of one batch drawn with `rng`, and scalars worth logging."""
        ...


@dataclass(frozen=True)
class LoopConfig:
    """Settings of a run. The rate rises over `warmup_steps`, then falls as a cosine over `minutes` to a tenth."""

    minutes: float
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup_steps: int = 100
    clip: float = 1.0
    ema: float = 0.999
    save_every_s: float = 120.0
    log_every_steps: int = 50
    seed: int = 0


class Run:
    """State of a run in a folder: `state.pt` for exact resume, `ema.pt` with the averaged weights alone."""

    def __init__(self, recipe: Recipe, config: LoopConfig, folder: Path):
        self.recipe, self.config, self.folder = recipe, config, folder
        folder.mkdir(parents=True, exist_ok=True)
        matrices = [p for p in recipe.model.parameters() if p.ndim > 1]
        others = [p for p in recipe.model.parameters() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
        self.ema = {k: v.detach().clone() for k, v in recipe.model.state_dict().items()}
        self.rng = np.random.default_rng(config.seed)
        torch.manual_seed(config.seed)
        self.step, self.spent_s = 0, 0.0
        self._resume()

    def _resume(self) -> None:
        """Go on from a saved state; from averaged weights alone where the optimiser's state is gone."""
        state_path, ema_path = self.folder / "state.pt", self.folder / "ema.pt"
        if state_path.exists():
            state = torch.load(state_path, weights_only=True)
            self.recipe.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.ema, self.step, self.spent_s = state["ema"], state["step"], state["spent_s"]
            self.rng.bit_generator.state = json.loads(state["numpy_rng"])
            torch.set_rng_state(state["torch_rng"])
        elif ema_path.exists():
            self.ema = torch.load(ema_path, weights_only=True)
            self.recipe.model.load_state_dict(self.ema)
            self.ema = {k: v.detach().clone() for k, v in self.ema.items()}

    def save(self) -> None:
        """Write the state aside, then rename."""
        state: dict[str, Any] = {
            "model": self.recipe.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ema": self.ema,
            "step": self.step,
            "spent_s": self.spent_s,
            "numpy_rng": json.dumps(self.rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
        }
        for name, content in (("state.pt", state), ("ema.pt", self.ema)):
            torch.save(content, self.folder / (name + ".tmp"))
            os.replace(self.folder / (name + ".tmp"), self.folder / name)

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / self.config.warmup_steps)
        done = min(1.0, self.spent_s / (self.config.minutes * 60))
        return self.config.learning_rate * warm * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))

    def _update(self) -> dict[str, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        loss, scalars = self.recipe.loss(self.rng)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.recipe.model.parameters(), self.config.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.recipe.model.state_dict().items():
                if value.is_floating_point():
                    self.ema[key].lerp_(value, 1 - decay)
                else:
                    self.ema[key].copy_(value)
        return {"loss": float(loss.detach()), **scalars}

    def train(self) -> None:
        """Train until the budget is spent; the state is saved at the end and every `save_every_s`."""
        sums: dict[str, float] = {}
        count, last_save_s = 0, time.monotonic()
        while self.spent_s < self.config.minutes * 60:
            began_s = time.monotonic()
            for key, value in self._update().items():
                sums[key] = sums.get(key, 0.0) + value
            count += 1
            self.spent_s += time.monotonic() - began_s
            if self.step % self.config.log_every_steps == 0:
                self._log({key: value / count for key, value in sums.items()})
                sums, count = {}, 0
            if time.monotonic() - last_save_s > self.config.save_every_s:
                self.save()
                last_save_s = time.monotonic()
        self.save()

    def _log(self, scalars: dict[str, float]) -> None:
        rounded = {key: round(value, 4) for key, value in scalars.items()}
        line = {"step": self.step, "minutes": round(self.spent_s / 60, 2), **rounded}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print(line, flush=True)
