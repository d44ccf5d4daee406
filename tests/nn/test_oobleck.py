import torch
from mgeldm.config import OobleckConfig
from mgeldm.nn.bottleneck import kl, posterior
from mgeldm.nn.oobleck import OobleckAutoencoder


@torch.no_grad()
def test_encoder_bottleneck_and_decoder_are_the_published_ones(published, vectors, agree):
    encoded = published.autoencoder.encoder(vectors["audio"])
    agree(encoded, vectors["encoder_output"])
    mean, stdev = posterior(encoded)
    agree(mean, vectors["latent_mean"])
    agree(kl(mean, stdev)[None], vectors["kl"])
    agree(published.autoencoder.encode(vectors["audio"]), vectors["latent_mean"])
    agree(published.autoencoder.decode(vectors["latent_mean"]), vectors["decoded"])


@torch.no_grad()
def test_any_sizes_keep_the_length():
    autoencoder = OobleckAutoencoder(OobleckConfig(channels=2, multiples=(1, 2), strides=(2, 6), latent_channels=5))
    latents = autoencoder.encode(torch.randn(2, 1, 12 * 7))
    assert latents.shape == (2, 5, 7)
    assert autoencoder.decode(latents).shape == (2, 1, 12 * 7)
