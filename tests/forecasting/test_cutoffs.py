"""Where forecasts start: series that end early or are too short, and times that no series reaches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.data.frame import Frame
from tsforecast.data.read import read
from tsforecast.errors import DataError
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.prediction import predict, read_frame
from tsforecast.options import ReadOptions

L = 12
HOUR = 3_600_000_000


def sites(**rows: int) -> pa.Table:
    """Return so many hours of each series."""
    start = np.datetime64("2024-01-01T00", "us")
    return pa.concat_tables(
        [
            pa.table(
                {
                    "time": start + np.arange(n) * np.timedelta64(1, "h"),
                    "power": np.sin(np.arange(n) / 4),
                    "site": [name] * n,
                }
            )
            for name, n in rows.items()
        ]
    )


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return tsforecast.train(sites(a=90), "power", series_id="site", model="linear", horizon=4, lags=L).forecaster


def frame_of(forecaster: Forecaster, data: pa.Table) -> Frame:
    return read_frame(forecaster, read([data], ReadOptions()), ReadOptions())[0]


def test_a_time_beyond_the_data_is_refused(forecaster: Forecaster) -> None:
    frame = frame_of(forecaster, sites(a=60, b=40))
    last = int(frame.time.max())
    said = "--at 2024-01-03 12:00:00 is beyond the data, whose last row is at 2024-01-03 11:00:00; choose"
    with pytest.raises(DataError, match=said):
        predict(forecaster, frame, at=last + HOUR)
    made = predict(forecaster, frame_of(forecaster, sites(a=60)), at=last + HOUR - 1)  # within the last step
    assert (made.cutoffs.tolist(), made.notes) == ([59], ())


def test_series_that_do_not_reach_a_time_are_named(forecaster: Forecaster) -> None:
    frame = frame_of(forecaster, sites(a=60, b=40, c=30, d=5))
    made = predict(forecaster, frame, at=int(frame.time[35]))
    assert made.cutoffs.tolist() == [35, 60 + 35, 60 + 40 + 29]
    assert made.notes[0] == "series c ends before the time of --at: forecast from its own last row"
    made = predict(forecaster, frame, at=int(frame.time[50]))
    assert made.notes[0] == "2 series (b, c) end before the time of --at: forecast from their own last rows"


def test_a_short_series_is_left_out_and_named(forecaster: Forecaster) -> None:
    made = predict(forecaster, frame_of(forecaster, sites(a=60, b=10)))
    whole = predict(forecaster, frame_of(forecaster, sites(a=60)))
    np.testing.assert_array_equal(made.values, whole.values)
    assert made.notes == ("series b has 10 rows of history, and the model looks back 12 steps: left out",)
    two = predict(forecaster, frame_of(forecaster, sites(a=60, b=10, c=12, d=3)))
    assert two.frame.series_of(two.cutoffs).tolist() == [0, 2]
    said = "2 series have too few rows of history (b: 10, d: 3), as the model looks back 12 steps: left out"
    assert two.notes == (said,)


def test_short_series_are_refused_when_there_is_no_other(forecaster: Forecaster) -> None:
    with pytest.raises(DataError, match=r"series 'b': 10 rows of history, .* back 12 steps \(and 1 more series\)"):
        predict(forecaster, frame_of(forecaster, sites(b=10, c=4)))


def test_a_hole_is_still_refused_as_it_can_be_mended(forecaster: Forecaster) -> None:
    data = sites(a=60, b=60)
    power = data["power"].to_numpy().copy()
    power[55] = np.nan
    with pytest.raises(DataError, match="series 'a': 'power' is missing at 2024-01-03 07:00:00"):
        predict(forecaster, frame_of(forecaster, data.set_column(1, "power", pa.array(power))))
