"""SAPF (Fan et al., ECCV 2020): `experiments` runs its table and figures, `claims` judges them."""
