"""The window: widgets that show a session and say what the user wants. They never reach the model or the sound card."""
