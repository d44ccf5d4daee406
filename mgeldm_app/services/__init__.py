"""What runs beside the window: the engine and its process, the sound card, file workers, the model manager."""
