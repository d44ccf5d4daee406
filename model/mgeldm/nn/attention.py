"""Self-attention over frames and the gated feed-forward layer of the denoiser."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .embeddings import rotate


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions, no bias (PAPER: networks)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """[batch, frames, width] to the same."""
        heads = self.qkv(x).unflatten(2, (3, self.heads, -1))  # [batch, frames, 3, heads, head]
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each [batch, heads, frames, head]
        attended = _attend(rotate(query, angles), rotate(key, angles), value)
        return self.out(attended.transpose(1, 2).flatten(2))  # [batch, frames, width]


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention [batch, heads, frames, head]; in bf16 on a CPU by plain products: its kernel is slow backwards."""
    if query.device.type == "cpu" and value.dtype == torch.bfloat16:
        shares = (query.to(value) @ key.to(value).transpose(2, 3) * query.shape[3] ** -0.5).softmax(3)
        return shares.to(value) @ value
    return F.scaled_dot_product_attention(query, key, value)


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202) with bias."""

    def __init__(self, width: int, multiple: float):
        super().__init__()
        inner = round(width * multiple)
        self.wide = nn.Linear(width, 2 * inner)
        self.narrow = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.wide(x).chunk(2, -1)
        return self.narrow(value * F.silu(gate))
