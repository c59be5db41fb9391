"""CornerSearch for one image, as its paper words it: one candidate, one pass of the model. The slow reference."""

import math


def plain_corner_search(model, image, goal, pixels, variant, sizes, n_max, n_iter, increment, numbers):
    """Attack one image (channels, H, W); numbers(turn, level) are uniform on [0, 1), (n_iter, level).

    Return the success or None, its level, and the passes of the model, that of the clean image among them.
    """
    passes = 1

    def look(x):
        nonlocal passes
        passes += 1
        z = model(x[None])
        return float(goal.margins(z).min()), bool(goal.reached(z))

    for turn, size in enumerate(sizes):
        table = []
        for row, column, colour in _moves(image, variant, size):
            x = _made(image, [(row, column, colour)])
            worst, success = look(x)
            table.append((worst if bool((x != image).any()) else -math.inf, success, (row, column, colour)))
        table.sort(key=lambda each: -each[0])  # keeps the order of equals
        moves = [move for _, _, move in table[:n_max]]
        if table[0][1]:
            return _made(image, moves[:1]), 1, passes
        for level in range(1 + increment, pixels + 1, increment):
            successes = []
            for u in numbers(turn, level).tolist():
                ranks = sorted((_rank(each, len(moves)) for each in u), reverse=True)
                x = _made(image, [moves[r] for r in ranks])  # of two moves of a pixel the better one stands
                if look(x)[1]:
                    successes.append((int((x != image).sum()), x))
            if successes:
                return min(successes, key=lambda each: each[0])[1], level, passes
    return None, 0, passes


def _rank(u, n):
    """Rank r in 0, ..., n - 1 has the probability (2 (n - r) - 1) / n², so rank r or above has ((n - r) / n)²."""
    return sum(u < ((n - r) / n) ** 2 for r in range(1, n))


def _made(image, moves):
    x = image.clone()
    for row, column, colour in moves:
        x[:, row, column] = colour
    return x


def _moves(image, variant, size):
    """Every move of one pixel, as (row, column, colour)."""
    channels, height, width = image.shape
    for row in range(height):
        for column in range(width):
            old = image[:, row, column]
            if variant == "l0+sigma":
                σ = image.new_tensor([_spread(image[c].tolist(), row, column) for c in range(channels)])
                for sign in (-1, 1):
                    by = sign * size * σ
                    yield row, column, (old * (1 + by) if channels > 1 else old + by).clamp(0, 1)
                continue
            for corner in range(2**channels):
                bits = image.new_tensor([corner // 2**c % 2 for c in range(channels)])
                yield row, column, bits if variant == "l0" else (old + size * (2 * bits - 1)).clamp(0, 1)


def _spread(plane, row, column):
    """σ of a pixel: the root of the smaller standard deviation of 3 in a row and 3 in a column."""

    def deviation(three):
        mean = sum(three) / 3
        return math.sqrt(sum((each - mean) ** 2 for each in three) / 3)

    height, width = len(plane), len(plane[0])
    across = [plane[row][min(max(column + d, 0), width - 1)] for d in (-1, 0, 1)]
    down = [plane[min(max(row + d, 0), height - 1)][column] for d in (-1, 0, 1)]
    return math.sqrt(min(deviation(across), deviation(down)))
