"""The ledger of claims: what papers say, beside what the studies of this project measured.

    python -m benchmarks.claims                                   from the tables that are published
    python -m benchmarks.claims --store DIR [--store DIR] --out DIR    from members, with nothing in between

`claims.toml` lists each claim, what is read from which table, and the rule of its verdict. Needs seconds, and
with stores as long as reporting their studies. Writes claims.csv, .md, .tex and .html to --out (default:
tables/claims). Expect a row for every claim and setting, each with an interval or a reason why there is none.
"""
