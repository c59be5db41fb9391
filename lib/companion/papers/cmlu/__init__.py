"""CMLU (Mahmood, Elhamifar, CVPR 2025): `experiments` trains and tries all methods."""
