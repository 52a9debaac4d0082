"""The command line of the library: `eqco COMMAND`, see `eqco.commands`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from eqco.commands import parse
from eqco.waiting import sleep_while_waiting


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; bad input ends with one sentence and status 2."""
    given = parse(arguments)
    sleep_while_waiting()
    try:
        given.function(given)
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is not installed: pip install 'eqco[suite]'", file=sys.stderr)
        return 2
    except (ValueError, RuntimeError, OSError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped: the checkpoint is kept, the same command continues", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
