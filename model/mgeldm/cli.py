"""The command line: `mgeldm extract SONG --prompt TEXT --out DIR`, and its sisters.

Exit status: 0 done, 2 a song, request or option that cannot be used, 1 anything else that fails: a model, a folder that
cannot be written, memory (one clear sentence each); 130 interrupted (no partial file is left).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .audio import (
    BITS,
    FORMATS,
    HARDLY_HEARD,
    AudioClip,
    Samples,
    Song,
    Writer,
    fitting_gain,
    open_audio,
    reach_of,
    rounded,
    unique_names,
)
from .bundled import CHECKSUMS, EMBEDDED_PATH
from .data.files import make_folder
from .errors import Cancelled, CheckpointError, InputError, MgeldmError
from .outputs import aside, place
from .progress import Progress, Reporter
from .requests import QUALITIES, Accompany, Extract, Generate, Impute, Inpaint, Region, Sampling

if TYPE_CHECKING:
    from .pipeline import Pipeline

INTERRUPTED = 130
_interrupted = Event()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        args = _parser().parse_args(arguments)
        result = args.run(args)
    except InputError as error:
        print(f"mgeldm: {error}", file=sys.stderr)
        return 2
    except Cancelled:
        return _stopped("no partial file was left.")
    except KeyboardInterrupt as stop:
        return _stopped(str(stop) or "no partial file was left.")
    except (MgeldmError, MemoryError, OSError) as error:
        print(f"mgeldm: {error or type(error).__name__}", file=sys.stderr)
        return 1
    return 0 if result is None else _print(json.dumps(result) if args.json else _told(result))


def _stopped(told: str) -> int:
    print(f"mgeldm: interrupted; {told}", file=sys.stderr)
    return INTERRUPTED


def _print(text: str) -> int:
    """Print a report; what it tells of is done, whether anybody reads it or not."""
    try:
        print(text, flush=True)
        return 0
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would try once more as it ends
        if isinstance(error, BrokenPipeError):
            return 0
        print(f"mgeldm: all is done, but the report could not be written ({error.strerror}).", file=sys.stderr)
        return 1


# ------------------------------------------------------------------------------------------------------- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mgeldm", description="Remix any song by a sentence.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    extract = _command(commands, "extract", _extract, "take what a sentence names out of a song", "prompts", "region")
    extract.add_argument("--sensitivity", type=float, default=0.0, help="-1 (less bleed) to 1 (fuller; it is there)")
    extract.add_argument("--raw", action="store_true", help="the decoder's own sound, silent outside the region")
    extract.add_argument("--like", type=_range, action="append", default=[], metavar="START:END", help="audio example")
    new = [
        _command(commands, "impute", _impute, "add parts that fit, each hearing those before", "prompts", "region"),
        _command(commands, "accompany", _accompany, "make everything that goes with a part", "prompt", "region"),
        _command(commands, "inpaint", _inpaint, "replace one source inside a region", "prompt", "region"),
    ]
    for command in new:
        command.add_argument("--like", type=_range, metavar="START:END", help="sound like this stretch of the song")
    generate = _command(commands, "generate", _generate, "make music from nothing")
    generate.add_argument("--prompt", default="", help="what to make")
    generate.add_argument("--duration", type=float, required=True, metavar="S", help="its length in seconds")
    models = commands.add_parser("models", help="list and verify the models at hand")
    models.set_defaults(run=_models)
    bench = commands.add_parser("bench", help="measure speed and memory on this machine")
    bench.add_argument("--seconds", type=float, default=180.0, metavar="S", help="length of the song it makes")
    bench.set_defaults(run=_bench)
    _add_evaluate(commands)
    demo = commands.add_parser("demo", help="extract stems from the bundled song and draw them")
    demo.add_argument("--out", type=Path, default=Path("out/demo"))
    demo.set_defaults(run=_demo)
    train = commands.add_parser("train", help="train a part of the embedded model")
    train.add_argument("recipe", choices=("autoencoder", "text-audio", "denoiser", "assemble", "receive"))
    train.add_argument("--config", type=Path, required=True, help="TOML file, see model/mgeldm/training/embedded.toml")
    train.add_argument("--minutes", type=float, metavar="M", help="stop after so many, preparation included")
    train.add_argument("--parts", type=Path, metavar="DIR", help="for averaged weights as small files, done by then")
    train.set_defaults(run=_train)
    for command in (models, bench, demo):
        command.add_argument("--json", action="store_true", help="print one JSON object")
    for command in (bench, demo, models):
        _add_model(command)
    return parser


def _command(commands: Any, name: str, run: Callable, about: str, *has: str) -> argparse.ArgumentParser:
    """One of the five tasks, with the options they share."""
    command = commands.add_parser(name, help=about)
    command.set_defaults(run=run)
    if has:
        command.add_argument("song", type=Path, help="wav, aiff, flac, ogg, opus, mp3, m4a, or a video's sound")
    if "prompts" in has:
        command.add_argument("--prompt", action="append", default=[], metavar="TEXT", help="may be given again")
    elif "prompt" in has:
        command.add_argument("--prompt", default="", metavar="TEXT")
    if "region" in has:
        command.add_argument("--start", type=float, default=0.0, metavar="S", help="of the region, in seconds (0)")
        command.add_argument("--end", type=float, metavar="S", help="of the region (the song's)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files; made if need be")
    command.add_argument("--quality", choices=QUALITIES, default="standard", help="how much time to spend (standard)")
    command.add_argument("--steps", type=int, metavar="N", help="of sampling; without it what the quality says")
    command.add_argument("--guidance", type=float, metavar="G", help="how much the prompt counts; what the model says")
    negative_help = 'what it should not sound like (with "everything but ..." out of the rest as well)'
    command.add_argument("--negative", default="", metavar="TEXT", help=negative_help)
    seed_help = "another number, another draw (0); an extraction draws nothing unless it has --steps of 2 or more"
    command.add_argument("--seed", type=int, default=0, metavar="N", help=seed_help)
    command.add_argument("--format", choices=FORMATS, default="wav32", help="of the files (wav32: float)")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    _add_model(command)
    return command


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser("evaluate", help="measure the model on songs never trained on, beside baselines")
    evaluate.set_defaults(run=_evaluate)
    stems_help = "folder of the real songs that the model learned from, and the held-out one; for yours see --set"
    evaluate.add_argument("--stems", type=Path, metavar="DIR", help=stems_help)
    bank_help = "held-out note bank, without which songs are synthesised; may be given again, for drum kits and words"
    evaluate.add_argument("--bank", type=Path, action="append", default=[], metavar="FILE", help=bank_help)
    scores_help = "MIDI songs (.mid, a folder, a WAD) whose held-out eighth drum kits play too; may be given again"
    evaluate.add_argument("--scores", type=Path, action="append", default=[], metavar="PATH", help=scores_help)
    sets_help = "musdb, slakh(-a, -b), moises, stems or stems-test, and its folder; may be given again; without "
    sets_help += "--stems, --bank and --scores these alone are scored"
    evaluate.add_argument("--set", type=_data_set, action="append", default=[], metavar="NAME:DIR", help=sets_help)
    songs_help = "rendered songs, or the most excerpts of real ones, in each set"
    evaluate.add_argument("--songs", type=int, default=24, metavar="N", help=songs_help)
    first_help = "number of the first rendered song (0); songs of the first numbers have chosen what ships"
    evaluate.add_argument("--first", type=int, default=0, metavar="N", help=first_help)
    evaluate.add_argument("--seen", type=Path, metavar="POOL", help="shards: score songs trained on too, for two gaps")
    bank_help = "bank that these were rendered with; give all, in their order"
    evaluate.add_argument("--seen-bank", type=Path, action="append", default=[], metavar="FILE", help=bank_help)
    parts = ("extraction", "text", "imputation", "generation")
    evaluate.add_argument("--only", action="append", default=[], choices=parts, help="may be given again")
    evaluate.add_argument("--quality", choices=QUALITIES, default="standard")
    evaluate.add_argument("--steps", type=int, metavar="N", help="of new parts and music")
    evaluate.add_argument("--pieces", type=int, default=24, metavar="N", help="parts and pieces to make")
    evaluate.add_argument("--peer", type=Path, metavar="FILE", help="network of mgeldm.evaluation.open_unmix")
    evaluate.add_argument("--vggish", type=Path, metavar="FILE", help="VGGish weights, for FAD; see --clap for CLAP's")
    evaluate.add_argument("--plots", type=Path, metavar="DIR", help="draw spectrograms and bars as PNG")
    evaluate.add_argument("--json", action="store_true", help="print one JSON object")
    _add_model(evaluate)


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default="embedded", metavar="NAME", help="embedded, or a checkpoint's path")
    command.add_argument("--clap", type=Path, metavar="DIR", help="CLAP weights, for models that need them")
    command.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))


def _range(text: str) -> Region:
    try:
        start, end = map(float, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range; give two times in seconds, such as 12:14.5") from None
    return Region(start, end)


def _data_set(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition(":")
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is no data set; give its name and its folder, such as stems:DIR")
    return name, Path(folder)


def _sampling(args: argparse.Namespace) -> Sampling:
    return Sampling(args.quality, args.steps, args.guidance, args.negative, args.seed)


# ----------------------------------------------------------------------------------------------------------- tasks


def _extract(args: argparse.Namespace) -> dict[str, Any]:
    from .refine import write_stems

    region = Region(args.start, args.end)
    request = Extract(tuple(args.prompt), region, _sampling(args), args.sensitivity, args.raw, tuple(args.like))
    names = [*args.prompt, *map(_like, args.like), "rest"]
    with _opened(args, request) as (song, reporter, pipeline), aside(args.out) as folder:
        _note_seed(args, pipeline)
        paths = _paths(args, folder, names)
        began_s = time.perf_counter()
        if args.raw:
            parts = pipeline.extract_raw(song, request, reporter)
            gain, missed = _write_parts(song, dict(zip(paths, parts, strict=True)), args), []
        else:
            found = pipeline.extract(song, request, reporter)
            written = write_stems(
                song,
                found.estimates,
                paths[:-1],
                paths[-1],
                format=args.format,
                start_s=found.start_s,
                end_s=found.end_s,
                sensitivity=args.sensitivity,
                reporter=reporter,
            )
            stems = zip(names, written.shares[:-1], strict=False)
            gain, missed = written.gain, [name for name, share in stems if share < HARDLY_HEARD]
        files = _placed(args, paths, names)
        outputs = _outputs([*["stem"] * len(names[:-1]), "rest"], names, files)
        return _report(pipeline, outputs, began_s, _length_s(song, region), gain) | {"missed": missed}


def _note_seed(args: argparse.Namespace, pipeline: Pipeline) -> None:
    """Say that an extraction in one step draws nothing, where somebody asks for another draw."""
    if args.seed and args.steps in (None, 1) and pipeline.config.is_embedded and not args.raw:
        print("mgeldm: --seed changes an extraction only together with --steps of 2 or more.", file=sys.stderr)


def _like(region: Region) -> str:
    return f"like {region.start_s:g}-{region.end_s:g} s"


def _impute(args: argparse.Namespace) -> dict[str, Any]:
    request = Impute(tuple(args.prompt), Region(args.start, args.end), _sampling(args), args.like)
    with _opened(args, request) as (song, reporter, pipeline), aside(args.out) as folder:
        began_s = time.perf_counter()
        names = args.prompt or [_like(args.like)]
        parts = pipeline.impute(song, request, reporter)
        played = [(name, part) for name, part in zip(names, parts, strict=True) if part.samples.any()]
        unplayed = [name for name, part in zip(names, parts, strict=True) if not part.samples.any()]
        return _made(args, folder, song, pipeline, began_s, played) | {"unplayed": unplayed}


def _accompany(args: argparse.Namespace) -> dict[str, Any]:
    request = Accompany(args.prompt, Region(args.start, args.end), _sampling(args), args.like)
    with _opened(args, request) as (song, reporter, pipeline), aside(args.out) as folder:
        began_s = time.perf_counter()
        part = pipeline.accompany(song, request, reporter)
        return _made(args, folder, song, pipeline, began_s, [(args.prompt or _like(args.like), part)])


def _made(
    args: argparse.Namespace,
    folder: Path,
    song: Song,
    pipeline: Pipeline,
    began_s: float,
    parts: Sequence[tuple[str, AudioClip]],
) -> dict[str, Any]:
    """Write new parts of a region; the report of them."""
    names = [name for name, _ in parts]
    paths = _paths(args, folder, names)
    gain = _write_parts(song, dict(zip(paths, (part for _, part in parts), strict=True)), args)
    outputs = _outputs(["part"] * len(names), names, _placed(args, paths, names))
    return _report(pipeline, outputs, began_s, _length_s(song, Region(args.start, args.end)), gain)


def _inpaint(args: argparse.Namespace) -> dict[str, Any]:
    request = Inpaint(args.prompt, Region(args.start, args.end), _sampling(args), args.like)
    with _opened(args, request) as (song, reporter, pipeline), aside(args.out) as folder:
        began_s = time.perf_counter()
        names = [args.prompt or _like(args.like), "rest", "inpainted"]
        new, old = pipeline.inpaint(song, request, reporter)
        paths = _paths(args, folder, names)
        gain = _write_inpainted(song, paths, new, old, args)
        outputs = _outputs(("part", "rest", "inpainted"), names, _placed(args, paths, names))
        return _report(pipeline, outputs, began_s, _length_s(song, request.region), gain)


def _generate(args: argparse.Namespace) -> dict[str, Any]:
    request = Generate(args.duration, args.prompt, _sampling(args))
    request.validate()
    make_folder(args.out)
    names, pipeline = [args.prompt or "music"], _load(args)
    began_s = time.perf_counter()
    with _reporting(args) as reporter, aside(args.out) as folder:
        clip = pipeline.generate(request, reporter)
        paths = _paths(args, folder, names)
        gain = _write_tracks(clip, paths, lambda start, stop: [clip.read(start, stop)], args.format)
        outputs = _outputs(["part"] * len(names), names, _placed(args, paths, names))
        return _report(pipeline, outputs, began_s, args.duration, gain)


@contextmanager
def _opened(args: argparse.Namespace, request: Any) -> Iterator[tuple[Song, Reporter, Pipeline]]:
    """The song, a reporter and the pipeline; the request is checked before the model is loaded."""
    with open_audio(args.song) as song:
        request.validate(song.info.duration_s)
        make_folder(args.out)
        with _reporting(args) as reporter:
            yield song, reporter, _load(args)


def _load(args: argparse.Namespace) -> Pipeline:
    from .pipeline import Pipeline

    return Pipeline.load(args.model, args.device, args.clap, lambda notice: print(notice, file=sys.stderr))


@contextmanager
def _reporting(args: argparse.Namespace) -> Iterator[Reporter]:
    """A reporter that draws progress with the time left, on a terminal."""
    if args.json or not sys.stderr.isatty():
        yield Reporter(cancelled=_interrupted.is_set)
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def draw(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(progress.stage)
            bars.update(tasks[progress.stage], completed=progress.done, total=progress.total)

        yield Reporter(draw, _interrupted.is_set)


# ----------------------------------------------------------------------------------------------------------- files


def _paths(args: argparse.Namespace, folder: Path, names: Sequence[str]) -> list[Path]:
    """Where files are written until all of them are complete."""
    return [folder / name for name in unique_names(names, FORMATS[args.format], _prefix(args))]


def _placed(args: argparse.Namespace, paths: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """Call complete files `<song> - <name>.wav`, cleaned, shortened, and numbered where equal, or where files are.

    Raises:
        OutputError: The folder cannot be written to.
    """
    return place(paths, args.out, names, FORMATS[args.format], _prefix(args))


def _prefix(args: argparse.Namespace) -> str:
    return f"{args.song.stem} - " if "song" in args else ""


def _length_s(song: Song, region: Region) -> float:
    return (region.end_s or song.info.duration_s) - region.start_s


def _write_parts(song: Song, parts: dict[Path, AudioClip], args: argparse.Namespace) -> float:
    """Write parts of a region as files of the song's length, silent outside it; returns the shared gain."""
    first = round(args.start * song.info.rate_hz)

    def tracks(start: int, stop: int) -> list[Samples]:
        return [part.read(start - first, stop - first) for part in parts.values()]

    return _write_tracks(song, list(parts), tracks, args.format)


