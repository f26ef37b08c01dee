"""The (members, width) plane: what a prediction of the best split starts from."""

from ._base import Column, Table

table = Table(
    "plane",
    "The plane of members and widths",
    (
        Column("members"),
        Column("width"),
        Column("parameters"),  # of one member
        Column("cnll"),
        Column("stderr"),  # of the mean, over fresh members; none where no width has two
        Column("groups", get="ensembles"),
        Column("nll"),
        Column("accuracy"),
        Column("arm", get=lambda cell: cell.setting.label or None, optional=True),
    ),
    records=lambda analysis: analysis.plane,
    csv_only=True,
)
