"""Answers from a finished model: stock Hugging Face directories, loaded with transformers and nothing of ours."""
