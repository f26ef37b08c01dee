"""From a study to the widths, variants and members that it needs."""
