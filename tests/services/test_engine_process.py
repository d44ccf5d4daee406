"""What the child does with jobs, in this process: the pipes and the process itself are `test_engine.py`'s."""

import queue
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyloudnorm
import pytest
import torch
from mgeldm.audio import AudioClip, create_wav, map_wav, read
from mgeldm.errors import AudioError
from mgeldm.pipeline import EMBEDDED_PATH, MADE_LUFS, Pipeline
from mgeldm.pipeline.compute import Compute
from mgeldm.refine import at_loudness, refine
from mgeldm.requests import Accompany, Extract, Generate, Impute, Inpaint, Region, Sampling

from mgeldm_app.core.jobs import (
    CancelledJob,
    EngineConfig,
    EngineStatus,
    Failed,
    Filled,
    Finished,
    Job,
    Layer,
    Progressed,
    Started,
)
from mgeldm_app.services import engine_process
from mgeldm_app.services.engine_process import Forget, Heard, Measure, Outputs, Runner, Unpacker, pack

RATE_HZ = 44100
DRAFT, QUICK = Sampling("draft"), Sampling("draft", steps=2)


@pytest.fixture(scope="module")
def demo():
    """Twelve seconds of the demo song."""
    return AudioClip(read(EMBEDDED_PATH.parents[1] / "demo" / "demo.flac", 8.0, 20.0).samples, RATE_HZ)


@pytest.fixture(scope="module")
def layer(demo, tmp_path_factory):
    return Layer(put(tmp_path_factory.mktemp("heard") / "song.wav", demo.samples))


@pytest.fixture(scope="module")
def loaded():
    return Pipeline.load(EMBEDDED_PATH, "cpu")


@pytest.fixture
def child(loaded, tmp_path):
    """A runner, what reaches it and what it tells."""
    inbox, cancelled, told = queue.SimpleQueue(), set(), []
    hooks = [len(module._forward_pre_hooks) for module in loaded.compute.modules.modules()]
    child = SimpleNamespace(inbox=inbox, cancelled=cancelled, told=told, hear=told.append, folder=tmp_path)
    child.runner = Runner(loaded, inbox, cancelled, lambda event: child.hear(event))
    yield child
    for module, before in zip(loaded.compute.modules.modules(), hooks, strict=True):
        while len(module._forward_pre_hooks) > before:
            module._forward_pre_hooks.popitem()


def put(path, samples, rate_hz=RATE_HZ):
    create_wav(path, rate_hz, len(samples), samples.shape[1])
    map_wav(path, writable=True)[0][:] = samples.T
    return path


def job_of(child, request, heard, seconds, outputs=1, job_id="job", start=0, rate_hz=RATE_HZ, channels=2):
    paths = []
    for number in range(outputs):
        paths.append(child.folder / f"{job_id}-{number}.wav")
        create_wav(paths[-1], rate_hz, channels, round(seconds * rate_hz))
    return Job(job_id, job_id, request, tuple(heard), tuple(paths), start)


def audio_of(job):
    return [map_wav(path)[0].T for path in job.outputs]


def kinds(told, *wanted):
    return [event for event in told if isinstance(event, wanted)]


def test_messages_come_out_of_any_pieces():
    messages = [Measure(), EngineStatus("off"), "x" * 70000, Filled("a", 1, 2)]
    data, unpacker = b"".join(map(pack, messages)), Unpacker()
    for size in (1, 3, 1000, len(data)):
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        assert [message for piece in pieces for message in unpacker.feed(piece)] == messages


