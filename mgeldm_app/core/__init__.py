"""The app without a window: what a project is, what can be done to it, what is heard. No Qt, torch or sound card."""
