"""Autotuning: measured once and kept, within a share of the run, and never a stepping that fails."""

import json
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensembudget.catalog import WAYS
from ensembudget.records import Recording, Stepping, SteppingChoice, Task
from ensembudget.stepping.autotune import (
    COMPILING,
    SHARE,
    WORTH,
    Bench,
    Chosen,
    Request,
    UnmeasuredError,
    choose,
    choose_all,
    choose_place,
    is_worth,
)
from ensembudget.stepping.axes import BETTER, PACKS, axes, coordinate_search
from ensembudget.stepping.measured import Measured, Timing, keep, known
from ensembudget.stepping.place import Place
from ensembudget.stepping.timing import STEPS, time_steps
from ensembudget.stepping.ways._base import Way

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


class Machine(Bench):
    """A machine whose every stepping takes what it is told, on a clock of its own."""

    def __init__(self, seconds=lambda how: 0.1 * how.pack, each_takes=0.0, *, pool=None):
        asked, now, pools = [], [0.0], []

        def measure(request, how):
            asked.append((request, how))
            found = seconds(how)
            now[0] += each_takes if each_takes is not None else (STEPS + 2) * found
            if isinstance(found, str):
                return Timing(stepping=how, fault=found)
            return Timing(stepping=how, seconds=found, first=15.0 if how.compiled else 0.0)

        def threads(workers):
            """In place of processes: what they are asked is the same."""
            pools.append(workers)
            return (pool or ThreadPoolExecutor)(workers)

        def trial(request):
            return Timing(stepping=request.plainest, seconds=seconds(request.plainest))

        super().__init__(measure, threads, lambda: now[0], trial)
        vars(self).update(requests=asked, pools=pools)

    @property
    def asked(self) -> list[Stepping]:
        return [how for _, how in self.requests]

    @property
    def widths(self) -> set[int]:
        return {request.cell.width for request, _ in self.requests}


def idle(*arguments):
    """A bench that must not be used."""
    return Machine(lambda how: pytest.fail("it was measured"), pool=lambda workers: pytest.fail("a pool"))


def packing_gains(how: Stepping) -> float:
    """Packs of 4 are best: the step of a pack takes so long."""
    return {1: 1.0, 2: 1.4, 4: 2.0, 8: 4.4}.get(how.pack, 2.0 * how.pack)


# The search along axes.


