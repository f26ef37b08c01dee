"""One kind of task a file: what a sample is, and how it reaches a network."""
