import numpy as np
import pytest
import soundfile
import torch
from mgeldm.config import OobleckConfig, SpectralConfig
from mgeldm.data import corpus
from mgeldm.data.captions import CAPTIONS
from mgeldm.data.latents import Encoder
from mgeldm.data.songs import FileStem, Recording, Song, Stem
from mgeldm.errors import InputError
from mgeldm.nn.oobleck import OobleckAutoencoder
from mgeldm.nn.spectral import SpectralAutoencoder
from mgeldm.training.autoencoder import (
    PAPER_WEIGHTS,
    DecoderRecipe,
    OobleckRecipe,
    Weights,
    folded,
    weight_normed,
)
from mgeldm.training.discriminators import Discriminators
from mgeldm.training.loop import LoopConfig, Run
from mgeldm.training.losses import (
    a_weighting,
    feature_matching,
    fooling,
    mel_loss,
    multi_resolution,
    stft_loss,
    telling_apart,
)
from mgeldm.training.sounds import Recorded, Rendered

SMALL = OobleckConfig(channels=4, multiples=(1, 2, 2), strides=(2, 4, 4), latent_channels=4)


class Tones:
    """A few sums of sines: sounds that a tiny network can learn at once."""

    def __init__(self, rate_hz=16000):
        self.rate_hz = rate_hz

    def draw(self, rng, count, samples, channels=1):
        time = np.arange(samples) / self.rate_hz
        hz = rng.choice([220, 330, 440], (count, channels, 1))
        return (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    stems = corpus.render_song(3, [], 7.0).stems
    pool = Encoder(absent=0.0).encode(stems, CAPTIONS, np.random.default_rng(0))
    spectral = SpectralAutoencoder(SpectralConfig(decoder_width=16, decoder_depth=1))
    spectral.fit(torch.from_numpy(pool.mixtures).float())
    return spectral


def oobleck_recipe(sounds=None, config=SMALL, **options):
    torch.manual_seed(0)
    model = weight_normed(OobleckAutoencoder(config))
    critic = Discriminators((256, 128), width=4, channels=config.audio_channels)
    return OobleckRecipe(model, sounds or Tones(), batch=2, samples=2048, critic=critic, **options)


def test_oobleck_learns_against_its_critic(tmp_path):
    recipe = oobleck_recipe()
    run = Run(recipe, LoopConfig(minutes=1e9, learning_rate=3e-3, warmup_steps=1, betas=(0.8, 0.99)), tmp_path)
    figures = [run._update() for _ in range(24)]
    assert set(figures[0]) == {"loss", "stft", "kl", "adversarial", "features", "critic"}
    assert np.mean([f["stft"] for f in figures[-5:]]) < 0.9 * np.mean([f["stft"] for f in figures[:5]])
    assert np.mean([f["critic"] for f in figures[-5:]]) < figures[0]["critic"]  # it tells real from made


def test_oobleck_of_two_channels_runs_in_mixed_precision():
    recipe = oobleck_recipe(config=OobleckConfig(4, (1, 2), (2, 4), 4, audio_channels=2))
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = recipe.loss(np.random.default_rng(0))
        judged = recipe.critic_loss()
    (loss + judged).backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in recipe.model.parameters())


def test_the_critic_learns_only_from_its_own_loss():
    recipe = oobleck_recipe()
    loss, _ = recipe.loss(np.random.default_rng(0))
    loss.backward()
    assert all(p.grad is None for p in recipe.critic.parameters())
    assert all(p.grad is not None for p in recipe.model.parameters())
    before = [p.grad.clone() for p in recipe.model.parameters()]
    recipe.critic_loss().backward()
    assert all(p.grad is not None for p in recipe.critic.parameters())
    assert all(torch.equal(a, p.grad) for a, p in zip(before, recipe.model.parameters(), strict=True))


def test_folded_weights_are_the_same_model():
    torch.manual_seed(0)
    model = weight_normed(OobleckAutoencoder(SMALL))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    plain = OobleckAutoencoder(SMALL)
    plain.load_state_dict(folded(model.state_dict()))
    audio = torch.randn(1, 1, 512)
    assert torch.allclose(model.decode(model.encode(audio)), plain.decode(plain.encode(audio)), atol=1e-5)


