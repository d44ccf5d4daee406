"""Sizes of models that tests build."""

from mgeldm.config import DenoiserConfig, ModelConfig, OobleckConfig

TINY = ModelConfig(
    name="tiny",
    rate_hz=16000,
    window_frames=12,
    autoencoder=OobleckConfig(channels=4, latent_channels=8),
    denoiser=DenoiserConfig(latent_channels=8, width=96, depth=2, heads=3, condition_dim=48, timestep_features=32),
)
