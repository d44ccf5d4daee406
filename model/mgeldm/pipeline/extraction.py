"""Extraction: windows of the song to estimates of every prompted source and of the rest."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..audio import Samples, reserve
from ..checkpoint import Model
from ..nn.dit import Denoiser
from ..nn.spectral import FLOOR, SpectralAutoencoder, transpositions
from ..progress import Reporter
from ..refine import Estimate, estimate_of_audio
from ..sampling import dpmpp_2m, guided, posterior_mean, window_noise
from ..tracks import Known, Track
from .compute import Compute
from .listening import Listener
from .rivals import in_doubt
from .windows import Joiner, plan

_HEARD_WINDOWS = 500  # an hour and a half; what was heard before is forgotten
_KEPT_MASKS = 400  # some 50 MB: of four sources in 15 minutes, of eight (the pieces of a kit) in half of that
_LARGER = 0.75  # of the two masks of what is heard again, how much the larger counts
_MARGIN_FRAMES = 2  # latent frames of an estimate beyond what was asked for
_ON_DISK_BYTES = 2**25  # of one channel: what is kept beyond this, 25 minutes of one stem, is in a temporary file


@dataclass(frozen=True)
class How:
    """How latents are found: evaluations of the network (1 is the posterior mean), guidance, seed, `Heed.scale`."""

    steps: int
    guidance: float
    seed: int
    heed: float = 1.0


class Latents:
    """The joint latents of windows whose mixture is known, under one source condition at a time.

    Args:
        model: The model.
        compute: Where it runs.
        how: Steps, guidance, seed.
        conditions: One a prompt [k, dim], then those of sources that prompts name together [p, dim], then what is not
            meant, if it is known by masks, then those of sources nobody asked for. The last two compete for the masks.
        inverted: Prompts whose rest is wanted ("everything but"), bool [k]; as many as there are prompts.
        wholes: Number of the prompt that each of the [p] is named by.
        negative: What to move away from [dim], if anything.
        unwanted: How many of the conditions are what is not meant.
        within: Which prompts name a part of another, bool [k, k]; in the row of the drums the kick drum is one.
    """

    def __init__(
        self,
        model: Model,
        compute: Compute,
        how: How,
        conditions: Tensor,
        inverted: Tensor,
        wholes: Tensor,
        negative: Tensor | None,
        unwanted: int = 0,
        within: Tensor | None = None,
    ):
        self.model, self.compute, self.how = model, compute, how
        self.conditions, self.inverted, self.wholes, self.negative = conditions, inverted, wholes, negative
        self.unwanted = unwanted
        k = len(inverted)
        self.within = torch.zeros(k, k, dtype=torch.bool) if within is None else within & ~inverted & ~inverted[:, None]

    def find(
        self, conditions: Tensor, mixtures: Tensor, first_frames: list[int], done: Callable[..., Tensor], *more: Tensor
    ) -> Tensor:
        """`done(latents, *more)` for each window and condition: [windows, k, ...].

        Args:
            conditions: Of the sources [k, dim].
            mixtures: Latents of the mixture [windows, k, channels, frames]; each condition may hear its own.
            first_frames: Absolute latent frame of each window's beginning.
            done: From latents [batch, tracks, channels, frames] and `more` to a result.
            more: Tensors [windows, k, ...] handed to `done`.
        """
        windows, k, channels, frames = mixtures.shape
        noise = torch.stack([window_noise(self.how.seed, f, frames, len(Track), channels) for f in first_frames])

        def run(mixture: Tensor, noise: Tensor, condition: Tensor, *more: Tensor) -> Tensor:
            return done(self._sample(mixture, noise, condition), *more)

        each = (mixtures.flatten(0, 1), noise.repeat_interleave(k, 0), conditions.repeat(windows, 1))
        found = self.compute.map(run, *each, *(x.flatten(0, 1) for x in more))
        return found.unflatten(0, (windows, k))

    def _sample(self, mixture: Tensor, noise: Tensor, condition: Tensor) -> Tensor:
        batch, channels, frames = mixture.shape
        known = Known.nothing(batch, channels, frames).to(mixture.device).with_track(Track.MIXTURE, mixture)
        conditions = source_only(condition)
        negative = None if self.negative is None else source_only(self.negative.to(condition).expand_as(condition))
        denoise = guided(self.model.denoiser, conditions, self.how.guidance, negative)
        per_frame = self.model.config.denoiser.frame_timesteps
        if self.how.steps == 1 and per_frame:  # what has a timestep for each frame learned from no noise at all
            return posterior_mean(denoise, known, per_frame)
        return dpmpp_2m(denoise, noise, known, self.how.steps, per_frame)


def source_only(condition: Tensor) -> Tensor:
    """Conditions [batch, tracks, dim] of a source condition [batch, dim]; mixture and submixture have none."""
    return torch.nn.functional.pad(condition[:, None], (0, 0, int(Track.SOURCE), 0))


def in_one_step(denoiser: Denoiser, mixtures: Tensor, condition: Tensor) -> Tensor:
    """Joint latents [batch, tracks, channels, frames] by the posterior mean.

    Args:
        denoiser: The network.
        mixtures: Their latents [batch, channels, frames].
        condition: Of the sources [batch, dim].
    """
    known = Known.nothing(*mixtures.shape).to(mixtures.device).with_track(Track.MIXTURE, mixtures)
    return posterior_mean(guided(denoiser, source_only(condition)), known)


def mask_of_latents(spectral: SpectralAutoencoder, latents: Tensor) -> Tensor:
    """The source's share of magnitudes [batch, bands, steps], of latents [batch, tracks, channels, frames]."""
    tracks = (Track.SUBMIXTURE, Track.SOURCE)
    rest, source = (spectral.expand(spectral.decode_mel(latents[:, track])) for track in tracks)
    return source / (source + rest).clamp(min=FLOOR)


