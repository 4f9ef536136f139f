"""Daily prices that nobody can forecast: heavy tails, calm and stormy times, and no drift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.simulate import Floats, Noise

FIRST_DAY = "2015-01-01"
FIRST_CLOSE = 100.0
DAILY_VOLATILITY = 0.0125  # 20 % a year
REACTION, PERSISTENCE = 0.09, 0.89
LARGEST_MOVE = 0.15
TAIL_FREEDOM = 6  # of Student's t
OVERNIGHT_SHARE = 0.3  # of a day's variance
HOLIDAYS = ("01-01", "12-25", "12-26")


def simulate_stock(steps: int, seed: int) -> dict[str, Floats]:
    """Simulate open, high, low, close and volume of ``steps`` business days.

    Every relative move is symmetric around zero given the past, so the close is a martingale: the best forecast of
    any later close is the last one. What can be forecast is the size of the moves, and the volume.

    Args:
        steps: N.
        seed: Not negative.

    Returns:
        (N,) columns; prices in currency units, volume in shares.
    """
    noise = Noise(seed)
    overnight_shock = noise.student("overnight", steps, TAIL_FREEDOM) * np.sqrt(OVERNIGHT_SHARE)
    session_shock = noise.student("session", steps, TAIL_FREEDOM) * np.sqrt(1 - OVERNIGHT_SHARE)
    volatility = garch(overnight_shock + session_shock)
    overnight = np.clip(volatility * overnight_shock, -LARGEST_MOVE, LARGEST_MOVE)
    session = np.clip(volatility * session_shock, -LARGEST_MOVE, LARGEST_MOVE)
    close = FIRST_CLOSE * np.cumprod((1 + overnight) * (1 + session))
    opening = close / (1 + session)
    reach = 0.6 * volatility
    high = np.maximum(opening, close) * (1 + reach * np.abs(noise.normal("high", steps)))
    low = np.minimum(opening, close) / (1 + reach * np.abs(noise.normal("low", steps)))
    activity = 0.4 * noise.rough("activity", steps, 30) + 0.2 * noise.normal("turnover", steps)
    excitement = 0.5 * np.log(volatility / DAILY_VOLATILITY) + 0.2 * np.abs(session_shock)
    volume = 1e6 * np.exp(activity + excitement)
    return {"open": opening, "high": high, "low": low, "close": close, "volume": volume}


def garch(shocks: Floats) -> Floats:
    """(N,) standard deviation of each day's move, known the day before.

    Source: T. Bollerslev, J. Econometrics 31 (1986) 307, GARCH(1, 1), started at its mean.
    """
    base = (1 - REACTION - PERSISTENCE) * DAILY_VOLATILITY**2
    variance = DAILY_VOLATILITY**2
    path = []
    for shock in shocks.tolist():
        path.append(variance)
        variance = base + (REACTION * shock * shock + PERSISTENCE) * variance
    return np.asarray(np.sqrt(np.array(path)))


def trading_days(steps: int) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """(N,) business days and (N,) True where the exchange is open."""
    days = np.busday_offset(FIRST_DAY, np.arange(steps), roll="forward")
    month_day = np.array([text[5:] for text in days.astype(str).tolist()])
    return days, ~np.isin(month_day, HOLIDAYS)
