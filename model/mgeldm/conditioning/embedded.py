"""The conditioner of the embedded model: a fixed table of word vectors under a small text tower, and an audio tower.

Both towers are trained together with `contrastive_loss` and end on the unit sphere, so that a text can stand for a
sound. Word table, vocabulary and towers are plain tensors: everything lives in one safetensors file.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ..errors import CheckpointError
from ..words import named_together
from . import named

_APART, _SURE = 0.6, 0.85  # cosines of words and names: no closer than unknown words come, as close as known ones are
_NAMED = 0.75  # names from here on: "rhodes" and "blues guitar" are, "mellow", "high" and "acoustic" are not
_ABOUT = re.compile(
    r"\b(?:with|without|but|except|minus|no|on|in|at|of|from|behind|under|over|like|that|which|playing)\b",
    re.IGNORECASE,
)
_MAX_WORD = 100  # BERT reads a longer word as unknown
_MAX_VOCABULARY_BYTES = 4 << 20
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def _is_cjk(char: str) -> bool:
    return any(low <= ord(char) <= high for low, high in _CJK)


def _is_punctuation(char: str) -> bool:
    """ASCII symbols count too, as in BERT."""
    return (char.isascii() and char.isprintable() and not char.isalnum() and char != " ") or unicodedata.category(
        char
    ).startswith("P")


def _is_control(char: str) -> bool:
    if char in "\t\n\r":
        return False
    return char in "\0\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs")


def split_words(text: str) -> list[str]:
    """BERT's uncased words: no accents, lower case, each punctuation mark and CJK character on its own."""
    text = "".join(char for char in text if not _is_control(char))
    text = "".join(f" {char} " if _is_cjk(char) else char for char in text)
    text = "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")
    text = "".join(char.lower() for char in text)  # one by one: no final sigma, as in BERT's tokenizer
    return "".join(f" {char} " if _is_punctuation(char) else char for char in text).split()


class WordPiece:
    """BERT's uncased tokenizer over a vocabulary; gives piece numbers, no [CLS] or [SEP]."""

    def __init__(self, vocabulary: list[str]) -> None:
        self.pieces = {piece: number for number, piece in enumerate(vocabulary)}
        if "[UNK]" not in self.pieces:
            raise CheckpointError("The model's vocabulary has no [UNK] entry; the file is damaged, fetch it again.")
        self.unknown = self.pieces["[UNK]"]

    def __call__(self, text: str) -> list[int]:
        """Piece numbers of a text; a word that cannot be spelt in pieces is [UNK]."""
        return [number for word in split_words(text) for number in self._spell(word)]

    def _spell(self, word: str) -> list[int]:
        """The longest piece that fits, again and again."""
        if len(word) > _MAX_WORD:
            return [self.unknown]
        numbers: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            end = len(word)
            while end > start and prefix + word[start:end] not in self.pieces:
                end -= 1
            if end == start:
                return [self.unknown]
            numbers.append(self.pieces[prefix + word[start:end]])
            start = end
        return numbers


