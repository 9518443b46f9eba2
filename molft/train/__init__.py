"""Everything that holds an optimiser: plans, losses, fine-tuning, pre-training."""
