"""Sentences out of trained members: greedy and beam search of an ensemble, BLEU and chrF."""