def test_the_song_heard_is_the_sum_of_its_layers(tmp_path):
    rng = np.random.default_rng(0)
    song, part, mono = (rng.normal(0, 0.1, shape).astype(np.float32) for shape in ((2, 900), (2, 300), (1, 50)))
    paths = [put(tmp_path / f"{number}.wav", samples) for number, samples in enumerate((song, part, mono))]
    heard = Heard([Layer(paths[0]), Layer(paths[1], 700, 0.5), Layer(paths[2], -20), Layer(paths[1], 0, 0.0)])
    wanted = song.copy()
    wanted[:, 700:] += 0.5 * part[:, :200]
    wanted[:, :30] += mono[:, 20:]
    assert (heard.info.rate_hz, heard.info.channels, heard.info.samples) == (RATE_HZ, 2, 900)
    np.testing.assert_allclose(heard.read(), wanted, atol=1e-7)
    np.testing.assert_allclose(heard.read(-10, 720), np.pad(wanted[:, :720], ((0, 0), (10, 0))), atol=1e-7)
    np.testing.assert_allclose(heard.read(690, 1000), np.pad(wanted[:, 690:], ((0, 0), (0, 100))), atol=1e-7)
    with pytest.raises(AudioError, match="differs"):
        Heard([Layer(paths[0]), Layer(put(tmp_path / "slow.wav", part, 22050))])


def test_layers_of_one_lane_hide_each_other_and_do_not_sum(tmp_path):
    song, part = np.full((2, 40000), 0.1, np.float32), np.full((2, 20000), 0.2, np.float32)
    paths = [put(tmp_path / f"{number}.wav", samples) for number, samples in enumerate((song, part, 2 * part))]
    heard = Heard([Layer(paths[0]), Layer(paths[1], 5000, -1.0, "L1"), Layer(paths[2], 15000, -1.0, "L1")]).read()
    places = [2000, 10000, 20000, 30000, 39000]
    np.testing.assert_allclose(heard[:, places], [[0.1, -0.1, -0.3, -0.3, 0.1]] * 2, atol=1e-6)


def test_outputs_are_filled_where_they_lie(tmp_path):
    paths = [put(tmp_path / f"{name}.wav", np.zeros((2, 100), np.float32)) for name in "ab"]
    part = np.arange(80, dtype=np.float32).reshape(2, 2, 20)
    with Outputs(paths) as outputs:
        assert outputs.write(-5, part) == (0, 15)
        assert outputs.write(90, part) == (90, 100)
        assert outputs.write(200, part)[1] <= 200
        with pytest.raises(ValueError, match="2 files"):
            outputs.write(0, part[:1])
    for path, wanted in zip(paths, part, strict=True):
        frames = map_wav(path)[0]
        np.testing.assert_array_equal(frames[:15], wanted[:, 5:].T)
        np.testing.assert_array_equal(frames[90:], wanted[:, :10].T)
        assert not frames[15:90].any()


def test_a_full_disk_is_said_before_it_kills(child, layer, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine_process.os, "posix_fallocate", full, raising=False)
    child.runner.do(job_of(child, Extract(("bass",), Region(0, 4), DRAFT), [layer], 4.0))
    (failed,) = kinds(child.told, Failed)
    assert "No room" in failed.message
    assert failed.can_retry


def test_an_example_is_a_stretch_of_its_own_layers(child, demo, layer, loaded):
    noise = np.random.default_rng(2).normal(0, 0.1, demo.samples.shape).astype(np.float32)
    example, like = (Layer(put(child.folder / "noise.wav", noise)),), Region(5.0, 8.0)
    part, stem = Impute((), Region(0, 3), QUICK, like), Extract((), Region(0, 3), DRAFT, examples=(like,))
    for number, request in enumerate((part, stem)):
        heard = []
        for layers in ((), example):
            job = job_of(child, request, [layer], 3.0, job_id=f"{number}-{len(layers)}")
            child.runner.do(replace(job, example=layers))
            heard.append(audio_of(job)[0])
        assert np.abs(heard[0] - heard[1]).max() > 1e-3  # also the second of the same song and request
    (wanted,) = loaded.impute(demo, part, example=AudioClip(noise, RATE_HZ))
    job = job_of(child, part, [layer], 3.0, job_id="again")
    child.runner.do(replace(job, example=example))
    np.testing.assert_allclose(audio_of(job)[0], wanted.samples, atol=1e-5)


