"""A peer trained on the same corpus: Open-Unmix's network (Stöter et al. 2019, doi 10.21105/joss.01667), written anew.

    python -m mgeldm.evaluation.open_unmix --out peer.safetensors --minutes 90 --bank BANK --stems STEMS

One network a target sees the magnitudes of the mixture's STFT and gives a factor for each bin. As in the paper: bins to
16 kHz, standardised; a linear layer, three BLSTM layers with a path around them, two linear layers; mean squared error
of magnitudes; sources mixed across songs under random gains. A second command goes on from the file with the songs and
draws that come next; of the optimiser nothing is kept, so Adam's moments grow anew within its first steps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as packed
from torch import Tensor, nn

from ..audio import AudioClip, Samples, resample
from ..data import corpus
from ..data.bank import Bank, load_bank
from ..data.files import run, whole
from ..data.songs import Song
from ..errors import FAULTS, CheckpointError
from ..refine import Estimate, refine
from .sets import other_songs

TARGETS = ("vocals", "drums", "bass")
RATE_HZ, FFT, HOP, CHANNELS = 44100, 4096, 1024, 2
_BINS = FFT // 2 + 1
_KEPT = round(16000 / RATE_HZ * FFT) + 1  # bins that the network sees
_SAVE_STEPS = 50


class OpenUnmix(nn.Module):
    """Magnitudes of a mixture to those of one target.

    Args:
        hidden: Width; the paper's is 512.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, hidden: int = 512):
        super().__init__()
        self.register_buffer("mean", torch.zeros(_KEPT))
        self.register_buffer("scale", torch.ones(_KEPT))
        self.enter = nn.Linear(_KEPT * CHANNELS, hidden, bias=False)
        self.enter_norm = nn.BatchNorm1d(hidden)
        self.lstm = nn.LSTM(hidden, hidden // 2, 3, batch_first=True, bidirectional=True, dropout=0.4)
        self.join = nn.Linear(2 * hidden, hidden, bias=False)
        self.join_norm = nn.BatchNorm1d(hidden)
        self.leave = nn.Linear(hidden, _BINS * CHANNELS, bias=False)
        self.leave_norm = nn.BatchNorm1d(_BINS * CHANNELS)
        self.out_scale = nn.Parameter(torch.ones(_BINS))
        self.out_mean = nn.Parameter(torch.ones(_BINS))

    def forward(self, mixture: Tensor) -> Tensor:
        """Magnitudes [batch, channels, bins, frames] of the mixture to those of the target."""
        batch, _, _, frames = mixture.shape
        x = (mixture[:, :, :_KEPT].transpose(2, 3) - self.mean) / self.scale  # [batch, channels, frames, kept bins]
        x = x.transpose(1, 2).reshape(batch * frames, -1)  # [batch * frames, channels * kept bins]
        x = torch.tanh(self.enter_norm(self.enter(x))).unflatten(0, (batch, frames))  # [batch, frames, hidden]
        x = torch.cat((x, self.lstm(x)[0]), 2).flatten(0, 1)  # [batch * frames, 2 * hidden]
        x = torch.relu(self.join_norm(self.join(x)))
        x = self.leave_norm(self.leave(x)).view(batch, frames, CHANNELS, _BINS)
        factor = torch.relu(x * self.out_scale + self.out_mean)  # [batch, frames, channels, bins]
        return factor.permute(0, 2, 3, 1) * mixture


def magnitudes(audio: Tensor) -> Tensor:
    """Magnitudes [..., bins, frames] of audio [..., samples]; frame j is centred on j hops."""
    window = torch.hann_window(FFT)
    spectra = torch.stft(audio.flatten(0, -2), FFT, HOP, window=window, pad_mode="constant", return_complex=True)
    return spectra.abs().unflatten(0, audio.shape[:-1])


class Separator:
    """Trained networks of all targets, used together: their estimates and what is left share the mixture.

    Args:
        networks: By target.
        about: What is known of their training, for reports.
    """

    def __init__(self, networks: nn.ModuleDict, about: dict[str, str]):
        self.networks, self.about = networks.eval(), about

    @classmethod
    def load(cls, path: Path) -> Separator:
        """Read what `train` wrote.

        Raises:
            CheckpointError: The file is missing, damaged or foreign.
        """
        try:
            with safe_open(str(path), "pt") as file:
                about = dict(file.metadata() or {})
                networks = build(int(about["hidden"]))
                networks.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (*FAULTS, SafetensorError) as error:
            told = f"{path} is no peer ({error}); train one with `python -m mgeldm.evaluation.open_unmix`."
            raise CheckpointError(told) from error
        return cls(networks, about)

    @property
    def steps(self) -> int:
        """Steps that they were trained for."""
        return round(float(self.about.get("steps", 0)))

    @torch.inference_mode()
    def __call__(self, clip: AudioClip) -> dict[str, Samples]:
        """Stems [channels, samples] of a clip by target, refined as ours are: masks of each side, one Wiener step."""
        sides = clip.samples[[0, -1]]  # a mono clip sounds on both sides
        mixture = magnitudes(torch.from_numpy(resample(sides, clip.rate_hz, RATE_HZ))[None])
        found = torch.cat([self.networks[target](mixture) for target in TARGETS], 0).transpose(0, 1)
        each = [(mixture[0, side], found[side]) for side in range(CHANNELS)]  # [bins, frames], [targets, bins, frames]
        if clip.info.channels != CHANNELS:
            each = [(mixture[0].mean(0), found.mean(0))]
        centres_hz = np.linspace(0, RATE_HZ / 2, _BINS, dtype=np.float32)
        estimates = [
            Estimate(stems.numpy(), (whole - stems.sum(0)).clamp(min=0).numpy(), centres_hz, HOP / RATE_HZ, 0.0)
            for whole, stems in each
        ]
        stems, _ = refine(clip, estimates if len(estimates) > 1 else estimates[0])
        return dict(zip(TARGETS, stems, strict=True))


def build(hidden: int) -> nn.ModuleDict:
    """One untrained network a target."""
    return nn.ModuleDict({target: OpenUnmix(hidden) for target in TARGETS})


# --------------------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes:
        minutes: Wall-clock budget of this run.
        hidden: Width of the networks.
        batch: Items a step.
        crop_s: Their length.
        pool: Songs in memory, drawn from by every item.
        song_s: Their length.
        renew_every: Steps until one of them is replaced.
        learning_rate: Of Adam.
        steps: Most steps of this run, None for what the minutes give.
    """

    minutes: float
    hidden: int = 512
    batch: int = 16
    crop_s: float = 6.0
    pool: int = 32
    song_s: float = 24.0
    renew_every: int = 4
    learning_rate: float = 1e-3
    steps: int | None = None


class Pool:
    """Songs as [targets and rest, channels, samples], cut from the training split of the corpus.

    Args:
        banks: Note banks that rendered songs use.
        songs: Real songs, from which every third one comes, if there are any.
        how: Says how many songs are kept in memory, how long they are, and how often one is replaced.
        step: That training is at: it holds the songs that a run which was never stopped would hold there.
    """

    def __init__(self, banks: Sequence[Bank], songs: Sequence[Song], how: Training, step: int = 0):
        self.banks, self.real, self.seconds = list(banks), list(songs), how.song_s
        self.next, self.rng = step // how.renew_every, np.random.default_rng(step)
        self.songs = [self._draw() for _ in range(how.pool)]

    def renew(self) -> None:
        """Replace the oldest song."""
        self.songs = [*self.songs[1:], self._draw()]

    def _draw(self) -> np.ndarray:
        number, self.next = self.next, self.next + 1
        if self.real and number % 3 == 2:
            rng = np.random.default_rng((number, 1))  # of its own, as any run may begin with any song
            song = self.real[rng.integers(len(self.real))]
            song = song.read(float(rng.uniform(0, max(song.duration_s - self.seconds, 0.01))), self.seconds)
        else:
            song = corpus.render_song(number, self.banks, self.seconds)
        parts = np.zeros((len(TARGETS) + 1, CHANNELS, round(self.seconds * RATE_HZ)), np.float16)
        for stem in song.stems:
            parts[TARGETS.index(stem.label) if stem.label in TARGETS else -1] += stem.audio.astype(np.float16)
        return parts

    def batch(self, items: int, crop_s: float) -> Tensor:
        """Sources [items, targets and rest, channels, samples], each from a song of its own, at random gains."""
        samples = round(crop_s * RATE_HZ)
        out = np.empty((items, len(TARGETS) + 1, CHANNELS, samples), np.float32)
        for item in out:
            for part, place in enumerate(self.rng.integers(len(self.songs), size=len(item))):
                song = self.songs[place]
                start = int(self.rng.integers(0, song.shape[2] - samples + 1))
                sides = self.rng.permutation(CHANNELS)
                item[part] = song[part, sides, start : start + samples] * self.rng.uniform(0.25, 1.25)
        return torch.from_numpy(out)


def train(out: Path, banks: Sequence[Bank], songs: Sequence[Song], how: Training) -> list[float]:
    """Train all targets on the same batches for the budget, and write them.

    If `out` is there it goes on from its networks and its step, with the songs and draws that come next; the optimiser
    starts anew.

    Args:
        out: The file.
        banks: See `Pool`.
        songs: See `Pool`.
        how: How.

    Returns:
        The loss of each step of this run, relative to the targets' energy.

    Raises:
        CheckpointError: `out` is there and no peer.
    """
    separator = Separator.load(out) if out.exists() else None
    before = separator.steps if separator is not None else 0
    torch.manual_seed(before)
    pool = Pool(banks, songs, how, before)
    networks = separator.networks if separator is not None else _standardised(pool, how)
    spent = Spent(separator.about if separator is not None else {})
    optimiser = torch.optim.Adam(networks.parameters(), how.learning_rate, weight_decay=1e-5)
    networks.train()
    losses: list[float] = []
    while spent.minutes < how.minutes and (how.steps is None or len(losses) < how.steps):
        losses.append(_step(networks, optimiser, *magnitudes_of_parts(pool.batch(how.batch, how.crop_s))))
        if (before + len(losses)) % how.renew_every == 0:
            pool.renew()
        if len(losses) % _SAVE_STEPS == 0:
            loss = float(np.mean(losses[-_SAVE_STEPS:]))
            print(f"step {before + len(losses)}, {spent.minutes:.1f} minutes, loss {loss:.4f}", flush=True)
            _save(out, networks, spent.about(len(losses)))
    _save(out, networks, spent.about(len(losses)))
    return losses


class Spent:
    """What a run has cost, on top of the runs before it."""

    def __init__(self, before: dict[str, str]):
        self.before, self.began_s, self.began_cpu_s = before, time.monotonic(), time.process_time()

    @property
    def minutes(self) -> float:
        """Of this run."""
        return (time.monotonic() - self.began_s) / 60

    def about(self, steps: int) -> dict[str, str]:
        """Of all runs: minutes by the clock and of processors, and steps."""
        here = {"minutes": self.minutes, "cpu_minutes": (time.process_time() - self.began_cpu_s) / 60, "steps": steps}
        return {name: f"{value + float(self.before.get(name, 0)):.1f}" for name, value in here.items()}


def _save(out: Path, networks: nn.ModuleDict, about: dict[str, str]) -> None:
    with whole(out) as file:
        file.write(packed(networks.state_dict(), {"hidden": str(hidden_of(networks)), **about}))


def magnitudes_of_parts(sources: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitudes of the mixture [batch, channels, bins, frames] and of the targets [batch, targets, ...]."""
    return magnitudes(sources.sum(1)), magnitudes(sources[:, : len(TARGETS)])


def hidden_of(networks: nn.ModuleDict) -> int:
    """Width of networks that `build` made."""
    return int(networks[TARGETS[0]].enter.out_features)  # type: ignore[union-attr, arg-type]


def _step(networks: nn.ModuleDict, optimiser: torch.optim.Optimizer, mixture: Tensor, targets: Tensor) -> float:
    total = torch.zeros(())
    for i, target in enumerate(TARGETS):
        total = total + (networks[target](mixture) - targets[:, i]).square().mean()
    optimiser.zero_grad(set_to_none=True)
    total.backward()
    optimiser.step()
    return float(total.detach()) / (float(targets.square().mean((0, 2, 3, 4)).sum()) + 1e-9)


def _standardised(pool: Pool, how: Training) -> nn.ModuleDict:
    """Untrained networks that know the mean and deviation of each bin of the corpus."""
    mixture, _ = magnitudes_of_parts(pool.batch(max(how.batch, 8), how.crop_s))
    seen = mixture[:, :, :_KEPT].permute(2, 0, 1, 3).flatten(1)  # [kept bins, ...]
    networks = build(how.hidden)
    for network in networks.values():
        assert isinstance(network, OpenUnmix)
        network.mean.copy_(seen.mean(1))
        network.scale.copy_(seen.std(1).clamp(min=1e-4 * float(seen.std())))
    return networks


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file to write, or to go on from")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--bank", type=Path, action="append", default=[], help="training note bank")
    parser.add_argument("--stems", type=Path, help="folder of real songs; the held-out one is left out")
    parser.add_argument("--hidden", type=int, default=512, help="width of the networks")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--crop", type=float, default=6.0, metavar="S")
    args = parser.parse_args()
    how = Training(args.minutes, args.hidden, args.batch, args.crop)
    songs = list(_songs(args.stems)) if args.stems is not None else []
    train(args.out, [load_bank(bank) for bank in args.bank], songs, how)


def _songs(stems: Path) -> Iterator[Song]:
    return (corpus.read_real_song(folder) for folder in other_songs(stems))


if __name__ == "__main__":
    run(main)
