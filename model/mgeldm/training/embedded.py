"""The parts of the embedded model in a folder of runs, and from there to one file and back.

Each recipe keeps its run in a folder of its own, so any of them goes on where it stopped. `assemble` writes the
averaged weights of all as one checkpoint; `unpack` fills a folder from a checkpoint, so that training goes on from it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ..checkpoint import load_model, save_model
from ..conditioning.embedded import EmbeddedConditioner, WordTable
from ..config import EMBEDDED, ModelConfig, SpectralConfig
from ..data.latents import Triplets, load
from ..errors import CheckpointError, InputError
from ..nn.spectral import SpectralAutoencoder
from .calibrate import fit, fold
from .denoiser import DenoiserRecipe, ExtractionModel


def projection(run: Path, pool: Path, config: ModelConfig = EMBEDDED) -> SpectralAutoencoder:
    """The autoencoder with its projection fitted on `pool` (once; kept in `run`) and its decoder network, if any."""
    assert isinstance(config.autoencoder, SpectralConfig)
    spectral, path = SpectralAutoencoder(config.autoencoder, config.rate_hz), run / "projection.safetensors"
    if not path.exists():
        run.mkdir(parents=True, exist_ok=True)
        spectral.fit(_sample(load(pool)))
        _save_projection(spectral, path)
    spectral.load_state_dict(load_file(path), strict=False)
    if spectral.decoder is not None and (weights := averaged(run, "autoencoder")) is not None:
        spectral.decoder.load_state_dict(weights)
    return spectral


def _save_projection(spectral: SpectralAutoencoder, path: Path) -> None:
    save_file({name: getattr(spectral, name).clone() for name in ("mean", "basis", "scale")}, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def _sample(pool: Triplets, items: int = 2500) -> torch.Tensor:
    """Mels of all three tracks of a spread of items, for the projection."""
    rows = np.linspace(0, len(pool) - 1, min(items, len(pool))).astype(int)
    parts = [part[rows[i::3]] for i, part in enumerate((pool.mixtures, pool.rests, pool.sources))]
    return torch.from_numpy(np.concatenate(parts)).float()


def towers(run: Path, words: Path) -> EmbeddedConditioner:
    """The conditioner with its averaged weights."""
    conditioner = EmbeddedConditioner(WordTable.load(words))
    weights = averaged(run, "text-audio")
    if weights is None:
        raise InputError(f"There are no trained towers in {run}; train the recipe text-audio first.")
    conditioner.load_state_dict(weights)
    return conditioner.eval()


def extraction_model(run: Path, config: ModelConfig = EMBEDDED) -> ExtractionModel:
    """Denoiser and refiner with their averaged weights."""
    model, weights = ExtractionModel(config), averaged(run, "denoiser")
    if weights is None:
        raise InputError(f"There is no trained denoiser in {run}; train the recipe denoiser first.")
    model.load_state_dict(weights)
    return model.eval()


def averaged(run: Path, recipe: str) -> dict[str, torch.Tensor] | None:
    """The averaged weights of a recipe's run, if there are any."""
    path = run / recipe / "ema.pt"
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else None


def assemble(
    run: Path,
    pool: Path,
    words: Path,
    out: Path,
    config: ModelConfig = EMBEDDED,
    unheard: Path | None = None,
) -> None:
    """Write the averaged weights of every recipe as one checkpoint; the blocks' matrices as eight-bit integers.

    Args:
        run: Folder of runs.
        pool: Folder of shards, for a projection that is not fitted yet.
        words: The word table.
        out: The file.
        config: Sizes.
        unheard: Folder of shards never trained on, to calibrate the masks with, if any.
    """
    spectral, conditioner, model = projection(run, pool, config), towers(run, words), extraction_model(run, config)
    if unheard is not None:
        songs = load(unheard)
        fold(model.refiner, *fit(DenoiserRecipe(model, spectral, conditioner, songs, held=songs)))
    tensors = conditioner.state("conditioner.")
    tensors |= {f"autoencoder.{k}": v for k, v in spectral.state_dict().items()}
    tensors |= model.state_dict()
    save_model(out, config, tensors, int8="denoiser.blocks.")


def unpack(path: Path, run: Path) -> None:
    """Put the weights of a checkpoint of the embedded form into `run` wherever it has none yet.

    Raises:
        CheckpointError: The file is missing, damaged, or of another form.
    """
    model = load_model(path)
    if not isinstance(model.config.autoencoder, SpectralConfig) or model.refiner is None:
        raise CheckpointError(f"{path.name} is no model of the embedded form; give another file as start.")
    projected = run / "projection.safetensors"
    if not projected.exists():
        run.mkdir(parents=True, exist_ok=True)
        _save_projection(model.autoencoder, projected)
    parts = {"denoiser.": model.denoiser, "refiner.": model.refiner}
    decoder = model.autoencoder.decoder
    weights = {
        **({} if decoder is None else {"autoencoder": decoder.state_dict()}),
        "text-audio": model.conditioner_state,
        "denoiser": {prefix + name: x for prefix, part in parts.items() for name, x in part.state_dict().items()},
    }
    for recipe, state in weights.items():
        folder = run / recipe
        if not (folder / "ema.pt").exists() and not (folder / "state.pt").exists():
            folder.mkdir(parents=True, exist_ok=True)
            torch.save({name: value.clone() for name, value in state.items()}, folder / "ema.pt.tmp")
            os.replace(folder / "ema.pt.tmp", folder / "ema.pt")
