import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mgeldm import cli, refine
from mgeldm.audio import AudioClip, read, write
from mgeldm.bundled import EMBEDDED_PATH
from mgeldm.cli import main
from mgeldm.errors import SilenceError
from mgeldm.pipeline import Pipeline
from mgeldm.pipeline.extraction import Masks


@pytest.fixture
def song_file(tmp_path, clip) -> Path:
    path = tmp_path / "My Song.wav"
    write(path, AudioClip(clip.samples[:, : 44100 * 7], 44100))
    return path


def run(*arguments) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse's own usage errors
        return int(stop.code or 0)


def test_extract_writes_stems_that_null(song_file, tmp_path, capsys):
    out = tmp_path / "out"
    status = run("extract", song_file, "--prompt", "the bass", "--prompt", "drums", "--out", out, "--json")
    report = json.loads(capsys.readouterr().out)
    assert status == 0
    names = ["My Song - the bass.wav", "My Song - drums.wav", "My Song - rest.wav"]
    assert [Path(f).name for f in report["files"]] == names
    total = sum(read(out / name).samples.astype(np.float64) for name in names)
    assert np.abs(total - read(song_file).samples).max() < 1e-6
    assert {"seconds", "real_time_factor", "device", "model"} <= set(report)
    assert len(report["model"]["sha256"]) == 64


def test_a_region_keeps_the_songs_length(song_file, tmp_path):
    out = tmp_path / "out"
    region = ("--start", 2, "--end", 4)
    assert run("extract", song_file, "--prompt", "bass", "--out", out, *region, "--format", "flac") == 0
    stem, rest = read(out / "My Song - bass.flac"), read(out / "My Song - rest.flac")
    assert stem.samples.shape == rest.samples.shape == (2, 44100 * 7)
    assert not stem.samples[:, : 2 * 44100].any()
    assert not stem.samples[:, 4 * 44100 :].any()


def test_a_stem_that_is_hardly_there_is_pointed_out(song_file, monkeypatch, tmp_path, capsys):
    ask = ("extract", song_file, "--prompt", "bass", "--prompt", "drums", "--out", tmp_path / "out", "--end", 2)
    monkeypatch.setattr(cli, "HARDLY_HEARD", 1e9)
    assert run(*ask) == 0
    said = capsys.readouterr().out
    assert "Hardly anything of 'bass' was found" in said
    assert "'drums'" in said
    assert "'rest'" not in said
    monkeypatch.setattr(cli, "HARDLY_HEARD", 0.0)
    assert run(*ask) == 0
    assert "Hardly" not in capsys.readouterr().out


def test_equal_and_strange_prompts_become_file_names(song_file, tmp_path):
    out = tmp_path / "out"
    prompts = ["AC/DC guitar", "Bass", "bass", "スライドギター", "x" * 900]
    arguments = [part for prompt in prompts for part in ("--prompt", prompt)]
    assert run("extract", song_file, *arguments, "--out", out, "--end", 1) == 0
    assert len(list(out.iterdir())) == 6
    assert all(len(path.name.encode()) <= 255 for path in out.iterdir())


def test_every_other_task_writes_its_files(song_file, tmp_path, capsys):
    out, few = tmp_path / "out", ("--steps", 2, "--out", tmp_path / "out")
    assert run("impute", song_file, "--prompt", "rhodes", "--prompt", "bass", "--start", 1, "--end", 5, *few) == 0
    assert run("accompany", song_file, "--prompt", "drums", *few) == 0
    assert run("accompany", song_file, "--like", "2:4", *few) == 0
    assert run("inpaint", song_file, "--prompt", "lead", "--start", 2, "--end", 4, *few, "--format", "wav16") == 0
    assert run("generate", "--prompt", "funk", "--duration", 3, *few) == 0
    assert run("extract", song_file, "--prompt", "vocals", "--raw", *few) == 0
    part = read(out / "My Song - rhodes.wav")
    assert part.samples.shape == (2, 44100 * 7)
    assert not part.samples[:, :44100].any()
    song, inpainted = read(song_file), read(out / "My Song - inpainted.wav")
    outside = np.r_[0 : 2 * 44100, 4 * 44100 : 7 * 44100]
    assert np.abs(song.samples[:, outside] - inpainted.samples[:, outside]).max() <= 2 / 2**15
    assert read(out / "funk.wav").duration_s == pytest.approx(3.0)


