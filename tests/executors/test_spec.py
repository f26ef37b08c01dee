"""An executor's options are read from its name, checked, and handed to it."""

import pytest

from ensembudget.errors import ArgumentError, EnsembudgetError, PlanError, UnknownPartError
from ensembudget.executors._base import Executor
from ensembudget.executors._spec import executor_of


@pytest.fixture
def asked(plug_in):
    """What an executor with four options was called with."""
    calls = []

    def execute(jobs, workers, on_epoch, **options):
        calls.append(options)
        return iter(())

    def places(device, workers, threads, **options):
        calls.append(options)
        return []

    defaults = {"address": "", "gpus": 1.0, "retries": 3, "shared": True}
    plug_in("executors", "far", executor=Executor(execute, places, options=defaults))
    return calls


def test_options_reach_both_functions_over_their_defaults(asked):
    part = executor_of("far:address=10.0.0.7:6379,gpus=0.25,shared=no")
    list(part.execute([], 1, None))
    part.places("cpu", None, None)
    assert asked == [{"address": "10.0.0.7:6379", "gpus": 0.25, "retries": 3, "shared": False}] * 2


@pytest.mark.parametrize("spec", ["far", "far:"])
def test_without_options_the_defaults_are_handed_over(asked, spec):
    list(executor_of(spec).execute([], 1, None))
    assert asked == [{"address": "", "gpus": 1.0, "retries": 3, "shared": True}]


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("fra", UnknownPartError, "fra"),
        ("far:gpu=1", PlanError, "executor 'far' has no option 'gpu'. Did you mean 'gpus'?"),
        ("far:gpus", ArgumentError, "cannot be read at 'gpus'"),
        ("far:gpus=1,gpus=2", ArgumentError, "Write each option once"),
        ("far:gpus=half", ArgumentError, "must be a number; the default is 1.0"),
        ("far:retries=0.5", ArgumentError, "must be a whole number"),
        ("far:shared=maybe", ArgumentError, "must be yes or no"),
        ("serial:x=1", PlanError, "Known: none"),
    ],
)
def test_what_cannot_be_is_refused(asked, spec, error, message):
    with pytest.raises(error) as refused:
        executor_of(spec)
    assert message in str(refused.value)
    assert isinstance(refused.value, EnsembudgetError)
