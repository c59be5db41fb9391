"""The numerical cores of the attacks: batched solvers that know nothing of images or models."""
