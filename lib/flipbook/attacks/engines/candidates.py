"""Trying many candidates of every image, a bounded number of them at a time."""

from collections.abc import Iterator

from torch import Tensor

from flipbook.core.validation import check_counts


def tiles(rows: int, columns: int, cells: int) -> Iterator[tuple[slice, slice]]:
    """Cut a table of rows x columns into blocks of at most `cells` cells, as wide as the rows leave room for."""
    height = max(1, min(rows, cells))
    width = max(1, cells // height)
    for top in range(0, rows, height):
        for left in range(0, columns, width):
            yield slice(top, min(top + height, rows)), slice(left, min(left + width, columns))


def cells_at_once(chunk: int | None, images: Tensor) -> int:
    """Return `chunk`, or what is fast where the images are: few enough for a processor's cache, many for a GPU."""
    if chunk is None:
        return 64 if images.device.type == "cpu" else 512
    check_counts(chunk=chunk)
    return chunk


def painted(images: Tensor, place: Tensor, colour: Tensor) -> Tensor:
    """Give some pixels of every image another colour, in m ways.

    Parameters
    ----------
    images : Tensor (n, channels, H, W)
    place : Tensor (n, m, p) of int64
        Pixels, as row * W + column. One that comes twice must have one colour.
    colour : Tensor (n, m, p, channels)

    Returns
    -------
    Tensor (n * m, channels, H, W)
    """
    m, channels = place.shape[1], images.shape[1]
    x = images.flatten(2).repeat_interleave(m, dim=0)
    place = place.flatten(0, 1)[:, None].expand(-1, channels, -1)
    return x.scatter_(2, place, colour.flatten(0, 1).transpose(1, 2).to(x)).unflatten(2, images.shape[2:])