Place = tuple[int, int, float]
"""First latent frame of a window, how many it has, and the gain at which they are heard."""


@dataclass
class Heard:
    """What is known of one channel of a song, for the next prompt on it.

    Attributes:
        mels: Of windows [bands, steps].
        masks: Of sources that nobody asked for [bands, steps], by window and by all else that they follow from.
    """

    mels: dict[Place, Tensor] = field(default_factory=dict)
    masks: dict[tuple[Place, Hashable], Tensor] = field(default_factory=dict)


def _forget(known: dict[Any, Tensor], most: int) -> None:
    """The oldest of what is known goes where there is more than `most`."""
    for key in list(known)[: max(0, len(known) - most)]:
        del known[key]


class Masks:
    """The embedded model's way: latents to magnitudes, and those to masks of the sources.

    What is asked for is heard at several pitches: the network errs differently at each, and the mean of its masks less.
    What competes with it is heard once. Of "the bass and the piano" the network finds less than of the bass and of the
    piano, but also what it takes for neither: the mask is the larger, of the whole or of all that it names.

    What is asked for is then heard again, in what is left of the song without what competes: there a faint source is
    heard that louder ones hid. Of both masks the larger counts most (model/README, "Heard again").

    Args:
        latents: Finds the latents of a window.
        heard: What is known of the song already; it grows.
        pitches: In semitones.
        again: The pitches at which what is left is heard; none, and it is not.
    """

    power = 1  # see `Joiner`

    def __init__(self, latents: Latents, heard: Heard, pitches: Sequence[float], again: Sequence[float]):
        self.latents, self.heard, self.pitches, self.again = latents, heard, pitches, again
        self.spectral = latents.model.autoencoder
        self.steps_per_frame = self.spectral.config.mels_per_latent
        self.bands = self.spectral.config.mel_bands
        self.centres_hz = self.spectral.centres_hz.cpu().numpy()
        self.prompts = torch.cat((torch.arange(len(latents.inverted)), latents.wholes))  # that each condition is of
        self.asked, self.unasked = latents.conditions.tensor_split([len(self.prompts)])
        unasked = self.unasked[latents.unwanted :]
        self.doubtful = in_doubt(latents.conditions[: len(latents.inverted)], unasked)
        away = b"" if latents.negative is None else latents.negative.numpy().tobytes()
        how = replace(latents.how, seed=0) if latents.how.steps == 1 else latents.how  # one step takes no noise
        self._ways = [(how, away, source.numpy().tobytes()) for source in self.unasked]

    def separate(self, listener: Listener, first_frames: list[int], frames: int) -> Samples:
        """Shares [windows, k + 1, bands, steps] of every source and the rest; they sum to one."""
        places = [(first, frames, listener.gain) for first in first_frames]
        mels = self._hear(listener, places)  # [windows, bands, steps]
        unwanted, unasked = self._competing(mels, places)
        inverted = self.latents.inverted[:, None, None]
        song = mels[:, None]  # the same for every prompt
        asked = self._asked(song, self.pitches, first_frames)
        parts = torch.einsum("ij,wjbs->wibs", self.latents.within.float(), asked)
        asked = (asked - parts).clamp(min=0)  # beside a stem of the kick drum the drums have none
        rivals = torch.where(inverted, 0, (asked * ~inverted).sum(1, keepdim=True) - asked)
        others = rivals + unwanted + unlike(asked, unasked, song, self.doubtful)  # that want what is asked for
        total = (asked + others).clamp(min=1)
        shares, left = asked / total, 1 - others / total
        if self.again:
            beneath = self.spectral.compress(self.spectral.expand(song) * left)
            found = self._asked(beneath, self.again, first_frames) * left
            shares = torch.lerp(torch.minimum(shares, found), torch.maximum(shares, found), _LARGER)
        shares = torch.where(inverted, 1 - shares - unwanted / total, shares)  # of all but the bass more may go
        shares = shares / shares.sum(1, keepdim=True).clamp(min=1)
        return torch.cat((shares, 1 - shares.sum(1, keepdim=True)), 1).numpy()

    def _asked(self, mels: Tensor, pitches: Sequence[float], first_frames: list[int]) -> Tensor:
        """Masks [windows, k, bands, steps] of the prompts, each as if it were alone, in mels [windows, 1 or k, ...]."""
        k, wholes = len(self.latents.inverted), self.latents.wholes
        each = [pitch for pitch in pitches for _ in self.asked]
        hearing = mels.expand(-1, k, -1, -1)[:, self.prompts].repeat(1, len(pitches), 1, 1)
        found = self._masks(self.asked.repeat(len(pitches), 1), each, hearing, first_frames)
        whole, named = found.unflatten(1, (len(pitches), -1)).mean(1).split((k, len(wholes)), 1)
        return torch.maximum(whole, torch.zeros_like(whole).index_add(1, wholes, named).clamp(max=1))

    def _masks(self, conditions: Tensor, pitches: Sequence[float], mels: Tensor, first_frames: list[int]) -> Tensor:
        """Masks [windows, k, bands, steps] of conditions [k, dim], each at its pitch in mels [windows, 1 or k, ...]."""
        mels = mels.expand(-1, len(conditions), -1, -1)
        run, shape, centres_hz = self.latents.compute.map, mels.shape[:2], self.spectral.centres_hz
        there, back = (
            transpositions(centres_hz, [sign * pitch for pitch in pitches]).repeat(len(mels), 1, 1)
            for sign in (1, -1)
        )
        moved = run(torch.matmul, there, mels.flatten(0, 1))  # [windows * k, bands, steps]
        mixtures = run(self.spectral.encode_mel, moved)

        def mask(latents: Tensor, back: Tensor) -> Tensor:
            return back @ mask_of_latents(self.spectral, latents)

        mixtures, back = (x.unflatten(0, shape) for x in (mixtures, back))
        return self.latents.find(conditions, mixtures, first_frames, mask, back)

    def _competing(self, mels: Tensor, places: list[Place]) -> tuple[Tensor, Tensor]:
        """Masks of what is not meant, summed [windows, 1, bands, steps], and of what nobody wants [windows, r, ...].

        What another prompt found is reused.
        """
        known = self.heard.masks
        _forget(known, _KEPT_MASKS)
        new = [i for i, place in enumerate(places) if any((place, way) not in known for way in self._ways)]
        ways = [j for j, way in enumerate(self._ways) if any((places[i], way) not in known for i in new)]
        if new:
            firsts = [places[i][0] for i in new]
            found = self._masks(self.unasked[ways], [0.0] * len(ways), mels[new][:, None], firsts).half()
            for i, masks in zip(new, found, strict=True):
                known |= {(places[i], self._ways[j]): mask for j, mask in zip(ways, masks, strict=True)}
        masks = mels.new_zeros(len(places), len(self._ways), *mels.shape[1:])
        for (i, place), (j, way) in itertools.product(enumerate(places), enumerate(self._ways)):
            masks[i, j] = known[place, way]
        unwanted, unasked = masks.tensor_split([self.latents.unwanted], 1)
        return unwanted.sum(1, keepdim=True), unasked

    def _hear(self, listener: Listener, places: list[Place]) -> Tensor:
        known = self.heard.mels
        _forget(known, _HEARD_WINDOWS)
        new = [place for place in places if place not in known]
        if new:
            audio = torch.from_numpy(np.stack([listener.read(first, frames) for first, frames, _ in new]))
            mels = self.latents.compute.map(self.spectral.mel, audio).half()
            known |= dict(zip(new, mels, strict=True))
        return torch.stack([known[place] for place in places]).float()

    def estimate(self, values: Samples, step_s: float, first_s: float) -> Estimate:
        """The estimate of joined shares [k + 1, bands, steps]; step j is centred on (j + 1/2) steps."""
        return Estimate(values[:-1], values[-1], self.centres_hz, step_s, first_s + step_s / 2)


