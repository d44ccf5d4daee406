from dataclasses import replace

import numpy as np
import pytest
import torch
from mgeldm.bundled import WORD_TABLE
from mgeldm.conditioning.embedded import EmbeddedConditioner, WordTable
from mgeldm.config import EMBEDDED
from mgeldm.data import corpus
from mgeldm.data.captions import CAPTIONS, VAGUE, kin
from mgeldm.data.latents import Encoder
from mgeldm.nn.dit import Denoiser
from mgeldm.nn.spectral import SpectralAutoencoder
from mgeldm.tracks import Track
from mgeldm.training.denoiser import DenoiserRecipe, Items
from mgeldm.training.text_audio import TextAudioRecipe
from torch.nn import functional

SMALL = replace(EMBEDDED.denoiser, width=96, depth=1, heads=3)


@pytest.fixture(scope="module")
def pool():
    stems = corpus.render_song(3, [], 13.0).stems
    return Encoder(absent=0.5).encode(stems, CAPTIONS, np.random.default_rng(0))


def conditioner():
    torch.manual_seed(0)
    return EmbeddedConditioner(WordTable.load(WORD_TABLE))


def denoiser_recipe(pool, **options):
    spectral = SpectralAutoencoder(EMBEDDED.autoencoder)
    spectral.fit(torch.from_numpy(pool.mixtures).float())
    return DenoiserRecipe(Denoiser(SMALL), spectral, conditioner(), pool, batch=4, **options)


def test_the_denoiser_recipe_learns(pool):
    recipe, rng = denoiser_recipe(pool), np.random.default_rng(0)
    optimiser = torch.optim.AdamW(recipe.model.parameters(), 2e-3)
    losses = []
    for _ in range(14):
        loss, scalars = recipe.loss(rng)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert set(scalars) == {"diffusion", "regression", "log_ratio", "excess", "compressed"}
    assert all(isinstance(value, torch.Tensor) for value in scalars.values())  # nobody waited for them
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    for parameter in recipe.model.blocks.parameters():
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())


def test_half_of_what_is_extracted_plays_among_strangers_that_lack_its_kind(pool):
    recipe, rows = denoiser_recipe(pool), np.arange(len(pool))
    recipe.extraction = len(pool) - 6
    items, before = recipe._as_they_lie(rows), recipe._stacked(rows)
    moved = recipe._move(items, rows, np.random.default_rng(0))
    assert 0.2 < moved[:-6].mean() < 0.8 and not moved[-6:].any()
    changed = (items.mels != before).flatten(2).any(2)  # [items, tracks]
    assert not changed[:, Track.MIXTURE].any() and not changed[~moved].any()
    for row in np.flatnonzero(moved):
        rest = items.mels[row, Track.SUBMIXTURE].half().numpy()
        assert any(pool.can_join(row, other, rest=is_rest) for other, is_rest in played_in(pool, rest))


def played_in(pool, mel):
    """Rows of which this is the mixture (False) or the rest (True)."""
    return [
        (other, is_rest)
        for is_rest, tracks in ((False, pool.mixtures), (True, pool.rests))
        for other in np.flatnonzero((tracks == mel).all((1, 2)))
    ]


def test_new_parts_are_never_silence_nor_strangers_to_what_they_play_with(pool):
    kinds, counts = np.unique(pool.labels[pool.plain & ~np.isin(pool.labels, [*VAGUE])], return_counts=True)
    lacking = np.flatnonzero(pool.plain & (pool.labels == kinds[counts.argmax()]))[0]
    parts = np.where(np.arange(len(pool)) == lacking, "", pool.parts)
    mixed = replace(pool, parts=parts, strange=np.arange(len(pool)) % 3 == 0)
    recipe, rng = denoiser_recipe(mixed), np.random.default_rng(0)
    recipe.batch, recipe.extraction = 4000, 2000
    rows = recipe._draw(rng)
    assert mixed.absent(rows[:2000]).any() and mixed.strange[rows[:2000]].any()
    assert not mixed.absent(rows[2000:]).any() and not mixed.strange[rows[2000:]].any()


