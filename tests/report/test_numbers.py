import pytest

from companion.report.numbers import significant, written


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (1.0, "asr", "1.00"),
        (0.98765, "basr", "0.988"),
        (2.2e-6, "mse", "2.2e-6"),
        (0.0, "mse", "0"),
        (1.5e-2, "mse", "1.5e-2"),
        (16.349, "mean_iterations", "16.3"),
        (12345.6, "passes", "12\u2009346"),
        (float("nan"), "mse", "–"),
        (0.0123456, "time_s", "0.0123"),
        (456.7, "time_s", "457"),
    ],
)
def test_columns_have_their_own_form(value, column, text):
    assert written(value, column) == text


def test_three_digits_keep_the_sign_and_small_values():
    assert [significant(v) for v in (-1.2345, 0, 12345.6, 0.00012)] == ["-1.23", "0", "12346", "1.2e-4"]
