from pathlib import Path

import pytest
import torch
from mgeldm.checkpoint import load_model
from mgeldm.conditioning import sentence
from mgeldm.pipeline import EMBEDDED_PATH, Pipeline
from mgeldm.requests import Extract

MINIATURE = Path(__file__).parents[1] / "vectors" / "unwrapped_DiT.ckpt"


@pytest.mark.parametrize("label", ["bass", "The bass", " a Bass. "])
def test_a_bare_label_becomes_the_papers_sentence(label):
    assert sentence(label) == "The sound of the bass"


@pytest.mark.parametrize("label", ["drums and bass", "electric guitar", "TR-808", "singer's voice"])
def test_a_label_may_have_three_words(label):
    assert sentence(label) == f"The sound of the {label.lower()}"


@pytest.mark.parametrize(
    "text",
    [
        "The sound of the bass",
        "the sound of drums",
        "Vocals track",
        "The vocals stem",
        "Funky upbeat jazz with guitar, saxophone and piano",
        "The synthesizer sounds like a siren",
        "bass, drums",
        "",
    ],
)
def test_free_text_stays_as_it_is(text):
    assert sentence(text) == text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (MINIATURE, ["The sound of the drums", "The sound of the bass", "a slow jazz ballad with brushes"]),
        (EMBEDDED_PATH, ["the drums", "the bass", "a slow jazz ballad with brushes"]),
    ],
)
def test_only_the_published_models_hear_it(path, said, clip):
    class Words:
        audio_input, heard = "audio", []

        def embed_text(self, texts):
            self.heard += texts
            return torch.ones(len(texts), 48)

    words = Words()
    pipeline = Pipeline(load_model(path), words, torch.device("cpu"))
    prompts = ("the drums", "everything but the bass", "a slow jazz ballad with brushes")
    pipeline._latents(clip, Extract(prompts), masks=False)
    assert words.heard == said
