"""``python -m tests.faults --kills 200``: the long fault-injection suite; prints what it did and checked."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from tests.faults.harness import Campaign


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="workers and engines to kill [200]")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random [0]")
    options = parser.parse_args()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="asha-faults-"))
    campaign = Campaign(folder, options.kills, options.seed)
    try:
        tally = campaign.run()
    except BaseException:
        print(f"a law was broken, or the suite was: everything is in {folder}")
        raise
    shutil.rmtree(folder)
    print("\n".join(tally.lines()))
    took = time.monotonic() - began
    print(f"\n{tally.kills} kills in {campaign.number} searches, {took:.0f} s, no law broken")
    places = (f"{place} {count}" for place, count in sorted(tally.places.items()) if count)
    print(f"places: {', '.join(places)}")


if __name__ == "__main__":
    main()
