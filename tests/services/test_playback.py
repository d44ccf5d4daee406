"""The player against a sound system whose devices ask for sound when the test says so, come and go."""

import _thread
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mgeldm.audio import map_wav

from mgeldm_app.core.clips import ClipStore
from mgeldm_app.core.mixer import Mixer, Order
from mgeldm_app.core.ports import Growing, Player
from mgeldm_app.core.project import Audio, Lane, Made, Part, Project, SongFile, Span, Take
from mgeldm_app.core.voices import Plan, make_plan
from mgeldm_app.services import playback
from mgeldm_app.services.devices import DeviceError, PortAudioDevices
from mgeldm_app.services.playback import SoundPlayer
from mgeldm_app.services.pumps import Pump, Stamp, Stamps
from mgeldm_app.services.read_ahead import ReadAhead, chunks_ahead

RATE_HZ, SONG = 8000, 16000
MADE = Made("extract", "bass")


class FakeDevice:
    def __init__(self, name, rate_hz, channels, fill):
        self.name, self.rate_hz, self.channels, self.latency_s = name, rate_hz, channels, 0.0
        self.active, self.started, self.closed, self._fill = True, False, False, fill

    def start(self):
        self.started = True

    def close(self):
        self.closed, self.active = True, False

    def ask(self, frames, ran_dry=False, ahead_s=0.0):
        out = np.full((frames, self.channels), np.nan, np.float32)
        self._fill(out, ahead_s, ran_dry)
        return out


class FakeDevices:
    """`there` maps the names of connected devices to (rate or None for any, channels)."""

    def __init__(self, **there):
        self.there, self.names, self.missing, self.scans = there, (), "", 0
        self.opened, self.asked_s = [], []

    def scan(self):
        assert not [device for device in self.opened if not device.closed], "a scan ends every open stream"
        self.scans += 1
        self.names = tuple(self.there)

    def open(self, name, rate_hz, latency_s, fill):
        assert not [device for device in self.opened if not device.closed], "another thread is still closing one"
        name = name or next(iter(self.names), "")
        if name not in self.names:
            raise DeviceError("it is not connected")
        own_hz, channels = self.there[name]
        self.asked_s.append(latency_s)
        self.opened.append(FakeDevice(name, own_hz or rate_hz, channels, fill))
        return self.opened[-1]


def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait for another thread to bring something about."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.002)


@pytest.fixture
def store(tmp_path) -> ClipStore:
    return ClipStore(tmp_path / "audio")


def clip(store: ClipStore, samples: int, rate_hz: int = RATE_HZ, seed: int = 1) -> Audio:
    path = store.begin(rate_hz, 2, samples)
    frames, _ = map_wav(path, writable=True)
    frames[:] = 0.2 * np.random.default_rng(seed).standard_normal((samples, 2))
    return store.adopt(path)


@pytest.fixture
def project(store) -> Project:
    project = Project(SongFile(clip(store, SONG), "song"))
    bass = Lane("bass", "extracted", "Bass", parts=(Part(4000, (Take(clip(store, 8000, seed=2), MADE),)),))
    return project.with_lane(bass)


@pytest.fixture
def make(store, monkeypatch) -> Iterator[Callable[..., SoundPlayer]]:
    monkeypatch.setattr(playback, "POLL_S", 0.005)
    monkeypatch.setattr(playback, "RETRY_S", 0.02)
    monkeypatch.setattr(playback, "STANDSTILL_S", 0.05)
    players = []

    def make(devices) -> SoundPlayer:
        players.append(SoundPlayer(store.view, lambda function: function(), devices))
        return players[-1]

    yield make
    for player in players:
        player.close()
    assert not [t for t in threading.enumerate() if t.name in ("sound devices", "read ahead", "silent clock")]


def opened(player: SoundPlayer, devices: FakeDevices, number: int = 1) -> FakeDevice:
    until(lambda: len(devices.opened) >= number and devices.opened[-1].started)
    return devices.opened[-1]


