"""MASW (Su, Wu, Zhu): `experiments` attacks single images, `universals` all at once."""
