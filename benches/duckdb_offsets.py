"""The yardstick of `cargo xtask bench fleet`: count, mean, deviation and percentiles of each source's offsets, by DuckDB."""

import sys

import duckdb

print(
    duckdb.sql(
        f"""
        SELECT parse_dirname(filename) AS host, source, count(*), avg("offset"), stddev_samp("offset"),
               quantile_cont("offset", [0.01, 0.5, 0.99])
        FROM read_csv('{sys.argv[1]}/*/peerstats.*', delim = ' ', header = false, filename = true, columns = {{
            'day': 'INTEGER', 'second': 'DOUBLE', 'source': 'VARCHAR', 'status': 'VARCHAR',
            'offset': 'DOUBLE', 'delay': 'DOUBLE', 'dispersion': 'DOUBLE', 'jitter': 'DOUBLE'}})
        GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()[:5]
)
