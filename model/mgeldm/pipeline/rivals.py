"""What sources have to do with one another by their names: which compete for the masks, which is a part of another.

Told by the cosine of their conditions; model/README measures what comes of it ("What more work at use time gives", "By
another name", "Several at once").
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ..conditioning import Conditioner, named
from ..words import KIT, nearest, plain

# All but `draft` let these compete for the masks, unless a prompt means the same: fewer stems come out worse than
# silence. What they find is kept for the next prompt on the song.
COMMON_SOURCES = ("drums", "bass", "vocals", "piano")
DOUBTFUL = 0.3  # from here on two names may mean one sound: which it is, is heard (`extraction.unlike`)
ALIKE = 0.5  # from here on they do not compete
SURELY = 0.65  # from here on it is the same: to all pieces of a kit percussion is nearer than 0.5


class Names:
    """Conditions of what the embedded model's towers know by name.

    Args:
        conditioner: The towers.
    """

    def __init__(self, conditioner: Conditioner):
        self.conditioner = conditioner

    def condition(self, text: str) -> Tensor:
        """What the denoiser is asked with for a text [dim]."""
        words = plain(text)
        return self.conditioner.embed_prompt([words if self.conditioner.knows([words]) else nearest(text)])[0].cpu()

    def together(self, text: str) -> list[Tensor]:
        """Of the sources that a text names together, if several: one would be summed with itself.

        To towers that know no pieces of a kit "kick and snare" is drums twice.
        """
        found: list[Tensor] = []
        names = named(self.conditioner, plain(text)) or named(self.conditioner, nearest(text))
        for source in map(self.condition, names):
            if all(float(source @ other) < SURELY for other in found):
                found.append(source)
        return found if len(found) > 1 else []

    def within(self, asked: Tensor, sources: list[list[Tensor]]) -> Tensor:
        """Which prompts name a part of another, bool [k, k].

        In the row of the drums the kick drum is one, in that of "drums and bass" both the kick drum and the bass.

        Args:
            asked: Of prompts, then of examples [k, dim].
            sources: What each of the prompts names together (see `together`).
        """
        is_kit, is_piece = self._of_kit(asked)
        within = is_kit[:, None] & is_piece
        for i, each in enumerate(sources):
            if each:
                parts = torch.stack(each)
                within[i] = (parts @ asked.T >= SURELY).any(0) | (is_piece & self._of_kit(parts)[0].any())
                within[i, i] = False
        return within & ~within.T  # of two that are parts of each other neither is

    def unasked(self, asked: Tensor) -> list[Tensor]:
        """Of common sources unlike all that is asked for [n, dim]: their masks keep strangers out of a stem.

        With a piece of the drum kit its other pieces compete, not the kit, which it is a part of; with both, neither.
        """
        is_kit, is_piece = self._of_kit(asked)
        pieces = self._kit[1:] if is_piece.any() and not is_kit.any() else []
        each = [pieces if source == "drums" and pieces else [self.condition(source)] for source in COMMON_SOURCES]
        return [source for sources in each for source in sources if float((asked @ source).max()) < ALIKE]

    def _of_kit(self, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Which of them [n, dim] are the drum kit and which a piece of it, bool [n] each."""
        likeness = torch.stack(self._kit) @ asked.T  # [1 + pieces, n]
        sure, is_piece = likeness.amax(0) > SURELY, likeness.argmax(0) > 0
        return sure & ~is_piece, sure & is_piece

    @cached_property
    def _kit(self) -> list[Tensor]:
        """The drums, then the pieces of the kit; to towers that know no pieces they are the kit."""
        drums, known = self.condition("drums"), self.conditioner.knows(list(map(plain, KIT))).tolist()
        pieces = (self.condition(name) for name, is_known in zip(KIT, known, strict=True) if is_known)
        return [drums, *(piece for piece in pieces if float(piece @ drums) < SURELY)]


def in_doubt(asked: Tensor, unasked: Tensor) -> Tensor:
    """Which of those asked for [k, dim] and of common sources [r, dim] may be one sound, bool [k, r]."""
    return asked @ unasked.T >= DOUBTFUL
