"""What a text or a sound becomes before the denoiser sees it: one unit vector, text and audio in the same space.

`embedded.EmbeddedConditioner` comes inside the shipped model; `clap.ClapConditioner` reads LAION's CLAP, which the
published weights need. Both follow `Conditioner`.
"""

from __future__ import annotations

import re
from typing import Literal, Protocol

from torch import Tensor


# One to three words that name a source and no more, with the article of which they are.
_LABEL = re.compile(
    r"(?:the |an? )?(?!.*\b(?:sounds?|stems?|tracks?|audio|music)\b)(\w[\w'&-]*(?: [\w'&-]+){0,2})", re.IGNORECASE
)


def sentence(prompt: str) -> str:
    """A bare label as the published models' training had it: "drums" is "The sound of the drums".

    PAPER (the idea): "The sound of the {label}" in training, free text in use. So longer texts stay as they are, and
    short ones that are of the published training's other forms, such as "vocals track".
    """
    found = _LABEL.fullmatch(prompt.strip(" ."))
    return f"The sound of the {found[1].lower()}" if found else prompt


class Conditioner(Protocol):
    """Text and audio to unit vectors [batch, dimensions]; without gradients, texts remembered."""

    audio_input: Literal["mel", "audio"]
    dimensions: int

    def embed_text(self, texts: list[str]) -> Tensor:
        """Unit vectors of the texts: [batch, dimensions]."""
        ...

    def embed_audio(self, audio: Tensor) -> Tensor:
        """Unit vectors of sounds: [batch, dimensions].

        Args:
            audio: Where `audio_input` is "mel", the embedded autoencoder's compressed mel [batch, bands, frames];
                where it is "audio", mono at 48 kHz [batch, samples].
        """
        ...
