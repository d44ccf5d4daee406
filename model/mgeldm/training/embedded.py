"""The parts of the embedded model in a folder of runs, and from there to one file and back.

Each recipe keeps its run in a folder of its own, so any of them goes on where it stopped. `assemble` writes the
averaged weights of all as one checkpoint; `unpack` fills a folder from a checkpoint, so that training goes on from it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from ..checkpoint import load_model, save_model, save_tensors
from ..conditioning.embedded import EmbeddedConditioner, WordTable
from ..config import EMBEDDED, ModelConfig, SpectralConfig
from ..data.captions import CAPTIONS, MORE_CAPTIONS, VAGUE, phrases
from ..data.files import RUN_OPTION, make_folder, whole
from ..data.latents import counts_of, read_shard, shards
from ..errors import CheckpointError, InputError
from ..nn.dit import Block, Denoiser
from ..nn.spectral import SpectralAutoencoder
from .machine import there

_SOUNDS = "sounds.safetensors"
_MOST_HEARD = 300  # sounds of a class, from all of a folder


def projection(run: Path, pool: Path, config: ModelConfig = EMBEDDED) -> SpectralAutoencoder:
    """The autoencoder with its projection fitted on `pool` (once; kept in `run`) and its decoder network, if any."""
    assert isinstance(config.autoencoder, SpectralConfig)
    spectral, path = SpectralAutoencoder(config.autoencoder, config.rate_hz), run / "projection.safetensors"
    if not path.exists():
        make_folder(run, RUN_OPTION)
        spectral.fit(_sample(pool))
        _save_projection(spectral, path)
    spectral.load_state_dict(load_file(path), strict=False)
    if spectral.decoder is not None and (weights := averaged(run, "autoencoder")) is not None:
        spectral.decoder.load_state_dict(weights)
    return spectral


def _save_projection(spectral: SpectralAutoencoder, path: Path) -> None:
    save_tensors(path, {name: getattr(spectral, name).clone() for name in ("mean", "basis", "scale")})


def _sample(pool: Path, items: int = 2500) -> torch.Tensor:
    """Mels of all three tracks of a spread of items of a folder of shards, for the projection."""
    counts = counts_of(pool)
    total, first = sum(counts.values()), 0
    rows = np.linspace(0, total - 1, min(items, total)).astype(int)
    parts: list[list[np.ndarray]] = [[], [], []]
    for path, count in counts.items():
        shard = read_shard(path)
        for i, mels in enumerate((shard.mixtures, shard.rests, shard.sources)):
            own = rows[i::3]
            parts[i].append(mels[own[(own >= first) & (own < first + count)] - first])
        first += count
    return torch.from_numpy(np.concatenate([mels for track in parts for mels in track])).float()


def towers(run: Path, pool: Path, device: torch.device | None = None) -> EmbeddedConditioner:
    """The conditioner with its averaged weights, and with typical sounds: a checkpoint's, else learned of `pool`.

    Args:
        run: The folder of runs.
        pool: A folder of shards.
        device: Where sounds are learned: thousands are heard.
    """
    weights = averaged(run, "text-audio")
    if weights is None:
        raise InputError(f"There are no trained towers in {run}; train the recipe text-audio first.")
    known = run / _SOUNDS
    if not known.exists():
        conditioner = EmbeddedConditioner.from_state(weights).to(device)
        learn_sounds(conditioner, pool)
        save_tensors(known, {"names": conditioner.names.cpu(), "sounds": conditioner.sounds.cpu()})
    return EmbeddedConditioner.from_state(weights | load_file(known))


def new_towers(run: Path, words: Path) -> EmbeddedConditioner:
    """A conditioner to be trained; the sounds that towers before it knew are forgotten with them."""
    (run / _SOUNDS).unlink(missing_ok=True)
    return EmbeddedConditioner(WordTable.load(words))


@torch.no_grad()
def learn_sounds(conditioner: EmbeddedConditioner, pool: Path) -> None:
    """Tell a conditioner what known labels sound like: what a folder of shards holds of each on its own.

    Args:
        conditioner: With trained towers.
        pool: The folder.
    """
    rows: dict[str, list[tuple[Path, int]]] = defaultdict(list)
    for path in shards(pool):
        with np.load(path) as shard:
            labels, parts = shard["labels"], shard["parts"] if "parts" in shard else shard["labels"]
        for row in np.flatnonzero(labels == parts).tolist():
            rows[str(labels[row])].append((path, row))
    chosen: dict[Path, list[tuple[str, int]]] = defaultdict(list)
    for label in sorted((CAPTIONS | MORE_CAPTIONS).keys() & rows.keys() - VAGUE):
        for place in np.linspace(0, len(rows[label]) - 1, min(_MOST_HEARD, len(rows[label]))).astype(int):
            path, row = rows[label][place]
            chosen[path].append((label, row))
    heard: dict[str, list[torch.Tensor]] = defaultdict(list)
    for path, asked in chosen.items():
        with np.load(path) as shard:
            mels = there(shard["sources"][[row for _, row in asked]], conditioner.log_scale.device).float()
        for (label, _), sound in zip(asked, conditioner.embed_audio(mels), strict=True):
            heard[label].append(sound)
    if known := sorted(heard):
        names = [conditioner.embed_text(phrases(label)).mean(0) for label in known]
        conditioner.know(torch.stack(names), torch.stack([torch.stack(heard[label]).mean(0) for label in known]))


def denoiser(run: Path, config: ModelConfig = EMBEDDED) -> Denoiser:
    """The denoiser with its averaged weights."""
    model, weights = Denoiser(config.denoiser), averaged(run, "denoiser")
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
    out: Path,
    config: ModelConfig = EMBEDDED,
    start: Path | None = None,
    start_share: float = 0.0,
) -> None:
    """Write the averaged weights of every recipe as one checkpoint; the blocks' matrices as eight-bit integers.

    The mean of a denoiser and the one that it was trained on from often does better than either, on what is like its
    last material and on what is not (Wortsman et al. 2022, arXiv 2109.01903).

    Args:
        run: Folder of runs.
        pool: Folder of shards, for a projection that is not fitted yet and typical sounds that are not known yet.
        out: The file.
        config: Sizes.
        start: The checkpoint that training began with, if any.
        start_share: How much of its denoiser goes into this one, from 0 to 1.

    Raises:
        InputError: A share without a start.
    """
    tensors = towers(run, pool).state("conditioner.")
    model = denoiser(run, config)
    if start_share:
        if start is None:
            raise InputError("start_share says how much of `start` goes in, and no start is given; name one.")
        before = deepened(load_model(start).denoiser, config.denoiser.depth)
        with torch.no_grad():
            for weights, old in zip(model.parameters(), before.parameters(), strict=True):
                weights.lerp_(old, start_share)
    for prefix, part in (("autoencoder.", projection(run, pool, config)), ("denoiser.", model)):
        tensors |= {prefix + name: value for name, value in part.state_dict().items()}
    save_model(out, config, tensors, int8="denoiser.blocks.")


def unpack(path: Path, run: Path, depth: int = EMBEDDED.denoiser.depth) -> None:
    """Put the weights of a checkpoint of the embedded form into `run` wherever it has none yet.

    Args:
        path: The checkpoint.
        run: Folder of runs.
        depth: Blocks of the denoiser to be trained, at least as many as the checkpoint's (see `deepened`).

    Raises:
        CheckpointError: The file is missing, damaged, or of another form.
        OutputError: The folder cannot be made, or written to.
    """
    model = load_model(path)
    if not model.config.is_embedded:
        raise CheckpointError(f"{path.name} is no model of the embedded form; give another file as start.")
    if depth < (old := model.config.denoiser.depth):
        raise CheckpointError(f"{path.name} has {old} blocks and [model] asks for {depth}; ask for at least as many.")
    projected = run / "projection.safetensors"
    if not projected.exists():
        make_folder(run, RUN_OPTION)
        _save_projection(model.autoencoder, projected)
    decoder = model.autoencoder.decoder
    words = dict(model.conditioner_state)
    known: dict[str, torch.Tensor] = {name: words.pop(name) for name in ("names", "sounds") if name in words}
    if known and not (run / "text-audio").exists():
        save_tensors(run / _SOUNDS, known)
    weights = {
        **({} if decoder is None else {"autoencoder": decoder.state_dict()}),
        "text-audio": words,
        "denoiser": deepened(model.denoiser, depth).state_dict(),
    }
    for recipe, state in weights.items():
        folder = run / recipe
        if not (folder / "ema.pt").exists() and not (folder / "state.pt").exists():
            make_folder(folder, RUN_OPTION)
            with whole(folder / "ema.pt") as file:
                torch.save({name: value.clone() for name, value in state.items()}, file)


def deepened(denoiser: Denoiser, depth: int) -> Denoiser:
    """A denoiser of more blocks that answers as the given one does: the new ones lie between, and add nothing yet."""
    old = len(denoiser.blocks)
    made = Denoiser(replace(denoiser.config, depth=depth))
    around = {name: value for name, value in denoiser.state_dict().items() if not name.startswith("blocks.")}
    made.load_state_dict(around, strict=False)
    for place, block in enumerate(made.blocks):
        assert isinstance(block, Block)
        before, after = place * old // depth, (place + 1) * old // depth
        block.load_state_dict(denoiser.blocks[before].state_dict())
        if after == before:
            block.add_nothing()
    return made
