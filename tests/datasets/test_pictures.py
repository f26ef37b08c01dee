"""Images as people have them: of every mode and size, turned, animated, nested, corrupt."""

import io
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ensembudget.datasets._base import Arrays, Picture, Pictures, Treatment
from ensembudget.datasets._cache import digest_of
from ensembudget.datasets._decode import decode_image, pixels_of
from ensembudget.datasets._form import formed
from ensembudget.datasets._load import label, load, study_data, study_task, task_of
from ensembudget.datasets._look import look
from ensembudget.datasets._pictures import arrays_of
from ensembudget.errors import DatasetError
from ensembudget.records import Study, Task

RNG = np.random.default_rng(7)
COLOUR = RNG.integers(256, size=(10, 12, 12, 3), dtype=np.uint8)
ORIENTATION = 0x0112  # EXIF's tag


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def saved(image: Image.Image | np.ndarray, kind: str = "PNG", **how: object) -> bytes:
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(np.squeeze(image))
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


def decoded(content: bytes, form: Treatment = Treatment()) -> np.ndarray:  # noqa: B008
    return decode_image(content, "x", form).pixels


def folder(root: Path, files: dict[str, bytes | np.ndarray | Image.Image]) -> str:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else saved(content))
    return f"folder:{root}"


def ten(root: Path, **others: bytes | np.ndarray | Image.Image) -> str:
    """Ten images of 12x12 in two classes, without a test folder; `others` replace some of them."""
    files: dict[str, bytes | np.ndarray | Image.Image] = {
        f"{'ab'[i % 2]}/{i}.png": COLOUR[i] for i in range(10)
    }
    return folder(root, files | {name.replace("__", "/") + ".png": image for name, image in others.items()})


# ---- Modes


@given(hnp.arrays(np.uint8, (9, 7, 4)))
@settings(max_examples=20, deadline=None)
def test_transparent_colours_are_laid_on_white(image):
    colours, alpha = image[..., :3].astype(float), image[..., 3:] / 255
    found = decoded(saved(image))
    assert found.shape == (9, 7, 3)
    assert np.abs(found - (alpha * colours + (1 - alpha) * 255)).max() <= 1


@given(hnp.arrays(np.uint8, (9, 7, 2)))
@settings(max_examples=20, deadline=None)
def test_transparent_greys_are_laid_on_white_and_stay_grey(image):
    grey, alpha = image[..., :1].astype(float), image[..., 1:] / 255
    found = decoded(saved(image))
    assert found.shape == (9, 7, 1)
    assert np.abs(found - (alpha * grey + (1 - alpha) * 255)).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palettes_transparent_colour_is_white(kind):
    picture = Image.new("P", (9, 9), 1)
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.paste(2, (0, 0, 9, 4))
    found = decoded(saved(picture, kind, transparency=2))
    assert found[:4].tolist() == [[[255] * 3] * 9] * 4
    assert found[4:].tolist() == [[[40, 50, 60]] * 9] * 5


@pytest.mark.parametrize(("mode", "key", "seen"), [("L", 77, (77,)), ("RGB", (1, 2, 3), (1, 2, 3))])
def test_a_single_transparent_colour_is_white(mode, key, seen):
    picture = Image.new(mode, (9, 9), key)
    picture.paste(0, (0, 0, 3, 9))
    found = decoded(saved(picture, transparency=key))
    assert found[:, 3:].tolist() == [[[255] * len(seen)] * 6] * 9
    assert found[:, :3].tolist() == [[[0] * len(seen)] * 3] * 9


LEVELS = np.arange(81, dtype=np.uint16).reshape(9, 9) * 800  # up to 64,000 of 65,535


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(saved(Image.fromarray(LEVELS)), id="PNG"),
        pytest.param(saved(Image.fromarray(LEVELS), "TIFF"), id="TIFF"),
        pytest.param(b"P5 9 9 65535\n" + LEVELS.astype(">u2").tobytes(), id="PGM"),
    ],
)
def test_numbers_of_16_bits_keep_their_upper_8(content):
    assert np.array_equal(decoded(content)[..., 0], LEVELS >> 8)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_of_32_bits_are_told(mode):
    with pytest.raises(DatasetError, match=rf"x holds numbers of 32 bits \(mode {mode}\).* 8 or 16 bits"):
        decoded(saved(Image.new(mode, (9, 9), 3), "TIFF"))


