"""An attack over a data set: one row an image, in batches, from the store where nothing changed.

rows = evaluation.run(attacks.jma, model, images, LabelVector(target), hyper={"step": 0.5})
"""

from flipbook.evaluation.experiment import AttackConfig, grid, pictures, run, traces

__all__ = ["AttackConfig", "grid", "pictures", "run", "traces"]
