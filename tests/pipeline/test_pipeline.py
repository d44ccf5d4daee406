import errno
import itertools
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.audio import AudioClip, AudioReader, write
from mgeldm.checkpoint import load_model, save_model
from mgeldm.data import corpus
from mgeldm.errors import Cancelled, CheckpointError, InputError, MgeldmError, OutputError
from mgeldm.evaluation.metrics import sdr_db
from mgeldm.nn.dit import Denoiser
from mgeldm.pipeline import (
    EMBEDDED_PATH,
    MADE_LUFS,
    PART_BELOW_CONTEXT_DB,
    PITCHES,
    PITCHES_AGAIN,
    Pipeline,
    Placed,
)
from mgeldm.pipeline.compute import Compute, choose_device
from mgeldm.pipeline.extraction import Masks, unlike
from mgeldm.pipeline.generation import Maker
from mgeldm.progress import Reporter
from mgeldm.refine import refine
from mgeldm.requests import Accompany, Extract, Generate, Impute, Inpaint, Region, Sampling

MINIATURE = Path(__file__).parents[1] / "vectors" / "unwrapped_DiT.ckpt"
WHOLE, STANDARD = Region(), Sampling()
_HEARD = len(PITCHES["standard"]) + len(PITCHES_AGAIN["standard"])  # how often a window is, for what is asked for


@pytest.fixture
def mono(clip):
    """The song in mono, of which there is one estimate."""
    return AudioClip(clip.samples.mean(0, keepdims=True), clip.rate_hz)


def stems_of(pipeline, clip, *prompts, region=WHOLE, sampling=STANDARD):
    found = pipeline.extract(clip, Extract(prompts, region, sampling))
    return refine(clip, found.estimates, start_s=found.start_s, end_s=found.end_s)


def test_all_stems_and_the_rest_are_the_song(pipeline, clip):
    stems, rest = stems_of(pipeline, clip, "drums", "bass", "the piano")
    assert float(np.abs(stems.sum(0, dtype=np.float64) + rest - clip.samples).max()) < 1e-6


def test_the_prompted_source_comes_out(pipeline):
    """Drums and basses of six songs of the test split: on average 2 dB better than the better of song and silence."""
    gains = []
    for seed in (5, 7, 11, 900001, 900002, 900003):
        song = corpus.render_song(seed, [], 8.0, "test")
        clip = AudioClip(song.mixture.astype(np.float32), song.rate_hz)
        for stem in song.stems:
            if stem.label in ("drums", "bass"):
                ours = sdr_db(stem.audio, stems_of(pipeline, clip, stem.label)[0][0])
                gains.append(ours - max(sdr_db(stem.audio, clip.samples), 0.0))
    assert float(np.mean(gains)) > 2.0


def test_everything_but_is_the_rest(pipeline, clip):
    drums, rest = stems_of(pipeline, clip, "the drums")
    inverse, drums_again = stems_of(pipeline, clip, "everything but the drums")
    assert np.allclose(inverse[0], rest, atol=1e-4)
    assert np.allclose(drums_again, drums[0], atol=1e-4)


def test_of_what_a_prompt_names_together_each_is_found(pipeline, mono, monkeypatch):
    """The mask is the larger, of the whole or of all that it names; where the rest is wanted, of what is left out."""

    def masks(*prompts):
        request = Extract(prompts, Region(0.0, 4.0), Sampling("draft"))
        return pipeline.extract(mono, request).estimates(1.0, 3.0).sources

    together, without, once = masks("the drums and bass")[0], masks("all but the drums and bass")[0], masks("Drums")[0]
    drums, bass = masks("the drums")[0], masks("bass")[0]
    monkeypatch.setattr("mgeldm.pipeline.rivals.named", lambda *_: [])
    whole = masks("the drums and bass")[0]
    assert np.allclose(together, np.maximum(whole, np.minimum(drums + bass, 1)), atol=3e-3)
    assert np.allclose(without, 1 - together, atol=3e-3)
    assert np.array_equal(once, masks("Drums")[0])
    assert float((together - whole).max()) > 0.1


def test_what_is_named_twice_is_found_once(pipeline, mono, evaluated):
    """It would be summed with itself."""
    for prompt in ("vocals and the vocals", "rap and vocals"):
        evaluated.clear()
        request = Extract((prompt,), Region(0.0, 1.0), Sampling("draft"))
        pipeline.extract(mono, request).estimates(0.0, 1.0)
        assert evaluated == [1]


@pytest.mark.parametrize(("whole", "part"), [("the drums", "kick"), ("drums and bass", "bass guitar")])
def test_a_part_goes_out_of_what_it_is_a_part_of(pipeline, mono, whole, part):
    """Who asks for the drums and the kick drum wants the whole of it in one stem and nothing of it in the other."""

    def masks(*prompts):
        request = Extract(prompts, Region(0.0, 4.0), Sampling("draft"))
        return pipeline.extract(mono, request).estimates(1.0, 3.0).sources

    (kit,), (piece,) = masks(whole), masks(part)
    without, alone = masks(whole, part)
    assert float(piece.mean()) > 0.01
    assert np.allclose(alone, piece, atol=3e-3)
    assert np.allclose(without, np.maximum(kit - piece, 0), atol=3e-3)


