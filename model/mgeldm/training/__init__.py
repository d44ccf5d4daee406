"""Training: one loop (`loop.py`) and a recipe a file. Needs the `train` extra only for what a recipe says."""