def _write_inpainted(
    song: Song, paths: Sequence[Path], new: AudioClip, old: AudioClip, args: argparse.Namespace
) -> float:
    """Write the new part, the song without the old one, and their sum, exact in any format; returns the shared gain."""
    first = round(args.start * song.info.rate_hz)

    def tracks(start: int, stop: int) -> list[Samples]:
        part = new.read(start - first, stop - first)
        rest = song.read(start, stop) - old.read(start - first, stop - first)
        return [part, rest]

    return _write_tracks(song, paths, tracks, args.format)


def _write_tracks(song: Song, paths: Sequence[Path], tracks: Callable[[int, int], list[Samples]], format: str) -> float:
    """Write `tracks(start, stop)` block by block as files of the song's length; all appear together, or none.

    Where there is one path more than tracks, its file is the sum of the others.

    Returns:
        The gain they share, so that none clips in an integer format.
    """
    info, bits = song.info, BITS.get(format)
    blocks = [(start, min(start + info.rate_hz, info.samples)) for start in range(0, info.samples, info.rate_hz)]

    def written(block: tuple[int, int], gain: float) -> list[npt.NDArray[Any]]:
        found: list[npt.NDArray[Any]] = list(tracks(*block))
        if bits:  # first: a sum of whole steps is what a DAW makes of the files
            found = [rounded(track, bits, gain) for track in found]
        return found if len(found) == len(paths) else [*found, sum(found[1:], found[0])]

    gain = fitting_gain(max(reach_of(*written(block, 1.0)) for block in blocks), bits, len(paths)) if bits else 1.0
    with ExitStack() as stack:
        writers = [stack.enter_context(Writer(path, info.rate_hz, info.channels, format)) for path in paths]
        for block in blocks:
            for writer, track in zip(writers, written(block, gain), strict=True):
                writer.write(track)
        for writer in writers:
            writer.finish()
    return gain