@pytest.fixture
def steady(monkeypatch):
    """A device may be asked by the test as seldom as it likes."""
    monkeypatch.setattr(playback, "STANDSTILL_S", 1000.0)


@pytest.fixture
def playing(make, project, steady) -> tuple[SoundPlayer, FakeDevices, FakeDevice]:
    devices = FakeDevices(card=(None, 2), other=(None, 2))
    player = make(devices)
    player.show(project)
    return player, devices, opened(player, devices)


def test_it_is_a_player(make):
    player: Player = make(FakeDevices())
    assert not player.playing and player.position == 0


def test_plays_the_song_bit_for_bit(playing, store, project):
    player, _, card = playing
    assert (player.status.device, player.status.rate_hz, player.status.message) == ("card", RATE_HZ, "")
    assert not card.ask(100).any()
    player.play()
    heard = np.concatenate([card.ask(n) for n in (1, 64, 333, 512, 6000)])
    assert np.array_equal(heard, store.view(project.song.audio)[: len(heard)])
    levels = player.levels()
    assert levels.left == pytest.approx(float(np.abs(heard[:, 0]).max()))
    assert 0 < levels.null < 2**-23
    assert player.levels().left == 0
    player.pause()
    assert not player.playing


def test_no_device_is_opened_before_there_is_something_to_play(make, steady):
    devices = FakeDevices(card=(None, 2))
    player = make(devices)
    until(lambda: player.devices() == ["card"])
    player.show(Project())
    until(lambda: devices.scans > 1)
    assert not devices.opened and player.status.device == ""


def test_changed_is_told_through_post(store, project, steady):
    """Whatever thread finds out, listeners are called where `post` calls them."""
    posted, devices, told = [], FakeDevices(card=(None, 2)), []
    player = SoundPlayer(store.view, posted.append, devices)
    try:
        player.changed.connect(lambda: told.append(threading.current_thread()))
        player.show(project)
        card = opened(player, devices)
        player.play()
        card.ask(SONG + 10)
        count = len(posted)
        until(lambda: len(posted) > count)  # the song's end
        assert not player.playing and not told
        for function in posted:
            function()
        assert set(told) == {threading.current_thread()}
    finally:
        player.close()


def test_at_the_end_play_begins_anew(playing):
    player, _, card = playing
    player.play()
    card.ask(SONG + 1)
    card.ask(1)
    assert not player.playing
    until(lambda: player.position == SONG)
    player.play()
    assert player.playing and player.position == 0
    card.ask(100)
    assert player.playing


def test_in_a_loop_it_begins_at_the_loop(playing, project):
    player, _, card = playing
    player.seek(SONG)
    player.show(replace(project, region=Span(2000, 6000), looping=True))
    player.seek(SONG)
    player.play()
    assert player.position == 2000
    card.ask(4500)
    until(lambda: player.position == 2500)


def test_position_is_that_of_what_is_heard(playing, monkeypatch):
    player, _, card = playing
    now = [1000.0]
    monkeypatch.setattr("mgeldm_app.services.pumps.perf_counter", lambda: now[0])
    monkeypatch.setattr("mgeldm_app.services.playback.perf_counter", lambda: now[0])
    player.play()
    for _ in range(4):
        card.ask(800, ahead_s=0.25)  # a tenth of a second each, heard a quarter later
        now[0] += 0.1
    assert player.position == 1200
    now[0] += 0.05
    assert player.position == 1600
    now[0] += 5
    assert player.position == 3200  # no further than what the device was given
    player.seek(9000)
    assert player.position == 9000
    card.ask(800, ahead_s=0.25)
    assert player.position == 9000
    now[0] += 0.35
    assert player.position == 9800


def test_a_seek_is_seen_at_once_and_kept_while_paused(playing):
    player, _, card = playing
    player.seek(5000)
    assert player.position == 5000
    card.ask(100)
    until(lambda: player.position == 5000)
    player.seek(10**9)
    assert player.position == SONG
    player.seek(-5)
    assert player.position == 0


