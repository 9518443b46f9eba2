"""Pre-training objectives, one module each, all on the packed batch."""