@pytest.mark.parametrize("quality", ["standard", "best"])
def test_other_sources_compete(pipeline, mono, quality, monkeypatch):
    """Sources nobody asked for take their share from a stem, and the sum is the song all the same."""
    monkeypatch.setitem(PITCHES_AGAIN, quality, ())  # what they leave may be found to be more of it (below)
    several = pipeline.extract(mono, Extract(("brass",), sampling=Sampling(quality))).estimates(2.0, 8.0)
    with monkeypatch.context() as patch:
        patch.setattr("mgeldm.pipeline.rivals.ALIKE", -2.0)  # nothing is unlike what was asked for
        alone = pipeline.extract(mono, Extract(("brass",), sampling=Sampling(quality))).estimates(2.0, 8.0)
    assert several.sources.shape == alone.sources.shape
    assert np.allclose(several.sources.sum(0) + several.rest, 1, atol=2e-3)
    assert float(several.sources.mean()) < float(alone.sources.mean())
    raw = pipeline.extract_raw(mono, Extract(("bass",), Region(1, 3), Sampling(quality)))
    assert len(raw) == 2


def test_what_is_asked_for_is_the_mean_of_what_is_heard_at_each_pitch(pipeline, mono, monkeypatch):
    def masks(*pitches):
        monkeypatch.setitem(PITCHES, "draft", pitches)
        request = Extract(("bass", "drums"), Region(0.0, 4.0), Sampling("draft"))
        return pipeline.extract(mono, request).estimates(1.0, 3.0).sources

    low, high, both = masks(-3.0), masks(3.0), masks(-3.0, 3.0)
    scarce = (low.sum(0) < 0.95) & (high.sum(0) < 0.95)  # elsewhere sources compete
    assert scarce.any()
    assert np.allclose(both[:, scarce], (low + high)[:, scarce] / 2, atol=2e-3)
    assert np.abs(low - high).max() > 0.05


def test_what_is_asked_for_is_heard_again_without_what_competes(pipeline, mono, monkeypatch):
    """What is left is the song less what competes, no more is taken than is left, and of both the larger counts."""
    calls, asked, masks = [], [], Masks._masks

    def spied(self, conditions, pitches, mels, first_frames):
        found = masks(self, conditions, pitches, mels, first_frames)
        calls.append((mels, found.float()))
        asked.append(conditions)
        return found

    def heard(*prompts):
        calls.clear()
        asked.clear()
        request = Extract(prompts, Region(0.0, 4.0), Sampling("standard"))
        song = AudioClip(mono.samples, mono.rate_hz)  # of which nothing is known yet
        return torch.from_numpy(pipeline.extract(song, request).estimates(0.0, 4.0).sources[0])

    monkeypatch.setattr(Masks, "_masks", spied)
    both = heard("brass")
    (_, rivals), (song, first), (left, second) = calls
    doubtful = torch.tensor([[float(pipeline._text("brass") @ rival) >= 0.3 for rival in asked[0]]])
    competing, steps = unlike(first.mean(1)[:, None], rivals, song[:, :1], doubtful)[:, 0], both.shape[1]
    assert (left <= song[:, :1] + 1e-4).all() and float(left.mean()) < 0.8 * float(song.mean())
    gone = (competing > 1) & (first.mean(1) < 1e-3)  # all of it is somebody else's
    remaining, whole = (pipeline.model.autoencoder.expand(mels)[gone] for mels in (left.mean(1), song[:, 0]))
    assert gone.any() and (remaining <= 2e-3 * whole + 1e-6).all()
    assert torch.allclose(left[:, :1][competing[:, None] < 1e-4], song[:, :1][competing[:, None] < 1e-4], atol=1e-3)
    direct = (first.mean(1) / (first.mean(1) + competing).clamp(min=1))[0, :, :steps]
    again = second.mean(1)[0, :, :steps]
    assert (both <= torch.maximum(direct, again) + 2e-3).all()
    assert (both >= 0.75 * direct - 2e-3).all()
    assert float((both - direct).max()) > 0.02
    monkeypatch.setitem(PITCHES_AGAIN, "standard", ())
    assert torch.allclose(heard("brass"), direct, atol=2e-3) and len(calls) == 2


