"""What a text or a sound becomes before the denoiser sees it: one unit vector, text and audio in the same space.

`embedded.EmbeddedConditioner` comes inside the shipped model; `clap.ClapConditioner` reads LAION's CLAP, which the
published weights need. Both follow `Conditioner`.
"""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor

from ..words import named_together


class Conditioner(Protocol):
    """Text and audio to unit vectors [batch, dimensions]; without gradients, texts remembered."""

    audio_input: Literal["mel", "audio"]
    dimensions: int

    def embed_text(self, texts: list[str]) -> Tensor:
        """Unit vectors of the texts: [batch, dimensions]."""
        ...

    def embed_prompt(self, texts: list[str]) -> Tensor:
        """What the denoiser is asked with where these words are all that is known: unit vectors [batch, dimensions]."""
        ...

    def knows(self, texts: list[str]) -> Tensor:
        """Which texts surely name a class of sources that it was taught, bool [batch]."""
        ...

    def embed_audio(self, audio: Tensor) -> Tensor:
        """Unit vectors of sounds: [batch, dimensions].

        Args:
            audio: Where `audio_input` is "mel", the embedded autoencoder's compressed mel [batch, bands, frames];
                where it is "audio", mono at 48 kHz [batch, samples].
        """
        ...


def named(conditioner: Conditioner, prompt: str) -> list[str]:
    """The sources that a prompt names together, if it is known what each of them is ("warm" of a piano is none)."""
    names = named_together(prompt)
    return names if names and bool(conditioner.knows(names).all()) else []
