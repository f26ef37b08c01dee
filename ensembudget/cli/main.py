"""Runs one command and turns whatever happens into an exit code and at most one message."""

import os
import sys
import time
import traceback
from collections.abc import Sequence

from .. import __version__
from ..errors import EnsembudgetError, reason, visible
from . import voice
from .parser import build_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, 1 (members failed), 2 (wrong), 3 (incomplete)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        args = build_parser(words).parse_args(words)
        voice.set_volume(args)
        began = time.monotonic()
        code = int(args.act(args))
        sys.stdout.flush()  # a closed pipe raises here, where it is caught
        voice.detail(f"version {__version__}, {time.monotonic() - began:.1f} s.")
        return code
    except EnsembudgetError as error:
        if voice.verbose:
            traceback.print_exc()
        print(f"ensembudget: {visible(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ensembudget: interrupted; rerun the same command to resume.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("ENSEMBUDGET_TRACEBACK") or voice.verbose:
            raise
        print(
            f"ensembudget: internal error: {type(error).__name__}: {visible(reason(error))}. Please report"
            " it, with the output of the same command under ENSEMBUDGET_TRACEBACK=1.",
            file=sys.stderr,
        )
        return 1