def test_what_goes_by_another_name_does_not_compete(pipeline, mono, monkeypatch):
    """Who asks for what competes anyway gets what it would get alone, but where names leave no doubt."""

    def level(*rivals):
        monkeypatch.setattr("mgeldm.pipeline.rivals.COMMON_SOURCES", rivals)
        request = Extract(("the drum kit",), Region(0.0, 6.0), Sampling("standard"))
        return float(pipeline.extract(mono, request).estimates(0.0, 6.0).sources.mean())

    monkeypatch.setitem(PITCHES_AGAIN, "standard", ())
    monkeypatch.setattr("mgeldm.pipeline.rivals.SURELY", 2.0)  # no pieces of the kit instead of it
    monkeypatch.setattr("mgeldm.pipeline.rivals.ALIKE", 2.0)  # and nothing is left out by its name
    alone = level("theremin")
    assert level("drums") > 0.85 * alone
    monkeypatch.setattr("mgeldm.pipeline.rivals.DOUBTFUL", 2.0)  # no names are alike
    assert level("drums") < 0.75 * alone


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_what_competes_is_what_others_alone_claim(seed, prompts, others):
    rng = np.random.default_rng(seed)
    shape = (2, prompts, 6, 5)
    asked = torch.from_numpy(rng.uniform(0, 1, shape).astype(np.float32))
    unasked = torch.from_numpy(rng.uniform(0, 1, (2, others, 6, 5)).astype(np.float32))
    mels = torch.from_numpy(rng.uniform(0.1, 2, (2, 1, 6, 5)).astype(np.float32))
    doubtful = torch.ones(prompts, others, dtype=torch.bool)
    found = unlike(asked, unasked, mels, doubtful)
    assert found.shape == shape and (found >= 0).all()
    assert (found <= unasked.sum(1, keepdim=True) + 1e-5).all()
    nothing, everything = torch.zeros(shape), torch.ones(shape)
    assert torch.allclose(unlike(nothing, unasked, mels, doubtful)[:, 0], unasked.sum(1), atol=1e-5)
    assert torch.allclose(unlike(everything, unasked, mels, doubtful), nothing, atol=1e-5)
    assert torch.allclose(unlike(everything, unasked, mels, ~doubtful)[:, 0], unasked.sum(1), atol=1e-5)
    assert (unlike(asked * 0.5, unasked, mels, doubtful) >= found - 1e-5).all()  # who claims less has more rivals
    assert torch.allclose(unlike(asked, unasked, mels * 3, doubtful), found, atol=1e-5)  # at any level


@pytest.fixture
def evaluated(pipeline, monkeypatch):
    """Items of each evaluation of the denoiser."""
    items, forward = [], pipeline.model.denoiser.forward

    def counted(z, *more):
        items.append(len(z))
        return forward(z, *more)

    monkeypatch.setattr(pipeline.model.denoiser, "forward", counted)
    return items


def test_a_second_prompt_need_not_find_again_what_competes(pipeline, mono, evaluated):
    """What one prompt found is reused by the next on the same song, which gives what it would have given alone."""

    def sources(song, prompt, **sampling):
        evaluated.clear()
        found = pipeline.extract(song, Extract((prompt,), Region(0.0, 8.0), Sampling("standard", **sampling)))
        return found.estimates(0.0, 8.0).sources, sum(evaluated)

    def competing(prompt):
        return {source.numpy().tobytes() for source in pipeline.names.unasked(pipeline._text(prompt)[None])}

    one, two = next(
        pair
        for pair in itertools.combinations(("brass", "organ", "piano", "strings", "bass", "vocals"), 2)
        if competing(pair[0]) == competing(pair[1])
    )
    song, again = (AudioClip(mono.samples, mono.rate_hz) for _ in range(2))
    _, first = sources(song, one)
    after, second = sources(song, two, seed=7)  # which one step does not hear of
    alone, whole = sources(again, two)
    assert np.array_equal(after, alone)
    assert first == whole and second * (_HEARD + len(competing(two))) == whole * _HEARD
    assert sources(again, two, guidance=2.0)[1] == 2 * whole  # under other wishes they are other masks
    assert sources(again, two)[1] == second


@pytest.mark.parametrize("quality", ["draft", "standard"])
def test_what_is_not_meant_competes(pipeline, mono, quality):
    def level(negative):
        request = Extract(("drums",), Region(0.0, 6.0), Sampling(quality, negative=negative))
        return float(pipeline.extract(mono, request).estimates(0.0, 6.0).sources.mean())

    assert level("percussion") < level("") and level("drums") < 0.7 * level("")


def test_what_a_new_part_is_not_to_be_keeps_nothing_of_the_old_one(pipeline, clip):
    def old(negative):
        return pipeline.inpaint(clip, Inpaint("bass", Region(4.0, 6.0), Sampling("draft", 2, negative=negative)))[1]

    assert np.array_equal(old("synth bass").samples, old("").samples)


@pytest.mark.parametrize("quality", ["draft", "standard"])
def test_of_a_rest_what_is_not_meant_goes_too(pipeline, mono, quality):
    """Whatever else is asked for at once, in whose stems it competes as ever.

    What competes whole leaves the drums a trace less, which is the rest's.
    """

    def masks(*prompts, negative=""):
        request = Extract(prompts, Region(0.0, 4.0), Sampling(quality, negative=negative))
        return pipeline.extract(mono, request).estimates(0.0, 4.0).sources

    rest, less = masks("no drums")[0], masks("no drums", negative="bass")[0]
    more = np.maximum(less - rest, 0)
    assert more.mean() < 0.05 * np.maximum(rest - less, 0).mean() and more.max() < 0.3
    assert less.mean() < 0.9 * rest.mean()
    both = masks("everything but the drums and the bass")[0]
    assert np.abs(less - both).mean() < 0.7 * np.abs(rest - both).mean()
    drums, without = masks("drums", "no drums"), masks("drums", "no drums", negative="percussion")
    assert without[0].mean() < drums[0].mean()


