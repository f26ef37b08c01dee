"""Which way to step: found by trials that are kept, within a share of the run, and never a way that fails."""

import json
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensembudget.records import Recording, Stepping, SteppingChoice, Task
from ensembudget.stepping import autotune as trial
from ensembudget.stepping import step as stepping
from ensembudget.stepping import timing
from ensembudget.stepping.autotune import (
    BETTER,
    COMPILING,
    SHARE,
    WORTH,
    Chosen,
    Request,
    Trials,
    UntriedError,
    axes,
    choose,
    choose_all,
    choose_place,
    is_worth,
    keep,
    known,
    search,
)
from ensembudget.stepping.timing import Place, Timing, time_steps

CPU = Place(device="cpu", workers=1, threads=1)
INFINITE = float("inf")
LONG = 1e15  # operations, of one member: days


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(folder))
    return folder


@pytest.fixture
def request_of(make_cell):
    """`request_of(members=8, fixed={"pack": 2}, epochs=9)`: the rest are fields of the cell."""

    def make(members=8, fixed=None, flops=LONG, place=CPU, **changes) -> Request:
        return Request(
            cell=make_cell(**{"epochs": 10_000, **changes}),
            task=(10, 1, 8),
            members=members,
            flops=flops,
            fixed=SteppingChoice(**(fixed or {})),
            place=place,
        )

    return make


class Machine:
    """A machine whose every way takes what it is told, on a clock of its own."""

    def __init__(self, monkeypatch, seconds=lambda how: 0.1 * how.pack, trial_takes=0.0):
        self.seconds, self.trial_takes, self.asked, self.now = seconds, trial_takes, [], 0.0
        monkeypatch.setattr(trial, "time", SimpleNamespace(monotonic=lambda: self.now))

    def __call__(self, how: Stepping) -> Timing:
        self.asked.append(how)
        self.now += self.trial_takes
        found = self.seconds(how)
        if isinstance(found, str):
            return Timing(stepping=how, fault=found)
        return Timing(stepping=how, seconds=found, first=15.0 if how.compiled else 0.0)


@pytest.fixture
def machine(monkeypatch):
    return partial(Machine, monkeypatch)


def packing_gains(how: Stepping) -> float:
    """Packs of 4 are best: the step of a pack takes so long."""
    return {1: 1.0, 2: 1.4, 4: 2.0, 8: 4.4}.get(how.pack, 2.0 * how.pack)


# The search.


FIELDS = {
    "pack": st.sampled_from([1, 2, 3, 4, 8, 16, 64, 100]),
    "way": st.sampled_from(["grouped", "separate", "vmap"]),
    "layout": st.sampled_from(["channels_last", "contiguous"]),
    "compiled": st.booleans(),
    "captured": st.booleans(),
}
COSTS = st.one_of(st.floats(0.01, 100), st.just(INFINITE))


@given(
    data=st.data(),
    fixed=st.fixed_dictionaries({}, optional=FIELDS),
    device=st.sampled_from(["cpu", "cuda"]),
    members=st.integers(1, 100),
)
def test_what_is_found_is_never_costlier_than_the_plainest(data, fixed, device, members):
    costs = {}

    def cost(how: Stepping) -> float:
        if how not in costs:
            costs[how] = data.draw(COSTS)
        return costs[how]

    choices = axes(device, members)
    found, plainest = search(cost, fixed, choices), Stepping(**fixed)
    # Nothing was asked where nothing is free.
    assert costs.get(found, 0) <= costs.get(plainest, INFINITE)
    if found != plainest:
        assert costs[found] < INFINITE
        assert costs[found] < BETTER * costs.get(plainest, INFINITE)
    for how in (found, *costs):
        assert {name: getattr(how, name) for name in fixed} == fixed
        assert how.pack <= members or "pack" in fixed
        assert device == "cuda" or "captured" in fixed or not how.captured
        assert device == "cuda" or "way" in fixed or how.way == "grouped"
    assert len(costs) <= 1 + sum(map(len, choices))


