"""MGE-LDM Desktop, the application above the `mgeldm` library."""
