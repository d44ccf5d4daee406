"""The library's front door: load a model once, then one method a request.

pipeline = Pipeline.load()
with open_audio("song.flac") as song:
    stems = pipeline.extract(song, Extract(("the bass", "the drums")))
    write_stems(song, stems.estimates, ["bass.wav", "drums.wav"], "rest.wav")
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..audio import AudioClip, AudioInfo, Samples, Song, resample, without_offset
from ..bundled import EMBEDDED_PATH
from ..checkpoint import Model, load_model
from ..conditioning import Conditioner
from ..errors import CheckpointError, InputError, SilenceError
from ..nn.spectral import MIXTURE_RMS
from ..progress import Reporter
from ..refine import (
    Estimates,
    EstimatesAt,
    at_loudness,
    edge_gains,
    evened,
    loudness_match,
    one_channel,
    refine_region,
    standing_for_all,
)
from ..requests import (
    LONGEST_GENERATED_S,
    Accompany,
    Extract,
    Generate,
    Impute,
    Inpaint,
    Region,
    Sampling,
)
from ..tracks import TASKS, Track
from ..words import parse_prompt, wanted
from .compute import Compute, OnNotice, choose_device
from .extraction import Decoded, EstimateStream, Heard, How, Latents, Masks
from .generation import LatentsAt, Maker, Wish
from .listening import Listener, Survey
from .rivals import Names

__all__ = ["EMBEDDED_PATH", "Extraction", "Pipeline", "model_path"]

# Sides over mono sum from which each channel is heard on its own: the embedded model's one evaluation gains by any
# difference (model/README), a sampled one takes so long that the mono sum is to lose much first.
APART_DB, SAMPLED_APART_DB = -30.0, 3.0
PART_BELOW_CONTEXT_DB = 6.0  # a new part sits this far under the loudness of all it joins
PAUSE_DB = -20.0  # what lies this far under the song is no music to be as loud as
ABSENT_DB = -30.0  # a source this far under the song was not there: what replaces it is as loud as any new part
MADE_LUFS = -18.0  # music from nothing, about as loud as songs are
# A region this far under the song is heard louder, by so much: at the song's level little would be found in it.
QUIET_DB, LIFT_DB = -20.0, 25.0
_SILENT_RMS = 1e-4
NO_PART_DB = -50.0  # what comes out this far under the song is no part: made loud, it would be noise
EXAMPLE_S = 10  # of an audio example are heard, the loudest

HEARD_WINDOWS = 2  # windows as in training that the embedded model hears at once: whoever hears more tells more apart
# Share of such a window by which those of an extraction overlap, and the semitones at which what is asked for is heard:
# in the song, and again in what is left of it without what competes.
OVERLAPS = {"draft": 1 / 8, "standard": 1 / 4, "best": 1 / 2}
PITCHES = {"draft": (0.0,), "standard": (-3.0, 0.0, 3.0), "best": (-4.0, -2.0, 0.0, 2.0, 4.0)}
PITCHES_AGAIN = {"draft": (), "standard": (-2.0, 2.0), "best": (-3.0, 0.0, 3.0)}
EXTRACTION_STEPS = {"draft": 10, "standard": 25, "best": 100}  # published; the embedded model takes one
GENERATION_STEPS = {"draft": 8, "standard": 24, "best": 60}
EXTRACTION_GUIDANCE, GENERATION_GUIDANCE = 1.5, 2.0
PART_GUIDANCE, HEED = 3.0, 2.0  # of the embedded model's new parts: the words', and that of what plays (model/README)
SILENT = Reporter()


def model_path(model: str | Path) -> Path:
    """The file of a model that goes by a name ("embedded"), or the path itself."""
    return EMBEDDED_PATH if model == "embedded" else Path(model)


@dataclass(frozen=True)
class Extraction:
    """A running extraction: estimates to be refined to stems, computed as they are asked for, then kept.

    Attributes:
        estimates: What `refine.refine_blocks` and `refine.write_stems` take.
        start_s: Where the region begins.
        end_s: Where it ends.
    """

    estimates: EstimatesAt
    start_s: float
    end_s: float


class Pipeline:
    """A loaded model with everything around it.

    Args:
        model: The model.
        conditioner: Its text and audio space.
        device: Where to run.
        on_notice: Receives a sentence when memory runs out and the work goes on elsewhere.
    """

    def __init__(
        self,
        model: Model,
        conditioner: Conditioner,
        device: torch.device | None = None,
        on_notice: OnNotice | None = None,
    ):
        self.model, self.conditioner, self.config = model, conditioner, model.config
        self.names = Names(conditioner)
        parts = {"autoencoder": model.autoencoder, "denoiser": model.denoiser}
        self.compute = Compute(nn.ModuleDict(parts), device or choose_device(), on_notice)
        self._heard: dict[int | None, Heard] = {}  # by channel
        self._heard_song: Song | None = None
        self._surveyed: tuple[Song, Survey] | None = None

    @classmethod
    def load(
        cls,
        model: str | Path = "embedded",
        device: str = "auto",
        clap: str | Path | None = None,
        on_notice: OnNotice | None = None,
    ) -> Pipeline:
        """Load a model.

        Args:
            model: "embedded", or the path of a checkpoint.
            device: "auto", "cpu", "cuda" or "mps".
            clap: Folder of CLAP weights, which models conditioned on CLAP need.
            on_notice: See the class.

        Raises:
            CheckpointError: A file is missing, damaged or foreign.
            InputError: The device is not there.
        """
        chosen = choose_device(device)
        loaded = load_model(model_path(model))
        return cls(loaded, _conditioner(loaded, clap), chosen, on_notice)

    @torch.inference_mode()
    def windows_per_second(self) -> float:
        """The measured speed of the denoiser on its device: windows evaluated in a second."""
        denoiser = self.config.denoiser
        z = torch.zeros(self.compute.batch, denoiser.tracks * denoiser.latent_channels, self.config.window_frames)
        tau = torch.ones(len(z), denoiser.tracks)
        conditions = torch.zeros(len(z), denoiser.tracks, denoiser.condition_dim)
        self.compute.map(self.model.denoiser, z, tau, conditions)  # the first one warms up
        began_s = time.perf_counter()
        self.compute.map(self.model.denoiser, z, tau, conditions)
        return len(z) / (time.perf_counter() - began_s)

    # ------------------------------------------------------------------------------------------------- extraction

    def extract(
        self, song: Song, request: Extract, reporter: Reporter = SILENT, example: Song | None = None
    ) -> Extraction:
        """Begin to extract the prompted sources of a song (PAPER: source extraction).

        Args:
            song: A clip or an open file; it must stay open while the estimates are used.
            request: What and where.
            reporter: Hears of windows as they are done, and may stop the work.
            example: What the request's examples are regions of; None is the song.

        Raises:
            InputError: The request does not fit the song.
        """
        request.validate(song.info.duration_s, (example or song).info.duration_s)
        start_s, end_s = _bounds(song, request.region)
        quality, window = request.sampling.quality, self.config.window_frames
        latents = self._latents(example or song, request, masks=self.config.is_embedded)
        lift = self._lift(song, start_s, end_s)
        listeners, overlap = self.listeners(song, lift), round(window * OVERLAPS[quality])
        if self.config.is_embedded and lift == 1.0:  # around a quiet region all would be far too loud
            window = min(HEARD_WINDOWS * window, max(window, listeners[0].frames))
        streams = [
            EstimateStream(listener, self._separator(latents, listener, quality), start_s, end_s, window, overlap, each)
            for listener, each in zip(listeners, reporter.shared(len(listeners)), strict=True)
        ]

        def estimates(start_s: float, end_s: float) -> Estimates:
            found = [stream(start_s, end_s) for stream in streams]
            return found if len(found) > 1 else found[0]

        return Extraction(estimates, start_s, end_s)

    def extract_raw(self, song: Song, request: Extract, reporter: Reporter = SILENT) -> list[AudioClip]:
        """The decoder's own sound, as in the paper: each prompt's source, then the rest, of the region alone.

        Raises:
            InputError: The request does not fit the song, or the region is longer than what is made at once.
        """
        request.validate(song.info.duration_s)
        start_s, end_s = _bounds(song, request.region, LONGEST_GENERATED_S)
        window = self.config.window_frames
        # As in new parts, two windows whose phases have nothing in common sound together for a frame and no longer.
        overlap = 1 if self.config.is_embedded else round(window * OVERLAPS[request.sampling.quality])
        listener = self._listener(song, lift=self._lift(song, start_s, end_s))
        decoded = Decoded(self._latents(song, request, masks=False))
        stream = EstimateStream(listener, decoded, start_s, end_s, window, overlap, reporter)
        audio = stream.values(start_s, end_s)[:, 0] / listener.gain  # [k + 1, samples]
        return [self._at_song_rate(song, track[None], start_s, end_s) for track in audio]

    def _latents(self, example: Song, request: Extract, masks: bool) -> Latents:
        """Of what was asked for; what is not meant guides the latents away, or competes for `masks`.

        Masks of several sources that one prompt names are found of each as well (`Masks`).
        """
        parsed = [parse_prompt(prompt) for prompt in request.prompts]
        conditions = [self._text(text) for text, _ in parsed] + [self._sound(example, e) for e in request.examples]
        inverted = torch.tensor([rest for _, rest in parsed] + [False] * len(request.examples))
        sources = [self.names.together(text) for text, _ in parsed if masks]
        within = self.names.within(torch.stack(conditions), sources) if masks else None
        conditions += [source for each in sources for source in each]
        sampling, negative, unwanted = request.sampling, self._negative(request.sampling), 0
        if masks and negative is not None:
            conditions.append(negative)
            sampling, negative, unwanted = replace(sampling, negative=""), None, 1
        if masks and sampling.quality != "draft":
            conditions += self.names.unasked(torch.stack(conditions))
        how = self._how(sampling, extraction=True)
        wholes = torch.tensor([i for i, each in enumerate(sources) for _ in each], dtype=torch.long)
        stacked = torch.stack(conditions)
        return Latents(self.model, self.compute, how, stacked, inverted, wholes, negative, unwanted, within)

    def _separator(self, latents: Latents, listener: Listener, quality: str) -> Masks | Decoded:
        if not self.config.is_embedded:
            return Decoded(latents)
        if self._heard_song is not listener.song:
            self._heard, self._heard_song = {}, listener.song
        heard = self._heard.setdefault(listener.channel, Heard())
        return Masks(latents, heard, PITCHES[quality], PITCHES_AGAIN[quality])

    # ------------------------------------------------------------------------------------------------- new parts

    def impute(
        self, song: Song, request: Impute, reporter: Reporter = SILENT, example: Song | None = None
    ) -> list[AudioClip]:
        """Parts that fit the song, one a prompt, each hearing those before (PAPER: source imputation).

        Args:
            song: A clip or an open file.
            request: What and where.
            reporter: Hears of steps as they are done, and may stop the work.
            example: What `request.like` is a region of; None is the song.

        Returns:
            Clips of the region, at the song's rate and in its channels; one of several that the model plays nothing for
            is exact silence.

        Raises:
            InputError: The request does not fit the song, or the model plays nothing for any prompt.
        """
        request.validate(song.info.duration_s, (example or song).info.duration_s)
        bounds = _bounds(song, request.region, LONGEST_GENERATED_S)
        first, stop = _samples(song, *bounds)
        heard, parts, silent = song, [], None
        for prompt in request.prompts or ("",):
            meant = self._meant(prompt, request.sampling, example or song, request.like)
            try:
                part = self._add(song, "impute", meant, request.sampling, bounds, reporter, heard)
                heard = Sum(heard, Placed(part, first, song.info))
            except SilenceError as error:
                silent = error
                part = AudioClip(np.zeros((song.info.channels, stop - first), np.float32), song.info.rate_hz)
            parts.append(part)
        if silent is not None and heard is song:
            raise silent
        return parts

    def accompany(
        self, song: Song, request: Accompany, reporter: Reporter = SILENT, example: Song | None = None
    ) -> AudioClip:
        """Everything that goes with a given source (PAPER: accompaniment); takes and gives what `impute` does.

        Raises:
            InputError: The request does not fit the song, or the model plays nothing for it.
        """
        request.validate(song.info.duration_s, (example or song).info.duration_s)
        bounds = _bounds(song, request.region, LONGEST_GENERATED_S)
        meant = self._meant(request.prompt, request.sampling, example or song, request.like)
        return self._add(song, "accompany", meant, request.sampling, bounds, reporter)

    def generate(self, request: Generate, reporter: Reporter = SILENT) -> AudioClip:
        """Music from nothing, mono at the model's rate (PAPER: total generation).

        Raises:
            InputError: The request is out of range.
        """
        request.validate()
        per, rate_hz = self.config.samples_per_frame, self.config.rate_hz
        frames = -(-round(request.duration_s * rate_hz) // per)
        wish = Wish(TASKS["generate"], *self._meant(request.prompt, request.sampling), 0, frames, frames)
        how = self._how(request.sampling, extraction=False)
        audio = Maker(self.model, self.compute, how, reporter).make(wish)[: round(request.duration_s * rate_hz)]
        return _faded(at_loudness(AudioClip(np.ascontiguousarray(audio[None]), rate_hz), MADE_LUFS))

    def inpaint(
        self, song: Song, request: Inpaint, reporter: Reporter = SILENT, example: Song | None = None
    ) -> tuple[AudioClip, AudioClip]:
        """Replace one source inside a region: the prompted source goes, a new one comes, the rest is the user's own.

        Takes what `impute` does.

        Returns:
            The new part and the old one, both of the region, faded over 4 ms at its edges: the song minus the old
            part plus the new one is the result. The new one is as loud as the old one, if that is there at all.

        Raises:
            InputError: The request does not fit the song, or the model plays nothing for it.
        """
        request.validate(song.info.duration_s, (example or song).info.duration_s)
        start_s, end_s = _bounds(song, request.region, LONGEST_GENERATED_S)
        context_s = self.config.window_samples / self.config.rate_hz
        region = Region(max(0.0, start_s - context_s), min(song.info.duration_s, end_s + context_s))
        prompts, like = (request.prompt,) if request.prompt else (), (request.like,) if request.like else ()
        sampling = replace(request.sampling, negative="")  # it says what the new part is not to sound like
        gone = Extract(prompts, region, sampling, examples=() if prompts else like)
        extraction = self.extract(song, gone, reporter, example)
        blocks = refine_region(song, extraction.estimates, start_s=region.start_s, end_s=region.end_s)
        pieces = [(block.start, block.stems[0]) for block in blocks]
        rate_hz, begin = song.info.rate_hz, pieces[0][0]
        stem = Placed(AudioClip(np.concatenate([piece for _, piece in pieces], 1), rate_hz), begin, song.info)
        del pieces
        others = Sum(song, Placed(replace(stem.part, samples=-stem.part.samples), begin, song.info))
        around = {Track.SOURCE: self._hearing(song, stem), Track.MIXTURE: self._hearing(song, song)}
        meant, bounds = self._meant(request.prompt, request.sampling, example or song, request.like), (start_s, end_s)
        new = self._add(song, "impute", meant, request.sampling, bounds, reporter, others, around)
        first, stop = _samples(song, start_s, end_s)
        old = AudioClip(stem.read(first, stop), rate_hz)
        song_db = 20 * np.log10(max(self._survey(song).rms, _SILENT_RMS))
        if _rms(old.samples) > 10 ** ((song_db + ABSENT_DB) / 20):
            new = loudness_match(new, old)
        return new, _faded(old, first, song.info.samples)

    def _add(
        self,
        song: Song,
        task: str,
        meant: tuple[Tensor, Tensor | None],
        sampling: Sampling,
        bounds: tuple[float, float],
        reporter: Reporter,
        context: Song | None = None,
        around: Mapping[Track, LatentsAt] | None = None,
    ) -> AudioClip:
        """A part of `bounds` made for `context` (the song itself unless given), faded at its edges.

        Raises:
            SilenceError: It is as good as silent.
        """
        context = context or song
        listener = self._listener(song)
        start_s, end_s = bounds
        start, stop = int(start_s / listener.frame_s), int(np.ceil(end_s / listener.frame_s))
        total, given = max(listener.frames, stop), self._hearing(song, context)
        wish = Wish(TASKS[task], *meant, start, stop, total, given, around or {})
        mono = Maker(self.model, self.compute, self._part_how(sampling), reporter).make(wish)
        if _rms(mono) < 10 ** (NO_PART_DB / 20) * self._survey(song).rms * listener.gain:
            raise SilenceError(
                "The model plays nothing for this here; try other words, another seed or another region."
            )
        skip = round((start_s - start * listener.frame_s) * self.config.rate_hz)
        part = self._at_song_rate(song, mono[None, skip:], start_s, end_s)
        first, last = _samples(song, start_s, end_s)
        heard = without_offset(context.read(first, last), self._survey(song).offsets, first, song.info.samples)
        return _faded(_beside(part, AudioClip(heard, song.info.rate_hz), self._survey(song).music))

    def _hearing(self, song: Song, part: Song) -> LatentsAt:
        """Latents of a part of a song, heard at the song's level."""
        listener = self._listener(song).on(part)

        def latents_at(first: int, frames: int) -> Tensor:
            audio = torch.from_numpy(listener.read(first, frames))[None, None]  # [1, 1, samples]
            return self.compute.map(self.model.autoencoder.encode, audio)[0]

        return latents_at

    # ------------------------------------------------------------------------------------------------- pieces

    def _survey(self, song: Song) -> Survey:
        if self._surveyed is None or self._surveyed[0] is not song:
            self._surveyed = (song, Survey.of(song))
        return self._surveyed[1]

    def _lift(self, song: Song, start_s: float, end_s: float) -> float:
        """The gain on top of the song's for a region that is quiet, but not as noise is."""
        first, stop = _samples(song, start_s, end_s)
        if stop - first >= song.info.samples or not self.config.is_embedded:
            return 1.0
        song_rms, rms = max(self._survey(song).channel_rms), max(Survey.of(song, first, stop).channel_rms)
        return 10 ** (LIFT_DB / 20) if _SILENT_RMS < rms < 10 ** (QUIET_DB / 20) * song_rms else 1.0

    def _listener(self, song: Song, channel: int | None = None, lift: float = 1.0) -> Listener:
        survey = self._survey(song)
        rms = survey.rms if channel is None else survey.channel_rms[channel]
        channel = survey.channel if channel is None else channel
        gain = lift * MIXTURE_RMS / rms if self.config.is_embedded and rms > 1e-5 else 1.0
        return Listener(song, self.config.rate_hz, self.config.samples_per_frame, gain, channel, survey.offsets)

    def listeners(self, song: Song, lift: float = 1.0) -> list[Listener]:
        """One a channel, which tells more than their sum; one for all where they are alike.

        Args:
            song: The song.
            lift: Gain on top of what brings the song to the level that the model was trained on.
        """
        apart_db = APART_DB if self.config.is_embedded else SAMPLED_APART_DB
        if song.info.channels == 1 or self._survey(song).mono_loss_db <= apart_db:
            return [self._listener(song, lift=lift)]
        return [self._listener(song, channel, lift) for channel in range(song.info.channels)]

    def _text(self, text: str) -> Tensor:
        return self.names.condition(text) if self.config.is_embedded else self.conditioner.embed_prompt([text])[0].cpu()

    def _negative(self, sampling: Sampling) -> Tensor | None:
        return self._text(sampling.negative) if sampling.negative else None

    def _meant(
        self, prompt: str, sampling: Sampling, example: Song | None = None, like: Region | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """What a new part is to be, and what it is not to be: "rock without drums" is rock, and no drums.

        The first is words, a sound, or half of both (PAPER: c = a c_text + (1 - a) c_audio), or anything.
        """
        words, without = wanted(prompt)
        conditions = [self._text(words)] if words else []
        if example is not None and like is not None:
            conditions.append(self._sound(example, like))
        anything = torch.zeros(self.config.denoiser.condition_dim)
        away = " and ".join(filter(None, (sampling.negative, without)))
        return torch.stack(conditions).mean(0) if conditions else anything, self._text(away) if away else None

    def _sound(self, song: Song, region: Region) -> Tensor:
        """The condition of a stretch of a song: "like this selection".

        Raises:
            InputError: Nothing plays there.
        """
        read = song.read(*_loudest(song, *_samples(song, *_bounds(song, region))))
        read = read - read.mean(1, keepdims=True)
        audio = one_channel(read, standing_for_all([read]))
        if _rms(audio) < _SILENT_RMS / 10:
            raise InputError("Nothing plays in the example; select a stretch where something does.")
        if self.config.is_embedded:
            audio = audio * np.float32(MIXTURE_RMS / _rms(audio))
        if self.conditioner.audio_input == "audio":
            return self.conditioner.embed_audio(torch.from_numpy(resample(audio, song.info.rate_hz, 48000)))[0].cpu()
        listener = Listener(AudioClip(audio, song.info.rate_hz), self.config.rate_hz, self.config.samples_per_frame)
        mel = self.compute.map(self.model.autoencoder.mel, torch.from_numpy(listener.read(0, listener.frames))[None])
        return self.conditioner.embed_audio(mel)[0].cpu()

    def _how(self, sampling: Sampling, extraction: bool) -> How:
        """Steps and guidance: the user's, or the quality's."""
        table = EXTRACTION_STEPS if extraction else GENERATION_STEPS
        one_step = extraction and self.config.is_embedded
        steps = sampling.steps or (1 if one_step else table[sampling.quality])
        unguided = one_step and not sampling.negative  # at 1 there is nothing to move away from
        default = 1.0 if unguided else EXTRACTION_GUIDANCE if extraction else GENERATION_GUIDANCE
        return How(steps, default if sampling.guidance is None else sampling.guidance, sampling.seed)

    def _part_how(self, sampling: Sampling) -> How:
        """The same of a part that is to fit what it plays with; the published model's is the paper's."""
        how = self._how(sampling, extraction=False)
        if not self.config.is_embedded:
            return how
        guidance = PART_GUIDANCE if sampling.guidance is None else sampling.guidance
        return replace(how, guidance=guidance, heed=HEED)

    def _at_song_rate(self, song: Song, mono: Samples, start_s: float, end_s: float) -> AudioClip:
        """Mono [1, samples] at the model's rate as a clip of the song's rate, channels and exact region."""
        start, stop = _samples(song, start_s, end_s)
        audio = resample(mono, self.config.rate_hz, song.info.rate_hz)[:, : stop - start]
        audio = np.pad(audio, ((0, 0), (0, stop - start - audio.shape[1])))
        return AudioClip(np.repeat(audio, song.info.channels, 0), song.info.rate_hz)


class Placed:
    """A part from sample `start` of a song on, with silence around it; a song of the same length itself."""

    def __init__(self, part: AudioClip, start: int, info: AudioInfo):
        self.part, self.start, self.info = part, start, info

    def read(self, start: int = 0, stop: int | None = None) -> Samples:
        """Samples [channels, stop - start]."""
        stop = self.info.samples if stop is None else stop
        return self.part.read(start - self.start, stop - self.start)


class Sum:
    """Two songs of one length played together; a song itself."""

    def __init__(self, song: Song, other: Song):
        self.song, self.other, self.info = song, other, song.info

    def read(self, start: int = 0, stop: int | None = None) -> Samples:
        """Samples [channels, stop - start]."""
        return self.song.read(start, stop) + self.other.read(start, stop)


def _bounds(song: Song, region: Region, longest_s: float | None = None) -> tuple[float, float]:
    """Start and end of a region in seconds.

    Raises:
        InputError: It lasts longer than `longest_s`.
    """
    end_s = song.info.duration_s if region.end_s is None else min(region.end_s, song.info.duration_s)
    if longest_s is not None and end_s - region.start_s > longest_s:
        raise InputError("At most {longest:g} s are made at once; choose a shorter region.", longest=longest_s)
    return region.start_s, end_s


def _samples(song: Song, start_s: float, end_s: float) -> tuple[int, int]:
    return round(start_s * song.info.rate_hz), round(end_s * song.info.rate_hz)


def _loudest(song: Song, start: int, stop: int) -> tuple[int, int]:
    """The samples of an example that are heard: a lane may begin to play late in the selection."""
    second = song.info.rate_hz
    if stop - start <= EXAMPLE_S * second:
        return start, stop
    energies = [float(np.square(song.read(at, min(at + second, stop))).sum()) for at in range(start, stop, second)]
    first = start + second * int(np.argmax(np.convolve(energies, np.ones(EXAMPLE_S), "valid")))
    return first, min(first + EXAMPLE_S * second, stop)


def _rms(samples: Samples) -> float:
    return float(np.square(samples).mean() ** 0.5)


def _beside(part: AudioClip, heard: AudioClip, music: AudioClip) -> AudioClip:
    """A part somewhat under the loudness of what is heard with it; in a pause, where that says nothing, of the music.

    Args:
        part: What was made.
        heard: What plays with it.
        music: What the song plays where it plays.
    """
    song_rms = _rms(music.samples)
    song_db = 20 * float(np.log10(song_rms)) if song_rms > _SILENT_RMS else MADE_LUFS
    if _rms(heard.samples) > 10 ** ((song_db + PAUSE_DB) / 20):
        return loudness_match(evened(part, heard), heard, -PART_BELOW_CONTEXT_DB)
    if song_rms > _SILENT_RMS:
        return loudness_match(part, music, -PART_BELOW_CONTEXT_DB)
    return at_loudness(part, MADE_LUFS - PART_BELOW_CONTEXT_DB)


def _faded(clip: AudioClip, first: int = 1, song_samples: int | None = None) -> AudioClip:
    """A clip faded over 4 ms at its edges; a stem that begins at sample `first` of a song not where the song does."""
    samples = clip.samples.shape[1]
    whole = first + samples + 1 if song_samples is None else song_samples
    gains = edge_gains(first, samples, first, first + samples, whole, clip.rate_hz)
    return clip if gains is None else replace(clip, samples=clip.samples * gains)


def _conditioner(model: Model, clap: str | Path | None) -> Conditioner:
    """The text and audio space that a model was trained with.

    Raises:
        CheckpointError: CLAP is needed and its weights are not given, or damaged, or it is not the model's CLAP.
    """
    name, wanted = model.path.name, model.config.denoiser.condition_dim
    if model.config.conditioner == "embedded":
        from ..conditioning.embedded import EmbeddedConditioner

        conditioner = EmbeddedConditioner.from_state(model.conditioner_state)
        if conditioner.dimensions != wanted:
            raise CheckpointError(
                "The towers of {file} give conditions of {has} numbers and its denoiser takes {wanted}; fetch the file "
                "again.",
                file=name,
                has=conditioner.dimensions,
                wanted=wanted,
            )
        return conditioner
    if clap is None:
        raise CheckpointError(
            "This model understands text through CLAP: download CLAP in the window's File > Models, or give the folder "
            "of its weights with --clap."
        )
    from ..conditioning.clap import CHECKPOINT, ClapConditioner

    if ClapConditioner.dimensions != wanted:  # no folder would help
        raise CheckpointError(
            "{file} takes conditions of {wanted} numbers and LAION's CLAP gives {has}: it was trained with "
            "another CLAP. Choose a model trained with {checkpoint}, such as the published one.",
            file=name,
            wanted=wanted,
            has=ClapConditioner.dimensions,
            checkpoint=CHECKPOINT,
        )
    return ClapConditioner.load(clap)
