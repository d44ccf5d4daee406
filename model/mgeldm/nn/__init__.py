"""The networks: denoiser, autoencoders."""
