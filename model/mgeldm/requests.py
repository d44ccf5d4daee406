"""What a user asks for. Plain data, checked by `validate` before anything is loaded or read; no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .errors import InputError

Quality = Literal["draft", "standard", "best"]
QUALITIES: tuple[Quality, ...] = ("draft", "standard", "best")
MAX_PROMPT = 1000  # characters
MAX_GUIDANCE = 20.0
MAX_STEPS = 1000
MAX_SEED = 2**63 - 1
SHORTEST_S = 0.05
LONGEST_GENERATED_S = 3600.0


@dataclass(frozen=True)
class Region:
    """A stretch of the song, in seconds; `end_s` None is the song's end."""

    start_s: float = 0.0
    end_s: float | None = None

    def validate(self, duration_s: float | None = None) -> None:
        """Raise `InputError` if the region is empty, not a number, or outside a song of `duration_s`."""
        end_s = self.end_s if self.end_s is not None else duration_s
        if self.start_s < 0 or not all(math.isfinite(x) for x in (self.start_s, end_s or 0.0)):
            raise InputError("Start and end must be numbers of seconds from the song's beginning.")
        if end_s is None:
            return
        if self.end_s is None and end_s <= self.start_s:
            raise InputError(
                "The song lasts {lasts:.2f} s; choose a start before that, not {start:g} s.",
                lasts=end_s,
                start=self.start_s,
            )
        if end_s <= self.start_s:
            raise InputError(
                "The end ({end:g} s) is not after the start ({start:g} s); swap them.", end=end_s, start=self.start_s
            )
        if end_s - self.start_s < SHORTEST_S - 1e-6:  # 7.05 - 7 is a little less than 0.05
            raise InputError(
                "The region lasts {lasts:.0f} ms; choose at least 50 ms.", lasts=(end_s - self.start_s) * 1000
            )
        if duration_s is not None and end_s > duration_s + 1e-3:
            raise InputError(
                "The region ends at {end:g} s, the song at {lasts:.2f} s; choose an earlier end.",
                end=end_s,
                lasts=duration_s,
            )


@dataclass(frozen=True)
class Sampling:
    """How the model works, shared by all requests.

    Attributes:
        quality: How much time to spend.
        steps: Denoising steps; None takes what the quality says.
        guidance: Guidance scale; None takes the model's best.
        negative: What the result should not sound like.
        seed: The same seed gives the same result.
    """

    quality: Quality = "standard"
    steps: int | None = None
    guidance: float | None = None
    negative: str = ""
    seed: int = 0

    def validate(self) -> None:
        """Raise `InputError` for a value out of range."""
        if self.quality not in QUALITIES:
            raise InputError(
                "There is no quality {quality!r}; choose one of {qualities}.",
                quality=self.quality,
                qualities=", ".join(QUALITIES),
            )
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            raise InputError(
                "{steps} steps cannot be taken; choose from 1 to {most}.", steps=self.steps, most=MAX_STEPS
            )
        if self.guidance is not None and not 0 <= self.guidance <= MAX_GUIDANCE:
            raise InputError(
                "A guidance of {guidance:g} is out of range; choose from 0 to {most:g}.",
                guidance=self.guidance,
                most=MAX_GUIDANCE,
            )
        if self.seed < 0:
            raise InputError("The seed {seed} is negative; choose zero or more.", seed=self.seed)
        if self.seed > MAX_SEED:
            raise InputError("The seed {seed} is too large; choose {most} at most.", seed=self.seed, most=MAX_SEED)
        if self.negative:
            check_prompt(self.negative)


