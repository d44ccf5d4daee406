"""The joint denoiser: one transformer over mixture, submixture and source (PAPER: networks).

Each track keeps its own third of the width in everything but attention and feed-forward, which mix them. Two forms
share all of this: the published one, and the embedded one, whose timestep is per track and frame (`DenoiserConfig`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import DenoiserConfig
from .attention import Attention, FeedForward
from .embeddings import FourierFeatures, rotary_angles


class TrackNorm(nn.Module):
    """Group norm with one group a track, gamma only: over channels and time, or over channels of each frame."""

    def __init__(self, width: int, tracks: int, per_frame: bool):
        super().__init__()
        self.tracks, self.per_frame = tracks, per_frame
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, frames, width] to the same."""
        if self.per_frame:
            grouped = x.unflatten(2, (self.tracks, -1))  # [batch, frames, tracks, width / tracks]
            return F.layer_norm(grouped, grouped.shape[-1:]).flatten(2) * self.gamma
        return F.group_norm(x.transpose(1, 2), self.tracks, self.gamma).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm attention and feed-forward; the condition scales, shifts and gates both."""

    def __init__(self, config: DenoiserConfig):
        super().__init__()
        width, tracks = config.width, config.tracks
        self.tracks = tracks
        self.attention_norm = TrackNorm(width, tracks, config.frame_timesteps)
        self.attention = Attention(width, config.heads)
        self.feedforward_norm = TrackNorm(width, tracks, config.frame_timesteps)
        self.feedforward = FeedForward(width, config.feedforward_multiple)
        self.modulation = nn.Conv1d(width, 6 * width, 1, groups=tracks, bias=False)
        if config.frame_timesteps:
            nn.init.zeros_(self.modulation.weight)

    def forward(self, x: Tensor, condition: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """x [batch, frames, width] under condition [tracks, batch, frames or 1, width / tracks] to the same."""
        weight = self.modulation.weight[:, :, 0].unflatten(0, (self.tracks, -1))  # [tracks, 6 width / tracks, w / t]
        grouped = condition.flatten(1, 2) @ weight.mT  # a convolution's own way takes twice as long on a CPU
        grouped = grouped.unflatten(1, condition.shape[1:3]).unflatten(3, (6, -1))  # [tracks, batch, f, 6, w / t]
        scale, shift, gate, scale2, shift2, gate2 = grouped.permute(3, 1, 2, 0, 4).flatten(3)  # each [batch, f, width]
        y = self.attention_norm(x) * (1 + scale) + shift
        x = x + self.attention(y, angles) * torch.sigmoid(1 - gate)
        y = self.feedforward_norm(x) * (1 + scale2) + shift2
        return x + self.feedforward(y) * torch.sigmoid(1 - gate2)

    def add_nothing(self) -> None:
        """Set the weights that both its sums end in to zero; they can learn from there."""
        for weights in (self.attention.out.weight, self.feedforward.narrow.weight, self.feedforward.narrow.bias):
            nn.init.zeros_(weights)


class Denoiser(nn.Module):
    """Velocity of the three tracks' latents.

    Args:
        config: Sizes, and which form.
    """

    def __init__(self, config: DenoiserConfig):
        super().__init__()
        self.config = config
        tracks, width, features, dim = config.tracks, config.width, config.timestep_features, config.condition_dim
        channels = tracks * config.latent_channels
        self.features = FourierFeatures(features)
        self.timestep = nn.Sequential(
            nn.Conv1d(tracks * features, width, 1, groups=tracks), nn.SiLU(), nn.Conv1d(width, width, 1, groups=tracks)
        )
        self.condition = nn.Sequential(
            nn.Conv1d(tracks * dim, tracks * dim, 1, groups=tracks, bias=False),
            nn.SiLU(),
            nn.Conv1d(tracks * dim, width, 1, groups=tracks, bias=False),
        )
        self.before = nn.Conv1d(channels, channels, 1, bias=False)
        self.enter = nn.Linear(channels, width, bias=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.leave = nn.Linear(width, channels, bias=False)
        self.after = nn.Conv1d(channels, channels, 1, bias=False)
        for conv in (self.before, self.after):
            nn.init.zeros_(conv.weight)

    def forward(self, z: Tensor, timesteps: Tensor, conditions: Tensor) -> Tensor:
        """Velocity [batch, tracks * c, f].

        Args:
            z: Noised latents [batch, tracks * c, f], mixture, submixture, source.
            timesteps: tau of each item [batch], track [batch, tracks] or, in the embedded form, track and frame
                [batch, tracks, f].
            conditions: One a track [batch, tracks, condition_dim]; zeros for none.
        """
        if timesteps.ndim == 1:
            timesteps = timesteps[:, None].expand(-1, self.config.tracks)
        if timesteps.ndim == 2:
            timesteps = timesteps[:, :, None]  # [batch, tracks, 1]
        features = self.features(timesteps).transpose(2, 3).flatten(1, 2)  # [batch, tracks * features, f or 1]
        time = self.timestep(features)  # [batch, width, f or 1]
        condition = self.condition(conditions.flatten(1)[:, :, None])  # [batch, width, 1]
        x = self.enter((self.before(z) + z).transpose(1, 2))  # [batch, f, width]
        if self.config.frame_timesteps:
            condition = F.silu(condition + time)
        else:
            condition = F.silu(condition)
            x = torch.cat((time.transpose(1, 2), x), 1)  # the timestep is the first token
        condition = condition.unflatten(1, (self.config.tracks, -1)).permute(1, 0, 3, 2)  # [tracks, batch, f, w / t]
        head = self.config.width // self.config.heads
        angles = rotary_angles(x.shape[1], min(head, max(head // 2, 32)), x.device)
        for block in self.blocks:
            x = block(x, condition, angles)
        v = self.leave(x[:, -z.shape[2] :]).transpose(1, 2)  # [batch, tracks * c, f]
        return self.after(v) + v