def test_another_song_stops_and_goes_to_its_start(playing, store):
    player, devices, card = playing
    player.play()
    card.ask(3000)
    other = Project(SongFile(clip(store, 9000, rate_hz=11025, seed=5), "other"))
    player.show(other)
    assert not player.playing and player.position == 0
    second = opened(player, devices, 2)
    assert card.closed and second.rate_hz == 11025
    player.play()
    assert np.array_equal(second.ask(9000), store.view(other.song.audio))


def test_a_stem_that_grows_in_a_file_is_heard(playing, store, project, tmp_path):
    player, _, card = playing
    path = store.begin(RATE_HZ, 2, 8000)
    frames, _ = map_wav(path, writable=True)
    solo = replace(Lane("keys", "extracted", "Keys"), soloed=True)
    project = project.with_lane(solo)
    player.show(project, (Growing("keys", path, 0, (), "extracted"),))
    player.play()
    assert not card.ask(1000).any()
    frames[:4000] = 0.25
    player.show(project, (Growing("keys", path, 0, (Span(0, 4000),), "extracted"),))
    assert np.all(card.ask(1000)[80:] == 0.25)
    frames[:] = 0.25
    audio = store.adopt(path)
    player.show(project, (Growing("keys", path, 0, (Span(0, 8000),), "extracted"),))  # renamed, and heard all the same
    assert np.all(card.ask(1000)[80:] == 0.25)
    done = replace(solo, parts=(Part(0, (Take(audio, MADE),)),))
    player.show(project.with_lane(done))
    assert np.abs(card.ask(1000) - 0.25).max() < 1e-7
    player.show(project, (Growing("keys", tmp_path / "none.wav", 0, (Span(0, 9),), "extracted"),))


def test_a_lane_that_cannot_be_read_is_told(playing, store, project):
    player, _, card = playing
    lost = Lane("keys", "extracted", "Keys", parts=(Part(0, (Take(Audio("0" * 64, RATE_HZ, 2, 9), MADE),)),))
    player.show(project.with_lane(lost))
    assert "“Keys” cannot be heard" in player.status.message
    player.play()
    assert card.ask(100).any()
    player.show(project)
    assert player.status.message == ""


# ------------------------------------------------------------------------------------------------ devices come and go


@pytest.mark.parametrize("there", [{}, {"card": (None, 2)}])
@pytest.mark.parametrize("rate_hz", [RATE_HZ, Project().rate_hz])
def test_a_project_that_is_closed_is_let_go_of(make, store, steady, there, rate_hz):
    """Files that are still mapped cannot be removed on Windows."""
    devices, song = FakeDevices(**there), clip(store, SONG, rate_hz)
    player, frames = make(devices), weakref.ref(store.view(song))
    player.show(Project(SongFile(song, "song")))
    player.play()
    if there:
        opened(player, devices).ask(3000)
    until(lambda: player.position > 0)
    player.show(Project())
    until(lambda: all(device.closed for device in devices.opened))
    devices.opened.clear()
    store._look.cache_clear()
    until(lambda: (gc.collect(), frames() is None)[1])


def test_without_a_device_a_silent_clock_plays(make, project):
    player = make(FakeDevices())
    player.show(project)
    until(lambda: player.status.message)
    assert "No sound device" in player.status.message and player.status.device == ""
    player.play()
    until(lambda: player.position > 200)
    until(lambda: player.levels().left > 0)
    player.seek(SONG - 100)
    until(lambda: not player.playing)
    until(lambda: player.position == SONG)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError("PortAudio library not found"), "PortAudio library, which is missing"),
        (RuntimeError("Internal PortAudio error"), "does not start (Internal PortAudio error)"),
    ],
)
def test_without_portaudio_a_silent_clock_plays(make, project, monkeypatch, error, says):
    import builtins

    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "sounddevice":
            raise error
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    player = make(PortAudioDevices())
    player.show(project)
    until(lambda: says in player.status.message)
    player.play()
    until(lambda: player.position > 200)


