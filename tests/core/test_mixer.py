"""What is heard: bit for bit at unity, smooth whatever changes, and nothing in the callback that could make it wait."""

import _thread
import sys
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.errors import AudioError

from mgeldm_app.core.mixer import Mixer, Order
from mgeldm_app.core.ports import Growing
from mgeldm_app.core.project import Audio, Lane, Made, Part, Project, SongFile, Span, Take, Tempo
from mgeldm_app.core.sound import read_lane
from mgeldm_app.core.timeline import Grid
from mgeldm_app.core.voices import Plan, fold_down, make_plan

RATE_HZ, SONG = 8000, 16000
FADE = 80  # 10 ms
MADE = Made("extract", "bass")


class Band:
    """A project with sounds in memory: a song, stems "bass" and "keys" taken from it, an added part "new"."""

    def __init__(self, channels: int = 2, rate_hz: int = RATE_HZ) -> None:
        self.random = np.random.default_rng(7)
        self.sounds: dict[str, np.ndarray] = {}
        self.rate_hz, self.channels = rate_hz, channels
        self.project = Project(SongFile(self.audio("song", SONG), "song"))
        self.add("bass", "extracted", 1000, 9000)
        self.add("keys", "extracted", 6000, 10000)
        self.add("new", "added", 3000, 4000)

    def audio(self, name: str, samples: int) -> Audio:
        self.sounds[name] = (0.2 * self.random.standard_normal((samples, self.channels))).astype(np.float32)
        return Audio(name, self.rate_hz, self.channels, samples)

    def view(self, audio: Audio) -> np.ndarray:
        return self.sounds[audio.id]

    def add(self, name: str, kind: str, start: int, samples: int) -> None:
        part = Part(start, (Take(self.audio(name, samples), MADE),))
        self.project = self.project.with_lane(Lane(name, kind, name, parts=(part,)))

    def change(self, name: str, **changes) -> None:
        self.project = self.project.with_lane(replace(self.project.lane(name), **changes))

    def plan(self, **how) -> Plan:
        return make_plan(self.project, self.view, **how)

    def read(self, name: str) -> np.ndarray:
        return read_lane(self.project, self.project.lane(name), self.view, 0, SONG)


class Desk:
    """A mixer, and everything that came out of it."""

    def __init__(self, plan: Plan) -> None:
        self.mixer = Mixer(plan.rate_hz)
        self.mixer.order = Order(plan)
        self.heard = np.zeros((0, 2), np.float32)

    def order(self, **changes) -> None:
        self.mixer.order = replace(self.mixer.order, **changes)

    def seek(self, place: int) -> None:
        self.order(jump=self.mixer.order.jump + 1, place=place)

    def run(self, frames: int) -> np.ndarray:
        out = np.full((frames, 2), np.nan, np.float32)
        self.mixer.render(out)
        self.heard = np.concatenate([self.heard, out])
        return out


def played(plan: Plan, frames: int = SONG) -> np.ndarray:
    desk = Desk(plan)
    desk.order(playing=True)
    return desk.run(frames)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40))
def test_at_unity_the_song_is_heard_bit_for_bit_in_blocks_of_any_size(blocks):
    band = Band()
    band.change("new", muted=True)
    desk = Desk(band.plan())
    desk.order(playing=True)
    for block in blocks:
        desk.run(block)
    n = min(len(desk.heard), SONG)
    assert np.array_equal(desk.heard[:n], band.sounds["song"][:n])
    assert not desk.heard[n:].any()


@pytest.mark.parametrize("lane", ["bass", "keys", "new", "rest"])
def test_a_soloed_lane_is_what_an_exporter_reads(lane):
    band = Band()
    band.change(lane, soloed=True)
    assert np.array_equal(played(band.plan()), band.read(lane))


def test_faders_pans_mute_and_added_parts():
    band = Band()
    band.change("rest", gain_db=-6.0, pan=0.25)
    band.change("bass", gain_db=3.0, pan=-0.5)
    band.change("keys", muted=True)
    band.change("new", gain_db=-60.0)
    gain = {"rest": 10**-0.3, "bass": 10**0.15}
    rest, bass = band.read("rest").astype(float), band.read("bass").astype(float)
    left = gain["rest"] * 0.75 * rest[:, 0] + gain["bass"] * bass[:, 0]
    right = gain["rest"] * rest[:, 1] + gain["bass"] * 0.5 * bass[:, 1]
    assert np.abs(played(band.plan()) - np.stack([left, right], 1)).max() < 1e-6
    band.change("new", gain_db=0.0)
    with_new = np.stack([left, right], 1) + band.read("new")
    assert np.abs(played(band.plan()) - with_new).max() < 1e-6


