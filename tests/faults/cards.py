"""The card of an exported ensemble as a stranger writes it, with a digest that fits."""

import json
from typing import Any

from ensembudget.exporting.card import FORMAT
from ensembudget.store.documents import canonical, sha256

INTERVAL = {"value": 0.5, "low": 0.25, "high": 0.75}
WRITTEN = {"file_bytes": 2**40, "tensor_bytes": 1, "sha256": "0" * 64, "difference": 0.0}


def card_body(**inputs: Any) -> dict[str, Any]:
    """A card with these fields of its inputs, whose one file is said to lie elsewhere."""
    return {
        "blueprint": {
            "family": "wide_resnet",
            "options": {"depth": 10},
            "width": 4,
            "members": 2,
            "class_names": ["a", "b"],
            "inputs": {"kind": "images", "image_size": 8, "mean": [0.5], "std": [0.25]} | inputs,
            "temperature": 1.5,
            "dtype": "float32",
        },
        "data": {
            "name": "digits",
            "digest": "0" * 64,
            "training_samples": 100,
            "validation_samples": 0,
            "test_samples": 10,
            "test_answers": 10,
            "temperature_fitted_on": "test",
        },
        "budget": {
            "amount": 5178,
            "kind": "parameters",
            "dtype": "float32",
            "parameters": 5178,
            "bytes": 20712,
        },
        "quality": {
            "ensembles": 2,
            "accuracy": INTERVAL,
            "nll": INTERVAL,
            "cnll": INTERVAL,
            "own_accuracy": 0.5,
            "own_nll": 0.5,
            "own_disagreement": None,
        },
        "provenance": {
            "study": "digits",
            "study_sha256": "0" * 64,
            "setting": "",
            "chosen": "named",
            "members": [{"key": "0" * 64, "seed": 1, "digest": "0" * 64}],
            "ensembudget": "0",
            "torch": "0",
        },
        "files": {"safetensors": {"file": "../../../etc/passwd", **WRITTEN}},
    }


def signed(card: Any) -> bytes:
    """The file of a card."""
    body = {"format": FORMAT, "card": card}
    return json.dumps(body | {"sha256": sha256(canonical(body))}).encode()
