"""Speed as ratios, both sides in one run."""