# --------------------------------------------------------------------------------------------------------- reports


def _outputs(kinds: Sequence[str], names: Sequence[str], files: Sequence[Path]) -> list[dict[str, str]]:
    """Which file is what: a "stem", "part", "rest" or "inpainted", and by which name it was asked for."""
    each = zip(kinds, names, files, strict=True)
    return [{"kind": kind, "name": name, "file": str(file)} for kind, name, file in each]


def _report(
    pipeline: Pipeline, outputs: Sequence[dict[str, str]], began_s: float, found_s: float, gain: float
) -> dict[str, Any]:
    seconds = time.perf_counter() - began_s
    return {
        "files": [output["file"] for output in outputs],
        "outputs": list(outputs),
        "seconds": round(seconds, 3),
        "real_time_factor": round(seconds / found_s, 4),
        "device": str(pipeline.compute.device),
        "gain": gain,
        "model": {"name": pipeline.config.name, "sha256": pipeline.model.sha256},
    }


def _told(result: dict[str, Any]) -> str:
    """A report for people."""
    if "text" in result:
        return str(result["text"])
    lines = [f"  {path}" for path in result["files"]]
    for name in result.get("missed", ()):
        advice = "name an instrument that plays here, in English, or raise --sensitivity towards 1"
        lines.append(f"Hardly anything of {name!r} was found; {advice}.")
    for name in result.get("unplayed", ()):
        lines.append(f"Nothing is played for {name!r} here; try other words, another seed or another region.")
    if result["gain"] != 1.0:
        lines.append(f"All files share a gain of {result['gain']:.6f}, so that none clips.")
    speed = f"{result['seconds']:.1f} s, {result['real_time_factor']:.3f} x real time, on {result['device']}"
    model = result["model"]
    lines.append(f"{speed}, model {model['name']} {model['sha256'][:12]}")
    return "\n".join(lines)


