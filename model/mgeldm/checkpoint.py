"""Models on disk: safetensors with the configuration inside, and the published torch file, without running its code.

A tensor NAME of our files lies under its own name, or as NAME.int8 with NAME.scale (a scale for each row). The
published file is memory-mapped and its tensors are assigned, not copied: loading needs little more than the model.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import zipfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .audio import writing
from .config import PUBLISHED, DenoiserConfig, ModelConfig, OobleckConfig, SpectralConfig, from_dict, to_dict
from .errors import FAULTS, CheckpointError
from .language import later, say
from .naming import aside_of, give_name
from .nn.dit import Denoiser
from .nn.oobleck import OobleckAutoencoder
from .nn.spectral import SpectralAutoencoder

_HEAD = 32  # width of an attention head of the published network
_LOT = 32  # tensors converted through one mapping of the file


@dataclass
class Model:
    """A loaded model: networks in evaluation mode, and the conditioner's tensors if it carries them."""

    config: ModelConfig
    autoencoder: Any  # OobleckAutoencoder or SpectralAutoencoder: encode and decode alike
    denoiser: Denoiser
    conditioner_state: dict[str, Tensor]
    path: Path

    @cached_property
    def sha256(self) -> str:
        """Hash of the file, read when first asked for."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def load_model(path: str | Path, config: ModelConfig | None = None) -> Model:
    """Read a model: our safetensors, or a torch file of the published form.

    Args:
        path: The file.
        config: Its sizes; None reads them from the file, or from its tensors' shapes.

    Raises:
        CheckpointError: The file is missing, truncated, foreign, malicious, or does not fit the configuration.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError("There is no model file {path}; check the path, or install the program again.", path=path)
    if path.stat().st_size == 0:
        raise CheckpointError("The model file {file} is empty; fetch it again.", file=path.name)
    try:
        tensors, found = _read_safetensors(path) if _is_safetensors(path) else (_read_torch(path), None)
        config = config or found or _config_of(tensors, path)
        autoencoder, denoiser = _build(config)
        networks = {"autoencoder.": autoencoder, "denoiser.": denoiser}
        for prefix, module in networks.items():
            _fill(module, tensors, prefix, path)
    except (*FAULTS, SafetensorError) as error:
        raise _fault(path, error) from error
    for module in networks.values():
        module.eval()
    conditioner = {name: value for name, value in tensors.items() if name.startswith("conditioner.")}
    state = {name.removeprefix("conditioner."): value for name, value in conditioner.items()}
    return Model(config, autoencoder, denoiser, state, path)


def save_model(
    path: str | Path, config: ModelConfig, tensors: dict[str, Tensor], half: bool = True, int8: str = ""
) -> None:
    """Write our form under a name aside, then its own.

    Args:
        path: The file.
        config: Goes into its metadata.
        tensors: By name, under autoencoder. denoiser. conditioner.
        half: Floating-point tensors in half precision.
        int8: Prefix of matrices to store as eight-bit integers with a scale for each row; empty for none.

    Raises:
        OutputError: The file cannot be written.
    """
    path, stored = Path(path), {}
    for name, value in tensors.items():
        value = value.detach().cpu()
        if int8 and name.startswith(int8) and value.is_floating_point() and value.squeeze(-1).ndim == 2:
            rows = value.flatten(1).abs().amax(1).clamp(min=1e-8) / 127
            scale = rows.float().view(-1, *[1] * (value.ndim - 1))
            stored[name + ".int8"], stored[name + ".scale"] = (value / scale).round().to(torch.int8), scale
            continue
        stored[name] = (value.half() if half and value.is_floating_point() else value).contiguous()
    save_tensors(path, stored, {"config": json.dumps(to_dict(config))})


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors under a name aside, then its own.

    Raises:
        OutputError: The file cannot be written.
    """
    aside = aside_of(path)  # each of several processes writes its own
    with writing(path, aside):
        try:
            save_file(tensors, aside, metadata)
        except SafetensorError as error:  # which tells of a missing folder and a full disk in words alone
            raise RuntimeError(str(error)) from error
        aside.chmod(0o600 | (0o644 & path.parent.stat().st_mode))  # who may read the folder: it made it its owner's own
        give_name(aside, path)


def lacks_memory(error: BaseException) -> bool:
    """Whether it tells of too little memory, for which torch has a type of its own on some GPUs and words elsewhere."""
    words = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(each in str(error) for each in words)


def _fault(path: Path, error: BaseException) -> CheckpointError:
    if isinstance(error, PermissionError):
        return CheckpointError("The model file {path} may not be read; change its permissions.", path=path)
    if lacks_memory(error):
        return CheckpointError(
            "There is not enough memory for {file}; close other programs and try again.", file=path.name
        )
    return CheckpointError(
        "{file} is truncated or damaged ({why}); fetch it again.", file=path.name, why=str(error)[:200]
    )


def _build(config: ModelConfig) -> tuple[Any, Denoiser]:
    """Autoencoder and denoiser; the large ones without memory of their own, which the file's tensors bring."""
    config.validate()
    with torch.device("meta"):
        denoiser = Denoiser(config.denoiser)
    if isinstance(config.autoencoder, SpectralConfig):
        return SpectralAutoencoder(config.autoencoder, config.rate_hz), denoiser
    with torch.device("meta"):
        return OobleckAutoencoder(config.autoencoder), denoiser


