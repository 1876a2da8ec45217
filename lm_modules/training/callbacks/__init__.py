"""What happens beside the steps of training: validation, checkpoints, progress, an orderly stop."""