@pytest.mark.parametrize("how", ["stops", "stands still"])
def test_a_device_that_vanishes_and_comes_back(make, project, how):
    devices = FakeDevices(card=(None, 2))
    player = make(devices)
    player.show(project)
    card = opened(player, devices)
    player.play()
    card.ask(1000)
    del devices.there["card"]
    if how == "stops":
        card.active = False
    until(lambda: player.status.device == "" and player.status.message)
    assert player.status.message == "“card” is gone; playing silently until it is back."
    assert player.playing
    until(lambda: player.position > 1100)
    assert not card.ask(100).any()  # whatever it still asks for
    devices.there["card"] = (None, 2)
    again = opened(player, devices, 2)
    until(lambda: player.status.device == "card")
    assert player.playing and player.status.message == ""
    assert again.ask(500).any()


def test_a_device_that_asked_for_nothing_at_two_looks_stays_open(playing, monkeypatch):
    """As after a moment in which the whole computer stood still."""
    player, devices, card = playing
    until(lambda: player.status.device)
    looks = []

    def clock():
        looks.append(None)
        return time.perf_counter() + (2 * playback.STANDSTILL_S if len(looks) <= 2 else 0.0)

    monkeypatch.setattr(playback, "perf_counter", clock)
    until(lambda: len(looks) > 30)
    assert not card.closed and devices.opened == [card]


def test_a_device_that_never_comes_back_from_closing(make, project, monkeypatch):
    devices = FakeDevices(card=(None, 2))
    player = make(devices)
    player.show(project)
    card = opened(player, devices)
    player.play()
    hanging = threading.Event()
    monkeypatch.setattr(playback, "CLOSING_S", 0.05)
    monkeypatch.setattr(card, "close", lambda: hanging.wait(20) and setattr(card, "closed", True))
    scans = devices.scans
    card.active = False
    until(lambda: player.position > 200)
    assert devices.scans == scans  # a new look would have ended the stream that is being closed
    hanging.set()
    opened(player, devices, 2)


@pytest.mark.parametrize("why", ["another is chosen", "it runs dry"])
def test_while_a_device_is_being_closed_none_is_opened(make, project, monkeypatch, steady, why):
    """PortAudio is not made for two threads; `FakeDevices.open` would fail."""
    devices, hanging = FakeDevices(card=(None, 2), other=(None, 2)), threading.Event()
    player = make(devices)
    player.set_device("card", "low")
    player.show(project)
    card = opened(player, devices)
    until(lambda: player.status.device == "card")
    player.play()
    monkeypatch.setattr(playback, "CLOSING_S", 0.05)
    monkeypatch.setattr(card, "close", lambda: hanging.wait(20) and setattr(card, "closed", True))
    scans = devices.scans
    if why == "another is chosen":
        player.set_device("other", "safe")
    else:
        for _ in range(playback.DRY_TIMES):
            card.ask(10, ran_dry=True)
    until(lambda: player.status.message)
    assert player.status.message == "The last sound device does not close; playing silently until it does."
    until(lambda: player.position > 200)
    assert (devices.scans, len(devices.opened)) == (scans, 1) and player.playing
    hanging.set()
    assert opened(player, devices, 2).name == ("other" if why == "another is chosen" else "card")
    until(lambda: player.status.device)


def test_the_chosen_device_is_waited_for(make, project, steady):
    devices = FakeDevices(card=(None, 2))
    player = make(devices)
    player.set_device("other", "low")
    player.show(project)
    until(lambda: player.status.message)
    assert "“other” cannot be used" in player.status.message and not devices.opened
    devices.there["other"] = (None, 2)
    assert opened(player, devices).name == "other"


def test_the_device_is_changed_while_playing(playing, store, project):
    player, devices, card = playing
    player.play()
    first = card.ask(1000)
    player.set_device("other", "low")
    other = opened(player, devices, 2)
    assert other.name == "other" and card.closed
    second, song = other.ask(1000), store.view(project.song.audio)
    assert np.array_equal(first, song[:1000]) and np.array_equal(second[80:], song[1080:2000])
    assert not second[0].any()  # it begins softly
    until(lambda: player.status.device == "other")