def test_an_extraction_streams_and_is_what_the_library_gives(child, demo, layer, loaded):
    request = Extract(("bass", "everything but the bass"), Region(2.0, 11.0), DRAFT)
    job = job_of(child, request, [layer], 9.5, outputs=2, start=2 * RATE_HZ - 100)
    child.runner.do(job)
    first, *between, last = child.told
    filled = kinds(between, Filled)
    assert first == Started("job")
    assert isinstance(last, Finished)
    assert last.audio_s == pytest.approx(9.5)
    assert filled[0].start == 100
    assert [f.stop for f in filled[:-1]] == [f.start for f in filled[1:]]
    assert filled[-1].stop == 100 + 9 * RATE_HZ
    assert isinstance(between[-1], Filled)
    windows = kinds(between, Progressed)
    assert (windows[0].stage, windows[0].done, windows[-1].done) == ("windows", 1, windows[-1].total)
    found = Pipeline(loaded.model, loaded.conditioner).extract(demo, request)
    stems, _ = refine(demo, found.estimates, start_s=2.0, end_s=11.0)
    for ours, theirs in zip(audio_of(job), stems, strict=True):
        np.testing.assert_allclose(ours[:, 100 : 100 + 9 * RATE_HZ], theirs[:, 2 * RATE_HZ : 11 * RATE_HZ], atol=1e-5)
        assert not ours[:, :100].any()
        assert np.abs(ours).max() > 0.01


def test_another_sensitivity_samples_nothing(child, layer):
    request = Extract(("bass",), Region(1.0, 9.0), DRAFT, sensitivity=-0.5)
    jobs = [
        job_of(child, replace(request, sensitivity=value), [layer], 8.0, job_id=f"s{value}", start=RATE_HZ)
        for value in (-0.5, 0.0, 0.5)
    ]
    for job in jobs:
        child.runner.do(job)
    assert {event.job_id for event in kinds(child.told, Progressed)} == {jobs[0].id}
    assert [event.is_new for event in kinds(child.told, Finished)] == [True, False, False]
    assert {event.job_id for event in kinds(child.told, Filled)} == {job.id for job in jobs}
    levels = [float(np.square(audio_of(job)[0]).sum()) for job in jobs]
    assert levels[0] < levels[1] < levels[2]


def test_a_cancelled_extraction_goes_on_where_it_stopped(child, layer):
    job = job_of(child, Extract(("drums",), sampling=DRAFT), [layer], 12.0)

    def cancel_after_one(event):
        child.told.append(event)
        if isinstance(event, Progressed):
            child.cancelled.add("job")

    child.hear = cancel_after_one
    child.runner.do(job)
    assert isinstance(child.told[-1], CancelledJob)
    before = kinds(child.told, Progressed)[-1].done
    child.told.clear()
    child.hear = child.told.append
    child.cancelled.clear()
    child.runner.do(job)
    assert kinds(child.told, Progressed)[0].done > before
    assert isinstance(child.told[-1], Finished) and not child.told[-1].is_new


def test_a_job_at_hand_keeps_its_song_until_it_is_done(child, layer):
    """The project is closed, and the job cancelled, while it is at work."""
    job, songs = job_of(child, Extract(("drums",), sampling=QUICK), [layer], 12.0), []

    def close(event):
        child.told.append(event)
        if isinstance(event, Filled) and not songs:
            songs.extend(child.runner._songs.values())
            child.inbox.put(Forget())

    child.hear = close
    child.runner.do(job)
    assert kinds(child.told, Finished) and np.abs(audio_of(job)[0]).max() > 0.01
    (song,) = songs  # the pipeline knows the last one: without its files from now on
    assert not (child.runner._songs or child.runner._extractions) and not np.any(song.read(0, RATE_HZ))


def test_cancelling_is_asked_before_every_layer(child, layer, loaded):
    job, calls = job_of(child, Extract(("piano",), sampling=DRAFT), [layer], 12.0), []

    def cancel(*_):
        calls.append(1)
        child.cancelled.add("job")

    handle = loaded.model.denoiser.register_forward_hook(cancel)  # after the denoiser, in the midst of a window
    child.runner.do(job)
    handle.remove()
    assert child.told == [Started("job"), CancelledJob("job")]
    assert calls == [1]


