"""Clips keep their samples, are named by them, and are never lost to a run that was ended."""

import errno
import os
import stat
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from mgeldm.audio import map_wav
from mgeldm.errors import AudioError, Cancelled, OutputError
from mgeldm.progress import Reporter

from mgeldm_app.core import clips
from mgeldm_app.core.clips import ClipStore, whereabouts
from mgeldm_app.core.project import Audio


@pytest.fixture
def store(tmp_path):
    return ClipStore(tmp_path / "audio")


def made(store, frames, rate_hz=44_100):
    path = store.begin(rate_hz, frames.shape[1], len(frames))
    mapped, _ = map_wav(path, writable=True)
    mapped[:] = frames
    return path


def noise(seed=0, samples=5000, channels=2):
    return np.random.default_rng(seed).uniform(-2, 2, (samples, channels)).astype(np.float32)


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes folders by itself")
def test_the_name_of_a_clip_is_on_the_disk_too(store, monkeypatch):
    """Else a power cut might take the clip and leave the state that names it."""
    done, fsync, replace = [], os.fsync, os.replace

    def fsync_so(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", fsync_so)
    monkeypatch.setattr(os, "replace", lambda *names: [done.append("name"), replace(*names)])
    store.adopt(made(store, noise()))
    assert done == ["file", "name", "folder"]


@hypothesis_settings(max_examples=20)
@given(st.integers(0, 9), st.integers(1, 3000), st.integers(1, 8), st.sampled_from([8000, 44_100, 192_000]))
def test_what_is_written_is_what_is_viewed(tmp_path_factory, seed, samples, channels, rate_hz):
    store = ClipStore(tmp_path_factory.mktemp("store"))
    frames = noise(seed, samples, channels)
    audio = store.adopt(made(store, frames, rate_hz))
    assert (audio.rate_hz, audio.channels, audio.samples) == (rate_hz, channels, samples)
    np.testing.assert_array_equal(ClipStore(store.folder).view(audio), frames)
    with pytest.raises(ValueError, match="read-only"):
        store.view(audio)[0] = 1


def test_the_same_content_twice_is_one_file_and_other_content_or_rate_another(store):
    first = store.adopt(made(store, noise()))
    view = store.view(first)
    assert store.adopt(made(store, noise())) == first
    np.testing.assert_array_equal(view, noise())
    assert len({first, store.adopt(made(store, noise(1))), store.adopt(made(store, noise(), 48_000))}) == 3
    reshaped = store.adopt(made(store, noise().reshape(-1, 1)))
    assert reshaped.id != first.id
    assert len(list(store.folder.iterdir())) == 4


def test_a_file_of_any_format_is_taken_in_at_its_own_rate(store, tmp_path):
    frames = noise(samples=4000) / 2
    soundfile.write(tmp_path / "a.flac", frames, 48_000, "PCM_24")
    audio = store.take_in(tmp_path / "a.flac")
    assert (audio.rate_hz, audio.channels, audio.samples) == (48_000, 2, 4000)
    np.testing.assert_allclose(store.view(audio), frames, atol=2**-23)
    assert store.take_in(tmp_path / "a.flac") == audio


def test_an_unreadable_file_leaves_nothing(store, tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"not music")
    with pytest.raises(AudioError, match="is not audio"):
        store.take_in(tmp_path / "a.mp3")
    assert list(store.folder.iterdir()) == []


def test_a_song_that_is_decoded_can_still_be_called_off(store, tmp_path):
    """Naming what was decoded takes seconds with a long song."""
    soundfile.write(tmp_path / "a.wav", noise(samples=4000) / 2, 48_000)
    seen = []
    with pytest.raises(Cancelled):
        store.take_in(tmp_path / "a.wav", Reporter(seen.append, lambda: bool(seen)))
    assert seen[-1].done == 4000
    assert list(store.folder.iterdir()) == []


def test_a_song_that_is_decoded_as_it_is_opened_is_called_off_at_once(store, tmp_path, monkeypatch):
    with av.open(str(tmp_path / "a.m4a"), "w", format="ipod") as out:
        stream = out.add_stream("aac", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(noise(samples=48_000).T), "fltp", "stereo")
        frame.sample_rate, asked = 48_000, []
        out.mux([*stream.encode(frame), *stream.encode(None)])
    monkeypatch.setattr(clips, "_decoded", lambda *_: pytest.fail("all of it was decoded first"))
    with pytest.raises(Cancelled):
        store.take_in(tmp_path / "a.m4a", Reporter(cancelled=lambda: asked.append(1) or len(asked) > 2))
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize("damage", ["gone", "cut off", "other"])
def test_damage_is_told_and_healed_by_adopting_the_content_again(store, damage):
    audio = store.adopt(made(store, noise()))
    path = store.path(audio)
    if damage == "gone":
        path.unlink()
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[:-400])
    else:
        path.write_bytes(b"x" * 50)
    fresh = ClipStore(store.folder)
    with pytest.raises(AudioError, match=r"cut off|opened|not a 32-bit"):
        fresh.view(audio)
    assert fresh.adopt(made(fresh, noise())) == audio
    np.testing.assert_array_equal(fresh.view(audio), noise())


def test_silence_stands_in_for_a_lost_clip(store):
    audio = Audio("a" * 64, 44_100, 2, 10**12)  # takes no memory
    store.stand_in(audio)
    assert store.view(audio).shape == (10**12, 2)
    assert not store.view(audio)[10**11 : 10**11 + 1000].any()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which files are open")