@dataclass(frozen=True)
class Extract:
    """Take the prompted sources out of the song.

    Attributes:
        prompts: One sentence a stem; "everything but the drums", "no drums" are the rest of "the drums".
        region: Where; outside it the stems are silent.
        sampling: How.
        sensitivity: From -1 (less bleed) to 1 (fuller, and what the model doubts is taken to be there).
        raw: The decoder's own sound instead of masks on the song (the paper's way).
        examples: Regions whose sound to look for, one a stem, beside the prompts ("like this").
    """

    prompts: tuple[str, ...]
    region: Region = Region()
    sampling: Sampling = Sampling()
    sensitivity: float = 0.0
    raw: bool = False
    examples: tuple[Region, ...] = ()

    def validate(self, duration_s: float | None = None, example_s: float | None = None) -> None:
        """Raise `InputError` with one sentence that says what is wrong.

        Args:
            duration_s: How long the song is, if that is known.
            example_s: The same of what the examples are regions of; None is the song.
        """
        if not self.prompts and not self.examples:
            raise InputError("There is no prompt; say which instrument to extract.")
        for prompt in self.prompts:
            check_prompt(prompt)
        if not -1 <= self.sensitivity <= 1:
            raise InputError(
                "A sensitivity of {sensitivity:g} is out of range; choose from -1 to 1.", sensitivity=self.sensitivity
            )
        if self.raw and self.sensitivity:
            raise InputError("The decoder's own sound has no sensitivity; leave out one of the two.")
        self.region.validate(duration_s)
        for example in self.examples:
            example.validate(duration_s if example_s is None else example_s)
        self.sampling.validate()


@dataclass(frozen=True)
class Impute:
    """Add missing parts to the song, one prompt after the other, each hearing the ones before.

    `like` is a region whose sound they should have, beside their words or, without a prompt, in their place.
    """

    prompts: tuple[str, ...]
    region: Region = Region()
    sampling: Sampling = Sampling()
    like: Region | None = None

    def validate(self, duration_s: float | None = None, example_s: float | None = None) -> None:
        """As `Extract.validate`."""
        _validate_part(self.prompts, self, duration_s, example_s)


@dataclass(frozen=True)
class Accompany:
    """Make everything that goes with a given source; `like` as for `Impute`, the prompt then may be empty."""

    prompt: str
    region: Region = Region()
    sampling: Sampling = Sampling()
    like: Region | None = None

    def validate(self, duration_s: float | None = None, example_s: float | None = None) -> None:
        """As `Extract.validate`."""
        _validate_part((self.prompt,), self, duration_s, example_s)


@dataclass(frozen=True)
class Inpaint:
    """Replace one source of the song inside a region; everything else stays the user's own audio.

    `like` as for `Impute`. Where the prompt is empty, what sounds like it is replaced.
    """

    prompt: str
    region: Region
    sampling: Sampling = Sampling()
    like: Region | None = None

    def validate(self, duration_s: float | None = None, example_s: float | None = None) -> None:
        """As `Extract.validate`."""
        _validate_part((self.prompt,), self, duration_s, example_s)


@dataclass(frozen=True)
class Generate:
    """Make music of a given length from nothing, prompted or not."""

    duration_s: float
    prompt: str = ""
    sampling: Sampling = Sampling()

    def validate(self) -> None:
        """Raise `InputError` with one sentence that says what is wrong."""
        if not SHORTEST_S <= self.duration_s <= LONGEST_GENERATED_S:
            raise InputError(
                "A duration of {duration:g} s is out of range; choose from {least:g} to {most:g} s.",
                duration=self.duration_s,
                least=SHORTEST_S,
                most=LONGEST_GENERATED_S,
            )
        if self.prompt:
            check_prompt(self.prompt)
        self.sampling.validate()


Request = Extract | Impute | Accompany | Inpaint | Generate


def _validate_part(
    prompts: tuple[str, ...],
    request: Impute | Accompany | Inpaint,
    duration_s: float | None,
    example_s: float | None,
) -> None:
    """What the requests for new parts have in common."""
    if not prompts and request.like is None:
        raise InputError("There is no prompt; say which part to make.")
    for prompt in prompts:
        if prompt or request.like is None:
            check_prompt(prompt)
    request.region.validate(duration_s)
    if request.like is not None:
        request.like.validate(duration_s if example_s is None else example_s)
    request.sampling.validate()


def check_prompt(prompt: str) -> None:
    """Raise `InputError` if a prompt says nothing or too much."""
    if not any(character.isalnum() for character in prompt):
        raise InputError('The prompt is empty; say which instrument you mean, for example "the bass".')
    if len(prompt) > MAX_PROMPT:
        raise InputError(
            "The prompt has {length} characters; say it in at most {most}.", length=len(prompt), most=MAX_PROMPT
        )