def _fill(module: nn.Module, tensors: dict[str, Tensor], prefix: str, path: Path) -> None:
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    wanted = module.state_dict()
    missing, extra = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    wrong = sorted(name for name in set(wanted) & set(state) if not _alike(state[name], wanted[name]))
    if missing or extra or wrong:
        faults = later("{tensor} is missing"), later("{tensor} is unknown"), later("{tensor} is misshapen")
        what = say(faults[0 if missing else 1 if extra else 2], tensor=f"{prefix}{(missing or extra or wrong)[0]}")
        raise CheckpointError(
            "{file} does not fit its configuration ({fault}); fetch another copy.", file=path.name, fault=what
        )
    state = {name: value.to(wanted[name].dtype) for name, value in state.items()}
    module.load_state_dict(state, assign=True)
    for parameter in module.parameters():
        parameter.requires_grad_(False)


def _alike(value: Tensor, wanted: Tensor) -> bool:
    kinds = value.is_floating_point() == wanted.is_floating_point() and not value.is_complex()
    return value.shape == wanted.shape and value.layout == torch.strided and kinds


# ---------------------------------------------------------------------------------------------------------- reading


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(9)
    return len(head) == 9 and head[8:] == b"{"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], ModelConfig]:
    """Tensors in single precision and the configuration.

    What is stored in single precision stays mapped. The rest is converted a few tensors at a time, each lot through
    a mapping of its own: the pages of a mapping stay in memory until it is closed.
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if "config" not in metadata:
            raise CheckpointError(
                "{file} holds no MGE-LDM configuration; it is another program's model.", file=path.name
            )
        sizes = json.loads(metadata["config"])
        sizes.pop("timestep_end", None)  # of older files, in which it is always what `diffusion` has
        if sizes.get("refiner") is None:
            sizes.pop("refiner", None)  # of older files too; those that have one are not understood
        config = from_dict(sizes)
        names = sorted(file.keys())
        whole = {name for name in names if file.get_slice(name).get_dtype() == "F32"}
        tensors = {name: file.get_tensor(name) for name in names if name in whole}
    if not isinstance(config, ModelConfig):
        raise CheckpointError(
            "{file} holds the configuration of a part, not of a model; fetch another copy.", file=path.name
        )
    others = [name for name in names if name not in whole]
    for first in range(0, len(others), _LOT):
        with safe_open(path, "pt") as file:
            for name in others[first : first + _LOT]:
                value = file.get_tensor(name)
                if name.endswith(".int8"):
                    scale = tensors.pop(name.removesuffix("int8") + "scale")
                    tensors[name.removesuffix(".int8")] = value * scale  # promoted as it is multiplied
                else:
                    tensors[name] = value.float() if value.is_floating_point() else value.clone()
                del value
    return tensors, config


def _read_torch(path: Path) -> dict[str, Tensor]:
    """Tensors of the published form under our names."""
    if not zipfile.is_zipfile(path):
        raise CheckpointError("{file} is truncated, or no model file at all; fetch it again.", file=path.name)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "{file} holds more than tensors and was not opened: it could run code. Use the published file.",
            file=path.name,
        ) from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise CheckpointError("{file} holds no state_dict of tensors; it is another program's file.", file=path.name)
    tensors = _renamed(state)
    if not any(name.startswith("denoiser.") for name in tensors):
        raise CheckpointError("{file} holds no tensors of MGE-LDM; it is another program's file.", file=path.name)
    return tensors


# The published name of each tensor (a pattern) and ours.
_DENOISER_NAMES = (
    (r"timestep_features\.weight", r"features.weight"),
    (r"to_timestep_embed\.([13])\.(weight|bias)", lambda m: f"timestep.{int(m[1]) - 1}.{m[2]}"),
    (r"to_global_embed\.([13])\.weight", lambda m: f"condition.{int(m[1]) - 1}.weight"),
    (r"preprocess_conv\.weight", r"before.weight"),
    (r"postprocess_conv\.weight", r"after.weight"),
    (r"transformer\.project_in\.weight", r"enter.weight"),
    (r"transformer\.project_out\.weight", r"leave.weight"),
    (r"transformer\.layers\.(\d+)\.pre_norm\.gamma", r"blocks.\1.attention_norm.gamma"),
    (r"transformer\.layers\.(\d+)\.self_attn\.to_(qkv|out)\.weight", r"blocks.\1.attention.\2.weight"),
    (r"transformer\.layers\.(\d+)\.ff_norm\.gamma", r"blocks.\1.feedforward_norm.gamma"),
    (r"transformer\.layers\.(\d+)\.ff\.ff\.0\.proj\.(weight|bias)", r"blocks.\1.feedforward.wide.\2"),
    (r"transformer\.layers\.(\d+)\.ff\.ff\.2\.(weight|bias)", r"blocks.\1.feedforward.narrow.\2"),
    (r"transformer\.layers\.(\d+)\.to_scale_shift_gate\.2\.weight", r"blocks.\1.modulation.weight"),
)


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published names to ours, weight norm folded; what is computed anyway (rotary, zero shifts) is left out."""
    tensors = {}
    for name, value in state.items():
        if name.startswith("model_dit."):
            for pattern, ours in _DENOISER_NAMES:
                match = re.fullmatch(pattern, name.removeprefix("model_dit."))
                if match:
                    tensors["denoiser." + (ours(match) if callable(ours) else match.expand(ours))] = value
        elif name.startswith("pretransform.model.") and not name.endswith(".weight_g"):
            ours_name = _autoencoder_name(name.removeprefix("pretransform.model."))
            if name.endswith(".weight_v"):
                gain = state.get(name.removesuffix("v") + "g")
                if gain is None:
                    raise CheckpointError(
                        "The tensor {tensor} lacks its gain; the file is damaged, fetch it again.", tensor=name
                    )
                value = gain * value / value.norm(dim=(1, 2), keepdim=True)
            tensors["autoencoder." + ours_name] = value
    return tensors


