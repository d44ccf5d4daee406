"""`mgeldm demo`: stems of the bundled song, a small table, and a picture of what was taken."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from ..audio import open_audio, read, unique_names
from ..bundled import DEMO_SONG
from ..outputs import aside, place
from ..pipeline import Pipeline
from ..progress import Reporter
from ..refine import write_stems
from ..requests import Extract
from .plots import spectrograms

PROMPTS = ("the drums", "the bass")


def demo(pipeline: Pipeline, out: Path, reporter: Reporter) -> dict[str, Any]:
    """Extract `PROMPTS` from the demo song into the folder `out`, with a picture beside them."""
    names = [*PROMPTS, "rest"]
    began_s = time.perf_counter()
    with open_audio(DEMO_SONG) as song, aside(out) as folder:
        found = pipeline.extract(song, Extract(PROMPTS), reporter)
        paths = [folder / name for name in unique_names(names, ".wav")]
        write_stems(song, found.estimates, paths[:-1], paths[-1], reporter=reporter)
        paths = place(paths, out, names, ".wav", "demo - ")
    spent_s, clips = time.perf_counter() - began_s, [read(path) for path in (DEMO_SONG, *paths)]
    null = np.abs(clips[0].samples - np.sum([clip.samples for clip in clips[1:]], axis=0, dtype=np.float64)).max()
    with aside(out) as folder:
        spectrograms(folder / "demo.png", dict(zip(("mixture", *names), clips, strict=True)))
        (picture,) = place([folder / "demo.png"], out, ["demo"], ".png")
    rows = [f"{'file':<40} {'level':>8} {'peak':>6}"]
    for path, clip in zip((DEMO_SONG, *paths), clips, strict=True):
        level_db = 10 * np.log10(np.square(clip.samples, dtype=np.float64).mean() + 1e-12)
        rows.append(f"{path.name:<40} {level_db:5.1f} dB {np.abs(clip.samples).max():6.2f}")
    rows += [f"{spent_s:.1f} s for {clips[0].duration_s:.0f} s of music; the song minus all stems peaks at {null:.1e}"]
    rows += [f"The stems and {picture.name} are in {out.resolve()}"]
    return {"files": [str(path) for path in (*paths, picture)], "seconds": round(spent_s, 2), "text": "\n".join(rows)}
