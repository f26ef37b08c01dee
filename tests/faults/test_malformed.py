"""Malformed studies: each ends with exit code 2 and a message of field and value, and nothing is written."""

import functools
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malformed import SOUND, VALUES, document, fits, places, with_field

from ensembudget.catalog import Catalog
from ensembudget.cli import parser
from ensembudget.errors import told
from ensembudget.planning import check
from helpers import Said, command

GOLDEN, TRIED = 300, 2000
COMMANDS = (("status",), ("run", "--dry-run"), ("report",), ("tune",), ("run",))
TEXT = document(SOUND)
LONG = "9" * 5000

# What is put below the sound study, and words of the message.
BY_HAND: dict[str, tuple[str, tuple[str, ...]]] = {
    "a key that is near": ("pol = 2", ("pol: no such key", "Did you mean 'pool'?")),
    "a key of another table": ("epochs = 2", ("epochs: no such key", "[recipe]")),
    "a key that colours a screen": ('"\\u001b[31mpool" = 2', (r"'\x1b[31mpool': no such key",)),
    "a key of a thousand letters": (f"{'k' * 1000} = 2", ("kkk ... kkk", "no such key")),
    "a key that is turned around": ('"\\u202eloop" = 2', (r"'\u202eloop': no such key",)),
    "a key twice": ("pool = 3", ("not TOML", "Cannot overwrite a value")),
    "a table twice": ("[options]\ndepth = 16", ("not TOML", "at line 11")),
    "a number of 5,000 digits": (f"tolerance = {LONG}", ("thousands of digits",)),
    "lists 3,000 levels deep": (f"widths = {'[' * 3000}{']' * 3000}", ("levels deep",)),
    "tables 3,000 levels deep": (f"record = {'{a=' * 3000}1{'}' * 3000}", ("levels deep",)),
    "no value": ("tolerance =", ("not TOML", "Invalid value (at line 11")),
    "a control character": ("tolerance = \x01", ("not TOML", "at line 11")),
    "digits of another script": ("tolerance = ٣", ("not TOML", "at line 11")),
    "a year as a number": ("tolerance = 2026-02-30", ("not TOML",)),
    "a recipe at no size": (
        "recipe_at = { 61 = { epochs = 2 } }",
        ("recipe_at: the study has no train_size '61'",),
    ),
    "an unknown field at a size": (
        "recipe_at = { 60 = { epoch = 2 } }",
        ("recipe_at.60.epoch: no such key", "'epochs'"),
    ),
    "an unknown field at no size": ("recipe_at = { x = { y = { z = 1 } } }", ("recipe_at.x.y: no such key",)),
    "two arms of a name": (
        'arms = [{ name = "a" }, { name = "a" }]',
        ("arms: the name 'a'", "more than one arm"),
    ),
    "a sweep of nothing": ("sweep = { depht = [1] }", ("sweep: 'depht' is no field of a recipe",)),
    "a sweep of one value twice": ("sweep = { epochs = [1, 1] }", ("sweep: epochs = 1 is listed twice",)),
    "a sweep that cannot be": ('sweep = { epochs = ["x"] }', ("epochs = 'x'",)),
    "millions of subsets": ("subsets = 9000000", ("9,000,000 combinations", "at most 10,000")),
    "a width twice": ("widths = [3, 3]", ("widths = [3, 3]: 3 is listed more than once",)),
    "a dtype twice": ('dtype = ["int8", "int8"]', ("dtype: 'int8' is listed twice",)),
    "a dtype that is none": ('dtype = "int7"', ("dtype: no dtype 'int7'. Did you mean 'int8'?",)),
    "a mode that is none": ('mode = "spher"', ("mode: no mode 'spher'. Did you mean 'sphere'?",)),
    "a mode without its rate": ('mode = "sphere"', ("mode: ", "effective_learning_rate")),
    "a method that is none": ('method = "swagg"', ("method: no method 'swagg'. Did you mean 'swag'?",)),
    "an option of no method": (
        "method_options = { predictors = 4 }",
        ("method 'independent' has no option 'predictors'",),
    ),
    "a method's option out of range": (
        'method = "tunnel"\nmethod_options = { predictors = 1000000000 }',
        ("option predictors = 1,000,000,000 of method 'tunnel'",),
    ),
    "weights of what is no network": (
        'keep_weights = true\nmethod = "snapshots"',
        ("method: keep_weights = true needs",),
    ),
    "a history in int8": ('dtype = "int8"\nrecord = {}', ("record: histories are of training",)),
    "tuning on nothing": ("tune = { values = { weight_decay = [1e-4, 1e-3] } }", ("validation_size",)),
    "a probe that is none": ('probes = [{ kind = "lin" }]', ("no probe 'lin'. Did you mean 'line'?",)),
    "probes without weights": ('probes = [{ kind = "line" }]', ("keep_weights = true",)),
    "a way that is none": ('stepping = { way = "group" }', ("stepping: no way 'group'",)),
    "a budget kind that is none": ('budget_kind = "bits"', ("budget_kind: no budget 'bits'",)),
    "a number that is none": ("tolerance = nan", ("tolerance = nan: input should be a finite number",)),
    "a number without end": ("tolerance = -inf", ("tolerance = -inf: input should be",)),
    "more than is counted to": ("subsets = 9007199254740992", ("subsets = 9007199254740992: above 2^53",)),
}


def kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which works each answer out once."""
    answers: dict[str, Any] = {}

    @functools.wraps(function)
    def answer(*given: Any, **named: Any) -> Any:
        key = repr((given, sorted(named.items())))
        if key not in answers:
            answers[key] = function(*given, **named)
        return answers[key]

    return answer


@pytest.fixture
def ask(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], Said]:
    """One command about a study of this text. What depends on no study is worked out once."""
    monkeypatch.setattr(check, "narrowest", kept(check.narrowest))
    monkeypatch.setattr(check, "describe", kept(check.describe))
    monkeypatch.setattr(Catalog, "__repr__", lambda self: f"Catalog({self._folder!r})", raising=False)
    monkeypatch.setattr(Catalog, "_sources", kept(Catalog._sources))
    of_command = kept(lambda word: parser.build_parser([word]))
    commands = sys.modules["ensembudget.cli.main"]  # `main` of its package is a function
    monkeypatch.setattr(commands, "build_parser", lambda words: of_command(words[0]))
    path, turn = tmp_path / "study.toml", iter(range(10**9))

    def one(text: str | bytes) -> Said:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        words = COMMANDS[next(turn) % len(COMMANDS)]
        said = command(words[0], path, *words[1:])
        assert (said.code, said.out) == (2, ""), (said, text[-300:])
        assert said.err.startswith(f"ensembudget: study '{path}' "), said.err
        assert said.err.count("ensembudget: ") == 1
        assert "Traceback" not in said.err
        assert len(said.err) < 4000
        obeyed = [c for c in said.err if unicodedata.category(c) in ("Cc", "Zl", "Zp") and c != "\n"]
        assert not obeyed, said.err
        assert not {unicodedata.bidirectional(c) for c in said.err} & {"RLO", "LRO", "RLE", "LRE", "RLI"}
        assert not any(folder.iterdir())
        return said

    return one


def parts(value: Any) -> Iterator[Any]:
    """A value, and what is inside it."""
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from parts(one)


def check_words(said: Said, name: str, value: Any) -> None:
    assert name in said.err
    keys = [key for one in parts(value) if isinstance(one, dict) for key in one]
    named = any(f" = {told(one)}: " in said.err for one in parts(value))
    assert named or any(f"{key}: no such key" in said.err for key in keys) or ": missing;" in said.err, (
        said.err
    )


def golden() -> list[tuple[str, str, Any]]:
    """Fields with values that they cannot have: as many as are missing from those by hand, evenly chosen."""
    wrong = [(t, name, v) for t, name, kind, whole in places() for v in VALUES if not fits(v, kind, whole)]
    count = GOLDEN - len(BY_HAND)
    assert len(wrong) > 1500
    return [wrong[i * len(wrong) // count] for i in range(count)]


@pytest.mark.slow
def test_every_malformed_study_is_told_by_field_and_value(ask, attacked):
    said = {about: ask(f"{TEXT}{line}\n") for about, (line, _) in BY_HAND.items()}
    for about, (_, words) in BY_HAND.items():
        assert all(word in said[about].err for word in words), (about, said[about].err)
    cases = golden()
    for table, name, value in cases:
        check_words(ask(with_field(table, name, value)), name, value)
    attacked(
        "P11", "malformed studies, from the fields of the records and by hand", len(BY_HAND) + len(cases)
    )


KEYS = st.text(max_size=6) | st.sampled_from(["epochs", "name", "a.b", "\x1b[2J", "\u202e"])
JUNK = st.recursive(
    st.text(max_size=12)
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.booleans()
    | st.dates()
    | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
# Where a line begins with one of these, no statement of TOML does.
BROKEN = st.tuples(st.integers(0, len(SOUND)), st.sampled_from("=,]}%\x00\x1b"), st.text(max_size=20))


@pytest.mark.slow
def test_studies_that_are_drawn_at_random_are_told_too(ask, attacked, times):
    fields = [(table, name, kind) for table, name, kind, _ in places()]
    whole = next(places())[3]
    tried = []
    wrong = st.tuples(st.sampled_from(fields), JUNK).filter(
        lambda drawn: not fits(drawn[1], drawn[0][2], whole)
    )
    quiet = {"derandomize": True, "database": None, "deadline": None, "suppress_health_check": [*HealthCheck]}

    @settings(max_examples=(TRIED - 200) * times, **quiet)
    @given(wrong)
    def in_fields(drawn):
        (table, name, _), value = drawn
        said = ask(with_field(table, name, value))
        assert name in said.err
        tried.append(name)

    @settings(max_examples=200 * times, **quiet)
    @given(BROKEN)
    def in_lines(drawn):
        place, begin, rest = drawn
        lines = TEXT.splitlines()
        lines.insert(place, begin + rest.replace("\n", " "))
        assert "is not TOML" in ask("\n".join(lines)).err
        tried.append(begin)

    in_fields()
    in_lines()
    assert len(tried) >= TRIED * times
    attacked("P11", "malformed studies, drawn at random", len(tried))


def test_a_study_that_is_no_text_file_is_refused_and_not_waited_for(command, folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'name = "\xff"')
    with (tmp_path / "huge.toml").open("wb") as file:
        file.truncate(2**40)  # a hole: no byte of it is on the disk
    wanted = {
        "/dev/zero": "it is a device or a pipe",
        tmp_path / "pipe.toml": "it is a device or a pipe",
        tmp_path / "folder.toml": "neither a preset nor a file",
        tmp_path / "latin.toml": "can't decode byte 0xff",
        tmp_path / "huge.toml": "1,099,511,627,776 bytes",
        "x\0y": "cannot be read: embedded null byte",
    }
    for path, why in wanted.items():
        said = command("status", path)
        assert (said.code, said.out) == (2, "")
        assert why in said.err
        assert "Traceback" not in said.err
    assert list(folder.iterdir()) == []


def test_the_oracle_of_types_agrees_with_the_sound_study():
    """Were it to refuse everything, nothing that it calls malformed would be."""
    kinds = {(table, name): (kind, whole) for table, name, kind, whole in places()}
    for name, value in SOUND.items():
        assert fits(value, *kinds["", name]), name
    assert not fits("x", *kinds["", "pool"])
    assert json.loads(json.dumps(SOUND)) == SOUND