def test_a_prompt_that_nothing_is_played_for_leaves_the_others_their_files(song_file, tmp_path, capsys, monkeypatch):
    add, silent = Pipeline._add, iter([True, False, True, False, True, True])

    def some(*arguments):
        if next(silent):
            raise SilenceError("The model plays nothing for this here.")
        return add(*arguments)

    monkeypatch.setattr(Pipeline, "_add", some)
    arguments = ("--prompt", "rhodes", "--prompt", "bass", "--start", 1, "--end", 5, "--steps", 2)
    assert run("impute", song_file, *arguments, "--out", tmp_path / "one", "--json") == 0
    assert json.loads(capsys.readouterr().out)["unplayed"] == ["rhodes"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["My Song - bass.wav"]
    assert run("impute", song_file, *arguments, "--out", tmp_path / "two") == 0
    assert "Nothing is played for 'rhodes' here" in capsys.readouterr().out
    assert run("impute", song_file, *arguments, "--out", tmp_path / "none") == 2
    assert "plays nothing" in capsys.readouterr().err
    assert not list((tmp_path / "none").iterdir())


def noise(seconds, peak, rate_hz=44100) -> AudioClip:
    samples = np.random.default_rng(0).uniform(-1, 1, (2, int(seconds * rate_hz))).astype(np.float32)
    return AudioClip(samples * (peak / np.abs(samples).max()), rate_hz)


@pytest.mark.parametrize("format", ["wav16", "wav24", "flac"])
def test_loud_raw_stems_share_a_gain_and_have_the_songs_length(song_file, tmp_path, capsys, monkeypatch, format):
    loud, quiet = noise(4, 2.14), noise(4, 0.5)
    monkeypatch.setattr(Pipeline, "extract_raw", lambda *_: [loud, quiet])
    out, region = tmp_path / "out", ("--start", 2, "--end", 6)
    arguments = ("--prompt", "drums", "--raw", *region, "--format", format, "--out", out)
    assert run("extract", song_file, *arguments, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert 0.9 / 2.14 < report["gain"] < 1 / 2.14
    for path, wanted in zip(report["files"], (loud, quiet), strict=True):
        found = read(path).samples
        assert found.shape == (2, 44100 * 7)
        assert np.abs(found[:, 2 * 44100 : 6 * 44100] - wanted.samples * report["gain"]).max() <= 1 / 2**15
        assert not found[:, : 2 * 44100].any() and not found[:, 6 * 44100 :].any()
    assert run("extract", song_file, *arguments) == 0
    assert f"a gain of {report['gain']:.6f}" in capsys.readouterr().out


def test_loud_music_is_turned_down_in_integer_formats_alone(tmp_path, capsys, monkeypatch):
    loud = noise(3, 1.5, 16000)
    monkeypatch.setattr(Pipeline, "generate", lambda *_: loud)
    for format in ("wav16", "wav32"):
        assert run("generate", "--duration", 3, "--out", tmp_path / format, "--format", format, "--json") == 0
        gain = json.loads(capsys.readouterr().out)["gain"]
        assert gain == 1 if format == "wav32" else 0.9 / 1.5 < gain < 1 / 1.5
        assert np.abs(read(tmp_path / format / "music.wav").samples - loud.samples * gain).max() <= 1 / 2**15


def test_what_just_fits_is_not_turned_down(tmp_path, capsys, monkeypatch):
    """An inpainted file is the song outside the region, to the last bit of an integer format."""
    song = np.round(noise(2, 0.5).samples * 2**15) / 2**15
    song[0, 100], song[1, 200] = 1 - 2**-15, -1
    write(tmp_path / "song.wav", AudioClip(song.astype(np.float32), 44100), "wav16")
    silence = AudioClip(np.zeros((2, 44100), np.float32), 44100)
    monkeypatch.setattr(Pipeline, "inpaint", lambda *_: (noise(1, 0.1), silence))
    region = ("--start", 1, "--end", 2)
    arguments = ("--prompt", "bass", *region, "--format", "wav16", "--out", tmp_path / "out", "--json")
    assert run("inpaint", tmp_path / "song.wav", *arguments) == 0
    assert json.loads(capsys.readouterr().out)["gain"] == 1
    before, _ = soundfile.read(tmp_path / "song.wav", dtype="int16")
    after, _ = soundfile.read(tmp_path / "out" / "song - inpainted.wav", dtype="int16")
    assert np.array_equal(before[:44100], after[:44100])
    assert not np.array_equal(before, after)


def test_models_verifies(capsys, monkeypatch, tmp_path):
    """`resources/embedded/SHA256SUMS` is made anew with the weights: `sha256sum *.safetensors > SHA256SUMS` there."""
    assert run("models") == 0
    assert "SHA-256" in capsys.readouterr().out
    other = tmp_path / "SHA256SUMS"
    other.write_text(f"{'0' * 64}  model.safetensors\n")
    monkeypatch.setattr(cli, "CHECKSUMS", other)
    assert run("models") == 1
    assert "damaged" in capsys.readouterr().err


def test_models_finds_damage_in_any_part(capsys, tmp_path):
    raw = bytearray(EMBEDDED_PATH.read_bytes())
    where = raw.index(b"vocabulary")  # the header says where it lies, and the whole is zlib's
    begin, end = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])[_named(raw, where)]["data_offsets"]
    start = 8 + int.from_bytes(raw[:8], "little") + begin
    raw[start : start + (end - begin) // 2] = bytes((end - begin) // 2)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(raw)
    assert run("models", "--model", damaged) == 1
    assert "damaged" in capsys.readouterr().err


def _named(raw: bytearray, where: int) -> str:
    """The whole name, in the header's quotes, of the tensor that is named at `where`."""
    return raw[raw.rindex(b'"', 0, where) + 1 : raw.index(b'"', where)].decode()


def test_files_that_are_there_stay(song_file, tmp_path, capsys):
    """A second request's rest does not take the place of the first one's, nor a piece that of another file."""
    out = tmp_path / "out"
    for prompt in ("drums", "bass"):
        assert run("extract", song_file, "--prompt", prompt, "--quality", "draft", "--out", out, "--json") == 0
        paths = json.loads(capsys.readouterr().out)["files"]
        together = sum(read(Path(path)).samples for path in paths)
        assert np.allclose(together, read(song_file).samples, atol=1e-6)
    assert [Path(path).name for path in paths] == ["My Song - bass 2.wav", "My Song - rest 2.wav"]
    mine = out / "Over.wav"
    mine.write_bytes(b"mine")
    assert run("generate", "--prompt", "over", "--duration", 1, "--quality", "draft", "--out", out) == 0
    assert mine.read_bytes() == b"mine"


def test_no_file_has_its_name_before_all_are_complete(song_file, tmp_path, monkeypatch, capsys):
    """Whoever watches the folder takes no empty file, and a command that is killed leaves none."""
    seen, out = [], tmp_path / "out"
    written = refine.write_stems

    def watched(*args, **more):
        result = written(*args, **more)
        seen.extend(path.name for path in out.iterdir() if not path.name.endswith(".part"))
        return result

    monkeypatch.setattr(refine, "write_stems", watched)
    assert run("extract", song_file, "--prompt", "bass", "--quality", "draft", "--out", out, "--json") == 0
    assert not seen
    outputs = json.loads(capsys.readouterr().out)["outputs"]
    assert [(output["kind"], output["name"]) for output in outputs] == [("stem", "bass"), ("rest", "rest")]
    assert sorted(Path(output["file"]) for output in outputs) == sorted(out.iterdir())


def test_a_seed_that_changes_nothing_is_said(song_file, tmp_path, capsys):
    arguments = ("extract", song_file, "--prompt", "bass", "--quality", "draft", "--end", 2, "--out", tmp_path / "out")
    assert run(*arguments, "--seed", 5) == 0
    assert "--seed changes an extraction only" in capsys.readouterr().err
    assert run(*arguments) == 0
    assert not capsys.readouterr().err


def test_an_unusable_folder_is_told_before_anything_is_made(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(Pipeline, "load", lambda *_: pytest.fail("a model was loaded"))
    assert run("generate", "--prompt", "funk", "--duration", 3, "--out", tmp_path / "file" / "x") == 1
    assert "cannot be made" in capsys.readouterr().err


def test_what_was_inpainted_is_its_part_and_the_rest_in_whole_steps(song_file, tmp_path):
    arguments = ("--prompt", "lead", "--start", 2, "--end", 4, "--steps", 2, "--format", "wav24", "--out", tmp_path)
    assert run("inpaint", song_file, *arguments) == 0
    part, rest, whole = (
        soundfile.read(tmp_path / f"My Song - {name}.wav", dtype="int32")[0] >> 8
        for name in ("lead", "rest", "inpainted")
    )
    assert np.array_equal(part + rest, whole)


def test_a_report_that_nobody_reads_is_no_failure():
    """As in `mgeldm models | true`; where there is no room for it, that is said."""
    command = [sys.executable, "-m", "mgeldm.cli", "models"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1
        assert "report" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("seconds", ["0", "-3", "nan", "1e9"])
def test_a_length_that_cannot_be_measured(seconds, capsys):
    assert run("bench", "--seconds", seconds) == 2
    assert "length" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prompt", ""], "empty"),
        ([], "no prompt"),
        (["--prompt", "x" * 10_240], "characters"),
        (["--prompt", "bass", "--start", "5", "--end", "3"], "not after the start"),
        (["--prompt", "bass", "--start", "100"], "lasts 7"),
        (["--prompt", "bass", "--sensitivity", "7"], "sensitivity"),
        (["--prompt", "bass", "--steps", "0"], "steps"),
        (["--prompt", "bass", "--quality", "superb"], "quality"),
        (["--prompt", "bass", "--device", "abacus"], "device"),
        (["--like", "3"], "such as 12:14.5"),
    ],
)
def test_bad_usage_is_one_sentence_and_status_2(song_file, tmp_path, capsys, arguments, says):
    assert run("extract", song_file, "--out", tmp_path / "out", *arguments) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


@pytest.mark.parametrize("text", ["stems", "stems:", ":songs"])
def test_a_data_set_has_a_name_and_a_folder(text, capsys):
    assert run("evaluate", "--set", text) == 2
    assert f"{text!r} is no data set; give its name and its folder" in capsys.readouterr().err


def test_banks_and_scores_to_measure_with_may_be_given_again(monkeypatch):
    plans = []
    monkeypatch.setattr(cli, "_load", lambda args: None)
    monkeypatch.setattr("mgeldm.evaluation.evaluate.evaluate", lambda _, plan, reporter: plans.append(plan))
    given = ("--bank", "a.npz", "--bank", "b.npz", "--scores", "c.wad", "--scores", "d")
    assert run("evaluate", *given, "--songs", 2) == 0
    assert run("evaluate") == 0
    both, none = (plan.material for plan in plans)
    assert (both.banks, both.scores) == ((Path("a.npz"), Path("b.npz")), (Path("c.wad"), Path("d")))
    assert (both.songs, none.banks, none.scores) == (2, (), ())


def bad_files(folder: Path) -> dict[str, Path]:
    tone = np.sin(np.arange(44100) / 20).astype(np.float32)[None]
    paths = {name: folder / f"{name}.wav" for name in ("empty", "text", "truncated", "nan", "one", "folder")}
    paths["empty"].write_bytes(b"")
    paths["text"].write_text("this is no sound")
    write(folder / "whole.wav", AudioClip(tone, 44100))
    paths["truncated"].write_bytes((folder / "whole.wav").read_bytes()[:30])
    broken = tone.copy()
    broken[0, 300:] = np.nan
    write(paths["nan"], AudioClip(broken, 44100))
    write(paths["one"], AudioClip(tone[:, :1], 44100))
    paths["folder"].mkdir()
    return paths | {"missing": folder / "missing.wav"}


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "nan", "one", "folder", "missing"])
def test_bad_files_say_what_is_wrong(tmp_path, capsys, kind):
    path = bad_files(tmp_path)[kind]
    assert run("extract", path, "--prompt", "bass", "--out", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert path.name in told or kind == "folder"
    assert "Traceback" not in told
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_loud_silent_and_many_channelled_songs_are_fine(tmp_path):
    rng = np.random.default_rng(0)
    songs = {
        "silent": np.zeros((2, 44100)),
        "clipped": np.clip(rng.normal(0, 3, (2, 44100)), -1, 1),
        "eight": rng.normal(0, 0.1, (8, 44100)),
    }
    for name, samples in songs.items():
        write(tmp_path / f"{name}.wav", AudioClip(samples.astype(np.float32), 44100))
        assert run("extract", tmp_path / f"{name}.wav", "--prompt", "bass", "--out", tmp_path / name) == 0
        total = sum(read(path).samples.astype(np.float64) for path in (tmp_path / name).iterdir())
        assert np.abs(total - samples).max() < 1e-6


def test_a_song_with_emoji_and_a_long_name(tmp_path, song_file):
    strange = tmp_path / ("🎸" + "x" * 200 + ".wav")
    song_file.rename(strange)
    assert run("extract", strange, "--prompt", "🎹 piano " * 30, "--out", tmp_path / "öut 🎧", "--end", 1) == 0
    assert len(list((tmp_path / "öut 🎧").iterdir())) == 2


def test_a_missing_or_damaged_model_is_status_1(tmp_path, song_file, capsys):
    (tmp_path / "bad.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{nothing}")
    for model in ("missing.ckpt", "bad.safetensors"):
        arguments = ["--prompt", "bass", "--out", tmp_path / "out", "--model", tmp_path / model]
        assert run("extract", song_file, *arguments) == 1
        assert "Traceback" not in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_said(tmp_path, song_file, capsys):
    (tmp_path / "out").write_text("not a folder")
    assert run("extract", song_file, "--prompt", "bass", "--out", tmp_path / "out") == 1
    assert "cannot be made" in capsys.readouterr().err


@pytest.mark.parametrize(("more", "blocks"), [([], 4), (["--raw"], 1)])
def test_a_full_disk_leaves_nothing_partial(tmp_path, song_file, capsys, monkeypatch, more, blocks):
    import errno

    from mgeldm.audio import _WavSink

    written, original = [], _WavSink.write

    def full(self, samples):
        written.append(1)
        if len(written) > blocks:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(self, samples)

    monkeypatch.setattr(_WavSink, "write", full)
    assert run("extract", song_file, "--prompt", "bass", "--out", tmp_path / "out", *more) == 1
    assert "room" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_an_interrupt_that_a_library_swallows_ends_the_work_at_its_next_report(song_file, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "_interrupted", threading.Event())
    separate = Masks.separate

    def swallowing(*more):
        with contextlib.suppress(KeyboardInterrupt):
            cli._interrupt(signal.SIGINT, None)
        return separate(*more)

    monkeypatch.setattr(Masks, "separate", swallowing)
    out = tmp_path / "out"
    assert run("extract", song_file, "--prompt", "bass", "--out", out) == 130
    assert not list(out.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_an_interrupted_run_leaves_no_partial_file(number, tmp_path):
    song, out = tmp_path / "long.wav", tmp_path / "out"
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 8000 * 1800)).astype(np.float32)
    write(song, AudioClip(noise, 8000))
    command = [sys.executable, "-m", "mgeldm.cli", "extract", song, "--prompt", "bass", "--quality", "best"]
    heeded = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, heeded)  # background jobs of a shell, and of nohup, inherit "ignored"
    try:
        process = subprocess.Popen([*map(str, command), "--out", str(out)], stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(number, before)
    try:
        while process.poll() is None and not list(out.glob(".*.part")):
            time.sleep(0.02)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()  # nothing, unless it failed
    assert process.returncode == 130
    assert told.endswith("mgeldm: interrupted; no partial file was left.\n")
    assert "Traceback" not in told
    assert not list(out.iterdir())


@pytest.mark.parametrize("command", [("impute",), ("inpaint", "--start", "1", "--end", "2"), ("accompany",)])
def test_a_new_part_without_a_prompt_is_refused(command, song_file, tmp_path, capsys):
    assert run(*command, song_file, "--out", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "prompt" in told and "say wh" in told
    assert not (tmp_path / "out").exists()


def test_an_interrupt_while_options_are_read_is_one_line(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parser", interrupted)
    assert cli.main(["models"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == "mgeldm: interrupted; no partial file was left.\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_report_reaches_a_stream_without_its_letters(as_json, song_file, tmp_path):
    """As a pipe on Windows has: what is done is told all the same."""
    command = [sys.executable, "-m", "mgeldm.cli", "extract", song_file, "--prompt", "bass 鼓", "--quality", "draft"]
    command += ["--end", "1", "--out", tmp_path / "out", *(["--json"] if as_json else [])]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([*map(str, command)], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    if as_json:
        assert json.loads(done.stdout)["outputs"][0]["name"] == "bass 鼓"
    else:
        assert b"bass \\u9f13" in done.stdout


def test_a_folder_is_no_song_and_has_a_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("extract", ".", "--prompt", "bass", "--out", tmp_path / "out") == 2
    assert str(tmp_path) in capsys.readouterr().err