class RunningDevice(FakeDevice):
    """Asks by itself, from a thread of its own, until it is closed; `heard` is what it was given."""

    def start(self):
        self.heard, self.started = [], True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while self.active:
            self.heard.append(self.ask(40)[:, 0])
            time.sleep(0.005)

    def close(self):
        super().close()
        self._thread.join()


@pytest.fixture
def running(make, store, steady, monkeypatch) -> tuple[SoundPlayer, FakeDevices]:
    """A steady level is playing through a card that runs by itself."""
    monkeypatch.setattr(sys.modules[__name__], "FakeDevice", RunningDevice)
    devices = FakeDevices(card=(None, 2), other=(None, 1), slow=(11025, 2))
    player = make(devices)
    player.show(Project(SongFile(level(store, RATE_HZ), "song")))
    opened(player, devices)
    player.play()
    until(lambda: devices.opened[0].heard and devices.opened[0].heard[-1][-1] == 0.5)
    return player, devices


def level(store: ClipStore, rate_hz: int) -> Audio:
    path = store.begin(rate_hz, 2, 20 * rate_hz)
    map_wav(path, writable=True)[0][:] = 0.5
    return store.adopt(path)


def fades_out(device: RunningDevice) -> bool:
    heard = np.concatenate(device.heard)
    heard = heard[np.argmax(heard > 0.4) :]  # a song begins at once
    return heard[-1] == 0 and np.abs(np.diff(heard)).max() < 0.02


@pytest.mark.parametrize("way", ["device", "rate", "closed project", "quit"])
def test_what_plays_ends_without_a_click(running, store, way):
    player, devices = running
    if way == "device":
        player.set_device("other", "safe")
    elif way == "quit":
        player.close()
    else:
        player.pause()  # as the controller does
        player.show(Project(SongFile(level(store, 11025), "other")) if way == "rate" else Project())
    until(lambda: devices.opened[0].closed)
    assert fades_out(devices.opened[0])


@pytest.mark.parametrize("name", ["other", "slow"])
def test_a_device_of_one_channel_or_of_another_rate_fades_too(running, name):
    player, devices = running
    player.set_device(name, "safe")
    second = opened(player, devices, 2)
    until(lambda: second.heard and second.heard[-1][-1] > 0.4)
    player.close()
    assert fades_out(second)


@pytest.mark.parametrize("how", ["inactive", "silent", "broken"])
def test_a_dead_device_holds_up_nobody(playing, monkeypatch, how):
    player, _, card = playing
    player.play()
    card.ask(1000)
    if how == "inactive":
        card.active = False
    elif how == "broken":
        monkeypatch.setattr(FakeDevice, "active", property(lambda self: 1 / 0, lambda self, value: None), raising=False)
    began_s = time.monotonic()
    player.close()
    assert time.monotonic() - began_s < 2.0 and card.closed


def test_a_paused_device_is_left_at_once(playing, monkeypatch):
    player, _, card = playing
    player.play()
    card.ask(1000)
    player.pause()
    card.ask(200)
    time.sleep(0.1)  # until that has been heard
    looks = []
    monkeypatch.setattr(playback, "sleep", looks.append)
    player.close()
    assert card.closed and not looks


def test_a_backup_copy_of_a_project_with_missing_audio_is_heard(make, store, project, tmp_path, steady):
    """Both have the same clips, but silence stands in for one that is missing."""
    broken = ClipStore(tmp_path / "broken")
    store.hand_on(project.audios(), broken.folder)
    broken.stand_in(project.lane("bass").parts[0].take.audio)
    stores, devices = [broken], FakeDevices(card=(None, 2))
    player = make(devices)
    player._view = lambda audio: stores[-1].view(audio)
    project = project.with_lane(replace(project.lane("bass"), soloed=True))
    for here in (broken, store, broken):
        stores.append(here)
        player.show(project)
        player.seek(5000)
        player.play()
        card = opened(player, devices)
        card.ask(200)  # whatever was heard before fades
        bass = here.view(project.lane("bass").parts[0].take.audio)
        assert np.array_equal(card.ask(1000), bass[1200:2200])
        player.pause()
        card.ask(200)


