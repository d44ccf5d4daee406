"""The networks: denoiser, autoencoders, refiner."""
