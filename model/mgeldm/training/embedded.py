"""The embedded model from pre-encoded triplets to one file: projection, towers, denoiser with refiner, decoder.

Each recipe keeps its run in a folder of its own under `run`, so any of them goes on where it stopped; `assemble` writes
the averaged weights of all as one checkpoint.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ..checkpoint import save_model
from ..conditioning.embedded import EmbeddedConditioner, WordTable
from ..config import EMBEDDED, ModelConfig, SpectralConfig
from ..data.bank import load_bank
from ..data.latents import Triplets, load
from ..errors import InputError
from ..nn.spectral import SpectralAutoencoder
from .autoencoder import DecoderRecipe
from .denoiser import DenoiserRecipe, ExtractionModel
from .loop import LoopConfig, Recipe, Run
from .text_audio import TextAudioRecipe

RECIPES = ("autoencoder", "text-audio", "denoiser")


def train(
    recipe: str, run: Path, pool: Path, words: Path, loop: LoopConfig, banks: tuple[Path, ...] = (), batch: int = 24
) -> None:
    """Train one recipe of the embedded model for `loop.minutes`, going on from what `run` holds.

    Args:
        recipe: One of `RECIPES`.
        run: Folder of runs.
        pool: Folder of shards that `mgeldm.training.encode` filled.
        words: The word table.
        loop: Budget and schedule.
        banks: Note banks that the autoencoder recipe renders with.
        batch: Items a step.

    Raises:
        InputError: An unknown recipe, or an empty pool.
    """
    work: Recipe
    if recipe == "autoencoder":
        work = DecoderRecipe(projection(run, pool), [load_bank(bank) for bank in banks], batch)
    elif recipe == "text-audio":
        work = TextAudioRecipe(EmbeddedConditioner(WordTable.load(words)), load(pool), batch)
    elif recipe == "denoiser":
        torch.manual_seed(loop.seed)
        work = DenoiserRecipe(ExtractionModel(EMBEDDED), projection(run, pool), towers(run, words), load(pool), batch)
    else:
        raise InputError(f"There is no recipe {recipe!r}; choose one of {', '.join(RECIPES)}.")
    Run(work, loop, run / recipe).train()


def projection(run: Path, pool: Path, config: ModelConfig = EMBEDDED) -> SpectralAutoencoder:
    """The autoencoder with its projection fitted on `pool` (once; kept in `run`) and its trained decoder, if any."""
    assert isinstance(config.autoencoder, SpectralConfig)
    spectral, path = SpectralAutoencoder(config.autoencoder, config.rate_hz), run / "projection.safetensors"
    if not path.exists():
        run.mkdir(parents=True, exist_ok=True)
        spectral.fit(_sample(load(pool)))
        save_file({name: getattr(spectral, name).contiguous() for name in ("mean", "basis", "scale")}, path)
    spectral.load_state_dict(load_file(path), strict=False)
    if (weights := _averaged(run, "autoencoder")) is not None:
        spectral.decoder.load_state_dict(weights)
    return spectral


def _sample(pool: Triplets, items: int = 2500) -> torch.Tensor:
    """Mels of all three tracks of a spread of items, for the projection."""
    rows = np.linspace(0, len(pool) - 1, min(items, len(pool))).astype(int)
    parts = [part[rows[i::3]] for i, part in enumerate((pool.mixtures, pool.rests, pool.sources))]
    return torch.from_numpy(np.concatenate(parts)).float()


def towers(run: Path, words: Path) -> EmbeddedConditioner:
    """The conditioner with its averaged weights."""
    conditioner = EmbeddedConditioner(WordTable.load(words))
    weights = _averaged(run, "text-audio")
    if weights is None:
        raise InputError(f"There are no trained towers in {run}; train the recipe text-audio first.")
    conditioner.load_state_dict(weights)
    return conditioner.eval()


def extraction_model(run: Path) -> ExtractionModel:
    """Denoiser and refiner with their averaged weights."""
    model, weights = ExtractionModel(EMBEDDED), _averaged(run, "denoiser")
    if weights is None:
        raise InputError(f"There is no trained denoiser in {run}; train the recipe denoiser first.")
    model.load_state_dict(weights)
    return model.eval()


def _averaged(run: Path, recipe: str) -> dict[str, torch.Tensor] | None:
    path = run / recipe / "ema.pt"
    return torch.load(path, weights_only=True) if path.exists() else None


def assemble(run: Path, pool: Path, words: Path, out: Path) -> None:
    """Write the averaged weights of every recipe as one checkpoint; the blocks' matrices as eight-bit integers."""
    tensors = towers(run, words).state("conditioner.")
    tensors |= {f"autoencoder.{k}": v for k, v in projection(run, pool).state_dict().items()}
    tensors |= extraction_model(run).state_dict()
    save_model(out, EMBEDDED, tensors, int8="denoiser.blocks.")


def train_from(recipe: str, config: Path) -> None:
    """Train a recipe, or "assemble" the model, as a TOML file says (see `embedded.toml`).

    Raises:
        InputError: The file is missing or not understood.
    """
    try:
        settings = tomllib.loads(config.read_text(encoding="utf-8"))
        run, pool, words = (Path(settings[key]) for key in ("run", "pool", "words"))
        if recipe == "assemble":
            assemble(run, pool, words, Path(settings["out"]))
            return
        options = dict(settings[recipe])
        batch = options.pop("batch")
        loop = LoopConfig(**options)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{config} is missing or not understood ({error}); compare it with embedded.toml.") from error
    train(recipe, run, pool, words, loop, tuple(Path(bank) for bank in settings["banks"]), batch)