def test_raw_moves_away_from_what_is_not_meant(pipeline, mono):
    def stem(negative):
        request = Extract(("drums",), Region(0.0, 4.0), Sampling("draft", negative=negative), raw=True)
        return pipeline.extract_raw(mono, request)[0].samples

    assert np.abs(stem("bass") - stem("")).max() > 0.01


def test_what_competes_with_one_common_source_is_all_but_that_one(pipeline, mono, evaluated):
    """The bass competes where drums are asked for and drums where the bass is: of four rivals one is new."""
    song, spent = AudioClip(mono.samples, mono.rate_hz), []
    for prompt in ("drums", "bass", "vocals", "drums"):
        evaluated.clear()
        found = pipeline.extract(song, Extract((prompt,), Region(0.0, 5.0), Sampling("standard")))
        found.estimates(0.0, 5.0)
        spent.append(sum(evaluated))
    assert spent == [_HEARD + 3, _HEARD + 1, _HEARD, _HEARD]


def test_of_a_long_song_the_oldest_is_forgotten(pipeline, mono, monkeypatch):
    """Known windows among new ones, with no room for more: nothing that is needed goes, and memory stays bounded."""
    monkeypatch.setattr("mgeldm.pipeline.extraction._HEARD_WINDOWS", 1)
    monkeypatch.setattr("mgeldm.pipeline.extraction._KEPT_MASKS", 4)
    wanted = pipeline.extract(AudioClip(mono.samples, mono.rate_hz), Extract(("organ",))).estimates(0.0, 12.0)
    song = AudioClip(mono.samples, mono.rate_hz)
    pipeline.extract(song, Extract(("organ",), Region(0.0, 8.0))).estimates(0.0, 8.0)
    found = pipeline.extract(song, Extract(("organ",))).estimates(0.0, 12.0)
    assert np.allclose(found.sources, wanted.sources, atol=1e-3)  # kept in half precision
    windows = len({place for place, _ in pipeline._heard[None].masks})
    assert windows <= 2 + pipeline.compute.at_once


@pytest.mark.parametrize("prompt", ["drums", "vocals"])  # plain to hear
def test_a_region_is_what_the_whole_song_gives_there(pipeline, clip, prompt):
    part, _ = stems_of(pipeline, clip, prompt, region=Region(4.0, 9.0))
    whole, _ = stems_of(pipeline, clip, prompt)
    inside = slice(int(4.1 * clip.rate_hz), int(8.9 * clip.rate_hz))
    assert not part[:, :, : 4 * clip.rate_hz].any()
    assert sdr_db(whole[0][:, inside], part[0][:, inside]) > 12


def test_batches_only_say_how_many_run_at_once(pipeline, clip):
    batch = pipeline.compute.batch
    results = []
    for pipeline.compute.batch in (1, 3):
        results.append(stems_of(pipeline, clip, "bass", "drums", sampling=Sampling("best"))[0])
    pipeline.compute.batch = batch
    assert np.abs(results[0] - results[1]).max() < 1e-4 * np.abs(clip.samples).max()


