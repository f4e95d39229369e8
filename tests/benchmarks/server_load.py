"""How much `vivavoce serve` does, and how evenly it answers at half of that.

Run by `make bench`. A second process asks on loopback; every run is bounded in count and time. For each of
five rounds it prints the rate at saturation, then median and 99th percentile at half that rate. Whoever else
uses the machine shows in the percentile first, so read the quietest rounds.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from load import Loader, waiting
from serving import Process

ROUNDS = 5


def main() -> None:
    for query, count in (("", 3_000), ("?audio=wav", 200)):
        print(f"digits-speech, {query or 'class alone'}")
        with tempfile.TemporaryDirectory() as folder, Process("digits-speech") as server:
            loader = Loader(Path(folder))
            loader.run(server, connections=8, requests=count // 10, query=query)
            for _ in range(ROUNDS):
                full = loader.run(server, connections=48, requests=count, query=query)
                rate = full["rate"] / 2
                half = loader.run(
                    server, connections=waiting(rate), requests=count // 2, rate=rate, query=query
                )
                print(
                    f"  {full['rate']:5.0f} a second; at half: median {1e3 * half['median']:6.1f} ms, "
                    f"p99 {1e3 * half['p99']:6.1f} ms, {half['p99'] / half['median']:5.1f} times the median; "
                    f"statuses {full['statuses']} and {half['statuses']}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