def test_few_of_many_clips_are_open_and_what_somebody_holds_stays_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "may_be_open", lambda: 16)
    store = ClipStore(tmp_path / "audio")
    audios = [store.adopt(made(store, noise(seed, 100))) for seed in range(20)]
    before = len(os.listdir("/proc/self/fd"))
    held = np.asarray(store.view(audios[0]))[10:20]  # as a plan holds them
    place = whereabouts(store.view(audios[0]))
    for audio in audios:
        store.view(audio)
    assert len(os.listdir("/proc/self/fd")) <= before + 5
    assert whereabouts(store.view(audios[0])) == place
    np.testing.assert_array_equal(held, noise(0, 100)[10:20])


def test_sweep_removes_what_was_begun_and_nothing_else(store):
    audio = store.adopt(made(store, noise()))
    begun = store.begin(44_100, 2, 1000)
    (store.folder / ".0123456789ab.part").write_bytes(b"a file that was being written when the program was ended")
    (store.folder / "of-the-user.txt").write_text("mine")
    assert store.unfinished(begun) and not store.unfinished(store.path(audio))
    store.sweep()
    assert sorted(path.name for path in store.folder.iterdir()) == sorted([store.path(audio).name, "of-the-user.txt"])


def test_a_file_that_somebody_still_holds_is_copied(store, monkeypatch):
    """As on Windows, where a mapped file cannot be renamed; imitated here by refusing just that."""
    path, real = made(store, noise()), os.replace
    refused = []

    def replace(source, target):
        if source == path:
            refused.append(source)
            raise PermissionError(13, "in use")
        real(source, target)

    def unlink(_, missing_ok=False):
        raise PermissionError(13, "in use")

    monkeypatch.setattr(os, "replace", replace)
    audio = store.adopt(path)
    np.testing.assert_array_equal(store.view(audio), noise())
    assert refused == [path]
    with monkeypatch.context() as held:
        held.setattr(Path, "unlink", unlink)
        assert store.adopt(path) == audio  # it is there already
        store.sweep()
        assert path.exists()
    store.sweep()
    assert [p.name for p in store.folder.iterdir()] == [store.path(audio).name]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is mapped")
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_is_not_mapped_any_more_when_it_gets_its_name(store, monkeypatch, channels):
    """Windows renames no mapped file: each clip would be copied, and its first file stay behind."""
    path, real, mapped = made(store, noise(samples=1 << 19, channels=channels)), os.replace, []

    def replace(source, target):
        mapped.append(str(source) in Path("/proc/self/maps").read_text())
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    audio = store.adopt(path)
    assert mapped == [False]
    store.view(audio)
    assert str(store.path(audio)) in Path("/proc/self/maps").read_text()  # it is seen where it is mapped


def test_a_folder_that_is_gone_says_what_to_do(store):
    store.folder.rmdir()
    with pytest.raises(OutputError, match="create it or choose another"):
        store.begin(44_100, 2, 1000)


def test_the_first_samples_of_a_file_become_a_clip(tmp_path):
    store = ClipStore(tmp_path / "audio")
    path = store.begin(8000, 2, 1000)
    frames = map_wav(path, writable=True)[0]
    frames[:] = 1
    audio = store.cut(path, 300)
    assert (audio.samples, audio.channels) == (300, 2)
    cut, fade = store.view(audio), 32
    np.testing.assert_array_equal(cut[: 300 - fade], frames[: 300 - fade])
    assert (np.diff(cut[300 - fade :, 0]) < 0).all() and cut[-1].max() < 1e-3
    np.testing.assert_allclose(cut[300 - fade :] + cut[300 - fade :][::-1], 1, atol=1e-6)  # as all edges of parts
    np.testing.assert_array_equal(store.view(store.cut(path, 1000)), frames)  # the file has an edge of its own
    assert store.view(store.cut(path, 1)).shape == (1, 2)
    assert path.exists()


def test_silence_is_made_once(store, monkeypatch):
    silence = store.silence(48_000, 2, 5000)
    assert (silence.rate_hz, silence.channels, silence.samples) == (48_000, 2, 5000)
    assert not store.view(silence).any()
    assert store.silence(48_000, 2, 300).samples == 300
    monkeypatch.setattr(store, "begin", None)
    assert store.silence(48_000, 2, 5000) == silence


def test_a_clip_that_cannot_be_named_leaves_nothing_on_a_full_disk(store, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for make in (lambda: store.write(48_000, 2, [noise()]), lambda: store.silence(48_000, 2, 5000)):
        with pytest.raises(OutputError, match="No room"):
            make()
        assert list(store.folder.iterdir()) == []


def test_silence_that_stands_in_is_nothing_real(store):
    audio = store.adopt(made(store, noise()))
    np.testing.assert_array_equal(store.real(audio), noise())
    store.stand_in(audio)
    assert not store.view(audio).any()
    with pytest.raises(AudioError, match="is missing; bring it back"):
        store.real(audio)
    store.path(audio).unlink()
    assert store.adopt(made(store, noise())) == audio  # made anew, from the same seed
    np.testing.assert_array_equal(store.real(audio), noise())


def test_clips_are_handed_on_even_where_only_their_maps_are_left(store, tmp_path):
    audio, lost = store.adopt(made(store, noise())), Audio("a" * 64, 44_100, 2, 10)
    store.view(audio)
    store.stand_in(lost)
    other = ClipStore(tmp_path / "other")
    moved = tmp_path / "moved"
    store.folder.rename(moved)
    store.hand_on([audio, lost], other.folder)
    assert [path.name for path in other.folder.iterdir()] == [store.path(audio).name]
    np.testing.assert_array_equal(other.view(audio), noise())
    assert other.path(audio).read_bytes() == (moved / store.path(audio).name).read_bytes()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_not_adopted(store, value):
    frames = noise()
    frames[4000, 1] = value
    path = made(store, frames)
    with pytest.raises(AudioError, match="holds values that are not numbers"):
        store.adopt(path)
    assert list(store.folder.iterdir()) == [path]
