"""``python -m core.training DATASETS ORDER``: the process that ``parley train`` starts. The order is JSON."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from core.training.order import Order, TrainingError, read

FAILED = 2
STOPPED = 130


def main() -> int:
    """Exit status: 2 for a training that cannot go on, whose reason was written; 130 for one that was stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    order = read(sys.argv[2])
    try:
        if isinstance(order, Order):
            from core.training.loop import train

            target = train(order, Path(sys.argv[1]))
        else:
            from core.training.tuning import tune

            target = tune(order)
    except TrainingError as error:
        sys.stderr.write(f"parley: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. Go on after the last whole epoch with --resume.\n")
        return STOPPED
    sys.stdout.write(f"Made {target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