def test_windows_leave_no_seam(pipeline, mono):
    """The stem's level changes no faster at window edges than elsewhere."""
    found = pipeline.extract(mono, Extract(("bass",), sampling=Sampling("draft")))
    shares = found.estimates(0.0, mono.duration_s).sources[0]
    steps = np.abs(np.diff(shares, axis=1)).mean(0)
    starts = [s * 4 for s in range(56, shares.shape[1] // 4, 56)]
    edges = [step for s in starts for step in steps[max(s - 2, 0) : s + 34]]
    assert np.mean(edges) < 1.5 * steps.mean() + 0.01


@pytest.mark.parametrize(("rate_hz", "channels"), [(22050, 1), (48000, 2), (96000, 3)])
def test_any_rate_and_channels(pipeline, rate_hz, channels):
    rng = np.random.default_rng(0)
    clip = AudioClip(rng.normal(0, 0.1, (channels, rate_hz)).astype(np.float32), rate_hz)
    stems, rest = stems_of(pipeline, clip, "drums")
    assert stems[0].shape == rest.shape == clip.samples.shape


@pytest.mark.parametrize("samples", [2205, 4410, 44100 * 3])
def test_short_songs(pipeline, samples):
    clip = AudioClip(np.random.default_rng(0).normal(0, 0.1, (2, samples)).astype(np.float32), 44100)
    stems, rest = stems_of(pipeline, clip, "drums")
    assert np.abs(stems[0] + rest - clip.samples).max() < 1e-6


def test_silence_stays_silence(pipeline):
    clip = AudioClip(np.zeros((2, 44100), np.float32), 44100)
    stems, rest = stems_of(pipeline, clip, "drums")
    assert not stems.any()
    assert not rest.any()


@pytest.mark.parametrize(("right", "heard"), [(-1.0, 2), (0.9, 2), (0.999, 1), (1.0, 1)])
def test_channels_that_differ_are_heard_apart(pipeline, song, right, heard):
    left = song.stems[0].audio[:1]
    clip = AudioClip(np.concatenate([left, right * left]).astype(np.float32), 44100)
    found = pipeline.extract(clip, Extract((song.stems[0].label,))).estimates(0.0, 1.0)
    assert (len(found) if isinstance(found, list) else 1) == heard


@pytest.mark.parametrize(("left", "right"), [(1.0, 0.0), (1.0, -0.98), (0.05, 1.0)])
def test_a_channel_is_heard_at_its_own_level(pipeline, mono, left, right):
    """However quiet the sum of the channels is."""
    clip = AudioClip(np.concatenate([mono.samples * left, mono.samples * right]), mono.rate_hz)
    heard = [float(np.square(listener.read(20, 60)).mean() ** 0.5) for listener in pipeline.listeners(clip)]
    wanted = float(np.square(pipeline._listener(mono).read(20, 60)).mean() ** 0.5)
    assert heard == pytest.approx([wanted * min(1, abs(gain) * 10) for gain in (left, right)], rel=0.01)


def test_a_second_prompt_does_not_hear_the_song_again(pipeline, clip):
    stems_of(pipeline, clip, "drums")
    reads = []

    class Counted(AudioClip):
        def read(self, start=0, stop=None):
            reads.append(start)
            return super().read(start, stop)

    counted = Counted(clip.samples, clip.rate_hz)
    pipeline.extract(counted, Extract(("drums",))).estimates(0.0, clip.duration_s)
    first = len(reads)
    pipeline.extract(counted, Extract(("bass",))).estimates(0.0, clip.duration_s)
    assert first > 3
    assert len(reads) == first


def test_like_this_selection(pipeline, clip):
    found = pipeline.extract(clip, Extract((), examples=(Region(2.0, 4.0),)))
    stems, _ = refine(clip, found.estimates)
    assert 0 < float(np.abs(stems).max()) <= float(np.abs(clip.samples).max()) * 2


def test_a_new_part_is_like_a_selection_too(pipeline, clip):
    few, where, like = Sampling(steps=2), Region(0.0, 3.0), Region(4.0, 6.0)
    other = AudioClip(np.random.default_rng(1).normal(0, 0.1, (2, 10 * 44100)).astype(np.float32), 44100)
    made = [
        pipeline.impute(clip, Impute(("bass",), where, few))[0],
        pipeline.impute(clip, Impute(("bass",), where, few, like))[0],
        pipeline.impute(clip, Impute((), where, few, like))[0],
        pipeline.impute(clip, Impute((), where, few, like), example=other)[0],
    ]
    for first, second in itertools.combinations(made, 2):  # words, both, the song's sound, another's sound
        assert not np.allclose(first.samples, second.samples, atol=1e-3)
    again = pipeline.impute(clip, Impute((), where, few, like), example=clip)[0]
    assert np.allclose(again.samples, made[2].samples, atol=1e-5)
    assert pipeline.accompany(clip, Accompany("", where, few, like)).samples.shape == (2, 3 * 44100)
    new, old = pipeline.inpaint(clip, Inpaint("", where, few, like))
    assert new.samples.shape == old.samples.shape == (2, 3 * 44100)


@pytest.mark.parametrize("change", ["soft", "out of phase", "out of phase, with an offset"])
def test_an_example_is_heard_at_any_level_and_phase(pipeline, song, change):
    drums = next(stem.audio for stem in song.stems if stem.label == "drums").mean(0, keepdims=True).astype(np.float32)
    other = drums * 1e-3 if change == "soft" else np.concatenate([drums, -drums])
    other += np.float32(0.1) if "offset" in change else 0
    plain, changed = (pipeline._sound(AudioClip(each, song.rate_hz), WHOLE) for each in (drums, other))
    assert float(plain @ changed) > 0.95


def test_an_example_in_which_nothing_plays_is_refused(pipeline, clip):
    silence = AudioClip(np.full((2, 3 * 44100), 0.1, np.float32), 44100)  # an offset is no sound
    with pytest.raises(InputError, match="Nothing plays in the example"):
        pipeline.impute(clip, Impute((), Region(0, 2), like=Region(0, 2)), example=silence)


def test_a_new_part_is_without_what_its_prompt_leaves_out(pipeline, clip):
    def heard(prompt):
        made = pipeline.impute(clip, Impute((prompt,), Region(2, 8), Sampling(steps=8)))[0]
        return float(pipeline._sound(made, WHOLE) @ pipeline._text("drums"))

    assert heard("everything but the drums") < heard("the drums") - 0.2


def test_of_a_long_example_the_loudest_is_heard(pipeline, clip):
    """A lane may begin to play late in the selection."""
    late = AudioClip(np.pad(clip.samples[:, : 10 * 44100], ((0, 0), (12 * 44100, 9000))), 44100)
    made = [
        pipeline.impute(late, Impute((), Region(0.0, 3.0), Sampling(steps=2), like))[0].samples
        for like in (Region(12.0, 22.0), Region(0.0, 22.2))
    ]
    np.testing.assert_allclose(*made, atol=1e-5)


def test_raw_is_the_decoders_own_sound(pipeline, clip):
    source, rest = pipeline.extract_raw(clip, Extract(("bass",), Region(2.0, 6.0)))
    assert source.samples.shape == rest.samples.shape == (2, 4 * 44100)
    assert float(source.samples.std()) > 1e-4


def test_raw_is_as_loud_where_two_windows_meet(pipeline):
    """Their phases have nothing in common: a long cross-fade of what they have in common would be 3 dB softer."""
    time_s = np.arange(16 * 44100) / 44100
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (196.0, 246.9, 293.7, 392.0)) * 0.05
    steady = AudioClip(chord[None].astype(np.float32), 44100)
    sound = sum(part.samples[0] for part in pipeline.extract_raw(steady, Extract(("strings",), Region(1.0, 15.0))))
    levels_db = 10 * np.log10(np.square(sound[: 14 * 44100].reshape(28, -1)).mean(1))
    assert np.abs(levels_db - np.median(levels_db)).max() < 1.5


def test_raw_is_made_at_once_and_so_not_of_hours(pipeline, clip):
    with pytest.raises(InputError, match="at once"):
        long = AudioClip(np.zeros((1, 8000 * 3700), np.float32), 8000)
        pipeline.extract_raw(long, Extract(("bass",), raw=True))


def test_parts_come_at_the_songs_rate_and_repeat_with_their_seed(pipeline, clip):
    request = Impute(("a warm rhodes", "bass"), Region(3.0, 11.0), Sampling("draft", seed=5))
    parts = pipeline.impute(clip, request)
    assert [part.samples.shape for part in parts] == [(2, 8 * 44100)] * 2
    assert all(1e-4 < float(part.samples.std()) < float(clip.samples.std()) * 1.5 for part in parts)
    assert np.allclose(pipeline.impute(clip, request)[1].samples, parts[1].samples, atol=1e-5)
    other = pipeline.impute(clip, Impute(("a warm rhodes",), Region(3.0, 11.0), Sampling("draft", seed=6)))
    assert not np.allclose(other[0].samples, parts[0].samples, atol=1e-3)
    assert np.abs(parts[0].samples[:, [0, -1]]).max() < 0.01 * np.abs(parts[0].samples).max()  # faded at its edges


def test_accompaniment_and_generation(pipeline, clip):
    part = pipeline.accompany(clip, Accompany("drums and bass", Region(0.0, 3.0), Sampling(steps=3)))
    assert part.samples.shape == (2, 3 * 44100)
    music = pipeline.generate(Generate(9.5, "funk", Sampling(steps=3)))
    assert music.samples.shape == (1, round(9.5 * 44100))
    assert bool(np.isfinite(music.samples).all())
    peak = np.abs(music.samples).max()
    assert peak > 0.85 or abs(level_db(music) - MADE_LUFS) < 6  # as loud as songs are, unless that would clip
    assert peak < 0.9 and np.abs(music.samples[:, [0, -1]]).max() < 0.01 * peak  # and it does not click


def level_db(part):
    return 20 * np.log10(np.square(part.samples).mean() ** 0.5)


@pytest.mark.parametrize("pause", [0.0, 1e-4])
def test_in_a_pause_a_part_is_as_loud_as_suits_the_song(pipeline, mono, pause):
    """Of silence, or of hiss, nothing can be learnt about how loud a part is to be."""

    def part(gain):
        samples = mono.samples * np.float32(gain)
        samples[:, 4 * 44100 : 8 * 44100] *= pause
        song = AudioClip(samples, mono.rate_hz)
        return pipeline.impute(song, Impute(("drums",), Region(4.0, 8.0), Sampling(steps=3)))[0]

    loud, soft = part(1.0), part(0.1)
    assert abs(level_db(loud) - level_db(soft) - 20) < 1
    assert -12 < level_db(loud) - level_db(mono) < 0


def test_a_part_in_a_loud_song_lies_under_it_by_what_is_meant(pipeline, clip, monkeypatch):
    """Its peaks would pass full scale at the song's own loudness, but not where it is to lie."""
    peaky = np.random.default_rng(0).normal(0, 0.02, 8 * 44100).astype(np.float32)
    peaky[::22050] = 0.7
    monkeypatch.setattr(Maker, "make", lambda self, wish: peaky[: (wish.stop - wish.start) * 4096])
    loud = AudioClip(clip.samples / np.abs(clip.samples).max(), 44100)
    part = pipeline.impute(loud, Impute(("bass",), Region(2.0, 8.0)))[0]
    song_db, part_db = (
        pyloudnorm.Meter(44100).integrated_loudness(samples.T.astype(np.float64))
        for samples in (loud.samples[:, 2 * 44100 : 8 * 44100], part.samples)
    )
    assert 0.5 < np.abs(part.samples).max() < 1
    assert part_db - song_db == pytest.approx(-PART_BELOW_CONTEXT_DB, abs=0.5)


def test_a_part_does_not_click_at_the_songs_own_ends(pipeline, clip):
    (part,) = pipeline.impute(clip, Impute(("organ",), Region(), Sampling(steps=2)))
    assert part.samples.shape == clip.samples.shape
    assert np.abs(part.samples[:, [0, -1]]).max() < 1e-3 * np.abs(part.samples).max()


def test_a_part_as_good_as_silent_is_refused_and_not_made_loud(pipeline, clip, monkeypatch):
    make = Maker.make
    monkeypatch.setattr(Maker, "make", lambda self, wish: make(self, wish) * 1e-5)
    with pytest.raises(InputError, match="plays nothing for this here; try other words"):
        pipeline.impute(clip, Impute(("bass",), Region(2.0, 5.0), Sampling(steps=2)))


def test_inpainting_changes_nothing_outside(pipeline, clip):
    new, old = pipeline.inpaint(clip, Inpaint("bass", Region(4.0, 7.0), Sampling(steps=3)))
    assert new.samples.shape == old.samples.shape == (2, 3 * 44100)
    for part in (new, old):
        assert np.abs(part.samples[:, [0, -1]]).max() < 1e-2
    assert not np.allclose(new.samples, old.samples, atol=1e-3)


def test_what_replaces_something_that_was_not_there_is_heard(pipeline, monkeypatch):
    """A tone has no drums: as loud as what was found of them, new ones would be silent."""
    time_s = np.arange(10 * 44100) / 44100
    song = AudioClip(np.sin(2 * np.pi * 440 * time_s)[None].astype(np.float32) * 0.3, 44100)
    new, old = pipeline.inpaint(song, Inpaint("drums", Region(2.0, 6.0), Sampling("draft", 3)))
    assert level_db(old) < level_db(song) - 30 < level_db(new) - 10


def test_inpainting_a_little_of_a_long_song_reads_a_little(pipeline, clip):
    reads = []

    class Read(Placed):
        def read(self, start=0, stop=None):
            reads.append((self.info.samples if stop is None else stop) - start)
            return super().read(start, stop)

    hour = Read(clip, 0, replace(clip.info, samples=3600 * clip.rate_hz))
    pipeline.inpaint(hour, Inpaint("vocals", Region(4.0, 6.0), Sampling(steps=3)))
    assert max(reads) < 30 * clip.rate_hz
    assert sum(reads) < 300 * clip.rate_hz


def test_cancel_stops_between_windows(pipeline, clip):
    seen = []

    def stop():
        return len(seen) >= 1

    reporter = Reporter(seen.append, stop)
    with pytest.raises(Cancelled):
        pipeline.extract(clip, Extract(("bass",), sampling=Sampling("best")), reporter).estimates(0, clip.duration_s)
    with pytest.raises(Cancelled):
        pipeline.generate(Generate(20.0), reporter)


def test_progress_of_both_channels_is_one_that_never_goes_back(pipeline, clip):
    seen = []
    found = pipeline.extract(clip, Extract(("bass",), sampling=Sampling("best")), Reporter(seen.append))
    refine(clip, found.estimates)
    assert len({progress.total for progress in seen}) == 1
    done = [progress.done for progress in seen]
    assert done == sorted(set(done)) and done[-1] == seen[-1].total
    assert seen[-1].left_s == 0


def test_the_time_left_is_that_of_the_stage(monkeypatch):
    seen, now_s = [], [0.0]
    monkeypatch.setattr("mgeldm.progress.time.monotonic", lambda: now_s[0])
    reporter = Reporter(seen.append)
    for stage in ("steps", "steps", "windows"):  # 10 s a unit, then 1 s a unit
        for done in range(1, 5):
            now_s[0] += 10.0 if not seen or len(seen) < 4 else 1.0
            reporter.report(stage, done, 4)
    left = [progress.left_s for progress in seen]
    assert left[:4] == [None, 20.0, 10.0, 0.0]
    assert left[4:8] == left[8:] == [None, 2.0, 1.0, 0.0]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no room"), RuntimeError("can't allocate memory: ...")])
def test_out_of_memory_halves_the_batch_and_keeps_what_is_done(clip, error):
    notices: list[str] = []
    pipeline = Pipeline.load(EMBEDDED_PATH, "cpu", on_notice=notices.append)
    calm = stems_of(pipeline, clip, "bass", "piano")[0]
    forward, failures = pipeline.model.denoiser.forward, iter([True])

    def failing(z, *more):
        if len(z) > 2 and next(failures, False):
            raise error
        return forward(z, *more)

    pipeline.model.denoiser.forward = failing
    stems, _ = stems_of(pipeline, clip, "bass", "piano")
    assert pipeline.compute.batch == 2
    assert "memory" in notices[0]
    assert np.allclose(stems, calm, atol=1e-5)


def test_what_is_too_large_for_any_memory_is_said():
    compute = Compute(torch.nn.Module(), torch.device("cpu"))
    with pytest.raises(MgeldmError, match="ran out of memory"):
        compute.map(lambda x: torch.empty(10**15), torch.zeros(2))
    assert compute.batch == 1
    with pytest.raises(RuntimeError, match="must match"):
        compute.map(lambda x: x + torch.zeros(3), torch.zeros(2, 2))


def test_a_model_that_gives_no_numbers_is_said(clip):
    pipeline = Pipeline.load(EMBEDDED_PATH, "cpu")
    with torch.no_grad():
        pipeline.model.denoiser.leave.weight.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="not numbers"):
        stems_of(pipeline, clip, "bass")
    with pytest.raises(CheckpointError, match="not numbers"):
        pipeline.generate(Generate(2.0, sampling=Sampling("draft", 1)))