def test_new_devices_are_seen_while_nothing_plays(playing):
    player, devices, card = playing
    player.play()
    card.ask(10)
    devices.there["new"] = (None, 2)
    scans = devices.scans
    assert "new" not in player.devices()
    player.seek(3)
    assert devices.scans == scans  # playing is not disturbed
    player.pause()
    player.devices()
    until(lambda: "new" in player.devices())


def test_a_look_that_playing_did_not_allow_is_made_up_for(playing):
    player, devices, card = playing
    player.play()
    card.ask(10)
    devices.there["new"] = (None, 2)
    lists = []
    player.changed.connect(lambda: lists.append(player.devices()))
    assert player.devices() == ["card", "other"]
    player.pause()  # told of by `changed`, as the song's end is
    until(lambda: lists and lists[-1] == ["card", "other", "new"])


def test_who_asks_for_devices_whenever_something_changed_does_not_look_for_ever(store, project, steady):
    """Each look opens the device anew, and its latency may be another: a change."""
    posted, devices, lists = [], FakeDevices(card=(None, 2)), []

    def ever_later():
        for device in devices.opened:
            device.latency_s = 0.001 * len(devices.opened)
        FakeDevices.scan(devices)

    devices.scan = ever_later
    player = SoundPlayer(store.view, posted.append, devices)

    def obey():
        while posted:
            posted.pop(0)()

    try:
        player.show(project)
        opened(player, devices)
        until(lambda: player.status.device)
        obey()
        player.changed.connect(lambda: lists.append(player.devices()))
        devices.there["new"] = (None, 2)
        scans = devices.scans
        assert player.devices() == ["card"]
        until(lambda: (obey(), lists and lists[-1] == ["card", "new"])[1])
        time.sleep(0.3)
        obey()
        assert devices.scans == scans + 1
    finally:
        player.close()


# -------------------------------------------------------------------------------------------------------- the device


def test_another_rate_is_resampled_as_it_plays(make, project, store, steady):
    tone = np.sin(2 * np.pi * 440 * np.arange(SONG) / RATE_HZ).astype(np.float32)
    path = store.begin(RATE_HZ, 2, SONG)
    map_wav(path, writable=True)[0][:] = tone[:, None]
    project = Project(SongFile(store.adopt(path), "tone"))
    devices = FakeDevices(card=(12000, 2))
    player = make(devices)
    player.show(project)
    card = opened(player, devices)
    player.play()
    heard = np.concatenate([card.ask(n) for n in (100, 7, 1024, 5000, 300) * 3])[:, 0]
    expected = np.sin(2 * np.pi * 440 * np.arange(len(heard)) / 12000)
    assert np.abs(heard - expected)[500:-500].max() < 1e-3  # in time, and whole between buffers
    assert (player.status.rate_hz, player.status.message) == (12000, "")


def test_a_mono_device_hears_both_sides(make, project, store, steady):
    devices = FakeDevices(card=(None, 1))
    player = make(devices)
    player.show(project)
    card = opened(player, devices)
    player.play()
    heard = np.concatenate([card.ask(5000), card.ask(77)])
    assert np.allclose(heard[:, 0], store.view(project.song.audio)[:5077].mean(1), atol=1e-7)


def test_underruns_are_counted(playing):
    player, _, card = playing
    card.ask(100)
    assert player.underruns == 0
    card.ask(100, ran_dry=True)
    assert player.underruns == 1


