"""The yardstick of `cargo xtask bench fleet`: count, mean, deviation and percentiles of each source's offsets, by Polars."""

import sys

import polars as pl

columns = ["day", "second", "source", "status", "offset", "delay", "dispersion", "jitter"]
types = [pl.Int32, pl.Float64, pl.String, pl.String] + [pl.Float64] * 4
offset = pl.col("offset")
print(
    pl.scan_csv(
        f"{sys.argv[1]}/*/peerstats.*",
        separator=" ",
        has_header=False,
        schema=dict(zip(columns, types)),
        include_file_paths="file",
    )
    .with_columns(pl.col("file").str.extract(r"([^/]+)/[^/]+$", 1).alias("host"))
    .group_by("host", "source")
    .agg(
        pl.len(),
        offset.mean().alias("mean"),
        offset.std().alias("deviation"),
        *[offset.quantile(q).alias(f"q{q}") for q in (0.01, 0.5, 0.99)],
    )
    .sort("host", "source")
    .collect(engine="streaming")
    .head()
)
