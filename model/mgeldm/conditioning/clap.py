"""LAION's CLAP through transformers' `ClapModel`: the text and audio space of the published weights (PAPER: networks).

The network is the same as laion-clap's; the checkpoint's tensors are renamed here. transformers, whose versions 4 and 5
both serve, is imported when the first CLAP model is loaded, and nothing asks the network.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import FAULTS, CheckpointError

RATE_HZ = 48000
LONGEST_S = 10
VOCABULARY = 50265  # of RoBERTa
LONGEST_TOKENS = 77
CHECKPOINT = "music_audioset_epoch_15_esc_90.14.pt"
TOKENIZER_FILES = ("vocab.json", "merges.txt")

# HTSAT-base without fusion, as in LAION's music checkpoints.
AUDIO_CONFIG = {
    "patch_embeds_hidden_size": 128,
    "hidden_size": 1024,
    "depths": [2, 2, 12, 2],
    "num_attention_heads": [4, 8, 16, 32],
}
TEXT_CONFIG = {"vocab_size": VOCABULARY}

# What laion-clap calls a tensor, and what transformers does.
_NAMES = (
    (r"^text_branch\.", "text_model."),
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"^(text|audio)_projection\.0\.", r"\1_projection.linear1."),
    (r"^(text|audio)_projection\.2\.", r"\1_projection.linear2."),
    (r"\.bn0\.", ".batch_norm."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.", ".attention.self."),
)
# Spectrogram tables, classification heads, and transforms that embeddings do not pass.
_UNUSED = re.compile(
    r"spectrogram_extractor|logmel_extractor|tscam_conv|audio_branch\.head\.|(text|audio)_transform\.|attn_mask$"
    r"|position_ids$|logit_scale"
)
# What transformers computes by itself, or embeddings do not pass.
_COMPUTED = re.compile(r"position_ids|token_type_ids|logit_scale|relative_position_index")


class ClapConditioner:
    """Text and audio to unit vectors of 512 dimensions.

    Args:
        network: transformers' `ClapModel`.
        tokenizer: RoBERTa's, as `read_tokenizer` gives it.
    """

    audio_input: Literal["mel", "audio"] = "audio"
    dimensions = 512

    def __init__(self, network: Any, tokenizer: Any):
        self.network, self.tokenizer = network.eval(), tokenizer
        self._texts: dict[str, Tensor] = {}
        from transformers import ClapFeatureExtractor

        self.features = ClapFeatureExtractor(
            feature_size=64, sampling_rate=RATE_HZ, hop_length=480, max_length_s=LONGEST_S, fft_window_size=1024,
            frequency_min=50, frequency_max=14000, truncation="rand_trunc", padding="repeatpad",
        )  # fmt: skip

    @classmethod
    def load(cls, folder: str | Path) -> ClapConditioner:
        """Read a folder with LAION's checkpoint (a .pt file) and RoBERTa's vocab.json and merges.txt.

        Raises:
            CheckpointError: A file is missing, damaged or foreign, or transformers is not installed.
        """
        folder = Path(folder)
        missing = [name for name in TOKENIZER_FILES if not (folder / name).is_file()]
        checkpoints = sorted(folder.glob("*.pt")) if folder.is_dir() else []
        if missing or not checkpoints:
            wanted = missing[0] if missing else CHECKPOINT
            first, second = TOKENIZER_FILES
            raise CheckpointError(
                "{folder} lacks {wanted}; CLAP needs LAION's {checkpoint} and the {first} and {second} of RoBERTa-base "
                "in one folder.",
                folder=folder,
                wanted=wanted,
                checkpoint=CHECKPOINT,
                first=first,
                second=second,
            )
        tokenizer = read_tokenizer(folder)
        if len(tokenizer) != VOCABULARY:
            raise CheckpointError(
                "{folder} holds a vocabulary of {pieces} pieces; RoBERTa has {vocabulary}.",
                folder=folder,
                pieces=len(tokenizer),
                vocabulary=VOCABULARY,
            )
        return cls(read_network(checkpoints[0]), tokenizer)

    def embed_prompt(self, texts: list[str]) -> Tensor:
        """The words' own vectors, as in the paper: [batch, 512]."""
        return self.embed_text(texts)

    def knows(self, texts: list[str]) -> Tensor:
        """None: it was taught captions, no classes."""
        return torch.zeros(len(texts), dtype=torch.bool)

    @torch.inference_mode()
    def embed_text(self, texts: list[str]) -> Tensor:
        """Unit vectors of the texts [batch, 512], remembered."""
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if new:
            length = {"padding": "max_length", "truncation": True, "max_length": LONGEST_TOKENS}
            tokens = self.tokenizer(new, **length, return_tensors="pt")
            found = _pooled(self.network.get_text_features(**tokens))
            self._texts |= dict(zip(new, nn.functional.normalize(found, dim=-1), strict=True))
        return torch.stack([self._texts[text] for text in texts])

    @torch.inference_mode()
    def embed_audio(self, audio: Tensor) -> Tensor:
        """Unit vectors [batch, 512] of mono sounds at 48 kHz [batch, samples]; the first 10 s are heard."""
        audio = audio[:, : LONGEST_S * RATE_HZ]
        quantised = (audio.clamp(-1, 1) * 32767).to(torch.int16).float() / 32767  # as laion-clap hears files
        found = self.features(list(quantised.numpy()), sampling_rate=RATE_HZ, return_tensors="pt")
        heard = _pooled(self.network.get_audio_features(input_features=found["input_features"]))
        return nn.functional.normalize(heard, dim=-1)


