"""How good a model is, with what certainty, and beside what."""
