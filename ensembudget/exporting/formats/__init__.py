"""One format a file: how an ensemble is written and read."""