@given(costs=st.lists(st.floats(0.01, 100), min_size=7, max_size=7))
def test_two_packs_in_a_row_that_gain_nothing_end_the_search(costs):
    table, asked = dict(zip(trial.PACKS, costs, strict=True)), []

    def cost(how: Stepping) -> float:
        asked.append(how.pack)
        return table[how.pack]

    found = search(cost, {}, axes("cpu", 64)[:1]).pack
    tried = list(dict.fromkeys(sorted(asked)))
    assert tried == list(trial.PACKS[: len(tried)])
    best, misses = 1, 0
    for pack in trial.PACKS[1:]:
        if misses == 2:
            assert pack not in tried
        elif table[pack] < BETTER * table[best]:
            best, misses = pack, 0
        else:
            misses += 1
    assert found == best


def test_costs_that_rise_are_asked_twice_and_no_more():
    asked = []

    def cost(how: Stepping) -> float:
        asked.append(how.pack)
        return how.pack

    assert search(cost, {}, axes("cpu", 64)[:1]).pack == 1
    assert set(asked) == {1, 2, 4}


def test_a_gain_within_the_noise_is_none():
    cost = {1: 1.0, 2: 0.96, 4: 0.96}
    assert search(lambda how: cost.get(how.pack, 1), {}, axes("cpu", 4)[:1]).pack == 1


def test_where_everything_is_infinite_the_plainest_is_taken():
    assert search(lambda how: INFINITE, {"layout": "contiguous"}, axes("cuda", 64)) == Stepping(
        layout="contiguous"
    )


def test_a_way_that_can_be_is_taken_where_the_plainest_cannot():
    found = search(lambda how: 1.0 if how.layout == "contiguous" else INFINITE, {}, axes("cpu", 1))
    assert found == Stepping(layout="contiguous")


def test_no_pack_is_larger_than_the_pool():
    for members in (1, 2, 3, 7, 8, 63, 1000):
        packs = [one["pack"] for axis in axes("cpu", members) for one in axis if "pack" in one]
        assert packs[0] == 1
        assert max(packs) <= members < 2 * max(packs) or max(packs) == 64


def test_packs_are_searched_on_from_the_one_that_was_best_before_the_way():
    """On a GPU packs are searched twice, since one way may gain from packs that another does not."""
    cost = {("grouped", pack): 9 - pack / 2 if pack <= 8 else 99 for pack in trial.PACKS}
    cost |= {("separate", pack): 4.0 / pack for pack in trial.PACKS}
    found = search(lambda how: cost.get((how.way, how.pack), INFINITE), {}, axes("cuda", 64))
    assert (found.way, found.pack) == ("separate", 64)


# What a way costs.


def test_a_cells_seconds_are_its_steps_on_all_workers(request_of):
    request = request_of(members=10, epochs=6, train_size=100, batch_size=32)  # 4 steps an epoch
    how = Timing(stepping=Stepping(pack=4), seconds=0.5, first=7.0)  # 3 packs
    assert request.seconds(how) == 7 + 24 * 0.5 * 3
    two = request.model_copy(update={"place": CPU.model_copy(update={"workers": 2})})
    assert two.seconds(how) == 7 + 24 * 0.5 * 1.5
    many = request.model_copy(update={"place": CPU.model_copy(update={"workers": 8})})
    assert many.seconds(how) == 7 + 24 * 0.5  # most of them idle
    assert request.seconds(Timing(stepping=Stepping(), fault="it cannot be")) == INFINITE


def test_a_request_crosses_processes_as_it_is(request_of):
    request = request_of(fixed={"compiled": False, "pack": 3})
    assert Request.from_json(request.to_json()) == request


# One cell.


def test_the_cheapest_way_is_chosen(request_of, machine):
    tried = machine(packing_gains)
    found = choose(request_of(), tried)
    assert found.stepping == Stepping(pack=4)
    assert found.timing == Timing(stepping=Stepping(pack=4), seconds=2.0)
    assert len(set(tried.asked)) == len(tried.asked)
    assert tried.asked[0] == Stepping()
    assert [how.pack for how in tried.asked] == [1, 2, 4, 8, 4, 4]


def test_what_was_measured_is_not_measured_again(request_of, machine):
    tried = machine(packing_gains)
    first = choose(request_of(), tried)
    again = machine(lambda how: pytest.fail("it was measured again"))
    assert choose(request_of(), again) == first
    assert choose(request_of()) == first  # which may measure nothing
    # Another study with the same cell: shorter, of fewer members.
    assert choose(request_of(members=4, epochs=5000)).stepping == Stepping(pack=4)


def test_another_cell_is_measured_for_itself(request_of, machine):
    choose(request_of(), machine(packing_gains))
    for changes in ({"width": 5}, {"place": CPU.model_copy(update={"threads": 2})}, {"record": Recording()}):
        tried = machine(packing_gains)
        choose(request_of(**changes), tried)
        assert tried.asked[0] == Stepping(), changes


