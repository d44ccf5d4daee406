"""The app without a window: what a project is, what a user can do to it, what is heard. No Qt, no torch, no sound card."""
