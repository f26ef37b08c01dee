"""On a fixed memory budget: one wide network, or an ensemble of several thinner ones?

The verbs, in the order of the work: `load_study`, `plan_study`, `tune` (where a study has `tune`; then plan
again, with the store), `arrange` (how members are stepped here; `run` calls it where nobody did),
`estimate` (how long that takes), `run`, `probe` (where a study has `probes`), `status`, `evaluate`,
`analyse`, `report`. Before there is a study: `look` and `propose`. Without study or store: `load_data` or
`data_of`, `train_member`, `train_pool`, `compare_splits`, `plot_splits`. On their own: `split` finds the
width that spends a budget, `score_pool` and `calibrated_nll` score logits, `fit_points` fits a law.
To publish it: `bundle`; to check what somebody published: `verify`, `verify_all`, `results_of_bundle`.
To ship one: `choose_export`, `export`, and `load`, which reads what was exported.
Before members are paid for: `read_plane` or `study_plane`, `fit_plane`, `plane_budget`, `predict`;
and `space_of`, `Policy`, `TrainingSource`, `search`. Along data sizes: `study_curves`, `judged_ranks`,
`forecast`. `import ensembudget.timm` makes the families known to timm.

The names are listed in `__init__.pyi` and imported when they are first used.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