def unlike(asked: Tensor, unasked: Tensor, mels: Tensor, doubtful: Tensor) -> Tensor:
    """Sums [windows, k, bands, steps] of what competes with each prompt, as far as it is something else.

    What claims only what a prompt claims too may be the same sound by another name, as drums are to "percussion", and
    then takes nothing from it (model/README, "By another name").

    Args:
        asked: Masks of the prompts [windows, k, bands, steps].
        unasked: Masks of what nobody asked for [windows, r, bands, steps].
        mels: The song's [windows, 1, bands, steps].
        doubtful: Which of both may be the same, by their names [k, r].
    """
    both = torch.minimum(asked[:, :, None], unasked[:, None])  # [windows, k, r, bands, steps]
    claimed = (unasked * mels).sum((2, 3))[:, None]
    alike = (both * mels[:, None]).sum((3, 4)) / claimed.clamp(min=FLOOR)  # [windows, k, r]
    return torch.einsum("wkr,wrbs->wkbs", 1 - doubtful * alike.square(), unasked)


class Decoded:
    """The paper's way: latents to the sound of every source and of the rest, from which magnitudes are taken."""

    def __init__(self, latents: Latents):
        self.latents, self.autoencoder = latents, latents.model.autoencoder
        self.steps_per_frame = latents.model.config.samples_per_frame
        self.bands = 1
        self.power = 2 if latents.model.config.is_embedded else 1  # see `Pipeline.extract_raw`

    def separate(self, listener: Listener, first_frames: list[int], frames: int) -> Samples:
        """Audio [windows, k + 1, 1, samples] of every source and the rest."""
        audio = torch.from_numpy(np.stack([listener.read(first, frames) for first in first_frames]))
        mixtures = self.latents.compute.map(self.autoencoder.encode, audio[:, None])
        mixtures = mixtures[:, None].expand(-1, len(self.latents.conditions), -1, -1)

        def decode(latents: Tensor) -> Tensor:
            both = [self.autoencoder.decode(latents[:, track]) for track in (Track.SOURCE, Track.SUBMIXTURE)]
            return torch.cat(both, 1)  # [batch, 2, samples]

        both = self.latents.find(self.latents.conditions, mixtures, first_frames, decode)  # [windows, k, 2, samples]
        both = torch.where(self.latents.inverted[:, None, None], both.flip(2), both)
        sources, rests = both.unbind(2)  # each [windows, k, samples]
        others = sources.sum(1, keepdim=True) - sources
        rest = (rests - others).mean(1, keepdim=True)  # every prompt's submixture, less the other prompts' sources
        return torch.cat((sources, rest), 1)[:, :, None].numpy()

    def estimate(self, values: Samples, step_s: float, first_s: float) -> Estimate:
        """The estimate of joined audio [k + 1, 1, samples]."""
        return estimate_of_audio(values[:-1, 0], values[-1, 0], round(1 / step_s), first_s)