@pytest.mark.parametrize("mode", "1 L LA P PA RGB RGBA RGBa RGBX CMYK YCbCr LAB HSV La I;16 I;16B".split())
@pytest.mark.parametrize(("colour", "channels"), [("rgb", 3), ("grey", 1)])
def test_every_mode_becomes_rgb_or_grey_where_a_study_says_so(mode, colour, channels):
    picture = Image.new("RGB", (9, 9), (200, 200, 200))
    by_way = {"La": "LA", "RGBa": "RGBA", "PA": "P", "I;16": "L", "I;16B": "L"}
    if mode == "LAB":
        picture = Image.new("LAB", (9, 9), (200, 0, 0))
    elif mode.startswith("I;16"):
        picture = Image.fromarray(np.full((9, 9), 200 << 8, np.uint16 if mode == "I;16" else ">u2"))
    else:
        picture = picture.convert(by_way.get(mode, mode)).convert(mode)
    found = pixels_of(picture, form=Treatment(colour=colour))
    assert found.shape == (9, 9, channels)
    # One bit has black and white alone, and a palette only some colours.
    assert mode in "1 P PA LAB" or found.min() == found.max() == 200


@given(hnp.arrays(np.uint8, (9, 8, 3)))
@settings(max_examples=20, deadline=None)
def test_grey_is_the_luma_of_a_colour(image):
    found = decoded(saved(image), Treatment(colour="grey"))[..., 0]
    luma = image @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    assert np.abs(found - luma).max() <= 0.51


# ---- Turned, animated, too large

TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("turn", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_images_are_turned_upright_as_their_exif_says(turn, kind):
    image = RNG.integers(256, size=(9, 7, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    assert np.array_equal(decoded(saved(image, kind, exif=exif)), TURNED[turn](image))


def test_a_turned_photograph_is_cut_after_it_is_turned():
    image = np.zeros((9, 20, 3), np.uint8)
    image[:, 5:14] = 255  # off the middle by half a pixel: (20 - 9) // 2 = 5
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    assert decoded(saved(image, exif=exif), Treatment(image_size=9)).min() == 0
    assert decoded(saved(image), Treatment(image_size=9)).min() == 255


@given(st.binary(max_size=40))
@settings(max_examples=50, deadline=None)
def test_a_damaged_exif_block_does_not_damage_the_pixels(block):
    plain = saved(COLOUR[0], "JPEG")
    found = decoded(saved(COLOUR[0], "JPEG", exif=b"Exif\0\0" + block))
    assert sorted(found.shape) == [3, 12, 12]
    assert sorted(found.ravel()) == sorted(decoded(plain).ravel())  # turned, if the block happens to say so


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_used(kind):
    red, blue = (Image.new("RGB", (12, 12), colour) for colour in ((255, 0, 0), (0, 0, 255)))
    how = {"lossless": True} if kind == "WEBP" else {}
    content = saved(red, kind, save_all=True, append_images=[blue], **how)
    found = decode_image(content, "x")
    assert found.animated
    assert found.pixels.tolist() == [[[255, 0, 0]] * 12] * 12
    assert not decode_image(saved(red, kind), "x").animated


def test_a_photograph_of_many_pixels_is_read_where_it_is_resized():
    content = saved(Image.new("RGB", (1500, 1200), (10, 20, 30)), "JPEG")
    with pytest.raises(
        DatasetError, match=r"1500x1200 pixels; at most 1,048,576.* where a study sets image_size"
    ):
        decoded(content)
    found = arrays_of(Pictures([Picture("x", 0, lambda: content)], [], 1), "x", Treatment(image_size=16))[0]
    assert np.abs(found.train_inputs.astype(int) - [10, 20, 30]).max() <= 2


def test_a_large_photograph_is_resized_to_nearly_what_all_its_pixels_give():
    # A JPEG is decoded at a fraction of its size; the oracle takes every pixel.
    image = np.kron(RNG.integers(256, size=(8, 10, 3), dtype=np.uint8), np.ones((60, 60, 1), np.uint8))
    content = saved(image, "JPEG", quality=95)
    whole = Image.open(io.BytesIO(content)).crop((60, 0, 540, 480)).resize((8, 8), Image.Resampling.BILINEAR)
    found = decoded(content, Treatment(image_size=8))
    assert np.abs(found.astype(int) - np.asarray(whole)).max() <= 8


# ---- Sizes and colours of a whole dataset


def test_images_of_several_sizes_are_refused_with_the_commonest_and_what_to_set(tmp_path):
    spec = ten(tmp_path / "set", a__0=COLOUR[0][:9], b__1=COLOUR[1][:, :9])
    with pytest.raises(DatasetError) as caught:
        load(spec)
    assert "Of 3 sizes the commonest is 12x12 pixels (6 of 8 images). Set image_size in the study" in str(
        caught.value
    )


def test_images_of_several_sizes_are_each_cut_to_a_square_and_resized(tmp_path):
    shapes = [(12, 12), (9, 30), (31, 10), (10, 10), (13, 40)]
    images = [RNG.integers(256, size=(*shape, 3), dtype=np.uint8) for shape in shapes]
    files = {
        f"{part}/{'ab'[i % 2]}/{i}.png": one for part in ("train", "test") for i, one in enumerate(images)
    }
    found = load(folder(tmp_path / "set", files), 10).arrays
    for image, own in zip([images[i] for i in (0, 2, 4, 1, 3)], found.train_inputs, strict=True):
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = Image.fromarray(image[top : top + side, left : left + side])
        assert np.array_equal(own, np.asarray(square.resize((10, 10), Image.Resampling.BILINEAR)))
    assert np.array_equal(found.train_inputs, found.test_inputs)


def test_grey_among_colours_is_told_and_becomes_what_a_study_says(tmp_path):
    spec = ten(tmp_path / "set", a__0=COLOUR[0][..., 0], b__1=COLOUR[1][..., 0])
    with pytest.raises(DatasetError, match=r'Grey: 2 of 8 images\. Set colour = "rgb" or colour = "grey"'):
        load(spec)
    rgb, grey = load(spec, colour="rgb"), load(spec, colour="grey")
    assert (rgb.task, grey.task) == (Task(2, 3, 12), Task(2, 1, 12))
    assert (rgb.name, grey.name) == ("set-rgb", "set-grey")
    assert np.array_equal(grey.arrays.train_inputs, formed(rgb.arrays, Treatment(colour="grey")).train_inputs)


def test_nothing_is_kept_at_full_size(tmp_path):
    # 40 images of 600x600: 43 MB where they were stacked before they are resized.
    content = saved(Image.new("RGB", (600, 600), (1, 2, 3)))
    pictures = [Picture(f"{i}.png", i % 2, lambda: content) for i in range(40)]
    tracemalloc.start()
    try:
        arrays_of(Pictures(pictures, [], 2), "x", Treatment(image_size=8))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5e6


@given(
    st.sampled_from([1, 3]),
    st.integers(8, 13),
    st.one_of(st.none(), st.integers(8, 20)),
    st.sampled_from([None, "rgb", "grey"]),
    st.data(),
)
@settings(max_examples=30, deadline=None)
def test_files_are_decoded_to_what_their_decoded_arrays_would_become(channels, side, size, colour, data):
    images = data.draw(hnp.arrays(np.uint8, (3, side, side, channels)))
    labels = np.arange(3)
    pictures = [Picture(str(i), i, lambda image=image: saved(image)) for i, image in enumerate(images)]
    form = Treatment(size, colour)
    found, notes = arrays_of(Pictures(pictures, pictures, 3), "x", form)
    expected = formed(Arrays(images, labels, images, labels, 3), form)
    assert digest_of(found) == digest_of(expected)
    assert notes == ()


def test_digits_can_be_coloured_and_cifar_made_grey_without_files():
    one, two = load("digits"), load("digits", colour="rgb")
    assert np.array_equal(two.arrays.train_inputs, one.arrays.train_inputs.repeat(3, -1))
    assert task_of("cifar10", colour="grey") == Task(10, 1, 32)
    with pytest.raises(DatasetError, match="image_size 0 is not between 8 and 1,024"):
        task_of("cifar10", 0)
    assert label("cifar10", 16, "grey") == "cifar10-16px-grey"


@pytest.mark.parametrize(
    ("size", "digest"),
    [
        (None, "5334a75dfd6aedee693bc0cb1afb901ecd5a322d213ebc4fcdf2af1ab31f96a4"),
        (16, "a205707706ac4e4fed444cd0a1e4409bab78481d9fa18f4556db0cc7a7fbb7c7"),
    ],
)
def test_digits_have_the_digest_that_published_members_were_trained_on(size, digest):
    assert load("digits", size).digest == digest


def test_every_setting_has_a_cache_entry_of_its_own(tmp_path):
    spec = ten(tmp_path / "set")
    asked = [
        {}, {"image_size": 9}, {"colour": "grey"}, {"image_size": 9, "colour": "grey"}, {"skip_corrupt": True}
    ]  # fmt: skip
    first = [load(spec, **how) for how in asked]
    again = [load(spec, **how) for how in asked]
    assert [one.digest for one in first] == [one.digest for one in again]
    assert len({one.digest for one in first}) == 4  # nothing is corrupt here
    assert len(list((tmp_path / "cache" / "sources").iterdir())) == 5


# ---- Corrupt and animated files

CUT = saved(RNG.integers(256, size=(12, 12, 3), dtype=np.uint8))[:200]


def test_a_corrupt_file_is_named_with_the_way_to_leave_it_out(tmp_path):
    with pytest.raises(DatasetError, match=r"a/4\.png cannot be decoded.* skip_corrupt = true"):
        load(ten(tmp_path / "set", a__4=CUT))


def test_corrupt_files_that_are_left_out_are_counted_each_time(tmp_path):
    whole = load(ten(tmp_path / "whole")).arrays
    spec = ten(tmp_path / "set", a__4=CUT, b__7=b"", a__6=b"no image")
    one, two = load(spec, skip_corrupt=True), load(spec, skip_corrupt=True)
    assert one.notes == two.notes
    assert len(one.notes) == 1
    assert "because they cannot be decoded: 3 of 10 images (" in one.notes[0]
    assert str(tmp_path) not in one.notes[0]
    # All others are in the split in which they were.
    gone = [COLOUR[i].tobytes() for i in (4, 6, 7)]
    for own, all_ in (
        (one.arrays.train_inputs, whole.train_inputs),
        (one.arrays.test_inputs, whole.test_inputs),
    ):
        assert [image.tobytes() for image in own] == [
            image.tobytes() for image in all_ if image.tobytes() not in gone
        ]
    assert load(ten(tmp_path / "whole"), skip_corrupt=True).notes == ()


def test_what_is_not_corrupt_is_never_skipped(tmp_path):
    for number, wrong in enumerate((COLOUR[4][:9], COLOUR[4][..., 0])):
        with pytest.raises(DatasetError, match="several shapes"):
            load(ten(tmp_path / str(number), a__4=wrong), skip_corrupt=True)


def test_nothing_but_corrupt_files_is_refused(tmp_path):
    spec = folder(tmp_path / "set", {f"{'ab'[i % 2]}/{i}.png": CUT for i in range(10)})
    with pytest.raises(DatasetError, match="no training images"):
        load(spec, skip_corrupt=True)


def test_animated_files_are_told(tmp_path):
    frames = [Image.fromarray(image) for image in COLOUR[:2]]
    moving = saved(frames[0], save_all=True, append_images=frames[1:])
    data = load(ten(tmp_path / "set", a__0=moving))
    assert data.notes == ("Read by the first of their frames: 1 of 10 files (0.png).",)
    assert data.digest == load(ten(tmp_path / "still")).digest


# ---- Folders


def test_folders_within_a_class_belong_to_it_and_hidden_files_do_not(tmp_path):
    files = {f"{'ab'[i % 2]}/{'deep/er/' if i > 5 else ''}{i}.png": COLOUR[i] for i in range(10)}
    hidden = {"a/._0.png": b"x", "a/.thumbs/1.png": b"x", ".git/2.png": b"x"}
    data = load(folder(tmp_path / "set", files | hidden))
    assert data.task.classes == 2
    assert len(data.arrays.train_inputs) + len(data.arrays.test_inputs) == 10


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
def test_a_folder_for_validation_stands_in_for_a_missing_test(tmp_path, name):
    files = {f"{part}/{'ab'[i % 2]}/{i}.png": COLOUR[i] for part in ("train", name) for i in range(4)}
    arrays = load(folder(tmp_path / "set", files)).arrays
    assert arrays.class_names == ("a", "b")
    assert len(arrays.train_inputs) == len(arrays.test_inputs) == 4


def test_a_train_folder_alone_gives_a_fifth_to_the_test(tmp_path):
    data = load(folder(tmp_path / "set", {f"train/{'ab'[i % 2]}/{i}.png": COLOUR[i] for i in range(10)}))
    assert (len(data.arrays.train_inputs), len(data.arrays.test_inputs)) == (8, 2)
    assert data.class_names == ("a", "b")


def test_a_class_may_be_called_train(tmp_path):
    data = load(
        folder(tmp_path / "set", {f"{'train' if i % 2 else 'car'}/{i}.png": COLOUR[i] for i in range(10)})
    )
    assert data.class_names == ("car", "train")


def test_a_folder_around_the_classes_is_told(tmp_path):
    ten(tmp_path / "set" / "photos")
    with pytest.raises(
        DatasetError, match=r"1 class folders.*Did you mean 'folder:.*set/photos', which has 2"
    ):
        load(f"folder:{tmp_path / 'set'}")


@pytest.mark.parametrize("kind", ["folder", "parquet"])
@pytest.mark.parametrize("place", ["x" * 5000, "/".join(["y" * 200] * 30), "\0", "a\nb"])
def test_a_folder_whose_name_is_none_is_refused_in_one_short_line(kind, place):
    with pytest.raises(DatasetError, match=rf"^dataset '{kind}:") as caught:
        load(f"{kind}:{place}")
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    spec = ten(tmp_path / "set")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DatasetError, match=r"cannot be read: Permission denied \('.*set"):
        load(spec)


# ---- Class names


def test_class_names_are_kept_beside_the_digest(tmp_path):
    spec = ten(tmp_path / "set")
    one, two = load(spec), load(spec)
    shutil.move(tmp_path / "set" / "a", tmp_path / "set" / "A cat")
    other = load(spec)
    assert one.class_names == two.class_names == ("a", "b")
    assert other.class_names == ("A cat", "b")
    assert one.digest == other.digest
    assert load("digits").class_names == tuple("0123456789")


# ---- Looking


def test_a_look_counts_what_a_folder_holds(tmp_path):
    frames = [Image.fromarray(image) for image in COLOUR[:2]]
    spec = folder(
        tmp_path / "set",
        {
            "train/cat/0.png": COLOUR[0],
            "train/cat/1.png": COLOUR[1],
            "train/cat/2.bmp": saved(COLOUR[1], "BMP"),  # the same pixels in another file
            "train/dog/0.png": COLOUR[2][..., 0],
            "train/dog/1.png": COLOUR[3][:9],
            "train/dog/2.png": CUT,
            "test/cat/0.png": COLOUR[0],
            "test/dog/0.png": np.stack([COLOUR[2][..., 0]] * 3, -1),  # grey stored as colours
            "test/dog/1.png": saved(frames[0].rotate(90), save_all=True, append_images=frames),
            "test/dog/2.png": frames[1].convert("RGBA"),
        },
    )
    found = look(spec)
    assert found.spec == spec
    assert found.classes == ("cat", "dog")
    assert found.counts == {"train": (3, 2), "test": (1, 3)}
    assert found.sizes == {(12, 12): 8, (12, 9): 1}
    assert found.modes == {"RGB": 7, "L": 1, "RGBA": 1}
    assert [Path(name).parts[-3:] for name in found.corrupt] == [("train", "dog", "2.png")]
    assert [Path(name).parts[-3:] for name in found.animated] == [("test", "dog", "1.png")]
    assert (found.duplicates, found.leaked, found.files) == (1, 3, 10)


def test_a_look_agrees_with_what_is_loaded(tmp_path):
    spec = ten(tmp_path / "set", a__4=CUT)
    found, data = look(spec), load(spec, skip_corrupt=True)
    for part, labels in (("train", data.arrays.train_labels), ("test", data.arrays.test_labels)):
        assert list(found.counts[part]) == np.bincount(labels, minlength=2).tolist()
    assert found.files == 10


def test_a_look_at_photographs_reads_all_their_pixels(tmp_path):
    large = Image.new("RGB", (1500, 1200), (10, 20, 30))
    found = look(ten(tmp_path / "set", a__0=saved(large, "JPEG")))
    assert found.sizes == {(12, 12): 9, (1500, 1200): 1}


# ---- Studies


def a_study(**fields: object) -> Study:
    needed = {"name": "x", "description": "", "family": "convnet", "dataset": "digits", "widths": [2]}
    return Study.model_validate(needed | fields)


def test_a_study_loads_its_dataset_as_it_says(tmp_path):
    spec = ten(tmp_path / "set", a__0=COLOUR[0][:9], b__1=COLOUR[1][..., 0], a__4=CUT)
    study = a_study(dataset=spec, image_size=9, colour="grey", skip_corrupt=True)
    data = study_data(study)
    assert data.task == study_task(study) == Task(2, 1, 9)
    assert data.name == "set-9px-grey"
    assert len(data.notes) == 1


@pytest.mark.parametrize("field", [{"colour": "gray"}, {"colour": 3}, {"skip_corrupt": 1}])
def test_settings_that_do_not_exist_are_refused(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        a_study(**field)
