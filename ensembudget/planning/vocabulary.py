"""What a vocabulary costs, and how large a budget allows it to be."""

from collections.abc import Callable

from ..records import AnyTask, Task

FEWEST = 4  # tokens: padding, the start and the end of a sentence, and one for all else


def vocabulary_fault(task: AnyTask, embeddings: int, most: float, cost_with: Callable[[AnyTask], int]) -> str:
    """A sentence on the embeddings of members that a budget cannot hold, "" where none have any.

    Args:
        task: Of the dataset.
        embeddings: Parameters of a member at its narrowest that are tables of tokens.
        most: What one member may cost.
        cost_with: What one costs at its narrowest, for another task.
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
