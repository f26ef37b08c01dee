"""What a vocabulary costs, and the largest that a budget allows."""

from collections.abc import Callable

from ..records import AnyTask, Task
from ..tasks._tokens import FEWEST


def vocabulary_fault(task: AnyTask, embeddings: int, most: float, cost_with: Callable[[AnyTask], int]) -> str:
    """For members too large for a budget: how much of them is embeddings, and a vocabulary that would fit.

    Args:
        task: The dataset's task.
        embeddings: Embedding parameters of a member at its narrowest.
        most: The most that one member may cost.
        cost_with: `cost_with(task)` is what a member at its narrowest costs for another task.

    Returns:
        A sentence with a leading space; "" where members have no embeddings.
    """
    if isinstance(task, Task) or not embeddings:
        return ""

    def of(vocabulary: int) -> AnyTask:
        tied = task.classes == task.vocabulary
        return task._replace(vocabulary=vocabulary, classes=vocabulary if tied else task.classes)

    low, high = FEWEST, task.vocabulary
    fits = low < high and cost_with(of(low)) <= most
    while fits and high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost_with(of(middle)) <= most else (low, middle)
    instead = f" A vocabulary of at most {low:,} tokens would fit." if fits else ""
    return (
        f" {embeddings:,} parameters of each are embeddings of a vocabulary of {task.vocabulary:,}"
        f" tokens.{instead}"
    )
