#!/usr/bin/env python3
"""Compares what `ntpscope plot --statistics` prints with others, on the same statsdir.

usage: xtask/crosscheck.py NTPSCOPE STATSDIR     (needs the PyPI packages numpy and ntpstats; for development only)

- Percentiles, ranges, mean and deviation of offsets, by numpy, with ntpviz's definition: sorted[int(n * p / 100)].
- Skewness and kurtosis about the mean. NTPsec's ntpviz 1.2.2 takes them about sigma, so that its numbers are others.
- The overlapping Allan deviation of the offsets, by ntpstats.

Each number that is not equal to the digits printed is shown; the exit status is 1 where there is one.
"""

import gzip
import pathlib
import re
import subprocess
import sys

import numpy as np
from ntpstats.series import TimeSeries
from ntpstats.stability import series_stability

UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9, "ppm": 1.0, "ppb": 1e3}


def rows(statsdir):
    """Clock and sources: name -> [(time, offset)], in the order of time."""
    series = {}
    for path in sorted(pathlib.Path(statsdir).glob("*stats*")):
        kind = path.name.split("stats")[0]
        if kind not in ("loop", "peer"):
            continue
        opened = gzip.open(path, "rt") if path.suffix == ".gz" else open(path)
        for line in opened:
            f = line.split()
            at = (int(f[0]) - 40587) * 86400 + float(f[1])
            name, offset = ("clock", f[2]) if kind == "loop" else (f[2], f[4])
            series.setdefault(name, []).append((at, float(offset)))
    return {name: np.array(sorted(of, key=lambda row: row[0])) for name, of in series.items()}


def printed(binary, statsdir, *more):
    out = subprocess.run([binary, "plot", statsdir, "-q", "offset", "--statistics", *more], capture_output=True, check=True)
    return out.stdout.decode().splitlines()


def expected(values, factor):
    v = np.sort(values) * factor
    n = len(v)
    at = lambda p: v[n * p // 100] if p < 100 else v[-1]
    mean, sigma = v.mean(), v.std()
    moment = lambda k: ((v - mean) ** k).mean() / sigma**k
    first = [v[0], at(1), at(5), at(50), at(95), at(99), v[-1]]
    return first, [at(95) - at(5), at(99) - at(1), sigma, mean, moment(3), moment(4), n]


def main(binary, statsdir):
    series, compared, wrong = rows(statsdir), 0, 0

    def same(what, got, want, digits):
        nonlocal compared, wrong
        compared += 1
        # One unit of the last digit: sums in another order may round the other way.
        if not abs(float(got) - want) <= 1.01 * digits / 2 + 1e-12:
            wrong += 1
            print(f"{what}: ntpscope {got}, here {want}")

    lines = printed(binary, statsdir)
    for at, line in enumerate(lines):
        head = re.fullmatch(r"(\S+) offset, (\S+)", line)
        if head:
            want = expected(series[head[1]][:, 1], UNITS[head[2]])
            got = lines[at + 1].split(), lines[at + 2].split()
            for g, w in zip(got[0] + got[1], want[0] + want[1]):
                same(line, g, w, 1e-3)
    of = {}
    for line in printed(binary, statsdir, "--kind", "allan"):
        head = re.fullmatch(r"(\S+) Allan deviation", line)
        number = re.fullmatch(r" *([\d.]+) +([\d.]+e-?\d+)", line)
        if head:
            data = series[head[1]]
            result = series_stability(TimeSeries(data[:, 0], data[:, 1]), kinds=("oadev",))[0]
            of = dict(zip(np.round(result.taus, 3), result.dev))
        elif number:
            tau = min(of, key=lambda t: abs(t - float(number[1])))
            digit = 10.0 ** (np.floor(np.log10(of[tau])) - 5)
            same(f"Allan deviation at {number[1]} s", number[2], of[tau], digit)
    print(f"{compared} numbers compared, {wrong} differ")
    return 1 if wrong or not compared else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
