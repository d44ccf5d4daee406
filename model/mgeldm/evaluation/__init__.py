"""What the model reaches: extraction, text, imputation, generation, and speed, beside baselines, a peer and oracles."""
