"""A unit's logits and facts, against predictors averaged and compared by hand in double precision."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax

from ensembudget.errors import PlanError
from ensembudget.families._build import member_state
from ensembudget.methods import snapshots
from ensembudget.methods._base import Method
from ensembudget.training.loop import train
from ensembudget.training.units import Tally

from .runs import Watching, images_of, logits_of, network_of, pairs, runs_of, watcher

CYCLES = 3


def cosine(one, other):
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.fixture(scope="module")
def unit(make_cell, digits):
    return train(runs_of(make_cell(epochs=7), "snapshots", (0, 3), predictors=CYCLES), digits)


@pytest.fixture
def states(make_cell, digits, plug_in):
    """Every member's tensors at the ends of the cycles, from the same training watched from outside."""
    seen, recipe = [], make_cell(epochs=7).recipe

    def rate(epoch, factor):
        return snapshots.rate(recipe, {"predictors": CYCLES}, epoch, factor)

    plug_in("methods", "watching", method=watcher(seen, rate))
    train(runs_of(make_cell(epochs=7), "watching", (0, 3)), digits)
    return [[member_state_of(seen[epoch], member) for epoch in (1, 3, 6)] for member in (0, 1)]


def member_state_of(packed, member):
    return {name: one if one.ndim == 0 else one.chunk(2)[member] for name, one in packed.items()}


def test_a_units_logits_are_the_logarithm_of_its_predictors_mean_probabilities(
    unit, states, make_cell, digits
):
    for one, of_member in zip(unit, states, strict=True):
        networks = [network_of(one.run.cell, state, digits) for state in of_member]
        for images, found in zip(
            images_of(one.run.cell, digits), (one.validation_logits, one.test_logits), strict=True
        ):
            each = np.stack([softmax(logits_of(network, images), 1) for network in networks])
            np.testing.assert_allclose(softmax(found.astype(float), 1), each.mean(0), atol=2e-5)
            np.testing.assert_allclose(logsumexp(found.astype(float), 1), 0, atol=1e-5)


def test_the_facts_of_a_unit_are_those_of_its_pairs(unit, states, digits):
    for one, of_member in zip(unit, states, strict=True):
        networks = [network_of(one.run.cell, state, digits) for state in of_member]
        weights = [
            np.concatenate([p.detach().double().numpy().ravel() for p in network.parameters()])
            for network in networks
        ]
        logits = [logits_of(network, images_of(one.run.cell, digits)[1]) for network in networks]
        centred = [(some - some.mean(1, keepdims=True)).ravel() for some in logits]
        both = list(pairs(CYCLES))
        assert one.unit.predictors == CYCLES
        assert one.unit.radius is None
        assert one.unit.weight_cosine == pytest.approx(
            np.mean([cosine(weights[i], weights[k]) for i, k in both]), abs=1e-6
        )
        assert one.unit.logit_cosine == pytest.approx(
            np.mean([cosine(centred[i], centred[k]) for i, k in both]), abs=1e-5
        )
        differing = np.mean([(logits[i].argmax(1) != logits[k].argmax(1)).mean() for i, k in both])
        assert one.unit.disagreement == pytest.approx(differing, abs=1e-12)
        assert 0 < differing < 1


def test_averaging_units_averages_all_their_predictors():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 2, 6, 3, generator=generator)  # predictor, unit, image, class
    tally = Tally(2)
    for some in logits:
        tally.add([some[:, :0], some], [torch.ones(2, 1)], None)
    units = tally.answers().test.double().softmax(-1)
    torch.testing.assert_close(units.mean(0), logits.double().softmax(-1).mean((0, 1)), rtol=1e-6, atol=1e-7)


def test_one_predictor_keeps_its_logits_to_the_bit():
    logits = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))
    tally = Tally(2)
    tally.add([logits[:, :1], logits], [torch.ones(2, 1)], None)
    answers = tally.answers()
    assert torch.equal(answers.test, logits)
    assert torch.equal(answers.validation, logits[:, :1])
    assert answers.facts == [None, None]


def test_alike_predictors_do_not_differ():
    logits = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(1))
    tally = Tally(1)
    for _ in range(3):
        tally.add([logits, logits], [torch.ones(1, 4)], torch.tensor([0.5]))
    (fact,) = tally.answers().facts
    assert (fact.disagreement, fact.radius) == (0, 0.5)
    assert fact.weight_cosine == pytest.approx(1)
    assert fact.logit_cosine == pytest.approx(1)


def test_a_member_that_diverges_leaves_the_units_beside_it_as_they_were(make_cell, digits, plug_in):
    """Member 1's weights become infinite after the last epoch."""

    class Breaking(Watching):
        def __init__(self, recipe, options):
            self.kept = []

        def keep(self, epoch, network):
            self.kept.append({name: one.clone() for name, one in network.state_dict().items()})

        def predictors(self, finished):
            for state in self.kept:
                finished.network.load_state_dict(state)
                with torch.no_grad():
                    first = next(finished.network.parameters())
                    if finished.members > 1:
                        first.chunk(finished.members)[1].fill_(float("inf"))
                yield None

    plug_in("methods", "breaking", method=Method(collect=Breaking))
    whole, broken = train(runs_of(make_cell(), "breaking"), digits)
    (alone,) = train(runs_of(make_cell(), "breaking", (0,)), digits)
    assert (whole.diverged_at, broken.diverged_at) == (None, broken.run.cell.steps)
    assert broken.unit is None
    np.testing.assert_allclose(whole.test_logits, alone.test_logits, atol=1e-4)
    assert whole.unit.disagreement == pytest.approx(alone.unit.disagreement, abs=0.01)


def test_a_unit_of_members_that_all_diverged_is_told_with_its_step(make_cell, digits):
    cell = make_cell(learning_rate=1e12, epochs=6)
    for method in ("snapshots", "swag"):
        options = {"predictors": 3, "deviations": 2} if method == "swag" else {"predictors": 3}
        for one in train(runs_of(cell, method, **options), digits):
            assert one.diverged_at is not None
            assert one.unit is None


def test_weights_of_several_networks_are_not_kept(make_cell, digits):
    with pytest.raises(PlanError, match="no single network"):
        train(runs_of(make_cell(), "snapshots", predictors=2), digits, keep_weights=True)


def test_member_state_is_what_chunks_are():
    """The tests above take members out of a pack by hand, as the library does."""
    network = torch.nn.BatchNorm1d(4)
    found = member_state(network, 1, 2)
    by_hand = member_state_of(network.state_dict(), 1)
    assert all(torch.equal(found[name], one) for name, one in by_hand.items())
