"""What each split costs, read off the rows of the `memory_split` table."""

from ._base import Column, Table
from ._setting import NAMES, setting_columns
from .memory_split import RATIOS

# Shown where a report is read as one page; memory_split.csv has these columns.
table = Table(
    "costs",
    "What each split costs",
    (
        *setting_columns(),
        Column("budget", "budget", ",d"),
        Column("members", "n", "d"),
        Column("width", "width", "d"),
        Column("parameters_per_member", "parameters each", ",d"),
        Column("parameters_total", "parameters", ",d"),
        Column("bytes_total", "bytes", ",d"),
        Column("flops_per_sample", "FLOP a sample", ",d"),
        Column("activations_per_sample", "activations a sample", ",d"),
        *RATIOS,
    ),
    rules=(
        "All members of a split together, unless a heading says each. FLOP: of one forward pass. Bytes: of"
        " parameters, as they are stored.",
    ),
    summary=(
        *NAMES,
        "budget",
        "members",
        "parameters_total",
        "flops_per_sample",
        "bytes_total",
        "train_step_ratio",
        "inference_1_ratio",
        "inference_128_ratio",
        "peak_memory_ratio",
    ),
)
