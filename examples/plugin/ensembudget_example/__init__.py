"""One part of every kind, a file each."""
