import numpy as np
import pytest

from mgeldm_app.core import spectrum
from mgeldm_app.core.spectrum import BANDS, TILE_COLUMNS, hop_of, tile


def reader(frames):
    def read(start, stop):
        out = np.zeros((stop - start, frames.shape[1]), np.float32)
        first, last = max(start, 0), min(stop, len(frames))
        if last > first:
            out[first - start : last - start] = frames[first:last]
        return out

    return read


def sine(hz, rate_hz, seconds, channels=1):
    wave = np.sin(2 * np.pi * hz * np.arange(round(rate_hz * seconds)) / rate_hz).astype(np.float32)
    return np.repeat(wave[:, None], channels, axis=1)


def band_of(hz, rate_hz):
    highest = min(spectrum.HIGHEST_HZ, 0.49 * rate_hz)
    return (BANDS - 1) * np.log(hz / spectrum.LOWEST_HZ) / np.log(highest / spectrum.LOWEST_HZ)


@pytest.mark.parametrize("rate_hz", [8000, 44100, 96000])
@pytest.mark.parametrize("hz", [110, 440, 3000])
@pytest.mark.parametrize("hop", [64, 512, 4096])
def test_a_tone_lies_in_its_band(rate_hz, hz, hop):
    frames = sine(hz, rate_hz, 3)
    image = tile(reader(frames), rate_hz, hop, 0)
    assert image.shape == (BANDS, TILE_COLUMNS) and image.dtype == np.uint8
    column = image[:, min(TILE_COLUMNS - 1, rate_hz // hop)]
    loud = np.flatnonzero(column == column.max())
    assert abs(loud.mean() - band_of(hz, rate_hz)) <= 4
    assert column.max() == 255


def test_silence_is_black_and_loudness_is_in_decibels():
    frames = sine(1000, 44100, 2)
    assert not tile(reader(frames * 0), 44100, 512, 0).any()
    loud, soft = (tile(reader(frames * gain), 44100, 512, 0)[:, 50].max() for gain in (0.03, 0.003))
    step = 255 * 20 / (spectrum.CEILING_DB - spectrum.FLOOR_DB)
    assert abs((int(loud) - int(soft)) - step) <= 2


def test_neighbours_fit_and_an_onset_is_where_it_is():
    frames = np.zeros((44100 * 12, 2), np.float32)
    onset = TILE_COLUMNS * 512 + 40 * 512
    frames[onset:] = np.random.default_rng(0).standard_normal((len(frames) - onset, 2)) * 0.1
    first, second = (tile(reader(frames), 44100, 512, index) for index in (0, 1))
    assert not first.any()
    energy = second.astype(float).mean(axis=0)
    rise = np.flatnonzero(energy > 0.5 * energy[60:].mean())[0]
    assert abs(rise - 40) <= 4096 // 512


@pytest.mark.parametrize("hop", [64, 8192, 65536])
def test_far_views_agree_with_near_ones(hop):
    frames = sine(440, 8000, 600)
    image = tile(reader(frames), 8000, hop, 0)
    columns = min(TILE_COLUMNS, len(frames) // hop)
    loud = image[:, 1 : columns - 1].argmax(axis=0)
    assert (np.abs(loud - band_of(440, 8000)) <= 4).all()


def test_sound_on_one_side_and_out_of_phase_is_seen():
    tone = sine(440, 44100, 1)
    side = np.concatenate([tone, -tone], axis=1)
    assert tile(reader(side), 44100, 512, 0)[:, 40].max() == 255


def test_not_a_number_is_silence():
    frames = sine(440, 44100, 1)
    frames[20_000] = np.nan
    assert tile(reader(frames), 44100, 512, 0).max() == 255


@pytest.mark.parametrize(("scale", "hop"), [(0.5, 64), (64, 64), (127, 64), (128, 128), (5000, 4096)])
def test_hops_are_the_power_of_two_below(scale, hop):
    assert hop_of(scale) == hop
