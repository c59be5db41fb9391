"""Loops and pieces of them that several attacks share."""