def test_a_missing_device_is_said(pipeline):
    with pytest.raises(InputError, match="no device"):
        choose_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="cuda"):
            choose_device("cuda")


class Words:
    """A text space for the miniature published model, which carries none."""

    audio_input = "audio"

    def embed_text(self, texts):
        torch.manual_seed(len(texts[0]))
        return torch.randn(len(texts), 48)

    embed_prompt = embed_text

    def embed_audio(self, audio):
        return torch.ones(len(audio), 48)


def test_the_published_form_does_every_task(published, clip):
    pipeline = Pipeline(published, Words(), torch.device("cpu"))
    sampling = Sampling(steps=2)
    stems, rest = stems_of(pipeline, clip, "bass", "drums", region=Region(1.0, 14.0), sampling=sampling)
    assert np.abs(stems.sum(0, dtype=np.float64) + rest - clip.samples).max() < 1e-6
    assert pipeline.impute(clip, Impute(("bass",), Region(0.0, 15.0), sampling))[0].samples.shape == clip.samples.shape
    assert pipeline.generate(Generate(20.0, sampling=sampling)).samples.shape == (1, 20 * 16000)
    new, _ = pipeline.inpaint(clip, Inpaint("bass", Region(4.0, 7.0), sampling))
    assert new.samples.shape == (2, 3 * 44100)


