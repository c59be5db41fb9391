"""The papers' experiments: which data, victims, targets and rows a table has. One module a paper."""