def test_among_strangers_no_source_is_fainter_than_in_songs(pool, monkeypatch):
    recipe, rows = denoiser_recipe(pool), np.tile(np.arange(len(pool)), 12)
    recipe.extraction = len(rows)
    recipe.tracks = (*recipe.tracks[:2], recipe.tracks[2] * 0.5)  # 20 dB softer
    moved = recipe._move(recipe._as_they_lie(rows), rows, np.random.default_rng(0))
    monkeypatch.setattr(recipe, "_move", lambda *_: moved)
    items = recipe._items(rows, np.random.default_rng(1))
    ratio_db = recipe._ratio_db(items.mels[:, Track.SOURCE], items.mels[:, Track.SUBMIXTURE]).numpy()
    sounds = (ratio_db > -40) & ~items.silent
    assert (ratio_db[~moved & sounds] < -20).any() and (moved & sounds).any()
    assert (ratio_db[moved & sounds] > -14.5).all()


def test_faint_sources_are_drawn_less_often(pool):
    heard = np.flatnonzero(pool.chances() * ~pool.absent(np.arange(len(pool))))
    faint = heard[::2]
    sources = pool.sources.copy()
    sources[faint] *= 0.3  # 35 dB softer
    recipe = denoiser_recipe(replace(pool, sources=sources))
    is_faint = recipe._levels_db()[heard] < -18
    assert is_faint[::2].all() and not is_faint.all()
    share = np.diff(recipe.chances, prepend=0)[heard] / pool.chances()[heard]
    assert share / share.max() == pytest.approx(np.where(is_faint, 0.3, 1))


def test_what_sums_several_stems_stays_among_its_own(pool):
    """Of "everything but the drums" the strangers would be a part too."""
    union = replace(pool, parts=np.array(["bass|piano"] * len(pool)))
    recipe, rows = denoiser_recipe(union), np.arange(len(pool))
    recipe.extraction = len(rows)
    assert not recipe._move(recipe._as_they_lie(rows), rows, np.random.default_rng(0)).any()


def test_some_sources_among_strangers_are_left_out_where_a_phrase_names_them_and_nothing_there(pool):
    recipe, rows = denoiser_recipe(pool), np.tile(np.flatnonzero(~pool.absent(np.arange(len(pool)))), 12)
    recipe.extraction = len(rows)
    items, before = recipe._as_they_lie(rows), recipe._stacked(rows)
    moved = recipe._move(items, rows, np.random.default_rng(0))
    left_out = (items.mels != before)[:, Track.SOURCE].any((1, 2))
    assert bool((items.mels[left_out, Track.SOURCE] == recipe.silence).all())
    assert left_out.numpy().tolist() == items.silent.tolist()
    assert 0 < items.silent[moved].mean() < 0.4 and not items.silent[~moved].any()
    for item in np.flatnonzero(items.silent):
        assert pool.labels[rows[item]] not in VAGUE
        rest = items.mels[item, Track.SUBMIXTURE].half().numpy()
        heard = [pool.heard(other, is_rest) for other, is_rest in played_in(pool, rest)]
        assert any(not kin(pool.labels[rows[item]], label) for labels in heard for label in labels) or [] in heard
        assert items.phrases[item] and set(items.phrases[item]) <= set(recipe.conditions.phrases[rows[item]])


def test_scores_are_by_class(pool):
    scores = denoiser_recipe(pool).score(np.arange(len(pool)))
    assert set(scores) <= set(pool.labels.tolist())
    assert all(0 <= share <= 1 for _, share in scores.values())


def test_held_out_triplets_are_scored_and_shown(pool):
    recipe = denoiser_recipe(pool, held=pool)
    figures = recipe.scores(most=6)
    assert np.isfinite(figures["held_sdr_db"])
    assert 0 <= figures["held_worse_than_silence"] <= 1
    with torch.no_grad():
        shown = recipe.sketch(np.random.default_rng(0), items=1)
    kinds = sorted(part.ndim for part in shown.values())
    assert kinds == [1, 1, 1, 2, 2, 2]  # taken, wanted and mixture, as sound and as spectrogram


