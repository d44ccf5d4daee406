"""From a TOML file to a run: which recipe, on what, for how long (see `embedded.toml`).

A recipe's table holds the options of the loop (`LoopConfig`) and those of the recipe itself, told apart by their names.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from ..checkpoint import save_model
from ..config import EMBEDDED, ModelConfig, OobleckConfig, from_dict
from ..data.embeddings import read_embeddings
from ..data.files import RUN_OPTION, make_folder
from ..data.latents import identity, load, shards
from ..data.manifest import Facts
from ..data.readers import open_set
from ..data.songs import Song
from ..errors import CheckpointError, InputError
from ..nn.dit import Denoiser
from ..nn.oobleck import OobleckAutoencoder
from . import embedded
from .autoencoder import DecoderRecipe, OobleckRecipe, Weights, folded, weight_normed
from .denoiser import DenoiserRecipe
from .discriminators import Discriminators
from .joint import Embedded, JointRecipe
from .loop import LoopConfig, Recipe, Run
from .machine import Machine, machine
from .parts import SENT, receive
from .sounds import Recorded, Rendered, Sounds
from .text_audio import TextAudioRecipe

Options = dict[str, Any]
Made = TypeVar("Made")
_COUNTS = ("batch", "crop_frames", "samples", "songs", "workers")  # options that are whole numbers from 1
_SHARES = ("extraction", "dropout")  # and numbers from 0 to 1


@dataclass(frozen=True)
class Settings:
    """What a TOML file says.

    Attributes:
        run: Folder of runs.
        out: The file that `assemble` writes.
        pool: Folder of shards that `mgeldm.training.encode` filled.
        held: Such a folder of songs held out from training, scored as training goes on.
        words: The word table.
        banks: Note banks that the autoencoder recipe renders with.
        start: A checkpoint whose weights fill an empty folder of runs.
        start_share: How much of its denoiser `assemble` mixes into the trained one (embedded form).
        model: Sizes and form: the embedded one, or what the table [model] gives, as in a checkpoint.
        embeddings: Name of the pool's embeddings, for models of the published form.
        recipes: The recipes' tables.
    """

    run: Path
    out: Path
    pool: Path | None = None
    held: Path | None = None
    words: Path | None = None
    banks: tuple[Path, ...] = ()
    start: Path | None = None
    start_share: float = 0.0
    model: ModelConfig = EMBEDDED
    embeddings: str = "published"
    recipes: tuple[tuple[str, Options], ...] = ()

    def options(self, recipe: str) -> Options:
        """A copy of a recipe's table.

        Raises:
            InputError: There is none.
        """
        found = dict(self.recipes).get(recipe)
        if found is None:
            file = "decoder.toml or published.toml" if recipe == "autoencoder" else "embedded.toml"
            raise InputError(f"The configuration has no table [{recipe}]; add one, see {file}.")
        return dict(found)

    def path(self, name: str) -> Path:
        """A path that the recipe at hand needs.

        Raises:
            InputError: The file does not give it.
        """
        value: Path | None = getattr(self, name)
        if value is None:
            raise InputError(f"The configuration says nothing of {name!r}, which this recipe needs; see embedded.toml.")
        return value


def read_settings(path: Path) -> Settings:
    """Read a TOML file.

    Raises:
        InputError: It is missing, or not understood.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        recipes = {name: found.pop(name) for name in RECIPES if name in found}
        for name in ("run", "out", "pool", "held", "words", "start"):
            if name in found:
                found[name] = Path(found[name])
        found["banks"] = tuple(Path(bank) for bank in found.get("banks", ()))
        if "model" in found:
            found["model"] = from_dict({"kind": "ModelConfig", **found["model"]})
        settings = Settings(recipes=tuple(recipes.items()), **found)
        settings.model.validate()
        for options in recipes.values():
            _split(dict(options))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CheckpointError) as error:
        raise InputError(f"{path} is missing or not understood ({error}); compare it with embedded.toml.") from error
    if settings.held is not None and not settings.model.is_embedded:
        raise InputError(f"{path} gives `held`, which only models of the embedded form are scored on; leave it out.")
    return settings


