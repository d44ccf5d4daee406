"""`mgeldm evaluate`: all that is measured, as tables and as one object for JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data.files import make_folder
from ..errors import InputError
from ..pipeline import SILENT, Pipeline
from ..progress import Reporter
from ..requests import Quality, Sampling
from . import extraction, generation, text
from .embeddings import Clap, Embedding, Tower, Vggish
from .open_unmix import Separator
from .sets import ExcerptSet, Material, mma_songs

PARTS = ("extraction", "text", "imputation", "generation")


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        material: The music.
        parts: Which of `PARTS`.
        quality: Of all that is made.
        steps: Of new parts and music; None takes what the quality says.
        pieces: Parts imputed and pieces generated, and excerpts asked for something absent.
        peer: File of a trained `open_unmix` network to compare with.
        clap: Folder of CLAP's weights, for a second FAD.
        vggish: File of VGGish's weights, for a third.
        plots: Folder for pictures.
    """

    material: Material = field(default_factory=Material)
    parts: tuple[str, ...] = PARTS
    quality: Quality = "standard"
    steps: int | None = None
    pieces: int = 24
    peer: Path | None = None
    clap: Path | None = None
    vggish: Path | None = None
    plots: Path | None = None

    @property
    def sampling(self) -> Sampling:
        """How new parts and music are made."""
        return Sampling(self.quality, self.steps)


def evaluate(pipeline: Pipeline, plan: Plan, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Measure what the plan says.

    Returns:
        A key for each part, and "text" with all tables. `sets[name][class]` holds extraction, `below_silence[name]`
        the share of all its excerpts under 0 dB, `gaps[kind]` what lies between seen songs, unseen ones and limits.

    Raises:
        InputError: A folder, a file or a part is missing, the steps are out of range, or nothing is to be made.
        CheckpointError: Weights are missing, damaged or foreign.
        OutputError: The folder for pictures cannot be made.
    """
    if unknown := set(plan.parts) - set(PARTS):
        raise InputError(f"There is no part {min(unknown)!r} of the evaluation; choose from {', '.join(PARTS)}.")
    if plan.pieces < 1:
        raise InputError("There is nothing to make; ask for at least one piece with --pieces.")
    plan.sampling.validate()
    peer, spaces = _peer(plan), _embeddings(pipeline, plan)  # now: a wrong path is not to cost hours of tables
    sets = plan.material.sets()
    measures: dict[str, Callable[[], tuple[dict[str, Any], list[str]]]] = {
        "extraction": lambda: _extraction(pipeline, plan, sets, peer, reporter),
        "text": lambda: _text(pipeline, plan, sets, reporter),
        "imputation": lambda: _imputation(pipeline, plan, sets, spaces, reporter),
        "generation": lambda: _generation(pipeline, plan, sets, spaces, reporter),
    }
    result: dict[str, Any] = {
        "model": {"name": pipeline.config.name, "sha256": pipeline.model.sha256},
        "quality": plan.quality,
    }
    tables: list[str] = []
    for part in PARTS:
        if part in plan.parts:
            found, lines = measures[part]()
            result |= found
            tables += lines
    return result | {"text": "\n\n".join(tables)}


def _extraction(
    pipeline: Pipeline, plan: Plan, sets: Sequence[ExcerptSet], peer: Separator | None, reporter: Reporter
) -> tuple[dict, list]:
    if plan.plots is not None:
        make_folder(plan.plots, "--plots")
    every = [*sets, *(part for part in (plan.material.kits, plan.material.pairs) if part is not None)]
    found = {part.name: extraction.score(pipeline, part, plan.quality, peer, plan.plots, reporter) for part in every}
    filled = {name: classes for name, classes in found.items() if classes}
    if plan.plots is not None:
        for name, classes in filled.items():
            extraction.chart(plan.plots, name, classes)
    gaps = extraction.gaps(sets, found)
    tables = [extraction.table(name, classes) for name, classes in found.items()]
    tables += [extraction.gaps_text(gaps)] if gaps else []
    result: dict[str, Any] = {"sets": {name: extraction.plain(classes) for name, classes in found.items()}}
    result["below_silence"] = {name: round(extraction.below_silence(classes), 3) for name, classes in filled.items()}
    if peer is not None:
        result["peer"] = peer.about
    return result | {"gaps": gaps}, tables


def _text(pipeline: Pipeline, plan: Plan, sets: Sequence[ExcerptSet], reporter: Reporter) -> tuple[dict, list]:
    unseen = _unseen(sets)
    named = text.retrieval(pipeline, Tower(pipeline), unseen)
    silent = text.absent(pipeline, unseen, plan.quality, plan.pieces * len(unseen), reporter)
    return {"retrieval": named, "absent": silent}, [text.retrieval_text(named), text.absent_text(silent)]


def _imputation(
    pipeline: Pipeline, plan: Plan, sets: Sequence[ExcerptSet], spaces: Sequence[Embedding], reporter: Reporter
) -> tuple[dict, list]:
    found, others = {}, plan.material.others
    for songs in _unseen(sets):
        strangers = others if songs.kind == "real" and others is not None else songs
        asked = (plan.pieces, plan.sampling, reporter)
        found[songs.name] = generation.imputation(pipeline, songs, strangers, spaces, *asked)
    tables = [generation.imputation_text(name, row) for name, row in found.items()]
    return {"imputation": found}, tables


def _generation(
    pipeline: Pipeline, plan: Plan, sets: Sequence[ExcerptSet], spaces: Sequence[Embedding], reporter: Reporter
) -> tuple[dict, list]:
    """Each kind of real music is a reference; where there is none, the rendered songs are.

    What ours has to come nearer than are the rendered songs, if they are no reference, and MMA's arrangements.
    """
    rendered = next((part for part in _unseen(sets) if part.kind == "synthetic"), None)
    references = {part.kind: [part] for part in _unseen(sets) if part is not rendered}
    if (others := plan.material.others) is not None:
        references["real"].append(others)  # for the held-out song alone is no distribution
    yardsticks = [rendered] if rendered is not None else []
    if rendered is not None and not references:
        references, yardsticks = {rendered.kind: [rendered]}, []
    if (arranged := mma_songs(plan.pieces)) is not None:
        yardsticks.append(arranged)
    asked = (plan.pieces, plan.sampling, reporter)
    found = {
        name: generation.total_generation(pipeline, parts, yardsticks, spaces, *asked)
        for name, parts in references.items()
    }
    return {"generation": found}, [generation.generation_text(name, row) for name, row in found.items()]


def _unseen(sets: Sequence[ExcerptSet]) -> list[ExcerptSet]:
    return [part for part in sets if not part.seen]


def _peer(plan: Plan) -> Separator | None:
    """The network to compare with, if one is given and anything is extracted."""
    if plan.peer is None or "extraction" not in plan.parts:
        return None
    return Separator.load(plan.peer)


def _embeddings(pipeline: Pipeline, plan: Plan) -> list[Embedding]:
    """The model's own space, and those whose weights are given; none where nothing is made that they measure."""
    if not {"imputation", "generation"} & set(plan.parts):
        return []
    spaces: list[Embedding] = [Tower(pipeline)]
    if plan.clap is not None and spaces[0].name != Clap.name:
        spaces.append(Clap(plan.clap))
    if plan.vggish is not None:
        spaces.append(Vggish(plan.vggish))
    return spaces