def test_song_against_stems_is_never_both():
    band = Band()
    band.change("bass", muted=True)
    desk = Desk(band.plan())
    desk.order(playing=True)
    desk.run(4000)
    desk.order(plan=band.plan(listen="song"))
    desk.run(4000)
    song, minus_bass = band.sounds["song"], band.sounds["song"] - band.read("bass") + band.read("new")
    assert np.abs(desk.heard[:4000] - minus_bass[:4000]).max() < 1e-6
    assert np.array_equal(desk.heard[4000 + FADE :], song[4000 + FADE : 8000])


def test_the_songs_lane_soloed_is_the_song():
    band = Band()
    band.change("bass", muted=True)
    band.change("keys", soloed=True)
    band.change("song", muted=True, soloed=True)
    for listen in ("stems", "song"):
        assert np.array_equal(played(band.plan(listen=listen)), band.sounds["song"])


def test_turning_between_song_and_stems_at_unity_changes_no_bit():
    band = Band()
    band.change("new", muted=True)
    desk = Desk(band.plan())
    desk.order(playing=True)
    for listen in ("song", "stems") * 4:
        desk.order(plan=band.plan(listen=listen))
        desk.run(777)
    assert np.array_equal(desk.heard, band.sounds["song"][: len(desk.heard)])


def test_mono_plays_on_both_sides():
    band = Band(channels=1)
    band.change("new", muted=True)
    out = played(band.plan())
    assert np.array_equal(out[:, 0], out[:, 1]) and np.array_equal(out[:, :1], band.sounds["song"])


def test_six_channels_are_folded_down():
    band = Band(channels=6)
    band.change("new", muted=True)
    song = band.sounds["song"]
    left = (song[:, 0] + 0.5**0.5 * (song[:, 2] + song[:, 4])) / (1 + 2**0.5)
    assert np.abs(played(band.plan())[:, 0] - left).max() < 1e-6
    for channels in range(3, 9):
        for side in fold_down(channels):
            assert sum(float(weight) for _, weight in side) == pytest.approx(1)


# ------------------------------------------------------------------------------------------------------------- smooth


def hum(samples: int, cycles: float, level: float = 0.2) -> np.ndarray:
    """A slow tone that rises from silence and falls back; its steps are small, so that a click would stand out."""
    edge = np.minimum(1, np.minimum(np.arange(samples), samples - 1 - np.arange(samples)) / 400)
    tone = level * np.clip(edge, 0, 1) * np.cos(2 * np.pi * cycles * np.arange(samples) / samples)
    return np.stack([tone, tone], 1).astype(np.float32)


def humming() -> Band:
    band = Band()
    for cycles, name in ((9, "song"), (5, "bass"), (7, "keys"), (4, "new")):
        band.sounds[name] = hum(len(band.sounds[name]), cycles)
    return band


LARGEST_STEP = 0.05  # a click is as large as the level, several tenths; tones and fades over 80 samples make 0.04


def largest_step(heard: np.ndarray) -> float:
    return float(np.abs(np.diff(heard, axis=0)).max())


def test_gains_are_smooth():
    band = humming()
    desk = Desk(band.plan())
    desk.order(playing=True)
    desk.run(5000)
    before = desk.heard[-1, 0]
    for changes in ({"gain_db": -60.0}, {"gain_db": 6.0}, {"soloed": True}, {"muted": True, "soloed": False}):
        band.change("bass", **changes)
        desk.order(plan=band.plan())
        desk.run(1000)
    assert largest_step(desk.heard) < LARGEST_STEP / 2
    assert before != 0


def test_a_loop_has_no_seam():
    band = humming()
    band.project = replace(band.project, region=Span(4000, 6100), looping=True)
    desk = Desk(band.plan())
    desk.seek(4000)
    desk.order(playing=True)
    desk.run(2100 * 3 + 500)
    assert desk.mixer.position == 4500
    heard, mix = desk.heard, played(humming().plan())
    assert largest_step(heard[FADE:]) < LARGEST_STEP
    assert np.array_equal(heard[FADE : 2100 - FADE], heard[2100 + FADE : 4200 - FADE])
    assert np.array_equal(heard[2100 : 4200 - FADE], heard[4200 : 6300 - FADE])
    rising = np.square(np.sin(np.pi / 2 * (np.arange(FADE) + 0.5) / FADE))[:, None]
    seam = mix[6100 - FADE : 6100] * (1 - rising) + mix[4000 - FADE : 4000] * rising
    assert np.abs(heard[2100 - FADE : 2100] - seam).max() < 1e-6