def _autoencoder_name(name: str) -> str:
    """`encoder.layers.1.layers.0.layers.1.weight_v` to `encoder.1.0.layers.1.weight`."""
    name = re.sub(r"weight_v$", "weight", name)
    name = re.sub(r"^(encoder|decoder)\.layers\.(\d+)", r"\1.\2", name)
    return re.sub(r"^(\w+\.\d+)\.layers\.(\d+)", r"\1.\2", name)


def _config_of(tensors: dict[str, Tensor], path: Path) -> ModelConfig:
    """Sizes from the shapes of tensors of the published form, with heads of 32, 16 kHz and 100 frames."""
    try:
        width, channels = tensors["denoiser.enter.weight"].shape
        depth = len({name.split(".")[2] for name in tensors if name.startswith("denoiser.blocks.")})
        conv = tensors["denoiser.condition.0.weight"]  # [tracks * dim, dim, 1]
        tracks = conv.shape[0] // conv.shape[1]
        narrow = tensors["denoiser.blocks.0.feedforward.narrow.weight"]
        denoiser = DenoiserConfig(
            latent_channels=channels // tracks,
            tracks=tracks,
            width=width,
            depth=depth,
            heads=width // _HEAD,
            condition_dim=conv.shape[1],
            timestep_features=2 * len(tensors["denoiser.features.weight"]),
            feedforward_multiple=narrow.shape[1] / width,
        )
        return replace(PUBLISHED, autoencoder=_oobleck_of(tensors), denoiser=denoiser)
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            "{file} lacks the tensor {tensor}; it is another program's file.", file=path.name, tensor=error
        ) from error


def _oobleck_of(tensors: dict[str, Tensor]) -> OobleckConfig:
    first = tensors["autoencoder.encoder.0.weight"]
    downs: list[Tensor] = []
    while (name := f"autoencoder.encoder.{len(downs) + 1}.4.weight") in tensors:
        downs.append(tensors[name])
    return OobleckConfig(
        channels=first.shape[0],
        multiples=tuple(down.shape[0] // first.shape[0] for down in downs),
        strides=tuple(down.shape[2] // 2 for down in downs),
        latent_channels=tensors["autoencoder.decoder.0.weight"].shape[1],
        audio_channels=first.shape[1],
    )