def test_what_may_not_be_measured_is_said_to_be_untried(request_of):
    with pytest.raises(UntriedError):
        choose(request_of())


def test_a_measurement_is_kept_as_soon_as_it_is_made(request_of, machine):
    """So that a run that is stopped among its trials does not begin them anew."""

    def stopped(how):
        if how.pack == 4:
            raise KeyboardInterrupt
        return packing_gains(how)

    with pytest.raises(KeyboardInterrupt):
        choose(request_of(), machine(stopped))
    tried = machine(packing_gains)
    assert choose(request_of(), tried).stepping.pack == 4
    assert tried.asked[0].pack == 4


@pytest.mark.parametrize(
    "fixed",
    [
        {"pack": 2},
        {"pack": 1, "layout": "contiguous"},
        {"compiled": False},
        {"compiled": True},
        {"way": "vmap", "pack": 3},
        {"pack": 100},
    ],
    ids=str,
)
def test_what_is_fixed_is_never_varied(fixed, request_of, machine):
    tried = machine(packing_gains)
    found = choose(request_of(fixed=fixed), tried)
    for how in (found.stepping, *tried.asked):
        assert how.model_copy(update=fixed) == how
    assert tried.asked[0] == Stepping(**fixed)


def test_where_all_is_fixed_one_way_is_measured(request_of, machine):
    tried = machine()
    how = Stepping(pack=2, layout="contiguous")
    assert choose(request_of(fixed=how.model_dump()), tried).stepping == how
    assert tried.asked == [how]


@pytest.mark.parametrize("broken", ["pack", "layout", "compiled"])
def test_a_way_with_a_fault_is_never_chosen(broken, request_of, machine):
    plain = Stepping()

    def seconds(how):
        if getattr(how, broken) != getattr(plain, broken):
            return "RuntimeError: no kernel"
        return packing_gains(how) * (0.5 if how.compiled else 1) * (0.5 if how.layout == "contiguous" else 1)

    found = choose(request_of(), machine(seconds))
    assert getattr(found.stepping, broken) == getattr(plain, broken)
    assert found.stepping != plain
    assert found.timing.fault is None
    # A fault is kept too: it is not tried again.
    assert choose(request_of()) == found


def test_where_the_plainest_has_a_fault_another_is_chosen(request_of, machine):
    found = choose(
        request_of(), machine(lambda how: "no" if how.layout == "channels_last" else 1.0 * how.pack)
    )
    assert found.stepping == Stepping(layout="contiguous")


def test_where_nothing_works_the_plainest_is_left_to_say_so(request_of, machine):
    found = choose(request_of(members=2), machine(lambda how: "RuntimeError: no kernel"))
    assert found.stepping == Stepping()
    assert found.timing.fault == "RuntimeError: no kernel"


def epochs_for(seconds: float) -> int:
    """Of 4 steps of 1 s, with 1 member."""
    return round(seconds / 4)


def test_compiling_is_tried_on_a_long_run_alone(request_of, machine):
    enough = COMPILING / SHARE
    for seconds, tried_so in ((0.9 * enough, False), (1.1 * enough, True)):
        tried = machine(lambda how: 0.5 if how.compiled else 1.0)
        # Other widths, other timings.
        request = request_of(members=1, epochs=epochs_for(seconds), width=3 + tried_so)
        assert request.seconds(Timing(stepping=Stepping(), seconds=1.0)) == pytest.approx(seconds, rel=0.02)
        found = choose(request, tried)
        assert any(how.compiled for how in tried.asked) == found.stepping.compiled == tried_so


def test_compiling_that_does_not_earn_itself_back_is_not_chosen(request_of, machine):
    """Its first step takes 15 s more and the run 440 s: 2% less a step are 9 s."""
    epochs = epochs_for(440)
    tried = machine(lambda how: 0.92 if how.compiled else 1.0)
    assert choose(request_of(members=1, epochs=epochs), tried).stepping == Stepping()
    assert any(how.compiled for how in tried.asked)