def test_the_first_beat_of_a_loop_stays_whole():
    band = Band()
    band.change("new", muted=True)
    band.project = replace(band.project, region=Span(4000, 6100), looping=True)
    desk = Desk(band.plan())
    desk.seek(3000)
    desk.order(playing=True)
    desk.run(1000 + 2 * 2100)
    song = band.sounds["song"]
    assert np.array_equal(desk.heard[FADE : 3100 - FADE], song[3000 + FADE : 6100 - FADE])
    assert np.array_equal(desk.heard[3100 : 5200 - FADE], song[4000 : 6100 - FADE])


def test_a_new_loop_takes_a_playhead_that_is_outside():
    band = humming()
    desk = Desk(band.plan())
    desk.order(playing=True)
    desk.run(3000)
    band.project = replace(band.project, region=Span(8000, 10000), looping=True)
    desk.order(plan=band.plan())
    desk.run(100)
    assert desk.mixer.position == 8100 and desk.mixer.jumps == 1
    band.project = replace(band.project, region=Span(8050, 9000))
    desk.order(plan=band.plan())
    desk.run(100)
    assert desk.mixer.position == 8200 and desk.mixer.jumps == 1
    desk.seek(12000)
    desk.run(500)
    assert desk.mixer.position == 12500  # one that was asked for stays outside, and plays on
    assert largest_step(desk.heard) < LARGEST_STEP


@pytest.mark.parametrize(
    ("loop", "seek", "place"),
    [
        (None, None, 3000),
        (None, 500, 500),
        (Span(8000, 10000), None, 8000),
        (Span(8000, 10000), 500, 500),
        (Span(2000, 10000), None, 3000),
    ],
)
def test_where_an_order_takes_the_playhead_is_known_before(loop, seek, place):
    band = Band()
    desk = Desk(band.plan())
    desk.order(playing=True)
    desk.run(3000)
    band.project = replace(band.project, region=loop, looping=loop is not None)
    order = replace(desk.mixer.order, plan=band.plan())
    order = order if seek is None else replace(order, jump=order.jump + 1, place=seek)
    assert desk.mixer.place_under(order) == place
    desk.mixer.order = order
    desk.run(10)
    assert desk.mixer.began[0] == place


def test_a_region_shorter_than_its_fades_is_not_looped():
    band = Band()
    band.project = replace(band.project, region=Span(100, 150), looping=True)
    assert band.plan().loop is None


def grown(band: Band, path: str, frames: np.ndarray, *filled: Span, lane: str = "voice", start: int = 2000):
    return (Growing(lane, Path(path), start, filled, "extracted"), frames)


def test_windows_of_a_stem_join_while_it_plays():
    """Its sound alone: the rest is muted, the stem grows, and is heard from where it is final on."""
    band = humming()
    for name in ("rest", "bass", "keys", "new"):
        band.change(name, muted=True)
    voice = hum(10000, 6)
    desk = Desk(band.plan(growing=[grown(band, "v", voice)]))
    desk.order(playing=True)
    desk.run(2500)
    assert not desk.heard.any()
    for stop in (4000, 7000, 10000):
        desk.order(plan=band.plan(growing=[grown(band, "v", voice, Span(0, stop))]))
        desk.run(1000)
    assert np.array_equal(desk.heard[2500 + FADE : 5500], voice[500 + FADE : 3500])
    assert largest_step(desk.heard) < LARGEST_STEP


def test_a_growing_stem_cancels_in_the_mix():
    band = Band()
    band.change("new", muted=True)
    desk = Desk(band.plan())
    desk.order(playing=True)
    voice = band.sounds["bass"]
    for stop in range(500, 9000, 500):
        desk.order(plan=band.plan(growing=[grown(band, "v", voice, Span(0, stop))]))
        desk.run(500)
    assert np.array_equal(desk.heard, band.sounds["song"][: len(desk.heard)])


