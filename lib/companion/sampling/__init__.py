"""Which images and targets the papers attack, drawn by chance that is keyed by image."""
