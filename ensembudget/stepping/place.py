"""Where members are stepped: the device, and how processes and threads share the machine."""

import torch

from ..errors import DeviceError, reason
from ..records import Record


class Place(Record):
    """Where a run happens: a device, and how many processes of how many threads share it."""

    device: str
    workers: int
    threads: int


def places(device: str, workers: int | None, threads: int | None, *, usual: int = 1) -> list[Place]:
    """What may be tried of processes and threads on this machine, the usual first.

    Args:
        device: A torch device.
        workers: How many processes; None where nobody says.
        threads: Of each process; None where nobody says.
        usual: How many processes there are where nobody says.

    Raises:
        DeviceError: torch cannot use the device here, or there is less than one worker or thread.

    Example:
        >>> [(place.workers, place.threads) for place in places("cpu", None, None, usual=4)]
        [(4, 1), (1, 4)]
    """
    check_device(device)
    check_numbers(workers, threads)
    count = usual if workers is None else workers
    # Each of several workers on a CPU gets one thread; a lone one gets torch's own number.
    each = threads or (1 if count > 1 else torch.get_num_threads())
    found = [Place(device=device, workers=count, threads=each)]
    if workers is None and threads is None and count > 1:
        found.append(Place(device=device, workers=1, threads=count))
    return found


def devices(device: str, gpus: int) -> list[str]:
    """What workers take in turn: every GPU where `cuda` is asked and there are several, else the device.

    >>> devices("cuda", 3), devices("cuda:1", 3), devices("cuda", 1)
    (['cuda:0', 'cuda:1', 'cuda:2'], ['cuda:1'], ['cuda'])
    """
    return [f"{device}:{number}" for number in range(gpus)] if device == "cuda" and gpus > 1 else [device]


def check_numbers(workers: int | None, threads: int | None) -> None:
    """Refuses less than one worker or thread."""
    for name, number in (("workers", workers), ("threads", threads)):
        if number is not None and number < 1:
            raise DeviceError(f"{name} {number} is below 1, the smallest that works.")


def check_device(device: str) -> None:
    """Refuses a device that torch cannot use on this machine."""
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        kind = device.partition(":")[0]
        why = "torch finds none on this machine" if kind in ("cuda", "mps", "xpu") else _told(error)
        raise DeviceError(f"device {device!r} cannot be used here: {why}. Use --device cpu.") from None


def _told(error: Exception) -> str:
    """Torch's first line. Of a kind that does not exist it lists twenty, few of which anyone has."""
    first = str(error).partition("\n")[0]
    return "torch knows no such device" if first.startswith("Expected one of") else reason(Exception(first))