def test_a_better_take_replaces_a_draft_in_a_running_loop():
    band = humming()
    band.project = replace(band.project, region=Span(4000, 8000), looping=True)
    band.change("bass", soloed=True)
    desk = Desk(band.plan())
    desk.seek(4000)
    desk.order(playing=True)
    desk.run(5000)
    lane = band.project.lane("bass")
    better = Take(band.audio("better", 9000), MADE)
    band.sounds["better"] = hum(9000, 5.5)
    band.change("bass", parts=(replace(lane.parts[0], takes=(better,)),))
    desk.order(plan=band.plan())
    desk.run(2000)
    assert np.array_equal(desk.heard[5000 + FADE :], band.read("bass")[5000 + FADE : 7000])
    assert largest_step(desk.heard[FADE:]) < LARGEST_STEP


def test_a_seek_is_short_and_smooth():
    band = humming()
    desk = Desk(band.plan())
    desk.order(playing=True)
    desk.run(4000)
    desk.seek(9000)
    desk.run(500)
    assert desk.mixer.position == 9500
    band_alone = played(band.plan())
    assert np.array_equal(desk.heard[4000 + FADE :], band_alone[9000 + FADE : 9500])
    desk.order(playing=False)
    desk.run(500)
    assert desk.mixer.position == 9500 and not desk.heard[4500 + FADE :].any()
    desk.order(playing=True)
    desk.run(500)
    assert desk.mixer.position == 10000
    assert largest_step(desk.heard) < LARGEST_STEP


def test_a_seek_and_a_pause_sound_alike_in_blocks_of_any_size():
    def heard(block):
        desk = Desk(Band().plan())
        for order in ({"playing": True}, {"jump": 1, "place": 9000}, {"playing": False}):
            desk.order(**order)
            for done in range(0, 700, block):
                desk.run(min(block, 700 - done))
        return desk.heard

    for block in (7, 64, 300):  # most are shorter than a fade
        assert np.array_equal(heard(block), heard(700))


def test_the_song_ends_where_it_ends():
    band = Band()
    band.change("new", muted=True)
    desk = Desk(band.plan())
    desk.order(playing=True)
    desk.run(SONG + 1000)
    assert np.array_equal(desk.heard[:SONG], band.sounds["song"]) and not desk.heard[SONG:].any()
    mixer = desk.mixer
    assert (mixer.position, mixer.playing, mixer.ended) == (SONG, False, mixer.order)


orders = st.one_of(
    st.tuples(st.just("seek"), st.integers(0, SONG)),
    st.tuples(st.just("playing"), st.booleans()),
    st.tuples(st.just("loop"), st.tuples(st.integers(0, SONG - 200), st.integers(160, 5000))),
    st.tuples(st.just("unloop"), st.none()),
    st.tuples(st.sampled_from(["bass", "keys", "new", "rest"]), st.sampled_from(["muted", "soloed"])),
    st.tuples(st.just("listen"), st.sampled_from(["song", "stems"])),
    st.tuples(st.just("grow"), st.integers(0, 9000)),
)