class WordTable(nn.Module):
    """A vector for each word piece, fixed: int8 [pieces, 128] times a scale for each dimension (the model2vec recipe).

    Args:
        tensors: `vectors` int8 [pieces, n], `scales` float32 [n], `vocabulary` uint8 (lines of text, zlib).

    Raises:
        CheckpointError: A tensor is missing or they do not belong together.
    """

    vectors: Tensor
    scales: Tensor
    vocabulary: Tensor

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        try:
            vectors, scales, vocabulary = (tensors[name] for name in ("vectors", "scales", "vocabulary"))
            unpacked = zlib.decompressobj().decompress(
                vocabulary.to(torch.uint8).numpy().tobytes(), _MAX_VOCABULARY_BYTES
            )
            pieces = unpacked.decode("utf-8").split("\n")
        except (KeyError, zlib.error, UnicodeDecodeError) as error:
            raise CheckpointError("The word table is incomplete or damaged; fetch the model file again.") from error
        if vectors.dtype != torch.int8 or vectors.shape != (len(pieces), scales.numel()):
            raise CheckpointError("The word table does not fit its vocabulary; fetch the model file again.")
        self.tokenize = WordPiece(pieces)
        self.register_buffer("vectors", vectors)
        self.register_buffer("scales", scales.float())
        self.register_buffer("vocabulary", vocabulary)

    @classmethod
    def load(cls, path: Path) -> WordTable:
        """Read `words.safetensors`.

        Raises:
            CheckpointError: The file is missing or not a word table.
        """
        try:
            return cls(load_file(path))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                "The word table {path} cannot be read ({why}); install the program again.", path=path, why=error
            ) from error

    @property
    def dimensions(self) -> int:
        """Length of a word's vector."""
        return self.scales.numel()

    def lookup(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Vectors of the texts' pieces and which of them are real.

        An empty text gives [UNK].

        Returns:
            Vectors [batch, tokens, 128], zero where padded, and mask [batch, tokens], True where real.
        """
        rows = [self.tokenize(text) or [self.tokenize.unknown] for text in texts]
        tokens = max((len(row) for row in rows), default=1)
        device = self.vectors.device
        numbers = torch.tensor([row + [0] * (tokens - len(row)) for row in rows], device=device).view(-1, tokens)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        mask = torch.arange(tokens, device=device) < lengths[:, None]  # [batch, tokens]
        vectors = self.vectors[numbers.long()].float() * self.scales  # [batch, tokens, 128]
        return vectors * mask[..., None], mask

    def mean(self, texts: list[str]) -> Tensor:
        """Untrained sentence vectors: the normalised mean of the pieces [batch, 128]."""
        vectors, _ = self.lookup(texts)
        return functional.normalize(vectors.sum(dim=1), dim=-1)


class TextTower(nn.Module):
    """Word vectors to one unit vector: an MLP on each piece, attention over pieces, and a straight path from the mean.

    The straight path keeps unseen words near their seen neighbours in the table.
    """

    def __init__(self, word_dimensions: int = 128, width: int = 256, dimensions: int = 512) -> None:
        super().__init__()
        self.word = nn.Sequential(
            nn.Linear(word_dimensions, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width), nn.GELU()
        )
        self.score = nn.Linear(width, width)
        self.out = nn.Linear(width, dimensions)
        self.straight = nn.Linear(word_dimensions, dimensions, bias=False)

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Vectors [batch, tokens, 128] and mask [batch, tokens] to unit vectors [batch, dimensions]."""
        hidden = self.word(vectors)  # [batch, tokens, width]
        scores = self.score(hidden).masked_fill(~mask[..., None], float("-inf"))
        pooled = (scores.softmax(dim=1) * hidden).sum(dim=1)  # [batch, width]
        mean = functional.normalize((vectors * mask[..., None]).sum(dim=1), dim=-1)
        return functional.normalize(self.out(pooled) + self.straight(mean), dim=-1)


class _Block(nn.Module):
    """3x3 convolution that shrinks, then one that adds detail."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm = nn.GroupNorm(8, outputs)
        self.detail = nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs, bias=False)
        self.mix = nn.Conv2d(outputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, bands, frames] to [batch, outputs, bands / stride, frames / stride]."""
        x = functional.gelu(self.norm(self.shrink(x)))
        return x + self.mix(functional.gelu(self.detail(x)))


class AudioTower(nn.Module):
    """A compressed mel spectrogram to one unit vector, whatever the level.

    Input is the embedded autoencoder's mel: magnitude to the power 0.3, 43 frames a second. Convolutions in band and
    time, then the bands are joined (where a sound lies matters), then attention and maximum over time.
    """

    def __init__(self, bands: int = 128, width: int = 256, dimensions: int = 512) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Conv2d(1, 32, 5, 2, padding=2),
            nn.GELU(),
            _Block(32, 64, (2, 2)),
            _Block(64, 128, (2, 2)),
            _Block(128, 192, (2, 1)),
        )
        self.join = nn.Sequential(nn.Linear(192 * (bands // 16), width), nn.LayerNorm(width), nn.GELU())
        self.score = nn.Linear(width, width)
        self.out = nn.Sequential(nn.Linear(2 * width, dimensions), nn.GELU(), nn.Linear(dimensions, dimensions))

    def forward(self, mel: Tensor) -> Tensor:
        """Mel [batch, bands, frames] to unit vectors [batch, dimensions]."""
        level = mel.square().mean(dim=(1, 2), keepdim=True).sqrt()
        x = mel / level.clamp(min=1e-5)  # a gain is a factor here too: it falls out
        x = self.blocks(x[:, None])  # [batch, 192, bands / 16, frames / 8]
        x = self.join(x.flatten(1, 2).transpose(1, 2))  # [batch, frames / 8, width]
        attended = (self.score(x).softmax(dim=1) * x).sum(dim=1)
        return functional.normalize(self.out(torch.cat([attended, x.amax(dim=1)], dim=-1)), dim=-1)


class EmbeddedConditioner(nn.Module):
    """Word table and both towers. For training call `text(...)` and `audio(...)`; for use, `embed_text` and so on.

    Attributes:
        names: Text embeddings of the classes whose sound is known [classes, dimensions]; there may be none.
        sounds: The mean of the audio embeddings of what was heard of each [classes, dimensions].
    """

    names: Tensor
    sounds: Tensor

    audio_input: Literal["mel", "audio"] = "mel"

    def __init__(self, words: WordTable, dimensions: int = 512, bands: int = 128) -> None:
        super().__init__()
        self.words, self.dimensions = words, dimensions
        self.text = TextTower(words.dimensions, dimensions=dimensions)
        self.audio = AudioTower(bands, dimensions=dimensions)
        self.log_scale = nn.Parameter(torch.tensor(14.0).log())  # inverse temperature of `contrastive_loss`
        self.know(torch.zeros(0, dimensions), torch.zeros(0, dimensions))
        self._cache: dict[str, Tensor] = {}

    def know(self, names: Tensor, sounds: Tensor) -> None:
        """Take names and typical sounds of classes, each [classes, dimensions], which `embed_prompt` makes use of.

        They follow from the towers, and are no part of what is trained.
        """
        self.register_buffer("names", functional.normalize(names, dim=-1), persistent=False)
        self.register_buffer("sounds", functional.normalize(sounds, dim=-1), persistent=False)

    def train(self, mode: bool = True) -> EmbeddedConditioner:
        """Switch between training and use; either way remembered texts are dropped, the towers may have changed."""
        self._cache.clear()
        super().train(mode)
        return self

    def encode_text(self, texts: list[str]) -> Tensor:
        """Unit vectors of the texts with gradients, never from the cache: [batch, dimensions]."""
        return self.text(*self.words.lookup(texts))

    @torch.no_grad()
    def embed_text(self, texts: list[str]) -> Tensor:
        """Unit vectors of the texts: [batch, dimensions]. Remembered by text unless in training mode."""
        if self.training:
            return self.encode_text(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._cache]
        if new:
            self._cache.update(zip(new, self.encode_text(new).unbind(0), strict=True))
        return torch.stack([self._cache[text].to(self.log_scale.device) for text in texts])

    @torch.no_grad()
    def embed_prompt(self, texts: list[str]) -> Tensor:
        """Unit vectors half of the words, half of the typical sound of what they name: [batch, dimensions].

        The denoiser learned from c = a c_text + (1 - a) c_audio (PAPER: diffusion), and is surer of the second. Words
        that name several classes have the sounds of all; those that name none stand for themselves. Where only a
        name among them is known, it stands for them: "fat synth" and "the fat synth on the left" are the synth.
        """
        known = self.knows(texts).tolist()  # of all at once: training has thousands
        texts = [text if is_known else self._known(text) for text, is_known in zip(texts, known, strict=True)]
        text = self.embed_text(texts)
        asked = [[prompt, *named(self, prompt)] for prompt in texts]
        likeness = self._likeness([name for names in asked for name in names]).split([len(names) for names in asked])
        near = (torch.stack([each.amax(0) for each in likeness]) - _APART).clamp(min=0)  # [batch, classes]
        typical = functional.normalize(near @ self.sounds, dim=-1)
        half = (near.sum(1, keepdim=True) / (_SURE - _APART)).clamp(max=1) / 2
        return functional.normalize(torch.lerp(text, typical, half), dim=-1)

    @torch.no_grad()
    def knows(self, texts: list[str]) -> Tensor:
        """Which texts surely name a class whose sound is known, bool [batch]: "the kick" does, "mellow" does not."""
        return (self._likeness(texts) > _NAMED).any(1)

    def _known(self, prompt: str) -> str:
        """What of a prompt is known: all of it, or else the longest name ahead of a "with", an "on" or the like."""
        if not len(self.names) or self.knows([prompt]) or named(self, prompt):
            return prompt
        several = list(map(self._known, named_together(prompt)))
        if several and self.knows(several).all():
            return " and ".join(several)
        words = _ABOUT.split(prompt, maxsplit=1)[0].split()
        parts = [words[first : first + n] for n in (3, 2, 1) for first in range(len(words) - n, -1, -1)]
        names = list(map(" ".join, [words, *parts] if words else []))
        known = self.knows(names).tolist() if names else []
        return next((name for name, is_known in zip(names, known, strict=True) if is_known), prompt)

    def _likeness(self, texts: list[str]) -> Tensor:
        """Cosines of the texts and the names whose sound is known [batch, classes]."""
        return self.embed_text(texts) @ self.names.T

    @torch.no_grad()
    def embed_audio(self, audio: Tensor) -> Tensor:
        """Unit vectors of compressed mels [batch, bands, frames]: [batch, dimensions]."""
        return self.audio(audio)

    def loss(self, texts: list[str], mel: Tensor, labels: Tensor) -> Tensor:
        """`contrastive_loss` of a training batch: texts, mels [batch, bands, frames], labels [batch]."""
        return contrastive_loss(self.encode_text(texts), self.audio(mel), labels, self.log_scale)

    def state(self, prefix: str = "") -> dict[str, Tensor]:
        """Everything as contiguous tensors for safetensors, names after `prefix` (say "conditioner.")."""
        state = self.state_dict() | ({"names": self.names, "sounds": self.sounds} if len(self.names) else {})
        return {prefix + name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}

    @classmethod
    def from_state(cls, state: dict[str, Tensor], prefix: str = "") -> EmbeddedConditioner:
        """The conditioner that `state` described, ready for use; names without `prefix` are ignored.

        Raises:
            CheckpointError: Tensors are missing, left over or of the wrong shape.
        """
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        words = WordTable({name: state[f"words.{name}"] for name in _WORD_TENSORS if f"words.{name}" in state})
        try:
            dimensions, joined = state["text.out.bias"].shape[0], state["audio.join.0.weight"].shape[1]
            conditioner = cls(words, dimensions, bands=joined // 192 * 16)
            if "names" in state:
                conditioner.know(state.pop("names"), state.pop("sounds"))
            conditioner.load_state_dict(state)
        except (KeyError, IndexError, RuntimeError) as error:
            raise CheckpointError("The model's text and audio towers are incomplete; fetch the file again.") from error
        return conditioner.eval()


_WORD_TENSORS = ("vectors", "scales", "vocabulary")


def contrastive_loss(text: Tensor, audio: Tensor, labels: Tensor, log_scale: Tensor) -> Tensor:
    """InfoNCE both ways; every pair of the same label is a positive and the target is shared between them.

    Args:
        text: Unit vectors [batch, dimensions].
        audio: Unit vectors of the sounds that belong to them [batch, dimensions].
        labels: One number a pair [batch]; equal numbers are the same class.
        log_scale: Log of the inverse temperature, a learned scalar; at most log 100.

    Returns:
        A scalar, zero where each text picks exactly the sounds of its label.
    """
    logits = text @ audio.T * log_scale.clamp(max=4.605).exp()  # [batch, batch]
    same = (labels[:, None] == labels[None, :]).to(logits.dtype)
    target = same / same.sum(dim=1, keepdim=True)  # symmetric: rows and columns agree
    floor = torch.special.entr(target).sum(dim=1).mean()
    loss = functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
    return loss / 2 - floor