def test_a_device_that_keeps_running_dry_gets_more_latency(make, project, steady):
    devices = FakeDevices(card=(None, 2))
    player = make(devices)
    player.set_device("card", "low")
    player.show(project)
    until(lambda: devices.opened and devices.opened[-1].started)
    until(lambda: player.status.device == "card")
    card = devices.opened[-1]
    assert devices.asked_s[-1] == playback.LATENCY_S["low"]
    player.play()
    for _ in range(playback.DRY_TIMES):
        heard = card.ask(200, ran_dry=True)  # long: a buffer that takes longer than it lasts counts, too
    until(lambda: "safe latency" in player.status.message)
    assert card.closed and devices.asked_s[-1] == playback.LATENCY_S["safe"] and player.playing
    assert not np.array_equal(devices.opened[-1].ask(200), heard)
    assert player.underruns == playback.DRY_TIMES


def test_a_device_that_runs_dry_now_and_then_keeps_its_latency(make, project, steady, monkeypatch):
    devices = FakeDevices(card=(None, 2))
    player = make(devices)
    player.set_device("card", "low")
    player.show(project)
    until(lambda: player.status.device == "card")
    card, looks, passed_s = devices.opened[-1], [], 0.0

    def clock():
        looks.append(None)
        return time.perf_counter() + passed_s

    monkeypatch.setattr(playback, "perf_counter", clock)
    player.play()
    for _ in range(playback.DRY_TIMES + 1):
        card.ask(200, ran_dry=True)
        passed_s += 1.1 * playback.DRY_S
        seen = len(looks) + 10
        until(lambda: len(looks) > seen)  # noqa: B023 - called before the next turn
    until(lambda: len(looks) > seen + 40)
    assert not card.closed and devices.asked_s == [playback.LATENCY_S["low"]]


def test_a_buffer_that_took_too_long_counts(monkeypatch):
    mixer = Mixer(RATE_HZ)
    pump = Pump(mixer, Stamps(), RATE_HZ)
    now = iter([0.0, 0.5])
    monkeypatch.setattr("mgeldm_app.services.pumps.perf_counter", lambda: next(now))
    pump.fill(np.zeros((800, 2), np.float32), 0.0, False)
    assert pump.underruns == 1


def test_a_fault_in_the_mixer_is_told_and_not_raised(playing, monkeypatch):
    player, _, card = playing

    def broken(out):
        raise RuntimeError("broken")

    monkeypatch.setattr(player._mixer, "render", broken)
    assert not card.ask(100).any()
    until(lambda: "please report" in player.status.message)


def test_the_callback_of_a_device_allocates_nothing(playing, project):
    import tracemalloc

    player, _, card = playing
    player.play()
    out = np.zeros((4096, 2), np.float32)  # 32 KiB
    card._fill(out, None, False)
    tracemalloc.start()
    try:
        for _ in range(20):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            card._fill(out, 0.01, False)
            assert tracemalloc.get_traced_memory()[1] - before < 16_000
    finally:
        tracemalloc.stop()


def test_the_callback_of_a_device_takes_no_lock(playing):
    player, _, card = playing
    player.play()
    locks = (_thread.LockType, _thread.RLock, threading.Condition, threading.Event)
    called, taken = set(), []

    def watch(frame, event, argument):
        if event == "call":
            called.add(frame.f_code.co_name)
        elif event == "c_call":
            called.add(argument.__name__)
            taken.extend([argument] if isinstance(getattr(argument, "__self__", None), locks) else [])

    out = np.zeros((300, 2), np.float32)
    sys.setprofile(watch)
    try:
        for _ in range(1000):
            card._fill(out, 0.01, False)
    finally:
        sys.setprofile(None)
    assert "render" in called and not taken
    assert not called & {"emit", "acquire", "wait", "set", "put", "print", "write", "warn", "open", "sleep"}


# --------------------------------------------------------------------------------------------------- stamps, reading


def test_a_place_in_a_loop_goes_round():
    order = Order(Plan(100, 1000, loop=Span(200, 300)), playing=True)
    stamp = Stamp(0.0, 290, 50, True, order)
    assert [Stamps.place(stamp, s, 100) for s in (-1, 0, 0.05, 0.1, 0.15, 9)] == [290, 290, 295, 200, 205, 240]
    beyond = replace(stamp.order, plan=Plan(100, 310))
    assert Stamps.place(stamp._replace(order=beyond), 9, 100) == 310


