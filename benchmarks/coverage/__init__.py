"""Simulated worlds whose truth is known, one topic a file, and the table of what was seen in each."""
