"""Training: LightningModules, optimizers, schedules, checkpoints."""