def test_an_urgent_job_is_done_between_two_windows_of_another(child, layer):
    request = Extract(("bass", "everything but drums"), Region(0, 11), DRAFT)
    long = job_of(child, request, [layer], 11.0, outputs=2, job_id="long")
    alone = [np.array(audio) for audio in (child.runner.do(long), audio_of(long))[1]]
    for path in long.outputs:
        map_wav(path, writable=True)[0][:] = 0
    child.told.clear()
    child.runner._extractions.clear()
    urgent = job_of(child, Extract(("drums",), Region(3, 7), DRAFT), [layer], 4.0, job_id="urgent", start=3 * RATE_HZ)

    def interrupt(event):
        child.told.append(event)
        if isinstance(event, Progressed) and len(child.told) == 2:
            child.inbox.put(urgent)

    child.hear = interrupt
    child.runner.do(long)
    ids = [event.job_id for event in child.told]
    first, last = ids.index("urgent"), len(ids) - ids[::-1].index("urgent")
    assert set(ids[first:last]) == {"urgent"}
    assert isinstance(child.told[last - 1], Finished)
    assert child.told[-1].job_id == "long"
    assert isinstance(child.told[-1], Finished)
    for ours, theirs in zip(audio_of(long), alone, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("request_of", "outputs"),
    [
        (Impute(("a warm rhodes",), Region(2.0, 6.0), QUICK), 1),
        (Accompany("drums", Region(2.0, 6.0), QUICK), 1),
        (Inpaint("bass", Region(2.0, 6.0), QUICK), 2),
        (Extract(("bass",), Region(2.0, 6.0), raw=True), 1),
    ],
)
def test_parts_fill_their_outputs(child, layer, request_of, outputs):
    job = job_of(child, request_of, [layer], 4.0, outputs, start=2 * RATE_HZ)
    child.runner.do(job)
    assert isinstance(child.told[-1], Finished), child.told[-1]
    assert kinds(child.told, Filled) == [Filled("job", 0, 4 * RATE_HZ)]
    for audio in audio_of(job):
        assert np.abs(audio).max() > 1e-4
        assert np.isfinite(audio).all()


def test_music_from_nothing_takes_the_rate_and_channels_of_its_file(child):
    job = job_of(child, Generate(3.0, "funk", QUICK), [], 3.0, start=4711, rate_hz=48000)
    child.runner.do(job)
    assert kinds(child.told, Filled) == [Filled("job", 0, 3 * 48000)]
    (audio,) = audio_of(job)
    np.testing.assert_array_equal(audio[0], audio[1])
    assert np.abs(audio).max() > 1e-4


@pytest.mark.parametrize("channels", [1, 2])
def test_music_from_nothing_is_as_loud_in_a_file_of_any_channels(child, monkeypatch, channels):
    noise = AudioClip(np.random.default_rng(0).normal(0, 0.02, (1, 2 * RATE_HZ)).astype(np.float32), RATE_HZ)
    monkeypatch.setattr(child.runner.pipeline, "generate", lambda *_: at_loudness(noise, MADE_LUFS))
    job = job_of(child, Generate(2.0, "funk", QUICK), [], 2.0, channels=channels)
    child.runner.do(job)
    (audio,) = audio_of(job)
    assert pyloudnorm.Meter(RATE_HZ).integrated_loudness(audio.T) == pytest.approx(MADE_LUFS, abs=0.05)


def test_errors_are_told_in_words_with_something_to_report(child, layer, monkeypatch):
    child.runner.do(job_of(child, Extract(("",), Region(0, 4)), [layer], 4.0))
    (refused,) = kinds(child.told, Failed)
    assert "prompt" in refused.message
    assert not refused.can_retry
    child.runner.do(job_of(child, Extract(("bass",)), [Layer(layer.path.with_name("gone.wav"))], 4.0))
    assert "gone.wav" in kinds(child.told, Failed)[1].message
    for error, words in (
        (ZeroDivisionError("oh"), "diagnostics"),
        (MemoryError(), "memory"),
        (RuntimeError("CUFFT_ALLOC_FAILED"), "memory"),
    ):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr(child.runner.pipeline, "impute", fail)
        child.runner.do(job_of(child, Impute(("bass",), Region(0, 4)), [layer], 4.0))
        failed = kinds(child.told, Failed)[-1]
        assert words in failed.message
        assert failed.can_retry
        assert all(part in failed.details for part in (type(error).__name__, "torch", "Python", "device cpu"))