@pytest.mark.parametrize("every", [1, 7, 33, 79])
def test_changes_within_a_fade_are_smooth_too(every):
    band = humming()
    band.project = replace(band.project, region=Span(4000, 6000), looping=True)
    desk = Desk(band.plan())
    desk.seek(5000)
    desk.order(playing=True)
    desk.run(900 - every)  # to just before the seam
    for number in range(400 // every):
        if number % 3 == 0:
            desk.seek(4000 + 1103 * number % 12000)
        elif number % 3 == 1:
            band.project = replace(band.project, region=Span(4000, 5990 + number % 30))
        band.change("rest", muted=not band.project.lane("rest").muted)
        band.change("bass", muted=not band.project.lane("bass").muted)
        desk.order(plan=band.plan())
        desk.run(every)
    assert largest_step(desk.heard) < LARGEST_STEP


def test_a_loop_that_changes_within_its_seam():
    band = humming()
    band.sounds["song"] = hum(SONG, 61)  # so that what the seam fades to is far from what it fades from
    for moved in range(0, FADE, 9):
        band.project = replace(band.project, region=Span(4000, 6000), looping=True)
        desk = Desk(band.plan())
        desk.seek(5000)
        desk.order(playing=True)
        desk.run(1000 - FADE + moved)
        band.project = replace(band.project, region=Span(4050, 6000 + moved), looping=moved % 2 == 0)
        desk.order(plan=band.plan())
        desk.run(300)
        assert largest_step(desk.heard) < LARGEST_STEP


@settings(max_examples=60)
@given(st.lists(st.tuples(orders, st.integers(1, 60) | st.integers(1, 900)), min_size=1, max_size=25))
def test_nothing_that_is_asked_for_makes_a_click(steps):
    band, listen, growing = humming(), "stems", []
    desk = Desk(band.plan())
    desk.order(playing=True)
    for (what, value), frames in steps:
        if what == "seek":
            desk.seek(value)
        elif what == "playing":
            desk.order(playing=value)
        else:
            if what == "loop":
                region = Span(value[0], min(sum(value), SONG))
                band.project = replace(band.project, region=region, looping=True)
            elif what == "unloop":
                band.project = replace(band.project, looping=False)
            elif what == "listen":
                listen = value
            elif what == "grow":
                growing = [grown(band, "v", band.sounds["bass"], Span(0, value), start=5000)]
            else:
                band.change(what, **{value: not getattr(band.project.lane(what), value)})
            desk.order(plan=band.plan(listen=listen, growing=growing))
        desk.run(frames)
    assert largest_step(np.concatenate([np.zeros((1, 2)), desk.heard])) < LARGEST_STEP


# ----------------------------------------------------------------------------------------------------- click, meters


def test_beats_click_and_bars_begin_higher():
    band = Band()
    band.project = replace(band.project, tempo=Tempo(bpm=240, downbeat_s=0.25, beats_per_bar=3))
    for name in ("song", "rest", "bass", "keys", "new"):
        band.change(name, muted=True)
    out = played(band.plan(click=True))[:, 0]
    grid = Grid.of(band.project)
    accents = [sample for sample, _, beat in grid.lines(0, SONG, "beat") if beat == 1]
    others = [sample for sample, _, beat in grid.lines(0, SONG, "beat") if beat != 1]
    assert accents[0] == 2000 and len(others) == 5
    peaks = [np.abs(out[sample : sample + 400]).max() for sample in (*accents, *others)]
    assert min(peaks[: len(accents)]) > 1.3 * max(peaks[len(accents) :]) > 0
    for sample in (*accents, *others):
        assert out[sample] == 0 and np.abs(out[sample + 1 : sample + 10]).max() > 0.01
        assert np.abs(out[max(0, sample - 50) : sample]).max(initial=0) < 1e-3


def test_the_null_meter_sees_only_the_last_bit():
    band = Band()
    desk = Desk(band.plan())
    desk.order(playing=True)
    desk.run(SONG)
    left, right, null = desk.mixer.take_peaks()
    assert left == pytest.approx(np.abs(desk.heard[:, 0]).max())
    assert right == pytest.approx(np.abs(desk.heard[:, 1]).max())
    assert 0 < null < 2**-23
    assert desk.mixer.take_peaks() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("sample", [1e9, np.nan])
def test_what_would_hurt_one_ear_reaches_neither(side, sample):
    band = Band()
    band.sounds["song"][500, side] = sample
    desk = Desk(band.plan())
    desk.order(playing=True)
    assert np.abs(desk.run(4000)).max() < 10
    assert max(desk.mixer.take_peaks()[:2]) < 10


def test_a_damaged_stem_shows_on_the_null_meter_and_is_not_sent_to_the_ears():
    band = Band()
    band.sounds["bass"][500] = np.nan
    band.change("bass", gain_db=-3.0)
    desk = Desk(band.plan())
    desk.order(playing=True)
    out = desk.run(4000)
    assert np.isfinite(out).all()
    assert desk.mixer.take_peaks()[2] == float("inf")


def test_a_lane_that_cannot_be_read_is_silent_and_says_why():
    band = Band()

    def view(audio: Audio) -> np.ndarray:
        if audio.id == "bass":
            raise AudioError("bass.wav is cut off.")
        return band.view(audio)

    plan = make_plan(band.project, view)
    assert len(plan.voices) == 3 and plan.problems == ("“bass” cannot be heard: bass.wav is cut off.",)
    assert make_plan(Project(), band.view).voices == ()


@pytest.mark.parametrize("name", ["song", "bass"])
def test_audio_that_comes_from_elsewhere_is_heard_from_there(name):
    """Silence stood in for it; then a backup copy of the project is opened, or the file is made anew."""
    band = Band()
    sounds = band.sounds[name]
    band.sounds[name] = np.broadcast_to(np.float32(0), sounds.shape)
    silent = band.plan()
    band.sounds[name] = sounds
    plan = band.plan(old=silent)
    assert [plan.voices[n].source is silent.voices[n].source for n in (0, 1, 2, 3)].count(False) == 1
    for soloed in ("bass", "rest"):
        band.change(soloed, soloed=True)
        assert np.array_equal(played(band.plan(old=silent)), band.read(soloed))
        band.change(soloed, soloed=False)


def test_sources_are_made_once():
    band = Band()
    first = band.plan()
    band.change("bass", gain_db=-3.0)
    second = band.plan(old=first)
    assert [a.source is b.source for a, b in zip(first.voices, second.voices, strict=True)] == [True] * 4


# ------------------------------------------------------------------------------------------------- in the callback


def busy_desk() -> tuple[Desk, list[Plan]]:
    """Everything at once: faded and folded clips, gains on their way, a loop, a click."""
    band = Band(channels=6)
    band.change("bass", gain_db=-3.0, pan=0.3)
    band.project = replace(band.project, region=Span(900, 5000), looping=True)
    desk = Desk(band.plan(click=True))
    desk.order(playing=True)
    growing = [grown(band, "v", band.sounds["bass"], Span(0, 900))]
    plans = [band.plan(click=True), band.plan(listen="song"), band.plan(growing=growing)]
    return desk, plans


def test_the_callback_allocates_no_sample_buffers():
    desk, plans = busy_desk()
    out = np.zeros((1 << 13, 2), np.float32)  # 64 KiB
    desk.mixer.render(out)
    tracemalloc.start()
    try:
        desk.mixer.render(out)
        for number in range(30):
            desk.order(plan=plans[number % 3], jump=number // 7, place=number * 31)
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            desk.mixer.render(out)
            # A block of 250 frames in two channels takes 2000 bytes as float32.
            assert tracemalloc.get_traced_memory()[1] - before < 16_000
        held = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
        assert sum(trace.size for trace in held.traces) < 4_000
    finally:
        tracemalloc.stop()


def test_that_test_sees_a_buffer():
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        np.ones((1 << 13, 2), np.float32)
        assert tracemalloc.get_traced_memory()[1] - before > 60_000
    finally:
        tracemalloc.stop()


LOCKS = (_thread.LockType, _thread.RLock, threading.Condition, threading.Event, threading.Semaphore)
FOREIGN = ("acquire", "release", "wait", "notify", "emit", "put", "print", "write", "warn", "open", "sleep")


def calls_of(function) -> set[str]:
    """Names of all Python and C functions that `function` calls; those of a lock are prefixed."""
    called = set()

    def watch(frame, event, argument):
        if event == "call":
            called.add(frame.f_code.co_name)
        elif event == "c_call":
            of_lock = isinstance(getattr(argument, "__self__", None), LOCKS)
            called.add(("lock." if of_lock else "") + argument.__name__)

    sys.setprofile(watch)
    try:
        function()
    finally:
        sys.setprofile(None)
    return called


def test_the_callback_takes_no_lock_and_tells_nobody():
    desk, plans = busy_desk()
    out = np.zeros((512, 2), np.float32)

    def many():
        for number in range(2000):
            if number % 20 == 0:
                desk.order(plan=plans[number % 3], jump=number // 100, place=number * 7)
            desk.mixer.render(out)

    called = calls_of(many)
    assert "render" in called and not {name for name in called if name in FOREIGN or name.startswith("lock.")}
    lock = threading.Lock()
    assert "lock.__enter__" in calls_of(lambda: lock.__enter__()) and "acquire" in {*FOREIGN}


def test_the_callback_keeps_the_interpreter_to_its_end():
    """numpy lets go of it during long operations; another thread would then run, and the callback wait for it."""
    (desk, _), counted, stop = busy_desk(), [0], []

    def count():
        while not stop:
            counted[0] += 1

    out = np.zeros((4096, 2), np.float32)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.5)
    thread = threading.Thread(target=count)
    thread.start()
    try:
        seen = []
        for _ in range(8):
            before = counted[0]
            desk.mixer.render(out)
            seen.append(counted[0] - before)
    finally:
        stop.append(True)
        sys.setswitchinterval(interval)
        thread.join()
    assert seen.count(0) >= 6  # it may be asked once for its turn, after half a second
