"""GMLA (Mahmood, Elhamifar, CVPR 2024): `experiments` runs its supplement's tables, `claims` judges them."""
