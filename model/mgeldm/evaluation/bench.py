"""`mgeldm bench`: how fast this machine extracts, from file to files, as ratios of one run."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from ..audio import AudioClip, open_audio, write
from ..data import corpus
from ..errors import InputError
from ..pipeline import Pipeline
from ..refine import refine_blocks, write_stems
from ..requests import QUALITIES, Extract, Quality, Region, Sampling

RATE_HZ = 44100
LONGEST_S = 3600.0  # of a song that is rendered in memory


def check_length(seconds: float) -> None:
    """Refuse, before a model is loaded, what `bench` cannot measure.

    Raises:
        InputError: The length makes no sense.
    """
    if not 1 <= seconds <= LONGEST_S:
        raise InputError(f"{seconds:g} s is no length to measure; choose 1 to {LONGEST_S:g} s.")


def bench(pipeline: Pipeline, seconds: float) -> dict[str, Any]:
    """Measure, on a rendered stereo song of `seconds`: see the rows of the table that comes back.

    Raises:
        InputError: As `check_length`.
    """
    check_length(seconds)
    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder, "song.wav")
        write(song, _song(seconds))
        _extract(pipeline, song, Path(folder), "draft", Region(0.0, min(6.0, seconds)))  # warms up
        for quality in QUALITIES:
            spent_s = _timed(lambda q=quality: _extract(pipeline, song, Path(folder), q, Region()))  # type: ignore[misc]
            rows[f"{quality}: time / length, file to files"] = spent_s / seconds
        rows["first second of a stem after the request, s"] = _first_second(pipeline, song)
        rows |= _second_prompt(pipeline, song, seconds)
    rows |= _denoiser(pipeline)
    rows["peak memory of this process, MiB"] = _peak_mib()
    width = max(map(len, rows))
    lines = [f"{name:<{width}}  {value:10.4f}" for name, value in rows.items()]
    head = f"{pipeline.config.name} on {pipeline.compute.device}, {torch.get_num_threads()} threads, {seconds:g} s song"
    return {"rows": {name: round(value, 5) for name, value in rows.items()}, "text": "\n".join([head, *lines])}


def _song(seconds: float) -> AudioClip:
    piece = corpus.render_song(1, [], min(seconds, 24.0)).mixture
    repeats = int(np.ceil(seconds * RATE_HZ / piece.shape[1]))
    return AudioClip(np.tile(piece, repeats)[:, : round(seconds * RATE_HZ)].astype(np.float32), RATE_HZ)


def _timed(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _extract(pipeline: Pipeline, path: Path, folder: Path, quality: Quality, region: Region) -> None:
    with open_audio(path) as song:
        found = pipeline.extract(song, Extract(("bass",), region, Sampling(quality)))
        paths = [folder / "bass.wav"], folder / "rest.wav"
        write_stems(song, found.estimates, *paths, start_s=found.start_s, end_s=found.end_s)


def _first_second(pipeline: Pipeline, path: Path) -> float:
    """Seconds from the request, the song open and the model warm, to a second of a stem."""
    with open_audio(path) as song:
        began_s, heard = time.perf_counter(), 0
        found = pipeline.extract(song, Extract(("drums",), sampling=Sampling("draft")))
        for block in refine_blocks(song, found.estimates):
            heard += block.stems.shape[2]
            if heard >= RATE_HZ:
                break
        return time.perf_counter() - began_s


def _second_prompt(pipeline: Pipeline, path: Path, seconds: float) -> dict[str, float]:
    """Estimates alone, of a first and of a second prompt, which finds mixture and rivals already heard."""
    with open_audio(path) as song:
        spent = []
        for prompt in ("guitar", "piano"):
            found = pipeline.extract(song, Extract((prompt,)))
            spent.append(_timed(lambda found=found: found.estimates(0.0, seconds)))  # type: ignore[misc]
    return {"estimates of a second prompt / of the first": spent[1] / spent[0]}


def _denoiser(pipeline: Pipeline) -> dict[str, float]:
    """Achieved FLOP/s of the denoiser against plain products of its matrices' shapes, and batching's gain."""
    compute, config = pipeline.compute, pipeline.config.denoiser
    frames, batch = pipeline.config.window_frames, compute.batch
    matrices = [m for m in pipeline.model.denoiser.modules() if isinstance(m, torch.nn.Linear)]
    tokens = batch * (frames if config.frame_timesteps else frames + 1)
    weights = [torch.randn(m.in_features, m.out_features, device=compute.device) for m in matrices]
    inputs = {m.in_features: torch.randn(tokens, m.in_features, device=compute.device) for m in matrices}

    def products() -> None:
        for weight in weights:
            float((inputs[weight.shape[0]] @ weight)[0, 0])

    plain_s = min(_timed(products) for _ in range(5))
    windows_s = batch / max(pipeline.windows_per_second() for _ in range(5))
    compute.batch = 1
    one_s = 1 / max(pipeline.windows_per_second() for _ in range(5))
    compute.batch = batch
    return {
        "denoiser: FLOP/s of its matrices / of plain products": plain_s / windows_s,
        f"windows one by one / {batch} at once": one_s * batch / windows_s,
    }


def _peak_mib() -> float:
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
