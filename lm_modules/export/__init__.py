"""Folding our checkpoints exactly into stock Hugging Face architectures, and back; one file an architecture."""
