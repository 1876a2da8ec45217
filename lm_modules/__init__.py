"""Language models: data, networks, objectives, training, export, evaluation. Knows nothing of orchestration."""