def test_the_decoder_learns_against_a_critic(fitted, tmp_path):
    torch.manual_seed(0)
    fitted.decoder.requires_grad_(True)
    weights = Weights(stft=1.0, mel=1.0, adversarial=0.1, features=1.0)
    critic = Discriminators((512,), width=2)
    recipe = DecoderRecipe(fitted, Tones(44100), batch=1, crop_frames=3, weights=weights, critic=critic)
    run = Run(recipe, LoopConfig(minutes=1e9, learning_rate=5e-3, warmup_steps=1), tmp_path)
    figures = [run._update() for _ in range(20)]
    assert set(figures[0]) == {"loss", "stft", "mel", "adversarial", "features", "critic"}
    assert np.mean([f["mel"] for f in figures[-5:]]) < 0.8 * np.mean([f["mel"] for f in figures[:5]])
    sketch = recipe.sketch(np.random.default_rng(0), items=2)
    names = [f"{number}/{name}" for number in (0, 1) for name in ("made", "wanted")]
    assert {name for name, part in sketch.items() if part.ndim == 1} == set(names)
    assert {name for name, part in sketch.items() if part.ndim == 2} == {f"{name} spectrogram" for name in names}


def test_a_sketch_shows_each_sound_as_it_is_in_bins_and_frames():
    recipe = oobleck_recipe(sounds=Tones(), config=OobleckConfig(4, (1, 2), (2, 4), 4, audio_channels=2))
    with torch.no_grad():
        sketch = recipe.sketch(np.random.default_rng(0), items=1)
    hz = np.fft.rfftfreq(len(sketch["0/wanted"]), 1 / 16000)[np.abs(np.fft.rfft(sketch["0/wanted"])).argmax()]
    picture = sketch["0/wanted spectrogram"]
    assert picture.shape[0] == 513 and float(picture.min()) > 0
    assert float(picture.mean(1).argmax()) * 16000 / 1024 == pytest.approx(hz, abs=16)


@pytest.mark.parametrize("samples", [2050, 1024])
def test_crops_that_oobleck_cannot_take_are_said(samples):
    model = weight_normed(OobleckAutoencoder(SMALL))
    with pytest.raises(InputError, match=f"samples is {samples}; give a multiple of 32, and more than 1024"):
        OobleckRecipe(model, Tones(), batch=1, samples=samples)
    recipe = OobleckRecipe(model, Tones(), batch=1, samples=1056)
    assert bool(torch.isfinite(recipe.loss(np.random.default_rng(0))[0]))
    with pytest.raises(InputError, match="more than 2048"):
        OobleckRecipe(model, Tones(), batch=1, samples=2048, critic=Discriminators((4096,), width=2))


def test_crops_that_the_decoder_cannot_take_are_said(fitted):
    with pytest.raises(InputError, match="crop_frames is 1, too short to be judged; give 2 or more"):
        DecoderRecipe(fitted, Tones(44100), batch=1, crop_frames=1)
    loss, _ = DecoderRecipe(fitted, Tones(44100), batch=1, crop_frames=2).loss(np.random.default_rng(0))
    assert bool(torch.isfinite(loss))


def test_equal_sounds_have_no_loss():
    audio = torch.randn(2, 4000)
    assert float(stft_loss(audio, audio, 256)) == 0
    assert float(stft_loss(audio * 0.5, audio, 256)) > 0.5
    assert float(multi_resolution(audio, audio, (512, 128), 16000)) == 0
    assert float(mel_loss(audio, audio, 16000)) == 0
    assert float(mel_loss(audio * 0.1, audio, 16000)) == pytest.approx(1.0, abs=0.01)  # log10


def test_a_weighting_is_that_of_the_standard():
    """IEC 61672, table 3: 0 dB at 1 kHz, -19.1 at 100 Hz, +1.0 at 4 kHz, -2.5 at 10 kHz."""
    gain_db = 20 * torch.log10(a_weighting(48000, 48000))
    for hz, db in ((100, -19.1), (1000, 0.0), (4000, 1.0), (10000, -2.5)):
        assert float(gain_db[hz]) == pytest.approx(db, abs=0.15)


def test_an_error_that_is_heard_counts_more():
    time = torch.arange(16000) / 16000
    music = torch.sin(2 * torch.pi * 500 * time)[None]
    low, high = (music + 0.3 * torch.sin(2 * torch.pi * hz * time)[None] for hz in (40, 3000))
    plain = float(multi_resolution(low, music, (2048,)) / multi_resolution(high, music, (2048,)))
    heard = float(multi_resolution(low, music, (2048,), 16000) / multi_resolution(high, music, (2048,), 16000))
    assert heard < 0.5 * plain


