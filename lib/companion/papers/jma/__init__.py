"""JMA (Tondi, Guo, Pancino, Barni, arXiv 2401.01199): `experiments` runs its tables, `claims` judges them."""