def test_a_model_that_needs_clap_says_so():
    with pytest.raises(CheckpointError, match="CLAP"):
        Pipeline.load(MINIATURE, "cpu")


def test_a_model_of_another_clap_says_so_when_it_is_loaded(tmp_path):
    with pytest.raises(CheckpointError, match=r"conditions of 48 numbers and LAION's CLAP gives 512.*music_audioset"):
        Pipeline.load(MINIATURE, "cpu", clap=tmp_path)


def test_towers_that_do_not_fit_their_denoiser_say_so(tmp_path):
    model = load_model(EMBEDDED_PATH)
    config = replace(model.config, denoiser=replace(model.config.denoiser, condition_dim=48))
    networks = {"denoiser": Denoiser(config.denoiser), "autoencoder": model.autoencoder}
    tensors = {f"{part}.{name}": x for part, net in networks.items() for name, x in net.state_dict().items()}
    tensors |= {f"conditioner.{name}": x for name, x in model.conditioner_state.items()}
    save_model(tmp_path / "odd.safetensors", config, tensors)
    with pytest.raises(CheckpointError, match="give conditions of 512 numbers and its denoiser takes 48"):
        Pipeline.load(tmp_path / "odd.safetensors", "cpu")


def test_the_shipped_files_keep_their_budget():
    model = load_model(EMBEDDED_PATH)
    assert sum(p.stat().st_size for p in EMBEDDED_PATH.parent.iterdir()) <= 28 * 2**20
    assert model.config.name == "embedded"


