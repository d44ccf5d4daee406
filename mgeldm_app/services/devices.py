"""Sound cards through PortAudio. Everything here is called by one thread, since PortAudio is not made for several.

PortAudio makes its list of devices when it is initialised and never again. A new look therefore needs another
initialisation, which ends every open stream: `Devices.scan` may be called only while none is open.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from mgeldm.errors import MgeldmError
from mgeldm.language import say

WASAPI = "Windows WASAPI"

Fill = Callable[[npt.NDArray[np.float32], float | None, bool], None]
"""Called by the device's thread: buffer [frames, channels] to fill; seconds until its first frame is heard, None where
the device does not say; whether the device ran dry before."""


class DeviceError(MgeldmError):
    """A device cannot be used; the text is a reason in a few words."""


class OpenDevice(Protocol):
    """A device that plays.

    Attributes:
        name: For people.
        rate_hz: Its rate, which need not be the one that was asked for.
        latency_s: From the buffer to the ear.
    """

    name: str
    rate_hz: int
    latency_s: float

    @property
    def active(self) -> bool:
        """False once it has stopped by itself."""

    def start(self) -> None:
        """Begin to ask for sound.

        Raises:
            DeviceError: It refuses.
        """

    def close(self) -> None:
        """End. May take its time where the device is gone."""


class Devices(Protocol):
    """What `playback` asks of the sound system.

    Attributes:
        names: Devices that can play.
        missing: Why there can be none at all, for people; "" where sound works.
    """

    names: tuple[str, ...]
    missing: str

    def scan(self) -> None:
        """Look anew. Only while none is open."""

    def open(self, name: str, rate_hz: int, latency_s: float, fill: Fill) -> OpenDevice:
        """Open a device of `names`, or the system's default for "".

        Raises:
            DeviceError: There is none of that name, or it does not open.
        """


class PortAudioDevices:
    """See `Devices`."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.missing = ""
        self._sounddevice: Any = None
        self._index: dict[str, int] = {}

    def scan(self) -> None:
        """See `Devices`."""
        has_looked = "sounddevice" in sys.modules  # it looks for devices once, when it is imported
        try:
            import sounddevice
        except Exception as error:  # OSError without the library; PortAudio's own error if it does not start
            self.missing = _why_missing(error)
            return
        self._sounddevice = sounddevice
        if has_looked:
            with contextlib.suppress(sounddevice.PortAudioError):
                sounddevice._terminate()
        try:
            if not self._sounddevice._initialized:
                self._sounddevice._initialize()
            self._list()
        except self._sounddevice.PortAudioError:
            self.names, self._index = (), {}

    def _list(self) -> None:
        sd = self._sounddevice
        apis = sd.query_hostapis()
        found = []
        for index in (index for api in apis for index in api["devices"]):
            with contextlib.suppress(sd.PortAudioError, UnicodeError):  # a name that cannot be read costs one device
                device = sd.query_devices(index)
                found += [device] if device["max_output_channels"] > 0 else []
        several = len({device["hostapi"] for device in found}) > 1
        self._index = {}
        for device in found:
            name = f"{device['name']}, {apis[device['hostapi']]['name']}" if several else device["name"]
            self._index.setdefault(name, device["index"])
        self.names = tuple(self._index)

    def _default(self) -> int:
        """The system's device; on Windows that of WASAPI, whose delay is short."""
        sd = self._sounddevice
        for api in sd.query_hostapis():
            if api["name"] == WASAPI and api["default_output_device"] >= 0:
                return api["default_output_device"]
        return sd.default.device[1] if sd.default.device[1] >= 0 else sd.query_devices(kind="output")["index"]

    def open(self, name: str, rate_hz: int, latency_s: float, fill: Fill) -> OpenDevice:
        """See `Devices`."""
        if self._sounddevice is None:
            raise DeviceError(self.missing or say("no sound device was found"))
        if name and name not in self._index:
            raise DeviceError("it is not connected")
        sd = self._sounddevice
        try:
            index = self._index[name] if name else self._default()
            info = sd.query_devices(index)
            channels = min(2, info["max_output_channels"])
            shown = next((n for n, i in self._index.items() if i == index), info["name"])
            try:
                sd.check_output_settings(index, channels, "float32", samplerate=rate_hz)
            except sd.PortAudioError:
                rate_hz = round(info["default_samplerate"])
            return _Stream(sd, shown, index, channels, rate_hz, latency_s, fill, self._extra(info["hostapi"]))
        except UnicodeError as error:
            raise DeviceError("its name cannot be read") from error
        except (sd.PortAudioError, ValueError) as error:
            if not self.names:
                raise DeviceError("no sound device was found") from error
            raise DeviceError(_reason(error)) from error

    def _extra(self, api: int) -> Any:
        """Let Windows spread the stream over as many channels as a shared device has: WASAPI takes no other number.

        Rates are not left to it: a stream has the device's where that refuses the song's, and `Pump` resamples well.
        """
        sd = self._sounddevice
        return sd.WasapiSettings(auto_convert=True) if sd.query_hostapis(api)["name"] == WASAPI else None


def _why_missing(error: Exception) -> str:
    if not isinstance(error, OSError):
        return say("The sound system does not start ({why}); start the computer again.", why=error)
    what = say("the package libportaudio2") if sys.platform == "linux" else say("MGE-LDM again")
    return say("Sound needs the PortAudio library, which is missing; install {what} and restart.", what=what)


def _reason(error: Exception) -> str:
    """"Error opening OutputStream: Device unavailable [PaErrorCode -9985]" without what only programmers read."""
    return str(error).splitlines()[0].split(" [PaErrorCode")[0].split(": ", 1)[-1]


class _Stream:
    """An output stream of PortAudio."""

    def __init__(
        self, sd: Any, name: str, index: int, channels: int, rate_hz: int, latency_s: float, fill: Fill, extra: Any
    ) -> None:
        def callback(out: npt.NDArray[np.float32], frames: int, time: Any, status: Any) -> None:
            ahead_s = time.outputBufferDacTime - time.currentTime
            fill(out, ahead_s if 0 < ahead_s < 2 else None, bool(status) and status.output_underflow)

        self._error = sd.PortAudioError
        self._stream = sd.OutputStream(
            rate_hz,
            device=index,
            channels=channels,
            dtype="float32",
            latency=latency_s,
            extra_settings=extra,
            callback=callback,
        )
        self.name, self.rate_hz, self.latency_s = name, rate_hz, float(self._stream.latency)

    @property
    def active(self) -> bool:
        """See `OpenDevice`."""
        try:
            return bool(self._stream.active)
        except self._error:
            return False

    def start(self) -> None:
        """See `OpenDevice`."""
        try:
            self._stream.start()
        except self._error as error:
            raise DeviceError(_reason(error)) from error

    def close(self) -> None:
        """See `OpenDevice`."""
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)
