"""The five papers: short name, title, authors."""

PAPERS = {
    "jma": (
        "JMA",
        "JMA: a General Algorithm to Craft Nearly Optimal Targeted Adversarial Examples",
        "B. Tondi, W. Guo, N. Pancino, M. Barni (arXiv 2401.01199)",
    ),
    "masw": (
        "MASW",
        "Multi-label Adversarial Attack with New Measures and Self-paced Constraint Weighting",
        "F. Su, O. Wu, W. Zhu",
    ),
    "gmla": (
        "GMLA",
        "Semantic-Aware Multi-Label Adversarial Attacks (supplementary material)",
        "H. Mahmood, E. Elhamifar (CVPR 2024)",
    ),
    "cmlu": (
        "CMLU",
        "Compositional Targeted Multi-Label Universal Perturbations",
        "H. Mahmood, E. Elhamifar (CVPR 2025)",
    ),
    "sapf": (
        "SAPF",
        "Sparse Adversarial Attack via Perturbation Factorization",
        "Y. Fan, B. Wu, T. Li, Y. Zhang, M. Li, Z. Li, Y. Yang (ECCV 2020)",
    ),
}