def test_an_hours_long_file_is_read_in_pieces(pipeline, tmp_path):
    rng = np.random.default_rng(0)
    write(tmp_path / "long.wav", AudioClip(rng.normal(0, 0.1, (1, 8000 * 600)).astype(np.float32), 8000), "wav16")
    with AudioReader(tmp_path / "long.wav") as song:
        longest = 0
        read = song.read

        def watched(start=0, stop=None):
            nonlocal longest
            longest = max(longest, (song.info.samples if stop is None else stop) - start)
            return read(start, stop)

        song.read = watched  # type: ignore[method-assign]
        found = pipeline.extract(song, Extract(("drums",), Region(300.0, 310.0)))
        refine(song, found.estimates, start_s=300.0, end_s=310.0)
    assert longest < 8000 * 30


def test_a_long_part_is_as_loud_where_stretches_meet(pipeline, monkeypatch):
    """A held chord of 30 s: were phases of two stretches heard together for long, it would be quieter there."""
    time_s = torch.arange(64 * 4096) / 44100
    chord = sum(torch.sin(2 * torch.pi * hz * time_s) for hz in (220.0, 277.2, 329.6, 659.3)) * 0.1
    with torch.inference_mode():
        frame = pipeline.model.autoencoder.encode(chord[None, None])[0, :, 32]
    held = frame[None, :, None].expand(3, -1, 64)
    monkeypatch.setattr("mgeldm.pipeline.generation.Maker._sample", lambda *_: held)
    made = pipeline.generate(Generate(30.0, "organ")).samples[0]
    assert len(made) == 30 * 44100
    levels_db = 10 * np.log10(np.square(made[: 29 * 44100]).reshape(-1, 44100 // 2).mean(1))
    assert float(np.ptp(levels_db[1:])) < 2.5


def test_hours_of_estimates_need_room_on_the_disk_before_they_are_made(pipeline, mono, monkeypatch):
    """A map over a sparse file would kill the process where the disk is full."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mgeldm.pipeline.extraction._ON_DISK_BYTES", 0)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OutputError, match="No room for audio in"):
        pipeline.extract(mono, Extract(("bass",))).estimates(0.0, 1.0)
