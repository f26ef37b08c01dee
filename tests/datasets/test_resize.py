"""Images at another size."""

import numpy as np
import pytest
import torch

from ensembudget.datasets._base import Arrays, Treatment
from ensembudget.datasets._form import formed
from ensembudget.datasets._load import load, task_of
from ensembudget.errors import DatasetError
from ensembudget.studies import load_study
from ensembudget.verbs.plan import plan_study

TINY = """
name = "tiny"
description = "digits at another size"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
SIZE
train_size = 60
widths = [2]
pool = 1

[recipe]
epochs = 1
batch_size = 32
"""


def arrays(rng, height, width, channels):
    images = rng.integers(0, 256, (4, height, width, channels), np.uint8)
    labels = np.array([0, 1, 0, 1])
    return Arrays(images, labels, images[:2], labels[:2], classes=2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("old", "new"), [(32, 16), (28, 16), (8, 16), (17, 9)])
def test_resizing_is_torchs_antialiased_bilinear_filter_to_a_grey_level(old, new, channels):
    rng = np.random.default_rng(0)
    source = arrays(rng, old, old, channels)
    floats = torch.from_numpy(source.train_inputs).permute(0, 3, 1, 2).double()
    expected = torch.nn.functional.interpolate(floats, (new, new), mode="bilinear", antialias=True)
    found = formed(source, Treatment(new))
    assert found.train_inputs.shape == (4, new, new, channels)
    assert found.train_inputs.dtype == np.uint8
    difference = found.train_inputs - expected.permute(0, 2, 3, 1).numpy()
    assert np.abs(difference).max() <= 1.5  # rounded between rows and columns
    assert (found.test_inputs == found.train_inputs[:2]).all()


def test_the_central_square_of_an_oblong_image_is_kept():
    oblong = arrays(np.random.default_rng(0), 12, 20, 3)
    assert (formed(oblong, Treatment(12)).train_inputs == oblong.train_inputs[:, :, 4:16]).all()


def test_images_of_that_size_are_not_touched():
    square = arrays(np.random.default_rng(0), 16, 16, 3)
    assert formed(square, Treatment(16)).train_inputs is square.train_inputs


def test_resized_images_have_a_name_a_digest_and_a_task_of_their_own(digits):
    found = load("digits", 12)
    assert found.name == "digits-12px"
    assert found.digest != digits.digest
    assert found.task == task_of("digits", 12) == digits.task._replace(image_size=12)
    assert load("digits", 8).digest == digits.digest


@pytest.mark.parametrize("size", [1, 7, 1025])
def test_a_size_that_no_network_takes_is_refused(size):
    with pytest.raises(DatasetError, match=rf"^image_size {size:,} is not between 8 and 1,024 pixels"):
        load("digits", size)


def test_a_study_trains_on_images_of_its_size(command, folder):
    (folder / "tiny.toml").write_text(TINY.replace("SIZE", "image_size = 12"))
    said = command("run", "tiny.toml", "--executor", "serial")
    assert said.code == 0, said.err
    assert command("status", "tiny.toml").code == 0


def test_members_of_resized_images_have_other_keys(tmp_path):
    keys = set()
    for size in ("", "image_size = 12"):
        path = tmp_path / "tiny.toml"
        path.write_text(TINY.replace("SIZE", size))
        keys |= {run.key for run in plan_study(load_study(path)).runs}
    assert len(keys) == 2


def test_a_bad_size_in_a_study_is_one_message(command, folder):
    (folder / "tiny.toml").write_text(TINY.replace("SIZE", "image_size = 4"))
    said = command("run", "tiny.toml")
    assert said.code == 2
    assert "image_size 4 is not between 8 and 1,024 pixels" in said.err
    assert "Traceback" not in said.err
