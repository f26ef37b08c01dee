"""From a study to the runs that it needs."""
