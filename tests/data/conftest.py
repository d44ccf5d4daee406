import av
import numpy as np
import pytest
from mgeldm.data import bank


@pytest.fixture(autouse=True)
def no_speakers(monkeypatch):
    """No test has the speech synthesisers of its machine say hundreds of phrases."""
    monkeypatch.setattr(bank, "record", lambda speakers, phrases: (None, list(speakers)))


@pytest.fixture(scope="session")
def write_streams():
    """Writes several sounds as the streams of one container, as MUSDB18 does."""
    return _write_streams


def _write_streams(path, streams, rate_hz=44100):
    """An mp4 of several AAC streams, each of stereo samples [2, n]."""
    with av.open(str(path), "w", format="mp4") as container:
        sources = []
        for samples in streams:
            stream = container.add_stream("aac", rate=rate_hz)
            stream.layout, stream.bit_rate = "stereo", 192_000
            sources.append((stream, samples))
        for stream, samples in sources:
            for start in range(0, samples.shape[1], 1024):
                block = np.ascontiguousarray(samples[:, start : start + 1024], np.float32)
                frame = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
                frame.sample_rate, frame.pts = rate_hz, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
