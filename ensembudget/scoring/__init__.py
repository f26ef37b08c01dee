"""How good members and ensembles are, from logits alone; arrays are (member, sample, class)."""