def test_the_speed_is_measured_unless_something_waits(child, layer):
    child.inbox.put("a job")
    child.runner.do(Measure())
    assert child.told == []
    child.inbox.get()
    child.runner.do(Measure())
    (status,) = child.told
    assert status.speed > 0
    assert status.device == "cpu"


class Crowded(torch.nn.Module):
    """A network that finds no room but on the CPU."""

    def to(self, device):
        if torch.device(device).type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().to(device)


def test_a_model_that_does_not_fit_the_graphics_card_starts_on_the_cpu_and_says_so(loaded, monkeypatch):
    def load(model, device, clap, on_notice):
        crowded = Pipeline(loaded.model, loaded.conditioner)
        crowded.compute = Compute(Crowded(), torch.device("cuda"), on_notice)
        return crowded

    monkeypatch.setattr(Pipeline, "load", load)
    told = []
    runner = engine_process._runner(EngineConfig(), queue.SimpleQueue(), set(), told.append)
    assert (runner.status.device, runner.status.model_sha256) == ("cpu", loaded.model.sha256)
    assert "going on with the CPU" in runner.status.message
    assert runner.pipeline.compute.on_notice == runner.notice


def test_a_job_begins_where_the_model_ran_before_memory_ran_out(child, layer, monkeypatch):
    compute, begun = child.runner.pipeline.compute, []
    child.runner.status = replace(child.runner.status, device="gpu", message="it went elsewhere")
    monkeypatch.setattr(compute, "begin", lambda: begun.append(child.runner._job.id))
    urgent = job_of(child, Extract(("drums",), Region(3, 7), DRAFT), [layer], 4.0, job_id="urgent")

    def interrupt(event):
        child.told.append(event)
        if isinstance(event, Progressed) and not kinds(child.told, Finished) and child.inbox.empty():
            child.inbox.put(urgent)

    child.hear = interrupt
    child.runner.do(job_of(child, Extract(("bass",), Region(0, 6), DRAFT), [layer], 6.0, job_id="long"))
    assert begun == ["long"]  # not in the midst of it
    assert child.told[0] == replace(child.runner.status, device="cpu", message="")


def test_measuring_retreats_as_the_jobs_do(child, monkeypatch):
    seen = []
    monkeypatch.setattr(Pipeline, "extract", lambda self, *_: seen.append(self.compute) or SimpleNamespace(estimates=0))
    monkeypatch.setattr("mgeldm.refine.refine", lambda *_: None)
    child.runner.do(Measure())
    assert seen == [child.runner.pipeline.compute] * 2


def test_a_measurement_that_fails_is_not_tried_again_and_ends_nothing(child, monkeypatch):
    def fails(*_):
        raise RuntimeError("not enough memory")

    monkeypatch.setattr(Pipeline, "extract", fails)
    child.runner.do(Measure())
    (status,) = child.told
    assert status.speed == engine_process.UNKNOWN
    child.runner.status = replace(status, speed=7.4)  # of a job
    child.runner.do(Measure())
    assert child.told[-1].speed == 7.4


def test_a_large_model_is_asked_for_its_speed_once(child, monkeypatch):
    monkeypatch.setattr(type(child.runner.pipeline.config), "is_embedded", False)
    child.runner.do(Measure())
    (status,) = child.told
    assert status.speed == engine_process.UNKNOWN


def test_a_notice_of_memory_reaches_the_status(child):
    notice = "cpu ran out of memory; going on with 2 windows at once."
    child.runner.notice(notice)
    assert child.told == [replace(child.runner.status, message=notice)]
