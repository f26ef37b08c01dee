"""Says what an exported ensemble sees in a picture.

python examples/classify.py DIR PICTURE     # DIR as `ensembudget export` wrote it
"""

import sys
from pathlib import Path

import ensembudget


def main(folder: str | Path, picture: str | Path) -> None:
    ensemble = ensembudget.load(folder)
    probabilities, disagreement = ensemble.predict(picture)
    best = int(probabilities[0].argmax())
    print(f"{ensemble.class_names[best]}: {probabilities[0, best]:.3f}", end=", ")
    print(f"{disagreement[0]:.0%} of pairs of members disagree")


if __name__ == "__main__":
    main(*sys.argv[1:])
