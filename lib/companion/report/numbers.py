"""How numbers are written in tables and claims: short, and the same everywhere."""

import math

# Decimals of a column, or "e" for 1.2e-5. Columns that are not here get three significant digits.
STYLES = {
    "images": 0,
    "pairs": 0,
    "sets": 0,
    "l0": 0,
    "asr": 2,
    "asr_8bit": 2,
    "asr_logits": 2,
    "basr": 3,
    "do_nothing_basr": 3,
    "mse": "e",
    "mse_of_psnr": "e",
    "ssim": 3,
    "mean_iterations": 1,
    "first_success": 0,
    "passes": 0,
    "forwards": 0,
    "backwards": 0,
}
MISSING = "–"


def written(value: float, column: str = "") -> str:
    """Return a number as a table shows it; "–" for NaN."""
    if value is None or math.isnan(value):
        return MISSING
    style = STYLES.get(column)
    if style == "e":
        return scientific(value)
    if style is None:
        return significant(value)
    return f"{value:,.{style}f}".replace(",", "\u2009")


def scientific(value: float) -> str:
    """1.2e-5 rather than 1.2e-05; plain 0 for 0."""
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def significant(value: float, digits: int = 3) -> str:
    """Return three significant digits without an exponent where one is not needed: 0.0123, 4.56, 789, 12345."""
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        return scientific(value)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"