def train_from(
    recipe: str, config: Path, minutes: float | None = None, parts: Path | None = None, began_s: float | None = None
) -> None:
    """Train a recipe, "assemble" the model, or "receive" weights, as a TOML file says.

    Args:
        recipe: One of `RECIPES`, "assemble" or "receive".
        config: The TOML file.
        minutes: Stop after so many, preparation included. None: when the file's schedule ends.
        parts: Folder that receives the averaged weights as small files at each save; for "receive", where they lie.
            With them the schedule ends with the call, since nothing may go on where it runs; else it stays the file's.
        began_s: Reading of `time.monotonic` from which `minutes` count; None is now.

    Raises:
        InputError: The file is missing or not understood, or lacks what the recipe needs.
        OutputError: The folder of runs cannot be made, or written to.
    """
    stop_s = float("inf") if minutes is None else (began_s or time.monotonic()) + 60 * minutes
    settings = read_settings(config)
    found = _received(parts) if recipe == "receive" else []
    if settings.start is not None:
        embedded.unpack(settings.start, settings.run, settings.model.denoiser.depth)
    if recipe == "receive" and parts is not None:
        receive(parts, settings.run, found)
        return
    if recipe == "assemble":
        _check_pool(settings)
        _assemble(settings)
        return
    options, loop = _split(settings.options(recipe))
    make_folder(settings.run, RUN_OPTION)  # before anything is read or made for it
    if recipe == "denoiser":
        _check_pool(settings)
    place = machine(loop.processes, loop.nodes, loop.device, loop.precision)
    torch.manual_seed(loop.seed)
    try:
        work = RECIPES[recipe](settings, options, place)
    except TypeError as error:
        raise InputError(f"The table [{recipe}] of {config} is not understood ({error}).") from error
    Run(work, loop, settings.run / recipe, place, parts).train(stop_s)


def _received(parts: Path | None) -> list[str]:
    """What of `SENT` lies in a folder.

    Raises:
        InputError: There are none.
    """
    if parts is None:
        raise InputError("Say with --parts where the weights lie that are to be received.")
    found = [name for name in SENT if list(parts.glob(f"{name}-*-of-*.safetensors"))]
    if not found:
        raise InputError(
            "There are no weights of {recipes} in {folder}; give the folder that --parts named in training.",
            recipes=", ".join(RECIPES),
            folder=parts,
        )
    return found


def _check_pool(settings: Settings) -> None:
    """Refuse latents of another autoencoder than the trained one, with which no denoiser of theirs would work.

    Raises:
        InputError: There are such latents, or those of several autoencoders.
    """
    if settings.pool is None or settings.model.is_embedded:
        return
    encoders = {Facts.read(shard).autoencoder for shard in shards(settings.pool)} - {""}
    if encoders and (trained := embedded.averaged(settings.run, "autoencoder")) is not None:
        encoders.add(identity(trained))
    if len(encoders) > 1:
        raise InputError(
            f"{settings.pool} holds latents of another autoencoder than that of {settings.run}, or of several; name an "
            "empty folder as `pool`, assemble the model, and encode the songs into it."
        )


def _split(options: Options) -> tuple[Options, LoopConfig]:
    """A recipe's own options, and the loop's.

    Raises:
        InputError: One is a number that it cannot be.
        TypeError: One is of another kind than it should be.
    """
    kinds = {
        "float": (int, float),
        "int": (int,),
        "int | None": (int,),
        "str": (str,),
        "bool": (bool,),
        "tuple[float, float]": (list,),
    }
    loop: Options = {}
    for field in fields(LoopConfig):
        if field.name in options:
            value = options.pop(field.name)
            if not isinstance(value, kinds.get(str(field.type), object)):
                raise TypeError(f"{field.name} is {value!r}")
            loop[field.name] = tuple(value) if isinstance(value, list) else value
    for name in options:
        if name in _COUNTS and not (isinstance(options[name], int) and options[name] >= 1):
            raise InputError(f"{name} is {options[name]}; give a whole number of 1 or more.")
        if name in _SHARES and not 0 <= options[name] <= 1:
            raise InputError(f"{name} is {options[name]}; give a number from 0 to 1.")
    return options, LoopConfig(**loop)


def _autoencoder(settings: Settings, options: Options, place: Machine) -> Recipe:
    sounds = _sounds(settings, options)
    if "weights" in options:
        options["weights"] = _numbers("weights", Weights, options["weights"])
        if "critic" not in options and (options["weights"].adversarial or options["weights"].features):
            raise InputError("The weights adversarial and features need a critic; add one, as in published.toml.")
    config = settings.model.autoencoder
    channels = config.audio_channels if isinstance(config, OobleckConfig) else 1
    if "critic" in options:
        judge = partial(Discriminators, channels=channels)
        options["critic"] = _numbers("critic", judge, options["critic"]).to(place.device)
    if isinstance(config, OobleckConfig):
        return OobleckRecipe(weight_normed(OobleckAutoencoder(config)).to(place.device), sounds, **options)
    spectral = embedded.projection(settings.run, settings.path("pool"), settings.model).to(place.device)
    return DecoderRecipe(spectral, sounds, **options)


