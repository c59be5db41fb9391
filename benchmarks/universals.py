"""What training a universal costs beyond its passes: CMLU-β and the Oracle, for all labels at once.

Overhead is as in `overhead.py`: the time of a training divided by that of the same forward and backward passes made
bare, recorded call by call and replayed on noise, in turns with the training. The victim's clean logits are there
before either begins. On a CPU time is the processor's, with one thread, so that other programs hardly matter.

    OMP_NUM_THREADS=1 python benchmarks/universals.py
    python benchmarks/universals.py --device cuda --model pictograms268-asl
"""

import argparse
import platform
import time
from functools import partial
from statistics import median

import pandas as pd
import torch
from overhead import Recorder, keep, keep_memory, replay, seconds
from tqdm import tqdm

from companion import datasets, victims
from flipbook import universal
from flipbook.universal import Pool, Training

METHODS = {
    "Oracle, single labels": universal.or_s,
    "CMLU-β": universal.cmlu_beta,
    "CMLU-β, no penalty": partial(universal.cmlu_beta, penalty=0.0),
}
MEASURED = ["method", "labels", "forwards", "backwards", "seconds_per_image", "overhead"]


def spent(work, device: str) -> float:
    """Seconds of one call: of the processor for a CPU, of the clock for a GPU."""
    if device != "cpu":
        return seconds(work, device)
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(name: str, pool: Pool, recorder: Recorder, labels: tuple[int, ...], training: Training, repeats: int):
    """One row of the table: median over repeats, training and replay in turns."""
    train, device, victim = partial(METHODS[name], pool, labels, training), str(pool.device), recorder.model
    pool.net.model = recorder
    recorder.calls.clear()
    learnt = train()  # warm-up and record
    pool.net.model = victim
    trained, bare = [], []
    for _ in range(repeats):
        trained.append(spent(train, device))
        bare.append(spent(lambda: replay(victim, recorder.calls, torch.Size(pool.shape), device), device))
    made = [learnt.record[way] for way in ("forwards", "backwards")]
    images = len(labels) * training.epochs * training.images
    overhead = median(a / b for a, b in zip(trained, bare, strict=True))
    return dict(zip(MEASURED, (name, len(labels), *made, median(trained) / images, overhead), strict=True))


def main() -> None:
    """Measure and write benchmarks/results/<device>-universals-<model>.csv."""
    keep_memory()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--model", default="pictograms81-asl", help="a shipped victim with labels")
    parser.add_argument("--labels", type=int, nargs="+", default=[4, 8], help="labels that may be attacked")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    model = victims.load(options.model, device=options.device)
    data = datasets.load(victims.describe(options.model).dataset, split="train")
    images = datasets.tensors(data, range(min(1000, len(data))))[0].float() / 255
    pool, recorder = Pool(model, images), Recorder(model).eval()
    labels = universal.choose_labels(pool, pool, max(options.labels), in_training=20, in_test=20)
    training = Training(epsilon=0.1, step=0.02, epochs=2, images=48, batch=16, progress=False)
    cases = [(name, count) for name in METHODS for count in options.labels]
    rows = [
        measure(name, pool, recorder, labels[:count], training, options.repeats)
        for name, count in tqdm(cases, desc=f"{options.model} on {options.device}", unit="case")
    ]
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"cpu, {torch.get_num_threads()} thread(s)"
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="%.3f"))
    about = {"device": device, "model": options.model, "torch": torch.__version__, "python": platform.python_version()}
    keep(table.assign(**about), f"{options.device}-universals-{options.model}.csv")


if __name__ == "__main__":
    main()