def _pooled(found: Any) -> Tensor:
    """The vectors among a network's outputs; of transformers 4 they are all it gives."""
    return getattr(found, "pooler_output", found)


def read_tokenizer(folder: Path) -> Any:
    """RoBERTa's tokenizer with the vocabulary and merges of a folder.

    transformers' own class takes them by other names in version 5, and makes up a tiny vocabulary where it sees none.

    Raises:
        CheckpointError: A file is damaged, or transformers is not installed.
    """
    try:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise CheckpointError("CLAP needs the package transformers; install mgeldm-desktop[clap].") from error
    vocabulary, merges = (str(folder / name) for name in TOKENIZER_FILES)
    try:
        backend = Tokenizer(models.BPE.from_file(vocabulary, merges))
    except Exception as error:  # tokenizers has no type of its own
        raise CheckpointError(
            "{file} is damaged ({why}); fetch it again.", file=" / ".join(TOKENIZER_FILES), why=error
        ) from error
    begin, end = (backend.token_to_id(token) or 0 for token in ("<s>", "</s>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.RobertaProcessing(("</s>", end), ("<s>", begin), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", sep_token="</s>", cls_token="<s>",
        unk_token="<unk>", pad_token="<pad>", mask_token=AddedToken("<mask>", lstrip=True),
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def read_network(path: Path) -> Any:
    """transformers' `ClapModel` with the weights of LAION's checkpoint.

    Raises:
        CheckpointError: The file is damaged, foreign, or holds code.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "{file} holds more than tensors and was not opened; use {checkpoint}.",
            file=path.name,
            checkpoint=CHECKPOINT,
        ) from error
    except FAULTS as error:
        raise CheckpointError("{file} is damaged ({why}); fetch it again.", file=path.name, why=error) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    network = build_network()
    if why := _misfit(network, state):
        raise CheckpointError(
            "{file} is no CLAP of LAION's music kind ({why}); use {checkpoint}.",
            file=path.name,
            why=why,
            checkpoint=CHECKPOINT,
        )
    return network


def _misfit(network: Any, state: dict[Any, Any]) -> str:
    """Fill a network with laion-clap's tensors; says what does not fit, if anything."""
    try:
        tensors = renamed({name.removeprefix("module."): value for name, value in state.items()})
        lacking, extra = network.load_state_dict(tensors, strict=False)
    except FAULTS as error:  # a CLAP of other sizes, say
        return " ".join(str(error).split())[:200]
    wrong = [name for name in lacking if not _COMPUTED.search(name)] or extra
    return wrong[0] if wrong else ""


def build_network(audio: dict[str, Any] | None = None, text: dict[str, Any] | None = None) -> Any:
    """An untrained `ClapModel`, of LAION's sizes unless told otherwise."""
    from transformers import ClapConfig, ClapModel

    return ClapModel(ClapConfig(text_config=text or TEXT_CONFIG, audio_config=audio or AUDIO_CONFIG))


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """laion-clap's tensors under transformers' names; joined query, key and value come apart."""
    tensors = {}
    for name, value in state.items():
        if _UNUSED.search(name):
            continue
        for pattern, ours in _NAMES:
            if not (name.startswith("text_model.") and ".attn." in pattern):
                name = re.sub(pattern, ours, name)
        if ".qkv." in name:
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                tensors[name.replace(".qkv.", f".{part}.")] = piece
        else:
            tensors[name] = value
    return tensors
