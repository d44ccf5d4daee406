"""Measuring extraction: metrics, baselines, and the table that `mgeldm evaluate` prints."""
