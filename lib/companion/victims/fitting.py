"""Fit one network to tensors in memory: AdamW, one-cycle schedule, early stopping on the validation quality."""

import logging
import signal
import tempfile
import time
import warnings
from collections.abc import Callable

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset
from tqdm import tqdm

from .quality import as_floats

BATCH = 64
PATIENCE = 0.35  # of the epochs: long, because the falling rate at the schedule's end is what helps most


class Fit(lightning.LightningModule):
    """A network with its loss, its quality measure and one row of history per epoch."""

    def __init__(self, net: nn.Module, loss: Callable, quality: Callable, rate: float, steps: int, augment: bool):
        super().__init__()
        self.net, self.loss, self.quality, self.rate, self.steps = net, loss, quality, rate, steps
        self.augment = recoloured_and_shifted if augment else as_floats
        self.rows, self.losses, self.outputs = [], [], []

    def configure_optimizers(self):
        """AdamW on a one-cycle schedule that peaks at `rate` after 30 % of the steps."""
        optimiser = torch.optim.AdamW(self.net.parameters(), self.rate, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.rate, self.steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        """Loss of one batch."""
        images, targets = batch
        loss = self.loss(self.net(self.augment(images)).float(), targets)
        self.losses.append(loss.detach())
        return loss

    def on_train_epoch_start(self) -> None:
        """Start the epoch's clock."""
        self.began = time.perf_counter()

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        """Keep the logits: the quality is one of the whole split, not a mean over batches."""
        images, targets = batch
        self.outputs.append((self.net(as_floats(images)).float(), targets))

    def on_validation_epoch_end(self) -> None:
        """Measure the quality and note the epoch."""
        logits, targets = (torch.cat(part) for part in zip(*self.outputs, strict=True))
        value = self.quality(logits, targets)
        self.log("validation", value, prog_bar=True)
        loss = torch.stack(self.losses).mean().item()
        seconds = time.perf_counter() - self.began
        self.rows.append((self.current_epoch + 1, round(loss, 5), round(value, 5), round(seconds, 2)))
        self.losses, self.outputs = [], []


class OneBar(TQDMProgressBar):
    """One progress bar for the whole training, none for each validation."""

    def init_validation_tqdm(self) -> tqdm:
        """Return a bar that shows nothing."""
        return tqdm(disable=True)


def recoloured_and_shifted(images: Tensor, reach: int = 6) -> Tensor:
    """Images (N, channels, H, W) as floats, colour channels in random order, moved by up to `reach` pixels, wrapped.

    One draw for the batch: a label does not depend on its glyph's colour or place, and this costs next to nothing.
    """
    down, right = torch.randint(-reach, reach + 1, (2,)).tolist()
    order = torch.randperm(images.shape[1], device=images.device)
    return as_floats(images[:, order].roll((down, right), (2, 3)))


def fit(net, loss, quality, train, validation, epochs, rate, device, augment=False, progress=True) -> pd.DataFrame:
    """Train `net` in place and leave it at its best epoch; return epoch, train_loss, validation quality, seconds.

    train, validation: pairs of images (or features) and targets; loss and quality: functions of (logits, targets);
    rate: peak of the one-cycle schedule; augment: see `recoloured_and_shifted`.
    """
    loader = _loader(train, shuffle=True)
    task = Fit(net, loss, quality, rate, epochs * len(loader), augment)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(num_workers|srun|isinstance).*")
        best = ModelCheckpoint(folder, monitor="validation", mode="max", save_weights_only=True)
        stop = EarlyStopping("validation", mode="max", patience=max(3, round(PATIENCE * epochs)))
        trainer = _trainer([best, stop], epochs, device, folder, progress)
        _run(trainer, task, loader, _loader(validation, shuffle=False))
        task.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
    return pd.DataFrame(task.rows, columns=["epoch", "train_loss", "validation", "seconds"])


def _run(trainer: lightning.Trainer, task: Fit, train: DataLoader, validation: DataLoader) -> None:
    try:
        trainer.fit(task, train, validation)
    except SystemExit:
        if not trainer.interrupted:
            raise
        # So Lightning answers Ctrl-C, and switches Ctrl-C off for good; a notebook's kernel must outlive that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt("training was stopped; the victim made earlier, if any, is still there") from None


def _trainer(callbacks: list, epochs: int, device: torch.device, folder: str, progress: bool) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    halves = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    fast = device.type == "cpu" and halves  # bfloat16 nearly doubles the speed of processors that have it
    return lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="bf16-mixed" if fast else "32-true",
        max_epochs=epochs,
        callbacks=callbacks + [OneBar(refresh_rate=10)] * progress,
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        logger=False,
        default_root_dir=folder,
    )


def _loader(pair: tuple[Tensor, Tensor], shuffle: bool) -> DataLoader:
    """Whole batches by one indexing each: the data set is in memory, so single images need not be collated."""
    data = TensorDataset(*pair)
    order = RandomSampler(data) if shuffle else SequentialSampler(data)
    return DataLoader(
        data, batch_size=None, sampler=BatchSampler(order, BATCH, drop_last=shuffle and len(data) > BATCH)
    )