@pytest.mark.parametrize("takes", [1.0, 3.0, 30.0])
def test_trials_end_with_what_they_may_take(takes, request_of, machine):
    """The plainest is always timed; no other begins when a share of the run is spent."""
    tried = machine(lambda how: 1.0 * how.pack**0.1, trial_takes=takes)
    request = request_of(members=64, epochs=2)  # 512 s by the plainest
    choose(request, tried)
    allowed = SHARE * 64 * 8
    assert len(tried.asked) >= 1
    assert takes * (len(tried.asked) - 1) < allowed


def test_the_same_command_again_chooses_the_same_way(request_of, machine):
    """Or a run that was interrupted goes on in other packs than it began with."""
    request = request_of(members=64, epochs=2)
    found = [
        choose(request, machine(lambda how: 1.0 * how.pack**0.1, trial_takes=10.0)).stepping for _ in range(3)
    ]
    assert found[0] == found[1] == found[2]


# The cache.


DAMAGE = {
    "empty": b"",
    "half": b'{"shape": {}, "timings": [{"stepping": {"pack"',
    "bytes": bytes(range(256)),
    "null": b"null",
    "list": b"[1, 2]",
    "number": b"3",
    "no timings": b'{"shape": {}}',
    "timings are a number": b'{"timings": 3}',
    "timings are null": b'{"timings": null}',
    "timings are text": b'{"timings": "abc"}',
    "another's timings": b'{"timings": [{"way": "fast", "milliseconds": 3}]}',
    "a field more": b'{"timings": [{"stepping": {"pack": 4}, "seconds": 0.001, "colour": "red"}]}',
    "a stepping that is none": b'{"timings": [{"stepping": {"pack": 0}, "seconds": 0.001}]}',
    "seconds that are text": b'{"timings": [{"stepping": {"pack": 4}, "seconds": "fast"}]}',
    "not a number": b'{"timings": [{"stepping": {"pack": 4}, "seconds": NaN}]}',
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_as_none_and_is_replaced(content, request_of, machine):
    request = request_of()
    path = request.shape.path
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert known(request.shape) == Trials(shape=request.shape)
    tried = machine(packing_gains)
    found = choose(request, tried)
    assert found.stepping == Stepping(pack=4)
    assert tried.asked[0] == Stepping()
    assert choose(request) == found


def test_a_file_of_another_shape_is_as_none(request_of, machine):
    request, other = request_of(), request_of(width=64)
    choose(other, machine(packing_gains))
    other.shape.path.rename(request.shape.path)
    assert known(request.shape) == Trials(shape=request.shape)


def test_a_folder_in_a_files_place_costs_only_the_next_trial(request_of, machine):
    request = request_of()
    request.shape.path.mkdir(parents=True)
    for _ in range(2):
        tried = machine(packing_gains)
        assert choose(request, tried).stepping == Stepping(pack=4)
        assert tried.asked[0] == Stepping()
    assert [path.name for path in request.shape.path.parent.iterdir()] == [request.shape.path.name]


def test_a_cache_below_a_file_costs_only_the_next_trial(request_of, machine, monkeypatch):
    """As one on a disk that is mounted to be read: there too `unlink` is refused before it looks."""
    monkeypatch.setenv("ENSEMBUDGET_CACHE", "/dev/null/cache")
    for _ in range(2):
        tried = machine(packing_gains)
        assert choose(request_of(), tried).stepping == Stepping(pack=4)
        assert tried.asked[0] == Stepping()


def test_a_cache_that_cannot_be_made_costs_only_the_next_trial(request_of, machine, monkeypatch):
    def refused(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    for _ in range(2):
        tried = machine(packing_gains)
        assert choose(request_of(), tried).stepping == Stepping(pack=4)
        assert tried.asked[0] == Stepping()


def test_timings_that_cannot_be_kept_are_no_error(request_of, machine):
    request = request_of()
    request.shape.path.mkdir(parents=True)
    keep(Trials(shape=request.shape, timings=(Timing(stepping=Stepping(), seconds=2.0),)))
    assert known(request.shape) == Trials(shape=request.shape)
    assert [path.name for path in request.shape.path.parent.iterdir()] == [request.shape.path.name]


def test_what_is_kept_says_what_it_is_of(request_of, cache_of_its_own):
    request = request_of()
    timings = [
        Timing(stepping=Stepping(), seconds=0.25, first=0.5),
        Timing(stepping=Stepping(compiled=True), fault="RuntimeError: no compiler"),
    ]
    kept = Trials(shape=request.shape, timings=tuple(timings), spent=3.5)
    keep(kept)
    assert known(request.shape) == kept
    (path,) = (cache_of_its_own / "trials").iterdir()
    found = json.loads(path.read_text())
    assert found["shape"]["family"] == "wide_resnet"
    assert found["shape"] == request.shape.model_dump(mode="json")


# All cells.


class Pool(ThreadPoolExecutor):
    """In place of processes: what they are asked is the same."""


@pytest.fixture
def pools(monkeypatch):
    """How many workers each pool that was started had."""
    started = []

    def pool(workers):
        started.append(workers)
        return Pool(workers)

    monkeypatch.setattr(trial, "_processes", pool)
    return started


@pytest.fixture
def measured(monkeypatch, pools):
    """What was measured in the pools, and how long a way takes by its place and itself."""
    asked = []

    def time_steps(cell, task, how, device):
        asked.append((cell.width, how))
        return Timing(stepping=how, seconds=packing_gains(how))

    monkeypatch.setattr(trial, "time_steps", time_steps)
    return asked


def test_short_runs_are_not_tried(request_of, monkeypatch):
    monkeypatch.setattr(trial, "_processes", lambda workers: pytest.fail("processes were started"))
    monkeypatch.setattr(trial, "time_steps", lambda *arguments: pytest.fail("it was tried"))
    short = request_of(flops=1e9, fixed={"pack": 2})
    assert short.longest < WORTH / 2
    assert choose_all([short, short], worth=is_worth([short, short])) == [Chosen(Stepping(pack=2), None)] * 2
    assert choose_all([], worth=True) == []
    places = [CPU.model_copy(update={"workers": 2}), CPU.model_copy(update={"threads": 2})]
    assert choose_place(short, places, worth=is_worth([short])) == places[0]
    assert not short.shape.path.parent.exists()


def test_many_short_cells_are_a_long_run(request_of, measured, pools):
    request = request_of(flops=1e9)
    requests = [request] * (1 + int(WORTH / request.longest))
    assert all(one.stepping == Stepping(pack=4) for one in choose_all(requests, worth=is_worth(requests)))
    assert {width for width, _ in measured}


def test_every_cell_gets_its_way_in_its_order(request_of, measured, pools):
    place = CPU.model_copy(update={"workers": 3})
    requests = [request_of(width=w, place=place, members=m) for w, m in ((2, 8), (3, 1), (4, 2), (5, 8))]
    found = choose_all(requests, worth=True)
    assert pools == [3]
    # Fewer packs than workers leave some idle, so that small pools stay apart.
    assert [one.stepping.pack for one in found] == [2, 1, 1, 2]
    assert {width for width, _ in measured} == {2, 3, 4, 5}


def test_a_run_whose_cells_are_known_starts_no_process(request_of, measured, pools):
    requests = [request_of(width=width, place=TWO_BY_ONE) for width in (2, 3)]
    first = choose_all(requests, worth=True)
    assert len(pools) == 1
    assert choose_all(requests, worth=True) == first
    assert len(pools) == 1


def test_what_is_unknown_of_some_is_measured_of_those_alone(request_of, measured, pools):
    choose_all([request_of(width=2)], worth=True)
    measured.clear()
    choose_all([request_of(width=2), request_of(width=3)], worth=True)
    assert {width for width, _ in measured} == {3}


def test_what_is_left_of_a_run_goes_on_as_it_began(request_of, measured, pools):
    """Or its last cell, short by itself, is stepped otherwise than the part of it that is there."""
    requests = [request_of(width=2), request_of(width=3, flops=1e9)]
    whole = choose_all(requests, worth=True)
    assert choose_all(requests[1:], worth=True) == whole[1:]


def test_a_trial_that_is_killed_leaves_the_plainest_way(request_of, monkeypatch):
    """For memory, say: the largest packs are tried before anything is trained."""

    class Killed(Pool):
        def map(self, *arguments, **options):
            raise BrokenProcessPool("A process in the process pool was terminated abruptly")

    monkeypatch.setattr(trial, "_processes", Killed)
    (found,) = choose_all([request_of(fixed={"layout": "contiguous"}, place=TWO_BY_ONE)], worth=True)
    assert found.stepping == Stepping(layout="contiguous")


@pytest.mark.slow
def test_processes_find_what_one_finds(request_of):
    requests = [request_of(width=width, members=2, fixed={"compiled": False}) for width in (2, 3)]
    found = choose_all(requests, worth=True)
    for request, one in zip(requests, found, strict=True):
        assert one.timing.fault is None
        assert one.timing.seconds > 0
        assert one.timing in known(request.shape).timings
        assert {timing.stepping.pack for timing in known(request.shape).timings} == {1, 2}
    assert choose_all(requests, worth=True) == found


# Processes and threads.


TWO_BY_ONE, ONE_BY_TWO = (
    Place(device="cpu", workers=2, threads=1),
    Place(device="cpu", workers=1, threads=2),
)


@pytest.fixture
def places(monkeypatch, pools):
    """`places(a, b)`: what the plainest step takes on two processes, and on one of two threads."""
    asked = []

    def timed(request):
        asked.append((request.place, Stepping(**request.fixed.fixed)))
        seconds = told[request.place.workers]
        return Timing(stepping=asked[-1][1], seconds=seconds, fault=None if seconds else "no memory")

    told = {}

    def tell(two, one):
        told.update({2: two, 1: one})
        asked.clear()
        return asked

    monkeypatch.setattr(trial, "_timed", timed)
    return tell


@pytest.mark.parametrize(
    ("two", "one", "wanted"),
    [
        (1.0, 1.0, TWO_BY_ONE),
        (1.0, 0.5, TWO_BY_ONE),  # two at one time: equal
        (1.0, 0.48, TWO_BY_ONE),  # a gain within the noise
        (1.0, 0.4, ONE_BY_TWO),
        (None, 9.0, ONE_BY_TWO),
        (9.0, None, TWO_BY_ONE),
        (None, None, TWO_BY_ONE),
    ],
)
def test_the_faster_place_is_taken_and_the_first_where_they_are_alike(two, one, wanted, request_of, places):
    asked = places(two, one)
    assert choose_place(request_of(members=8), [TWO_BY_ONE, ONE_BY_TWO], worth=True) == wanted
    # Each beside others of its kind, as it will run.
    assert sorted(place.workers for place, _ in asked) == [1, 2, 2]


def test_one_place_is_taken_as_it_is(request_of, places):
    places(1.0, 1.0)
    assert choose_place(request_of(), [ONE_BY_TWO], worth=True) == ONE_BY_TWO


def test_places_are_timed_once_and_by_what_is_fixed(request_of, places, pools):
    asked = places(1.0, 0.4)
    request = request_of(fixed={"pack": 2, "layout": "contiguous"})
    first = choose_place(request, [TWO_BY_ONE, ONE_BY_TWO], worth=True)
    assert {how for _, how in asked} == {Stepping(pack=2, layout="contiguous")}
    assert pools == [2]  # a lone one is timed in this process
    assert choose_place(request, [TWO_BY_ONE, ONE_BY_TWO], worth=True) == first
    assert pools == [2]  # a lone one is timed in this process


def test_what_timed_a_place_is_not_timed_again_for_the_way(request_of, places, machine):
    places(1.0, 0.4)
    request = request_of()
    place = choose_place(request, [TWO_BY_ONE, ONE_BY_TWO], worth=True)
    tried = machine(lambda how: 0.4 * how.pack)
    choose(request.model_copy(update={"place": place}), tried)
    assert Stepping() not in tried.asked


# Really.


def test_a_small_cell_is_really_tried(request_of, monkeypatch):
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    request = request_of(members=4, fixed={"compiled": False})
    found = choose(request, partial(time_steps, request.cell, Task(*request.task), device="cpu"))
    assert found.timing.seconds > 0
    timings = known(request.shape).timings
    assert found.timing in timings
    assert {one.stepping.pack for one in timings} >= {1, 2}
    assert all(one.fault is None and one.seconds > 0 for one in timings)
    (plainest,) = (one for one in timings if one.stepping == Stepping())
    assert request.seconds(found.timing) <= request.seconds(plainest)


def test_a_way_that_raises_is_tried_and_left(request_of, monkeypatch):
    monkeypatch.setattr(timing, "SECONDS", 0.0)

    def failing(network, single, members):
        raise RuntimeError("no kernel")

    monkeypatch.setitem(stepping.WAYS, "grouped", failing)
    request = request_of(members=2, fixed={"layout": "contiguous", "compiled": False})
    found = choose(request, partial(time_steps, request.cell, Task(*request.task), device="cpu"))
    assert found.stepping == Stepping(layout="contiguous")
    assert {one.fault for one in known(request.shape).timings} == {"RuntimeError: no kernel"}