def test_what_comes_next_is_read_ahead():
    plan = Plan(1000, 100_000)
    assert list(chunks_ahead(plan, 700, 500)) == [1, 2, 3, 4, 5, 6, 7]
    assert list(chunks_ahead(plan, 99_600, 500)) == [199]
    assert list(chunks_ahead(replace(plan, loop=Span(300, 1200)), 1100, 500)) == [2, 0, 1]
    assert list(chunks_ahead(replace(plan, loop=Span(5000, 9000)), 8000, 500)) == [16, 17, 10, 11, 12, 13]
    assert list(chunks_ahead(replace(plan, loop=Span(300, 1200)), 3000, 500)) == [6, 7, 8, 9, 10, 11]


def test_a_new_loop_is_read_ahead_where_the_mixer_goes_to_it(project, store, monkeypatch):
    read, mixer = [], Mixer(RATE_HZ)
    monkeypatch.setattr(ReadAhead, "_read", lambda _, voice, span: read.append((voice.key[0], span.start)))
    plan = make_plan(project, store.view)
    mixer.order = Order(plan, playing=True)
    mixer.render(np.zeros((100, 2), np.float32))
    mixer.order = replace(mixer.order, plan=replace(plan, loop=Span(12000, SONG)))
    reader = ReadAhead(lambda: mixer)
    until(lambda: len(read) >= 2)
    reader.close()
    assert read == [("song", 12000), ("bass", 12000)]


def test_a_chunk_is_read_once_on_the_way(project, store):
    read = []
    reader = ReadAhead(lambda: None)
    reader.close()
    reader._read = lambda voice, span: read.append((voice.key[0], span.start))
    plan = make_plan(project, store.view)
    reader.touch(plan, 0)
    reader.touch(plan, 10)
    assert read == [(name, n * 4000) for n in range(4) for name in ("song", "bass")]
    reader.touch(plan, 9000)
    reader.touch(plan, 0)
    assert len(read) == 8 + 4


def resident_bytes(path) -> int:
    """How much of a mapped file lies in this process's memory."""
    found, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            found = line.endswith(str(path))
        elif found and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells which pages lie in memory")
def test_pages_are_in_memory_before_they_are_played(store):
    seconds = 60
    song = clip(store, seconds * RATE_HZ)
    fresh = ClipStore(store.folder)
    plan = make_plan(Project(SongFile(song, "song")), fresh.view)
    gc.collect()  # earlier mappings of the file
    before = resident_bytes(store.path(song))
    reader = ReadAhead(lambda: None)
    reader.close()
    reader.touch(plan, 30 * RATE_HZ)
    read = resident_bytes(store.path(song)) - before
    assert 3 * RATE_HZ * 8 <= read < 10 * RATE_HZ * 8


@pytest.mark.parametrize("times", [1, 3])
def test_looks_for_devices_that_fail_cost_neither_clock_nor_sound(make, project, monkeypatch, times):
    """The first of all too, which is made before there is a song."""
    devices, looks = FakeDevices(card=(None, 2)), []

    def scan():
        looks.append(None)
        if len(looks) <= times:
            raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid continuation byte")
        FakeDevices.scan(devices)

    monkeypatch.setattr(devices, "scan", scan)
    said = []
    player = make(devices)
    player.changed.connect(lambda: said.append(player.status.message))
    until(lambda: looks)
    player.show(project)
    player.play()
    assert opened(player, devices).name == "card"
    until(lambda: player.status.device == "card" and player.status.message == "")
    assert player.devices() == ["card"] and player.playing
    assert times == 1 or any("Please report" in message for message in said)


def test_a_sound_system_that_fails_is_told(make, project, monkeypatch):
    devices = FakeDevices(card=(None, 2))

    def fail(*_):
        raise RuntimeError("driver")

    monkeypatch.setattr(devices, "open", fail)
    player = make(devices)
    player.show(project)
    until(lambda: "Please report" in player.status.message)
    player.play()
    until(lambda: player.position > 200)
