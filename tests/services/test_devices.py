"""PortAudio's devices, with a module in place of `sounddevice` that has what a computer may have."""

import inspect
import sys
from types import SimpleNamespace

import pytest

from mgeldm_app.services.devices import WASAPI, DeviceError, PortAudioDevices

UNREADABLE = b"Haut-parleurs \xe9"


class PortAudioError(Exception):
    pass


class WasapiSettings:
    def __init__(self, auto_convert=False):
        self.auto_convert = auto_convert


class FakeSoundDevice:
    """Devices are (host API, name or bytes that cannot be decoded, channels, rate).

    As with WASAPI's shared mode, a device takes only its own channels and rate, unless Windows converts.
    """

    PortAudioError, WasapiSettings = PortAudioError, WasapiSettings

    def __init__(self, *devices, default=0):
        self.devices, self.streams, self._initialized = devices, [], 1
        self.apis = list(dict.fromkeys(api for api, *_ in devices))
        self.default = SimpleNamespace(device=(-1, default))
        self.looked = 0

    def _terminate(self):
        self._initialized = 0

    def _initialize(self):
        self._initialized, self.looked = 1, self.looked + 1

    def query_hostapis(self, index=None):
        if index is None:
            return tuple(self.query_hostapis(index) for index in range(len(self.apis)))
        name = self.apis[index]
        members = [number for number, (api, *_) in enumerate(self.devices) if api == name]
        return {"name": name, "devices": members, "default_output_device": members[0]}

    def query_devices(self, index=None):
        if index is None:
            return [self.query_devices(index) for index in range(len(self.devices))]
        api, name, channels, rate_hz = self.devices[index]
        if name is None:
            raise PortAudioError(f"Error querying device {index}")
        if isinstance(name, bytes):
            name = name.decode()
        known = {"name": name, "index": index, "hostapi": self.apis.index(api), "max_output_channels": channels}
        return known | {"default_samplerate": float(rate_hz)}

    def check_output_settings(self, device, channels, dtype, extra_settings=None, samplerate=None):
        _, _, own_channels, own_hz = self.devices[device]
        converts = extra_settings is not None and extra_settings.auto_convert
        if (channels, samplerate) != (own_channels, own_hz) and not converts:
            raise PortAudioError("Error opening OutputStream: Invalid number of channels [PaErrorCode -9998]")

    def OutputStream(self, samplerate, device, channels, dtype, latency, callback, extra_settings=None):
        self.query_devices(device)
        self.check_output_settings(device, channels, dtype, extra_settings, samplerate)
        self.streams.append(SimpleNamespace(latency=latency, channels=channels, extra=extra_settings))
        return self.streams[-1]


@pytest.fixture
def found(monkeypatch):
    def found(*devices, **options):
        sd = FakeSoundDevice(*devices, **options)
        monkeypatch.setitem(sys.modules, "sounddevice", sd)
        made = PortAudioDevices()
        made.scan()
        return made, sd

    return found


def opened(devices, name="", rate_hz=44100):
    return devices.open(name, rate_hz, 0.04, lambda *_: None)


@pytest.mark.parametrize("name", [UNREADABLE, None])
def test_a_device_that_cannot_be_queried_does_not_cost_the_others(found, name):
    devices, _ = found(("ASIO", name, 2, 44100), ("ASIO", "Card", 2, 44100), ("ASIO", "Microphone", 0, 44100))
    assert devices.names == ("Card",)
    assert opened(devices, "Card").name == "Card"


def test_the_default_device_without_a_name_is_refused_in_words(found):
    devices, _ = found(("ASIO", UNREADABLE, 2, 44100), ("ASIO", "Card", 2, 44100))
    with pytest.raises(DeviceError, match="its name cannot be read"):
        opened(devices)


def test_devices_of_several_systems_are_told_apart(found):
    devices, sd = found(("MME", "Card", 2, 44100), (WASAPI, "Card", 2, 48000))
    assert devices.names == ("Card, MME", "Card, Windows WASAPI")
    assert opened(devices).name == "Card, Windows WASAPI"
    assert opened(devices, "Card, MME").name == "Card, MME"
    assert [stream.extra is None for stream in sd.streams] == [False, True]


@pytest.mark.parametrize("channels", [2, 6, 8])
def test_a_shared_device_of_many_channels_takes_two(found, channels):
    """Windows spreads them; the rate is the device's, since `Pump` resamples."""
    devices, sd = found((WASAPI, "Surround", channels, 48000))
    card = opened(devices)
    assert (card.rate_hz, sd.streams[0].channels, sd.streams[0].extra.auto_convert) == (48000, 2, True)


def test_a_library_that_somebody_loaded_before_looks_for_devices_again(found):
    """Else those that were plugged in since would be missing until something is played."""
    _, sd = found(("ASIO", "Card", 2, 44100))
    assert sd.looked == 1


def test_the_sound_library_has_what_is_asked_of_it():
    try:
        import sounddevice
    except Exception:  # as `PortAudioDevices.scan` has it
        pytest.skip("PortAudio is not installed, or does not start")
    assert sounddevice.WasapiSettings(auto_convert=True)
    for function in (sounddevice.OutputStream, sounddevice.check_output_settings):
        assert "extra_settings" in inspect.signature(function).parameters
    assert all("devices" in api for api in sounddevice.query_hostapis())