def test_without_held_out_triplets_nothing_is_scored(pool):
    assert denoiser_recipe(pool).scores() == {}


def test_losses_hold_in_mixed_precision(pool):
    torch.manual_seed(0)
    recipe = denoiser_recipe(pool, held=pool)
    torch.manual_seed(1)
    whole, _ = recipe.loss(np.random.default_rng(0))
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = recipe.loss(np.random.default_rng(0))
    mixed.backward()
    assert mixed.dtype == torch.float32
    assert abs(float(mixed.detach()) / float(whole.detach()) - 1) < 0.02
    assert all(p.grad.dtype == torch.float32 for p in recipe.model.parameters() if p.grad is not None)
    assert np.isfinite(recipe.scores(most=2)["held_sdr_db"])  # what was embedded for training serves here too


@pytest.mark.parametrize("level", [1.0, 0.1])
def test_an_error_larger_than_the_source_counts_most_however_quiet_the_source(pool, level):
    """`excess` of taking the whole mixture is the same for a source at any level below it; silence costs log10(2)."""
    recipe = denoiser_recipe(pool)
    rest = torch.rand(1, 128, 128) + 0.5
    source = rest * level
    mels = recipe.spectral.compress(torch.stack((rest + source, rest, source), 1))
    taken = {"all": torch.ones(1, 128, 128), "nothing": torch.zeros(1, 128, 128)}
    losses = {}
    for name, mask in taken.items():
        recipe._masked = lambda mels, *_, mask=mask: (
            recipe.spectral.expand(mels[:, 0]) * mask,
            recipe.spectral.expand(mels[:, 2]),
            recipe.spectral.expand(mels[:, 0]),
        )
        losses[name] = float(recipe._mask_losses(mels, torch.zeros(1, 3, 64, 32))["excess"])
    assert losses["nothing"] == pytest.approx(np.log10(2), abs=0.12)
    assert losses["all"] == pytest.approx(np.log10(1 + 1 / level**2), abs=0.2)


def test_what_is_taken_for_an_absent_source_counts_down_to_35_db(pool):
    recipe = denoiser_recipe(pool)
    rest = torch.rand(1, 128, 128) + 0.5
    mels = recipe.spectral.compress(torch.stack((rest, rest, torch.zeros_like(rest)), 1))
    losses = []
    for taken_db in (-20, -28, -36, -60):
        gain = 10 ** (taken_db / 20)
        recipe._masked = lambda mels, *_, gain=gain: (rest * gain, torch.zeros_like(rest), rest)
        losses.append(float(recipe._mask_losses(mels, torch.zeros(1, 3, 64, 32))["excess"]))
    assert losses == pytest.approx([1.54, 0.81, 0.27, 0.001], abs=0.03)


def test_sounds_condition_as_the_tower_hears_them_in_use(pool):
    recipe, rows = denoiser_recipe(pool), np.arange(8) % len(pool)
    items = recipe._as_they_lie(rows)
    given = recipe.conditions.draw(items, 0, np.random.default_rng(0))[:, Track.MIXTURE]
    kept = given.abs().amax(1) > 0
    assert kept.any()
    heard = recipe.conditions.conditioner.embed_audio(items.mels[:, Track.MIXTURE])
    torch.testing.assert_close(given[kept], heard[kept])