class EstimateStream:
    """Estimates of a region, computed window by window as they are asked for, and kept: sensitivity can change later.

    Args:
        listener: The song.
        separator: The way.
        start_s: Where the region begins.
        end_s: Where it ends.
        window: Latent frames in a window.
        overlap: Latent frames that it shares with the next.
        reporter: Hears of each batch of windows, and may stop the work.
    """

    def __init__(
        self,
        listener: Listener,
        separator: Masks | Decoded,
        start_s: float,
        end_s: float,
        window: int,
        overlap: int,
        reporter: Reporter,
    ):
        self.listener, self.separator, self.reporter = listener, separator, reporter
        self.step_s = listener.frame_s / separator.steps_per_frame
        start, stop = int(start_s / listener.frame_s), int(np.ceil(end_s / listener.frame_s))
        self.window, total = window, max(listener.frames, stop)
        self.starts = plan(start, stop, total, window, window - overlap)
        self.end = self.starts[-1] + window  # latent frame where the last window ends
        steps = separator.steps_per_frame
        self.joiner = Joiner(self.starts[0] * steps, self.end * steps, overlap * steps, separator.power)
        self.done, self.ready = 0, self.starts[0] * steps  # windows computed, steps finished
        self._kept: np.ndarray | None = None

    def __call__(self, start_s: float, end_s: float) -> Estimate:
        """The estimate from `start_s` to `end_s`, a little more where there is more."""
        begin, steps = self.starts[0] * self.separator.steps_per_frame, self.separator.steps_per_frame
        first = min(max(int(start_s / self.step_s) - _MARGIN_FRAMES * steps, begin), (self.end - 1) * steps)
        last = max(int(end_s / self.step_s) + _MARGIN_FRAMES * steps, first + steps)
        estimate = self.separator.estimate(self._steps(first, last), self.step_s, first * self.step_s)
        return replace(estimate, offsets=self.listener.offsets)

    def values(self, start_s: float, end_s: float) -> Samples:
        """What the separator gave, joined, of exactly that time [k + 1, ..., steps]."""
        return self._steps(round(start_s / self.step_s), round(end_s / self.step_s))

    def _steps(self, first: int, last: int) -> Samples:
        while self.ready < last and self.done < len(self.starts):
            self._compute()
        assert self._kept is not None
        begin = self.starts[0] * self.separator.steps_per_frame
        return np.asarray(self._kept[..., first - begin : max(last - begin, 0)], np.float32)

    def _compute(self) -> None:
        """The next batch of windows; the first one is alone, so that something is heard soon."""
        self.reporter.check()
        count = 1 if self.done == 0 else self.separator.latents.compute.at_once
        firsts = self.starts[self.done : self.done + count]
        values = self.separator.separate(self.listener, firsts, self.window)
        for i, first in enumerate(firsts):
            following = self.starts[self.done + i + 1 :][:1]
            steps = self.separator.steps_per_frame
            self._keep(first * steps, values[i], following[0] * steps if following else None)
        self.done += len(firsts)
        self.reporter.report("windows", self.done, len(self.starts))

    def _keep(self, first: int, values: Samples, following: int | None) -> None:
        begin = self.starts[0] * self.separator.steps_per_frame
        if self._kept is None:
            steps = (self.end - self.starts[0]) * self.separator.steps_per_frame
            self._kept = _room((*values.shape[:-1], steps), np.float16 if self.separator.bands > 1 else np.float32)
        for piece in self.joiner.add(first, values, following):
            self._kept[..., piece.first - begin : piece.first - begin + piece.values.shape[-1]] = piece.values
            self.ready = piece.first + piece.values.shape[-1]


def _room(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros, in memory or, for hours of music, in a temporary file that goes with its last reader.

    Raises:
        OutputError: The disk has no room for it.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= _ON_DISK_BYTES:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:
        reserve(file, 0, size, Path(tempfile.gettempdir()))
        return np.memmap(file, dtype, "w+", shape=shape)