def _models(args: argparse.Namespace) -> dict[str, Any]:
    model = _load(args).model
    path, size = model.path, model.path.stat().st_size / 2**20
    if path == EMBEDDED_PATH and model.sha256 not in CHECKSUMS.read_text(encoding="utf-8").split():
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not that of {CHECKSUMS}; install the program again.")
    text = f"{model.config.name}: {path} ({size:.1f} MiB), complete, SHA-256 {model.sha256}"
    return {"models": [{"name": model.config.name, "path": str(path), "sha256": model.sha256}], "text": text}


def _bench(args: argparse.Namespace) -> dict[str, Any]:
    from .evaluation.bench import bench, check_length

    check_length(args.seconds)  # before the model is loaded
    return bench(_load(args), args.seconds)


def _evaluate(args: argparse.Namespace) -> dict[str, Any]:
    from .evaluation.evaluate import Plan, evaluate
    from .evaluation.sets import Material

    banks, seen_banks, data_sets = tuple(args.bank), tuple(args.seen_bank), tuple(args.set)
    material = Material(args.stems, banks, args.songs, args.seen, seen_banks, data_sets, tuple(args.scores), args.first)
    parts, weights = tuple(args.only) or Plan.parts, (args.peer, args.clap, args.vggish)
    plan = Plan(material, parts, args.quality, args.steps, args.pieces, *weights, args.plots)
    with _reporting(args) as reporter:
        return evaluate(_load(args), plan, reporter)


def _demo(args: argparse.Namespace) -> dict[str, Any]:
    from .evaluation.demo import demo

    make_folder(args.out)
    with _reporting(args) as reporter:
        return demo(_load(args), args.out, reporter)


def _train(args: argparse.Namespace) -> None:
    began_s = time.monotonic()
    from .training.recipes import train_from

    train_from(args.recipe, args.config, args.minutes, args.parts, began_s)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ends the work where it is or, as imports inside of libraries may swallow that, at its next report."""
    _interrupted.set()
    signal.default_int_handler(number, frame)


def run() -> None:
    """The program: `main`, and out."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a key, the system, a terminal that closes
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is not signal.SIG_IGN:  # as a shell has it for a job in the background
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):  # on Windows a file or a pipe may take no name in other letters
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status = main()
    if status == INTERRUPTED:  # Python would die of the signal itself if it fell into an import, handled or not
        sys.stdout.flush()
        os._exit(INTERRUPTED)
    sys.exit(status)


if __name__ == "__main__":
    run()
