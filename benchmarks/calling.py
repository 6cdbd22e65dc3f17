"""``python -m benchmarks.calling MODULE FUNCTION JSON``: calls the function and prints what it answers."""

from __future__ import annotations

import json
import sys
from importlib import import_module


def main() -> None:
    module, function, values = sys.argv[1:]
    answer = getattr(import_module(module), function)(**json.loads(values))
    print(f"\n{json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main()
