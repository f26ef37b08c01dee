"""Checks what an archive claims to hold, before memory is allocated, and what its pickle would call."""

import pickletools
import re
import zipfile
from typing import IO

from ..errors import told

MOST_PICKLED = 2**20  # bytes of a pickle that names a few tensors
# How many bytes a byte unpacks to at most: https://zlib.net/zlib_tech.html says 1032 of deflate.
MOST_PACKED = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1040}
# What torch.save writes of a dict of tensors. torch would also make a bytearray of any length, say.
PICKLED = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)|torch\.serialization _get_layout"
    r"|torch (\w+Storage|bfloat16|float16|float32|float64|int8|int16|int32|int64|uint8|bool|Size|device)"
)


def check_packed(one: zipfile.ZipInfo) -> None:
    """Refuses a part of an archive that claims more than its bytes can unpack to.

    Raises:
        ValueError: It does.
    """
    if one.compress_type not in MOST_PACKED:
        raise ValueError(f"{told(one.filename)} is packed by method {one.compress_type}, which is not read")
    if one.file_size > MOST_PACKED[one.compress_type] * one.compress_size:
        raise ValueError(
            f"{told(one.filename)} says that {one.compress_size:,} bytes unpack to {one.file_size:,}"
        )


def check_pickle(file: IO[bytes]) -> int:
    """The unpacked size of an archive of torch whose pickle calls only what a dict of tensors needs.

    Raises:
        ValueError: It does, or is no such archive.
    """
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        for one in parts:
            check_packed(one)
        pickles = [one for one in parts if one.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > MOST_PICKLED:
            raise ValueError("it has no pickle of tensors alone")
        for code, argument, _ in pickletools.genops(archive.read(pickles[0])):
            if code.name == "GLOBAL" and not PICKLED.fullmatch(str(argument)):
                raise ValueError("it holds Python objects, which are not loaded")
            if code.name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "EXT1", "EXT2", "EXT4"):
                raise ValueError("it holds Python objects, which are not loaded")
    return sum(one.file_size for one in parts)