def test_each_phrase_of_an_item_asks_for_it_and_the_plainest_most_often(pool, monkeypatch):
    recipe = denoiser_recipe(pool)
    conditioner, phrases = recipe.conditions.conditioner, recipe.conditions.phrases
    row = max(range(len(pool)), key=lambda i: len(phrases[i]))
    assert phrases == [str(captions).split("|") for captions in pool.captions]
    rows = np.full(400 * len(phrases[row]), row)
    mels, labels = torch.zeros(len(rows), 3, 1, 1), np.full(len(rows), "other")  # whose sounds ask for nothing
    items = Items(mels, [phrases[i] for i in rows], labels, np.ones(len(rows), bool))
    conditioner.embed_audio = lambda mels: torch.zeros(len(mels), 512)
    with monkeypatch.context() as patched:
        patched.setattr(conditioner, "embed_text", None)  # all phrases were embedded before
        asked = recipe.conditions.draw(items, len(rows), np.random.default_rng(0))[:, Track.SOURCE]
    texts = conditioner.embed_text(phrases[row])
    same = (texts @ texts.T) > 1 - 1e-5  # an untrained tower hears no order: "lead synth" is "synth lead"
    counts = same.float() @ torch.bincount((asked @ texts.T).argmax(1), minlength=len(texts)).float()
    shares = np.diff(np.sqrt(np.linspace(0, 1, len(texts) + 1)))  # of chances squared
    expected = same.float() @ torch.from_numpy(shares).float() * len(rows)
    assert counts.tolist() == pytest.approx(expected.tolist(), rel=0.25)
    assert float(counts[0]) > 2 * float(counts.min()) > 0


def test_sources_are_asked_for_as_in_use_by_words_and_by_sounds(pool):
    """Sounds ask for what is not there as for what is: else the network would find whatever a sound asks for."""
    recipe = denoiser_recipe(pool)
    conditions, conditioner = recipe.conditions, recipe.conditions.conditioner
    alone = np.flatnonzero((pool.parts == pool.labels) & ~np.isin(pool.labels, list(VAGUE)))
    row = next(row for row in alone if (pool.labels[alone] == pool.labels[row]).sum() > 1)
    items = recipe._as_they_lie(np.full(600, row))
    items.phrases, items.silent = [items.phrases[0][:1]] * 600, np.arange(600) % 2 == 0
    conditions.prompts = -conditions.texts  # told from the words
    asked = conditions._asked(items, np.random.default_rng(0))
    text = conditioner.embed_text(list(items.phrases[0]))
    as_in_use, words = (torch.isclose(asked, way * text, atol=1e-5).all(1).numpy() for way in (-1, 1))
    assert 0.4 < as_in_use.mean() < 0.6 and 0.1 < words.mean() < 0.3
    kin = alone[pool.labels[alone] == pool.labels[row]]
    heard = conditioner.embed_audio(torch.from_numpy(pool.sources[kin]).float()) - text
    left = functional.normalize((asked - text)[~as_in_use & ~words], dim=1)
    nearness, nearest = (left @ functional.normalize(heard, dim=1).T).max(1)
    assert nearness.min() > 0.999
    is_own, silent = kin[nearest.numpy()] == row, items.silent[~as_in_use & ~words]
    assert 0.3 < is_own[~silent].mean() < 0.95 and is_own[silent].mean() < 0.8
    assert set(kin[nearest.numpy()[silent]]) == set(kin)


def test_what_no_other_sounds_like_is_asked_for_by_words_where_it_is_silent(pool):
    union = replace(pool, labels=np.array(["rhythm section"] * len(pool)))
    recipe = denoiser_recipe(union)
    items = recipe._as_they_lie(np.arange(len(pool)))
    items.silent[:] = True
    asked = recipe.conditions._asked(items, np.random.default_rng(0))
    said = recipe.conditions.texts
    assert bool((asked @ said.T).amax(1).isclose(torch.ones(len(asked)), atol=1e-5).all())


def test_items_are_drawn_by_their_chances(pool):
    recipe = denoiser_recipe(pool)
    recipe.batch = recipe.extraction = 40_000
    counts = np.bincount(recipe._draw(np.random.default_rng(0)), minlength=len(pool))
    weights = np.where(recipe._levels_db() < -18, 0.3, 1.0)
    assert counts / 40_000 == pytest.approx(pool.chances(weights), abs=0.01)


def test_the_text_audio_recipe_runs(pool):
    recipe = TextAudioRecipe(conditioner(), pool, batch=6)
    loss, _ = recipe.loss(np.random.default_rng(0))
    loss.backward()
    assert float(loss.detach()) > 0
