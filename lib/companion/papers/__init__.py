"""The papers' experiments: which data, victims, targets and rows a table has. One package a paper.

Each has `experiments`, what its tables and figures share, and `claims`, which judges them; others are a figure each.
"""
