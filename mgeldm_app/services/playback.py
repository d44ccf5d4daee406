"""Playing a project through a sound card, or through a silent clock while there is none.

Four threads, and no lock between them: the window's gives orders by assigning one reference; the device's (or the
clock's) mixes; one reads audio ahead; and the keeper opens and closes devices, since that can take long, and notices
when one vanishes or the song ends.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, sleep
from typing import Literal

from mgeldm.audio import map_wav
from mgeldm.errors import MgeldmError
from mgeldm.language import say

from mgeldm_app.core.clips import Frames
from mgeldm_app.core.events import Event
from mgeldm_app.core.mixer import Mixer
from mgeldm_app.core.ports import Growing, Levels, OutputStatus
from mgeldm_app.core.project import Project
from mgeldm_app.core.voices import Listen, Plan, View, make_plan

from .devices import DeviceError, Devices, OpenDevice, PortAudioDevices
from .pumps import Pump, SilentClock, Stamps
from .read_ahead import ReadAhead

Latency = Literal["low", "safe"]
LATENCY_S: dict[Latency, float] = {"low": 0.04, "safe": 0.12}

POLL_S = 0.05
RETRY_S = 2.0  # between looks for a device while there is none
STANDSTILL_S = 2.5  # a device that asks for nothing for so long is gone; waking up takes some of them two seconds
DRY_S, DRY_TIMES = 2.0, 10  # a device that runs dry so often within that time gets more latency
FADING_LOOKS, FADING_LOOK_S = 15, 0.01  # how often, and how far apart, to look whether a device that is left has faded
CLOSING_S = 2.0  # how long closing a device may hold up the keeper
TURN_S = 0.001
"""How long a thread may hold the interpreter while another waits: the callback cannot afford the usual 5 ms."""


@dataclass(frozen=True)
class _Wish:
    """What the keeper should bring about: this mixer through that device; a new look for devices if `scans` rose."""

    mixer: Mixer | None = None
    device: str = ""
    latency: Latency = "safe"
    scans: int = 0


class SoundPlayer:
    """See `ports.Player`. Its methods are for the GUI thread.

    Args:
        view: Samples of a clip of the project that is shown (`ClipStore.view`).
        post: Runs a function on the GUI thread, soon.
        devices: The sound system; PortAudio's unless given.
        map_file: Samples of a wav file still being filled, and its rate.
    """

    def __init__(
        self,
        view: View,
        post: Callable[[Callable[[], None]], None],
        devices: Devices | None = None,
        map_file: Callable[[Path], tuple[Frames, int]] = map_wav,
    ) -> None:
        self.changed = Event()
        self._view, self._post, self._map_file = view, post, map_file
        self._project, self._growing = Project(), ()  # type: tuple[Project, tuple[Growing, ...]]
        self._listen: Listen = "stems"
        self._click = False
        self._mapped: dict[Path, Frames] = {}
        self._mixer = Mixer(self._project.rate_hz)
        self._stamps = Stamps()
        self._read_ahead = ReadAhead(lambda: self._mixer)
        self._emitting, self._look_due = False, False
        self._keeper = _Keeper(devices or PortAudioDevices(), self._stamps, self._notify)

    # ---------------------------------------------------------------------------------------------------- state

    @property
    def playing(self) -> bool:
        """See `ports.Player`."""
        order = self._mixer.order
        return order.playing and self._mixer.ended is not order

    @property
    def position(self) -> int:
        """See `ports.Player`."""
        order, now_s = self._mixer.order, perf_counter()
        stamp = self._stamps.heard(now_s)
        if stamp is None or stamp.order.jump != order.jump:
            return order.place  # asked for, and not heard yet
        return self._stamps.place(stamp, now_s, self._mixer.rate_hz)

    @property
    def status(self) -> OutputStatus:
        """See `ports.Player`."""
        status = self._keeper.status
        problems = self._mixer.order.plan.problems
        return replace(status, message=" ".join(text for text in (status.message, *problems) if text))

    @property
    def underruns(self) -> int:
        """How often the sound was interrupted because samples came too late."""
        return self._keeper.underruns

    def levels(self) -> Levels:
        """See `ports.Player`."""
        return Levels(*self._mixer.take_peaks())

    def devices(self) -> list[str]:
        """See `ports.Player`. It also looks anew, unless something plays; `changed` tells when the list is another.

        Who asks in answer to `changed` is told what is known, since a look may cause a change; a look that playing did
        not allow is made up for.
        """
        if self.playing:
            self._look_due = True
        elif self._look_due or not self._emitting:
            self._look_due = False
            self._keeper.wish(scans=self._keeper.wished.scans + 1)
        return list(self._keeper.names)

    # --------------------------------------------------------------------------------------------------- orders

    def show(self, project: Project, growing: tuple[Growing, ...] = ()) -> None:
        """See `ports.Player`. Another song stops, and goes to its start."""
        old, self._project, self._growing = self._project, project, growing
        self._mapped = {part.path: frames for part, frames in self._map(growing)}
        if project.song == old.song:
            self._plan()
        else:
            if project.rate_hz != self._mixer.rate_hz or project.song is None:
                self._change_mixer(project.rate_hz)
            self._plan(playing=False, place=0, jump=self._mixer.order.jump + 1)
            self._stamps.clear()
            self._notify()
        needed = self._mixer if self._mixer.order.plan.voices else None
        if needed is not self._keeper.wished.mixer:
            self._keeper.wish(mixer=needed)

    def play(self) -> None:
        """See `ports.Player`. At the song's end it begins anew, in a loop at the loop's start."""
        mixer, order = self._mixer, self._mixer.order
        place = mixer.position if mixer.obeyed.jump == order.jump else order.place
        if place >= order.plan.samples:
            self.seek(order.plan.loop.start if order.plan.loop else 0)
        self._order(playing=True)
        self._notify()

    def pause(self) -> None:
        """See `ports.Player`."""
        self._order(playing=False)
        self._notify()

    def seek(self, sample: int) -> None:
        """See `ports.Player`."""
        place = min(max(sample, 0), self._mixer.order.plan.samples)
        self._order(place=place, jump=self._mixer.order.jump + 1)
        self._notify()

    def listen_to(self, what: Listen) -> None:
        """See `ports.Player`."""
        self._listen = what
        self._plan()

    def set_click(self, on: bool) -> None:
        """See `ports.Player`."""
        self._click = on
        self._plan()

    def set_device(self, name: str, latency: Latency) -> None:
        """See `ports.Player`."""
        self._keeper.wish(device=name, latency=latency)

    def close(self) -> None:
        """End all threads."""
        self._keeper.close()
        self._read_ahead.close()

    # --------------------------------------------------------------------------------------------------- pieces

    def _plan(self, **changes: object) -> None:
        growing = [(part, self._mapped[part.path]) for part in self._growing if part.path in self._mapped]
        old = self._mixer.order.plan
        plan = make_plan(self._project, self._view, growing, self._listen, self._click, old)
        self._order(plan=plan, **changes)
        if plan.problems != old.problems:
            self._notify()

    def _order(self, **changes: object) -> None:
        order = self._mixer.order
        if not self.playing:
            order = replace(order, playing=False)
        self._mixer.order = replace(order, **changes)  # type: ignore[arg-type]
        self._read_ahead.wake()

    def _change_mixer(self, rate_hz: int) -> None:
        """Leave the mixer, and the clips it has mapped, to fade out, and take another."""
        mixer, old = Mixer(rate_hz), self._mixer
        mixer.order = replace(old.order, plan=Plan(rate_hz), playing=False)
        old.order = replace(old.order, playing=False)
        self._mixer = mixer

    def _map(self, growing: Sequence[Growing]) -> list[tuple[Growing, Frames]]:
        """The parts whose files are there; one just finished has another name by now, and stays mapped."""
        found = []
        for part in growing:
            with contextlib.suppress(MgeldmError):
                known = self._mapped.get(part.path)
                found.append((part, self._map_file(part.path)[0] if known is None else known))
        return found

    def _notify(self) -> None:
        self._post(self._emit)

    def _emit(self) -> None:
        self._emitting = True
        self.changed.emit()
        self._emitting = False


class _Keeper:
    """A thread that keeps a device open, or the silent clock running where there is none.

    Args:
        devices: The sound system.
        stamps: For the pumps.
        notify: Called when status, names or the end of the song are news.

    Attributes:
        wished: Assigned by `wish`.
        status: How it stands.
        names: Devices that can play.
        underruns: Of all devices so far.
    """

    def __init__(self, devices: Devices, stamps: Stamps, notify: Callable[[], None]) -> None:
        self.wished = _Wish()
        self.status = OutputStatus("", 0, 0.0)
        self.names: tuple[str, ...] = ()
        self._devices, self._stamps, self._notify = devices, stamps, notify
        self._done = _Wish(scans=-1)  # what was last brought about: nothing, not even the first look for devices
        self._device: OpenDevice | None = None
        self._pump: Pump | None = None
        self._clock: SilentClock | None = None
        self._closing: threading.Thread | None = None
        self._still, self._retry_s, self._past_underruns = 0, 0.0, 0
        self._careful = False  # whether the device did not bear low latency
        self._counted, self._counted_s = 0, 0.0
        self._seen: tuple[object, ...] = ()
        self._wake, self._ending = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="sound devices", daemon=True)
        self._thread.start()

    @property
    def underruns(self) -> int:
        """See the class."""
        pump = self._pump
        return self._past_underruns + (pump.underruns if pump is not None and self._device is not None else 0)

    def wish(self, **changes: object) -> None:
        """Ask for something else."""
        self.wished = replace(self.wished, **changes)  # type: ignore[arg-type]
        self._wake.set()

    def close(self) -> None:
        """End device, clock and thread; a sound system that hangs does not keep the program from ending."""
        self._ending = True
        self._wake.set()
        self._thread.join(2 * CLOSING_S)

    # --------------------------------------------------------------------------------------------------- thread

    def _run(self) -> None:
        sys.setswitchinterval(min(sys.getswitchinterval(), TURN_S))
        while not self._ending:
            try:
                self._tend()
            except Exception as error:  # were this thread to die, the player would stay mute
                self._stop()
                why = repr(error)
                self._play_silently(say("Sound failed ({why}); playing silently. Please report this.", why=why))
            self._wake.wait(POLL_S)
            self._wake.clear()
        self._stop()
        if self._closing is not None:
            self._closing.join(1.0)

    def _tend(self) -> None:
        wish = self.wished
        if wish != self._done:
            self._stop()
            if wish.mixer is not self._done.mixer:
                self._stamps.clear()
            self._done, self._careful = wish, False
            self._scan()
            self._start(wish)
        elif self._device is not None and self._is_gone():
            name = self._device.name
            self._stop()
            self._play_silently(say("“{device}” is gone; playing silently until it is back.", device=name))
        elif self._device is not None and wish.latency == "low" and not self._careful and self._keeps_running_dry():
            self._careful = True
            self._stop()
            self._start(wish)
        elif self._clock is not None and perf_counter() > self._retry_s:
            self._retry(wish)
        self._tell_news(wish)

    def _scan(self) -> None:
        """Look for devices; none is open now, unless one that is gone takes long to close."""
        if self._closing is None or not self._closing.is_alive():
            self._closing = None
            self._devices.scan()
            self.names = self._devices.names

    def _retry(self, wish: _Wish) -> None:
        self._retry_s = perf_counter() + RETRY_S
        self._scan()
        if self.names and self._closing is None:
            self._start(wish)

    def _start(self, wish: _Wish) -> None:
        """Play through the device, or silently and say why."""
        if wish.mixer is None:
            self.status = OutputStatus("", 0, 0.0, self._devices.missing)
            return
        if self._closing is not None and self._closing.is_alive():  # two threads must not use PortAudio at a time
            self._play_silently(say("The last sound device does not close; playing silently until it does."))
            return
        try:
            device, pump = self._open(wish, wish.mixer)
        except DeviceError as error:
            self._play_silently(self.status.message if self._clock else self._reason(wish.device, error))
            return
        if self._clock is not None:
            self._clock.close()
            self._clock = None
        self._device, self._pump, self._still, self._counted, self._counted_s = device, pump, 0, 0, perf_counter()
        try:
            device.start()
        except DeviceError as error:
            self._stop()
            self._play_silently(self._reason(wish.device, error))
            return
        ran_dry = say("“{device}” ran dry at low latency and plays at safe latency now.", device=device.name)
        self.status = OutputStatus(device.name, device.rate_hz, device.latency_s, ran_dry if self._careful else "")

    def _open(self, wish: _Wish, mixer: Mixer) -> tuple[OpenDevice, Pump]:
        pumps: list[Pump] = []

        def fill(out: Frames, ahead_s: float | None, ran_dry: bool) -> None:
            if pumps:
                pumps[0].fill(out, ahead_s, ran_dry)
            else:
                out.fill(0)

        latency_s = LATENCY_S["safe" if self._careful else wish.latency]
        device = self._devices.open(wish.device, mixer.rate_hz, latency_s, fill)
        pump = Pump(mixer, self._stamps, device.rate_hz)
        pump.latency_s = device.latency_s
        pumps.append(pump)
        return device, pump

    def _reason(self, name: str, error: DeviceError) -> str:
        if self._devices.missing:
            return say("{missing} Until then playing is silent.", missing=self._devices.missing)
        if not self.names:
            return say("No sound device was found; playing silently until there is one.")
        return say(
            "{device} cannot be used ({why}); playing silently until it can. The settings list others.",
            device=say("“{name}”", name=name) if name else say("The sound device"),
            why=error,
        )

    def _play_silently(self, message: str) -> None:
        mixer = self._done.mixer
        if mixer is None:
            return
        self._retry_s = perf_counter() + RETRY_S
        self.status = OutputStatus("", mixer.rate_hz, 0.0, message)
        if self._clock is None:
            self._pump = Pump(mixer, self._stamps, mixer.rate_hz)
            self._clock = SilentClock(self._pump, mixer.rate_hz)

    def _stop(self) -> None:
        """No device and no clock asks the mixer any more when this returns."""
        if self._clock is not None:
            self._clock.close()
            self._clock = None
        if self._device is not None and self._pump is not None:
            with contextlib.suppress(Exception):  # whatever a broken device does, it is closed
                self._fade_out(self._device, self._pump)
            self._pump.end()
            self._past_underruns += self._pump.underruns
            # A device that is gone may take long to close, or never come back from it.
            self._closing = threading.Thread(target=self._device.close, name="closing a device", daemon=True)
            self._closing.start()
            self._closing.join(CLOSING_S)
        self._device = self._pump = None

    @staticmethod
    def _fade_out(device: OpenDevice, pump: Pump) -> None:
        """Let what sounds be heard to fade, while the device asks for it: closing drops what it has not played yet."""
        pump.fade_out()
        for _ in range(FADING_LOOKS):
            if perf_counter() >= pump.quiet_s or not device.active:
                return
            sleep(FADING_LOOK_S)

    def _is_gone(self) -> bool:
        """Whether the device has stopped, or asked for nothing for long in spite of three looks."""
        assert self._device is not None and self._pump is not None
        still = perf_counter() - self._pump.called_s > STANDSTILL_S
        self._still = self._still + 1 if still else 0
        return not self._device.active or self._still >= 3

    def _keeps_running_dry(self) -> bool:
        assert self._pump is not None
        many = self._pump.underruns - self._counted >= DRY_TIMES
        if perf_counter() - self._counted_s > DRY_S:
            self._counted, self._counted_s = self._pump.underruns, perf_counter()
        return many

    def _tell_news(self, wish: _Wish) -> None:
        mixer = wish.mixer
        fault = self._pump.fault if self._pump is not None else None
        if fault is not None:
            failed = say("Mixing failed ({why}); please report this.", why=repr(fault))
            self.status = replace(self.status, message=failed)
        seen = (self.status, self.names, mixer and mixer.ended, mixer and mixer.jumps)
        if seen != self._seen:
            self._seen = seen
            self._notify()