FIELDS = {
    "pack": st.sampled_from([1, 2, 3, 4, 8, 16, 64, 100]),
    "way": st.sampled_from(list(WAYS)),
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
    found, plainest = coordinate_search(cost, fixed, choices), Stepping(**fixed)
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
    table, asked = dict(zip(PACKS, costs, strict=True)), []

    def cost(how: Stepping) -> float:
        asked.append(how.pack)
        return table[how.pack]

    found = coordinate_search(cost, {}, axes("cpu", 64)[:1]).pack
    tried = list(dict.fromkeys(sorted(asked)))
    assert tried == list(PACKS[: len(tried)])
    best, misses = 1, 0
    for pack in PACKS[1:]:
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

    assert coordinate_search(cost, {}, axes("cpu", 64)[:1]).pack == 1
    assert set(asked) == {1, 2, 4}


def test_a_gain_within_the_noise_is_none():
    cost = {1: 1.0, 2: 0.96, 4: 0.96}
    assert coordinate_search(lambda how: cost.get(how.pack, 1), {}, axes("cpu", 4)[:1]).pack == 1


def test_where_everything_is_infinite_the_plainest_is_taken():
    assert coordinate_search(lambda how: INFINITE, {"layout": "contiguous"}, axes("cuda", 64)) == Stepping(
        layout="contiguous"
    )


def test_a_way_that_can_be_is_taken_where_the_plainest_cannot():
    found = coordinate_search(lambda how: 1.0 if how.layout == "contiguous" else INFINITE, {}, axes("cpu", 1))
    assert found == Stepping(layout="contiguous")


def test_no_pack_is_larger_than_the_pool():
    for members in (1, 2, 3, 7, 8, 63, 1000):
        packs = [one["pack"] for axis in axes("cpu", members) for one in axis if "pack" in one]
        assert packs[0] == 1
        assert max(packs) <= members < 2 * max(packs) or max(packs) == 64


def test_packs_are_searched_on_from_the_one_that_was_best_before_the_way():
    """On a GPU packs are searched twice, since one way may gain from packs that another does not."""
    cost = {("grouped", pack): 9 - pack / 2 if pack <= 8 else 99 for pack in PACKS}
    cost |= {("separate", pack): 4.0 / pack for pack in PACKS}
    found = coordinate_search(lambda how: cost.get((how.way, how.pack), INFINITE), {}, axes("cuda", 64))
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


def test_the_cheapest_way_is_chosen(request_of):
    tried = Machine(packing_gains)
    found = choose(request_of(), tried)
    assert found.stepping == Stepping(pack=4)
    assert found.timing == Timing(stepping=Stepping(pack=4), seconds=2.0)
    assert len(set(tried.asked)) == len(tried.asked)
    assert tried.asked[0] == Stepping()
    assert [how.pack for how in tried.asked] == [1, 2, 4, 8, 4, 4]


def test_what_was_measured_is_not_measured_again(request_of):
    tried = Machine(packing_gains)
    first = choose(request_of(), tried)
    assert choose(request_of(), idle()) == first
    assert choose(request_of()) == first  # which may measure nothing
    # Another study with the same cell: shorter, of fewer members.
    assert choose(request_of(members=4, epochs=5000)).stepping == Stepping(pack=4)


def test_another_cell_is_measured_for_itself(request_of):
    choose(request_of(), Machine(packing_gains))
    for changes in ({"width": 5}, {"place": CPU.model_copy(update={"threads": 2})}, {"record": Recording()}):
        tried = Machine(packing_gains)
        choose(request_of(**changes), tried)
        assert tried.asked[0] == Stepping(), changes


def test_what_may_not_be_measured_is_said_to_be_unmeasured(request_of):
    with pytest.raises(UnmeasuredError):
        choose(request_of())


def test_a_measurement_is_kept_as_soon_as_it_is_made(request_of):
    """So that a run that is stopped while it measures does not begin anew."""

    def stopped(how):
        if how.pack == 4:
            raise KeyboardInterrupt
        return packing_gains(how)

    with pytest.raises(KeyboardInterrupt):
        choose(request_of(), Machine(stopped))
    tried = Machine(packing_gains)
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
def test_what_is_fixed_is_never_varied(fixed, request_of):
    tried = Machine(packing_gains)
    found = choose(request_of(fixed=fixed), tried)
    for how in (found.stepping, *tried.asked):
        assert how.model_copy(update=fixed) == how
    assert tried.asked[0] == Stepping(**fixed)


def test_where_all_is_fixed_one_way_is_measured(request_of):
    tried = Machine()
    how = Stepping(pack=2, layout="contiguous")
    assert choose(request_of(fixed=how.model_dump()), tried).stepping == how
    assert tried.asked == [how]


@pytest.mark.parametrize("broken", ["pack", "layout", "compiled"])
def test_a_way_with_a_fault_is_never_chosen(broken, request_of):
    plain = Stepping()

    def seconds(how):
        if getattr(how, broken) != getattr(plain, broken):
            return "RuntimeError: no kernel"
        return packing_gains(how) * (0.5 if how.compiled else 1) * (0.5 if how.layout == "contiguous" else 1)

    found = choose(request_of(), Machine(seconds))
    assert getattr(found.stepping, broken) == getattr(plain, broken)
    assert found.stepping != plain
    assert found.timing.fault is None
    # A fault is kept too: it is not tried again.
    assert choose(request_of()) == found


def test_where_the_plainest_has_a_fault_another_is_chosen(request_of):
    found = choose(
        request_of(), Machine(lambda how: "no" if how.layout == "channels_last" else 1.0 * how.pack)
    )
    assert found.stepping == Stepping(layout="contiguous")


def test_where_nothing_works_the_plainest_is_left_to_say_so(request_of):
    found = choose(request_of(members=2), Machine(lambda how: "RuntimeError: no kernel"))
    assert found.stepping == Stepping()
    assert found.timing.fault == "RuntimeError: no kernel"


def epochs_for(seconds: float) -> int:
    """Of 4 steps of 1 s, with 1 member."""
    return round(seconds / 4)


def test_compiling_is_tried_on_a_long_run_alone(request_of):
    enough = COMPILING / SHARE
    for seconds, tried_so in ((0.9 * enough, False), (1.1 * enough, True)):
        tried = Machine(lambda how: 0.5 if how.compiled else 1.0)
        # Other widths, other timings.
        request = request_of(members=1, epochs=epochs_for(seconds), width=3 + tried_so)
        assert request.seconds(Timing(stepping=Stepping(), seconds=1.0)) == pytest.approx(seconds, rel=0.02)
        found = choose(request, tried)
        assert any(how.compiled for how in tried.asked) == found.stepping.compiled == tried_so


def test_compiling_that_does_not_earn_itself_back_is_not_chosen(request_of):
    """Its first step takes 15 s more and the run 880 s: 6% less a step are 53 s, and 5% of the run 44 s."""
    epochs = epochs_for(880)
    tried = Machine(lambda how: 0.94 if how.compiled else 1.0)
    assert choose(request_of(members=1, epochs=epochs), tried).stepping == Stepping()
    assert any(how.compiled for how in tried.asked)


@pytest.mark.parametrize("takes", [1.0, 3.0, 30.0])
def test_measuring_ends_with_what_it_may_take(takes, request_of):
    """The plainest is always timed; no other begins when a share of the run is spent."""
    tried = Machine(lambda how: 1.0 * how.pack**0.1, each_takes=takes)
    request = request_of(members=64, epochs=2)  # 512 s by the plainest
    choose(request, tried)
    allowed = SHARE * 64 * 8
    assert len(tried.asked) >= 1
    assert takes * (len(tried.asked) - 1) < allowed


def test_no_measurement_begins_that_may_take_more_than_is_left(request_of):
    """A large pack's steps take long: timing one must not take minutes of a run of minutes."""
    for epochs in (2, 20, 200, 2000):
        bench = Machine(lambda how: 1.0 * how.pack, each_takes=None)  # each takes as long as its steps
        request = request_of(members=64, epochs=epochs, width=epochs)
        choose(request, bench)
        others = sum((STEPS + 2) * how.pack for how in bench.asked if how != Stepping())
        assert others <= SHARE * request.seconds(Timing(stepping=Stepping(), seconds=1.0))
    assert others > 0


def test_the_same_command_again_chooses_the_same_way(request_of):
    """Or a run that was interrupted goes on in other packs than it began with."""
    request = request_of(members=64, epochs=2)
    found = [
        choose(request, Machine(lambda how: 1.0 * how.pack**0.1, each_takes=10.0)).stepping for _ in range(3)
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
def test_a_damaged_file_is_as_none_and_is_replaced(content, request_of):
    request = request_of()
    path = request.shape.path
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert known(request.shape) == Measured(shape=request.shape)
    tried = Machine(packing_gains)
    found = choose(request, tried)
    assert found.stepping == Stepping(pack=4)
    assert tried.asked[0] == Stepping()
    assert choose(request) == found


def test_a_file_of_another_shape_is_as_none(request_of):
    request, other = request_of(), request_of(width=64)
    choose(other, Machine(packing_gains))
    other.shape.path.rename(request.shape.path)
    assert known(request.shape) == Measured(shape=request.shape)


def test_a_folder_in_a_files_place_costs_only_another_measurement(request_of):
    request = request_of()
    request.shape.path.mkdir(parents=True)
    for _ in range(2):
        tried = Machine(packing_gains)
        assert choose(request, tried).stepping == Stepping(pack=4)
        assert tried.asked[0] == Stepping()
    assert [path.name for path in request.shape.path.parent.iterdir()] == [request.shape.path.name]


def test_a_cache_below_a_file_costs_only_another_measurement(request_of, monkeypatch):
    """As one on a disk that is mounted to be read: there too `unlink` is refused before it looks."""
    monkeypatch.setenv("ENSEMBUDGET_CACHE", "/dev/null/cache")
    for _ in range(2):
        tried = Machine(packing_gains)
        assert choose(request_of(), tried).stepping == Stepping(pack=4)
        assert tried.asked[0] == Stepping()


def test_what_is_kept_says_what_it_is_of(request_of, cache_of_its_own):
    request = request_of()
    timings = [
        Timing(stepping=Stepping(), seconds=0.25, first=0.5),
        Timing(stepping=Stepping(compiled=True), fault="RuntimeError: no compiler"),
    ]
    kept = Measured(shape=request.shape, timings=tuple(timings), spent=3.5)
    keep(kept)
    assert known(request.shape) == kept
    (path,) = (cache_of_its_own / "timings").iterdir()
    found = json.loads(path.read_text())
    assert found["shape"]["family"] == "wide_resnet"
    assert found["shape"] == request.shape.model_dump(mode="json")


# All cells.


def test_short_runs_are_not_measured(request_of):
    short = request_of(flops=1e9, fixed={"pack": 2})
    assert short.longest < WORTH / 2
    found = choose_all([short, short], worth=is_worth([short, short]), bench=idle())
    assert found == [Chosen(Stepping(pack=2), None)] * 2
    assert choose_all([], worth=True, bench=idle()) == []
    places = [CPU.model_copy(update={"workers": 2}), CPU.model_copy(update={"threads": 2})]
    assert choose_place(short, places, worth=is_worth([short]), bench=idle()) == places[0]
    assert not short.shape.path.parent.exists()


def test_many_short_cells_are_a_long_run(request_of):
    request, bench = request_of(flops=1e9), Machine(packing_gains)
    requests = [request] * (1 + int(WORTH / request.longest))
    found = choose_all(requests, worth=is_worth(requests, bench), bench=bench)
    assert all(one.stepping == Stepping(pack=4) for one in found)
    assert bench.asked


def test_a_run_that_looks_long_by_its_operations_and_is_short_by_a_trial_is_not_measured(request_of):
    for seconds, worth in ((1e-4, False), (1.0, True)):
        request = request_of(members=8, epochs=1000, width=2 + worth)  # 4,000 steps of 8 members
        bench = Machine(lambda how, seconds=seconds: seconds)
        assert request.longest > WORTH
        assert is_worth([request], bench) is worth is (seconds * 4000 * 8 >= WORTH)
        # It is kept, so that the same command judges the same.
        assert is_worth([request], idle()) is worth
        assert not bench.asked


def test_every_cell_gets_its_stepping_in_its_order(request_of):
    place, bench = CPU.model_copy(update={"workers": 3}), Machine(packing_gains)
    requests = [request_of(width=w, place=place, members=m) for w, m in ((2, 8), (3, 1), (4, 2), (5, 8))]
    found = choose_all(requests, worth=True, bench=bench)
    assert bench.pools == [3]
    # Fewer packs than workers leave some idle, so that small pools stay apart.
    assert [one.stepping.pack for one in found] == [2, 1, 1, 2]
    assert bench.widths == {2, 3, 4, 5}


def test_a_run_whose_cells_are_known_starts_no_process(request_of):
    requests = [request_of(width=width, place=TWO_BY_ONE) for width in (2, 3)]
    first = choose_all(requests, worth=True, bench=Machine(packing_gains))
    assert choose_all(requests, worth=True, bench=idle()) == first


def test_what_is_unknown_of_some_is_measured_of_those_alone(request_of):
    choose_all([request_of(width=2)], worth=True, bench=Machine(packing_gains))
    bench = Machine(packing_gains)
    choose_all([request_of(width=2), request_of(width=3)], worth=True, bench=bench)
    assert bench.widths == {3}


def test_what_is_left_of_a_run_goes_on_as_it_began(request_of):
    """Or its last cell, short by itself, is stepped otherwise than the part of it that is there."""
    requests = [request_of(width=2), request_of(width=3, flops=1e9)]
    whole = choose_all(requests, worth=True, bench=Machine(packing_gains))
    assert choose_all(requests[1:], worth=True, bench=idle()) == whole[1:]


class Killed(ThreadPoolExecutor):
    """Workers that are killed, for memory say: the largest packs are timed before anything is trained."""

    def map(self, *arguments, **options):
        raise BrokenProcessPool("A process in the process pool was terminated abruptly")


def test_measuring_that_is_killed_leaves_the_plainest_stepping(request_of):
    requests = [request_of(fixed={"layout": "contiguous"}, place=TWO_BY_ONE)]
    (found,) = choose_all(requests, worth=True, bench=Machine(packing_gains, pool=Killed))
    assert found.stepping == Stepping(layout="contiguous")


@pytest.mark.slow
def test_processes_find_what_one_finds(request_of):
    fixed = {"compiled": False}
    requests = [request_of(width=w, members=2, fixed=fixed, place=TWO_BY_ONE) for w in (2, 3)]
    found = choose_all(requests, worth=True)
    for request, one in zip(requests, found, strict=True):
        assert one.timing.fault is None
        assert one.timing.seconds > 0
        assert one.timing in known(request.shape).timings
        assert {timing.stepping.pack for timing in known(request.shape).timings} == {1, 2}
    assert choose_all(requests, worth=True, bench=idle()) == found


# Processes and threads.


PLACES = TWO_BY_ONE, ONE_BY_TWO = (
    Place(device="cpu", workers=2, threads=1),
    Place(device="cpu", workers=1, threads=2),
)


class Places(Machine):
    """What the plainest step takes on two processes, and on one of two threads."""

    def __init__(self, two, one):
        super().__init__()
        told, asked = {2: two, 1: one}, self.requests

        def measure(request, how):
            asked.append((request, how))
            seconds = told[request.place.workers]
            return Timing(stepping=how, seconds=seconds, fault=None if seconds else "no memory")

        vars(self).update(measure=measure)

    @property
    def workers(self) -> list[int]:
        return sorted(request.place.workers for request, _ in self.requests)


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
def test_the_faster_place_is_taken_and_the_first_where_they_are_alike(two, one, wanted, request_of):
    bench = Places(two, one)
    assert choose_place(request_of(members=8), PLACES, worth=True, bench=bench) == wanted
    # Each beside others of its kind, as it will run.
    assert bench.workers == [1, 2, 2]


def test_one_place_is_taken_as_it_is(request_of):
    assert choose_place(request_of(), [ONE_BY_TWO], worth=True, bench=idle()) == ONE_BY_TWO


def test_places_are_timed_once_and_by_what_is_fixed(request_of):
    request, bench = request_of(fixed={"pack": 2, "layout": "contiguous"}), Places(1.0, 0.4)
    first = choose_place(request, PLACES, worth=True, bench=bench)
    assert set(bench.asked) == {Stepping(pack=2, layout="contiguous")}
    assert bench.pools == [2]  # a lone one is timed in this process
    assert choose_place(request, PLACES, worth=True, bench=idle()) == first


def test_what_timed_a_place_is_not_timed_again_for_the_stepping(request_of):
    request = request_of()
    place = choose_place(request, PLACES, worth=True, bench=Places(1.0, 0.4))
    bench = Machine(lambda how: 0.4 * how.pack)
    choose(request.model_copy(update={"place": place}), bench)
    assert Stepping() not in bench.asked


# Really.


def quick(request, how):
    """No longer than the fewest steps take."""
    return time_steps(request.cell, Task(*request.task), how, "cpu", seconds=0.0)


def test_a_small_cell_is_really_measured(request_of):
    request = request_of(members=4, fixed={"compiled": False})
    found = choose(request, Bench(quick))
    assert found.timing.seconds > 0
    timings = known(request.shape).timings
    assert found.timing in timings
    assert {one.stepping.pack for one in timings} >= {1, 2}
    assert all(one.fault is None and one.seconds > 0 for one in timings)
    (plainest,) = (one for one in timings if one.stepping == Stepping())
    assert request.seconds(found.timing) <= request.seconds(plainest)


def failing(network, single, members):
    raise RuntimeError("no kernel")


def test_a_way_that_raises_is_tried_and_left(request_of, plug_in):
    plug_in("ways", "failing", way=Way(failing))
    request = request_of(members=1, fixed={"layout": "contiguous", "compiled": False})
    found = choose(request, Bench(quick))
    assert found.stepping == Stepping(layout="contiguous")
    faults = {one.stepping.way: one.fault for one in known(request.shape).timings}
    assert faults == {"grouped": None, "failing": "RuntimeError: no kernel"}


def test_a_way_of_somebody_else_is_chosen_where_it_is_fastest(request_of, plug_in):
    plug_in("ways", "fast", way=Way(lambda network, single, members: network))
    found = choose(request_of(), Machine(lambda how: how.pack * (0.5 if how.way == "fast" else 1.0)))
    assert found.stepping.way == "fast"