def test_marks_are_the_hinge_game():
    real, made = [torch.tensor([2.0, 1.0])], [torch.tensor([-1.0, -3.0])]
    assert float(telling_apart(real, made)) == 0
    assert float(telling_apart(made, real)) == pytest.approx(3.0 + 2.5)
    assert float(fooling(made)) == 2.0


def test_features_match_relative_to_their_size():
    real = [[torch.ones(2, 3), 10 * torch.ones(2)]]
    made = [[torch.ones(2, 3) * 1.5, 5 * torch.ones(2)]]
    assert float(feature_matching(real, real)) == 0
    assert float(feature_matching(real, made)) == pytest.approx(0.5)


def test_rendered_crops_follow_from_their_numbers():
    sounds = Rendered(songs=2)
    one, other = (sounds.draw(np.random.default_rng(3), 2, 8000) for _ in range(2))
    assert one.shape == (2, 1, 8000)
    assert np.array_equal(one, other)
    assert np.sqrt(np.square(one).mean((1, 2))).min() > 1e-3


def test_songs_made_by_other_processes_are_the_same():
    ahead, later = Rendered(songs=1, rate_hz=16000), Rendered(songs=1, rate_hz=16000)
    ahead.prepare(workers=1)
    assert np.array_equal(ahead._made[0], later.song(0))


def test_recorded_crops_are_resampled_pieces_that_sound():
    time = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 441 * time).astype(np.float32)
    song = Song([Stem("bass", ["bass"], np.stack([tone, tone])), Stem("drums", ["drums"], np.zeros((2, 44100), "f4"))])
    crops = Recorded([song], rate_hz=22050).draw(np.random.default_rng(0), 6, 4410, channels=2)
    assert crops.shape == (6, 2, 4410)
    assert np.sqrt(np.square(crops).mean((1, 2))).min() > 0.1
    spectrum = np.abs(np.fft.rfft(crops[0, 0] * np.hanning(4410)))
    assert spectrum.argmax() == pytest.approx(441 * 4410 / 22050, abs=1)


def songs_in_files(folder, count=3):
    """Songs of one stem each, the first of whose files is cut in half."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        path = folder / f"song {number}.flac"
        soundfile.write(path, rng.uniform(-0.5, 0.5, (44100, 2)), 44100)
        stem = FileStem("bass", ["bass"], (Recording(path),))
        found.append(Song([stem], name=path.stem))
    whole = (folder / "song 0.flac").read_bytes()
    (folder / "song 0.flac").write_bytes(whole[: len(whole) // 2])
    return found


def test_a_damaged_song_is_left_out_and_said_once(tmp_path, capsys):
    songs = songs_in_files(tmp_path)
    drawn = [Recorded(songs).draw(np.random.default_rng(5), 24, 4410)]
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "song 0 is left out where it cannot be read: song 0.flac" in told
    drawn.append(Recorded(songs).draw(np.random.default_rng(5), 24, 4410))
    assert np.array_equal(*drawn)  # so a run goes on exactly
    assert np.sqrt(np.square(drawn[0]).mean((1, 2))).min() > 0.1


def test_songs_none_of_which_can_be_read_are_said(tmp_path, capsys):
    songs = songs_in_files(tmp_path, 2)
    for number in (0, 1):
        (tmp_path / f"song {number}.flac").unlink()
    with pytest.raises(InputError, match=r"100 pieces in a row could not be read.*song .\.flac.*folders of `sets`"):
        Recorded(songs).draw(np.random.default_rng(0), 2, 4410)
    assert capsys.readouterr().err.count("is left out") == 2


def test_crops_longer_than_rendered_songs_are_said():
    with pytest.raises(InputError, match="longer than the songs, of 12 s"):
        Rendered(songs=1).draw(np.random.default_rng(0), 1, 13 * 44100)


def test_no_songs_are_an_error_for_people():
    with pytest.raises(InputError, match="no songs"):
        Recorded([])


def test_the_papers_weights():
    assert (PAPER_WEIGHTS.adversarial, PAPER_WEIGHTS.features, PAPER_WEIGHTS.kl) == (0.12, 5.0, 1e-4)
