"""Translations by trained ensembles: greedy and beam search, scored by BLEU and chrF."""