def _numbers(table: str, kind: Callable[..., Made], given: Options) -> Made:
    """What a table of numbers says.

    Raises:
        InputError: A name or a number is none that it can have.
    """
    try:
        least = min(np.min(value) for value in given.values())
        made = kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
    except (TypeError, ValueError, AttributeError, RuntimeError, ZeroDivisionError) as error:
        raise InputError(f"The table {table} is not understood ({error}); compare it with published.toml.") from error
    if not least >= 0:
        raise InputError(f"The table {table} has {least}; give numbers of zero or more.")
    return made


def _sounds(settings: Settings, options: Options) -> Sounds:
    """Songs of the data sets that the table names, else rendered ones."""
    sets, songs, workers = options.pop("sets", None), options.pop("songs", 64), options.pop("workers", 1)
    rate_hz = settings.model.rate_hz
    if sets is None:
        rendered = Rendered(settings.banks, songs, rate_hz)
        if workers > 1:
            rendered.prepare(workers)
        return rendered
    found: list[Song] = []
    for chosen in map(dict, sets):
        if not {"reader", "folder"} <= chosen.keys():
            raise InputError("Each of `sets` needs a reader and a folder; see published.toml.")
        found += list(open_set(chosen.pop("reader"), Path(chosen.pop("folder")), **chosen))
    return Recorded(found, rate_hz)


def _text_audio(settings: Settings, options: Options, place: Machine) -> Recipe:
    conditioner = embedded.new_towers(settings.run, settings.path("words")).to(place.device)
    return TextAudioRecipe(conditioner, load(settings.path("pool")), **options)


def _denoiser(settings: Settings, options: Options, place: Machine) -> Recipe:
    pool, config = settings.path("pool"), settings.model
    denoiser = Denoiser(config.denoiser).to(place.device)
    if options.pop("compiled", False):
        _compile(denoiser)
    if not config.is_embedded:
        options |= {"autoencoder": _trained_autoencoder(settings), "rate_hz": config.rate_hz}
        return JointRecipe(denoiser, load(pool), Embedded(*read_embeddings(pool, settings.embeddings)), **options)
    held = None if settings.held is None else load(settings.held)
    spectral = embedded.projection(settings.run, pool, config)
    towers = embedded.towers(settings.run, pool, place.device)
    recipe = DenoiserRecipe(denoiser, spectral, towers, load(pool), **options, held=held)
    if not recipe.extraction:
        raise InputError(f"extraction leaves none of {recipe.batch} items a batch to be extracted; raise it, or batch.")
    return recipe


def _trained_autoencoder(settings: Settings) -> OobleckAutoencoder | None:
    """The published form's, if it was trained in the same folder of runs.

    Raises:
        InputError: It is of other sizes.
    """
    weights, config = embedded.averaged(settings.run, "autoencoder"), settings.model.autoencoder
    if weights is None or not isinstance(config, OobleckConfig):
        return None
    autoencoder = OobleckAutoencoder(config)
    try:
        autoencoder.load_state_dict(folded(weights))
    except RuntimeError as error:
        raise InputError(
            f"The autoencoder in {settings.run} is of other sizes than [model] says; give `run` another folder."
        ) from error
    return autoencoder


def _compile(denoiser: Denoiser) -> None:
    """Have torch compile the blocks, one code for all: what is not a product of matrices is then fused.

    Raises:
        InputError: It cannot, for want of a C++ compiler most likely.
    """
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2, device=next(denoiser.parameters()).device))
    except Exception as error:  # whatever the compiler of the day raises
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"Nothing can be compiled here ({reason}); install a C++ compiler, or set compiled to false."
        ) from error
    for block in denoiser.blocks:
        block.compile()


RECIPES: dict[str, Callable[[Settings, Options, Machine], Recipe]] = {
    "autoencoder": _autoencoder,
    "text-audio": _text_audio,
    "denoiser": _denoiser,
}


def _assemble(settings: Settings) -> None:
    """Write the averaged weights as one checkpoint.

    Of the published form the denoiser may still be missing: the file then holds a fresh one, enough to encode with.
    """
    config = settings.model
    if config.is_embedded:
        pool = settings.path("pool")
        embedded.assemble(settings.run, pool, settings.out, config, settings.start, settings.start_share)
        return
    autoencoder = embedded.averaged(settings.run, "autoencoder")
    if autoencoder is None:
        raise InputError(f"There is no trained autoencoder in {settings.run}; train the recipe autoencoder first.")
    denoiser = embedded.averaged(settings.run, "denoiser") or Denoiser(config.denoiser).state_dict()
    tensors = {f"autoencoder.{name}": value for name, value in folded(autoencoder).items()}
    save_model(settings.out, config, tensors | {f"denoiser.{name}": value for name, value in denoiser.items()})
