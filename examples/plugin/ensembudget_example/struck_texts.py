"""Texts of `word_dropout`, read as those of `text_classification`: nothing is struck out of them."""

from ensembudget.exporting.inputs.text_classification import TextInputs

inputs = TextInputs
