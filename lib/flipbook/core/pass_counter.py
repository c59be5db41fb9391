"""Counting the passes that an attack makes through a model, image by image.

Time blurs on a busy machine; passes do not. The counter wraps the model, so that no attack counts for itself and any
attack, also another library's, can be counted.
"""

import torch
from torch import Tensor, nn


class PassCounter(nn.Module):
    """A model that counts the forward and backward passes made for each image of a batch.

    A backward pass is counted whenever a gradient reaches the logits. Counting costs two Python additions a pass and
    never waits for the device; per-image tensors are touched only when `focus` changes.

    Parameters
    ----------
    model : callable
        Maps images (n, channels, H, W) to logits (n, C).
    images : Tensor (N, channels, H, W)
        The whole batch: gives the number of images and the device.
    """

    def __init__(self, model, images: Tensor):
        super().__init__()
        self.model = model
        self._counts = torch.zeros(2, len(images), dtype=torch.int64, device=images.device)
        self._rows: Tensor | slice = slice(None)
        self._pending = [0, 0]

    def focus(self, rows: Tensor | slice) -> "PassCounter":
        """Say which images of the batch the next passes are made for: an index, a mask or a slice."""
        self._flush()
        self._rows = rows
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits of `x`, the images in focus."""
        logits = self.uncounted(x)
        self._pending[0] += 1
        if logits.requires_grad:
            logits.register_hook(self._saw_gradient)
        return logits

    def uncounted(self, x: Tensor) -> Tensor:
        """Logits of `x` in its precision at least, also where autocast inside the model or its head has less."""
        logits = self.model(x)
        return logits if logits.dtype == x.dtype else logits.to(torch.promote_types(logits.dtype, x.dtype))

    def add_forwards(self, n: int) -> None:
        """Count passes of `uncounted`, n for each image in focus, as when it is tried on n candidates of each."""
        self._pending[0] += n

    def add_backwards(self, n: int) -> None:
        """Count passes that no hook sees: all but the first of a batched gradient, a gradient of a gradient."""
        self._pending[1] += n

    def _saw_gradient(self, _gradient: Tensor) -> None:
        self._pending[1] += 1

    def _flush(self) -> None:
        for row, n in enumerate(self._pending):
            if n:
                self._counts[row, self._rows] += n
        self._pending = [0, 0]

    @property
    def forwards(self) -> Tensor:
        """Forward passes so far, (N,)."""
        self._flush()
        return self._counts[0]

    @property
    def backwards(self) -> Tensor:
        """Backward passes so far, (N,)."""
        self._flush()
        return self._counts[1]

    @property
    def total(self) -> Tensor:
        """Forward plus backward passes so far, (N,)."""
        self._flush()
        return self._counts.sum(dim=0)
