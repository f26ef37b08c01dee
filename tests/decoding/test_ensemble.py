"""The next token of an ensemble: its members' mean probabilities, whatever they are packed with."""

import pytest
import torch

from ensembudget.decoding.ensemble import NextToken, Packed
from ensembudget.decoding.search import beam_search
from ensembudget.families._build import describe, materialise, member_state
from ensembudget.records import TokenTask
from ensembudget.tasks._tokens import END, PADDING, START, Tokens

TASK = TokenTask("translation", classes=11, vocabulary=11, length=11, source=5)
LONGEST = TASK.length - TASK.source
FEED = Tokens(1)
SENTENCES = 6


def packed(members, first=0):
    network = describe("transformer", 8, TASK, members=members, options={"layers": 1, "heads": 2})
    generators = [torch.Generator().manual_seed(first + one) for one in range(members)]
    network = materialise(network, generators)
    with torch.no_grad():  # initial ones are nearly uniform
        for parameter in network.parameters():
            parameter.mul_(3)
    return Packed(network.eval(), members)


def copies(one, count):
    """One network as many times, packed."""
    network = packed(count).network
    state = {name: torch.cat([tensor] * count) for name, tensor in one.network.state_dict().items()}
    network.load_state_dict(state)
    return Packed(network, count)


@pytest.fixture(scope="module")
def sources():
    tokens = torch.randint(4, TASK.vocabulary, (SENTENCES, TASK.source), generator=torch.Generator())
    tokens[::2, 3:] = PADDING
    return tokens.int()


@pytest.fixture(scope="module")
def singles():
    """Three networks of one member, and the same three in one."""
    together = packed(3)
    found = []
    for member in range(3):
        one = packed(1)
        one.network.load_state_dict(member_state(together.network, member, 3))
        found.append(one)
    return together, found


def argmax_by_argmax(networks, source):
    """A greedy translation, a whole padded input for a single network at a time."""
    target = [START]
    while len(target) <= LONGEST and target[-1] != END:
        row = torch.tensor([[*source, *target, *[PADDING] * (LONGEST - len(target))]])
        with torch.no_grad():
            each = [one.network(row)[0, len(target) - 1].softmax(-1) for one in networks]
        mean = torch.stack(each).mean(0)
        mean[[PADDING, START]] = 0
        target.append(int(mean.argmax()))
    found = target[1:]
    return found + [PADDING] * (LONGEST - len(found))


def test_greedy_search_is_step_by_step_argmax_of_the_mean_of_single_networks(singles, sources):
    together, ones = singles
    found = beam_search(NextToken([together], sources, TASK, FEED), SENTENCES, LONGEST, 1)
    assert found.tolist() == [argmax_by_argmax(ones, source) for source in sources.tolist()]
    assert len(set(map(tuple, found.tolist()))) > 1  # sentences differ
    assert found.tolist() != [argmax_by_argmax(ones[:1], source) for source in sources.tolist()]


def test_it_does_not_matter_how_members_are_packed(singles, sources):
    together, ones = singles
    prefixes = torch.tensor([[4, 5]] * SENTENCES)
    rows = torch.arange(SENTENCES).flip(0)
    whole, apart = (NextToken(some, sources, TASK, FEED)(rows, prefixes) for some in ([together], ones))
    torch.testing.assert_close(whole, apart, rtol=1e-5, atol=1e-5)
    assert whole.exp().sum(-1).tolist() == pytest.approx([1.0] * SENTENCES)


def test_an_ensemble_of_copies_translates_as_one_of_them(sources):
    one = packed(1, first=7)
    for width in (1, 4):
        alone, many = (
            beam_search(NextToken([some], sources, TASK, FEED), SENTENCES, LONGEST, width)
            for some in (one, copies(one, 3))
        )
        assert alone.tolist() == many.tolist()


def test_the_batches_of_a_step_do_not_matter(singles, sources, monkeypatch):
    together, _ = singles
    whole = NextToken([together], sources, TASK, FEED)(torch.arange(SENTENCES), sources[:, :0].long())
    monkeypatch.setattr("ensembudget.decoding.ensemble.LOGITS_AT_ONCE", 2 * 3 * TASK.classes)
    parts = NextToken([together], sources, TASK, FEED)(torch.arange(SENTENCES), sources[:, :0].long())
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-5)


def test_sources_are_encoded_once_and_the_numbers_are_those_of_whole_networks(singles, sources):
    together, _ = singles
    calls = []
    encoder = together.network.encoder
    handle = encoder.register_forward_hook(lambda *some: calls.append(1))

    class Whole(torch.nn.Module):
        """The network as one that cannot encode sources by themselves."""

        def __init__(self):
            super().__init__()
            self.inner = together.network

        def forward(self, x):
            return self.inner(x)

    for width in (1, 4):
        found, wanted = (
            beam_search(NextToken([Packed(network, 3)], sources, TASK, FEED), SENTENCES, LONGEST, width)
            for network in (together.network, Whole())
        )
        assert found.tolist() == wanted.tolist()
    calls.clear()
    step = NextToken([together], sources, TASK, FEED)
    rows, prefixes = torch.tensor([5, 0, 0, 2]), torch.tensor([[4, 5, 9]] * 4)
    apart = NextToken([Packed(Whole(), 3)], sources, TASK, FEED)(rows, prefixes)
    calls.clear()
    torch.testing.assert_close(step(rows, prefixes), apart, rtol=1e-6, atol=1e-6)
    step(rows, prefixes[:, :1])
    assert calls == []  # both steps used what was encoded as the step was made
    handle.remove()
