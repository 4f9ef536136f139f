"""Every real data file is read with nothing but defaults (and --duplicates where rows repeat)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tsforecast.data.build import Schema, build
from tsforecast.data.read import read
from tsforecast.errors import DataError
from tsforecast.options import ReadOptions

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"

# file, target, options of the schema, rows, freq, stretches without gaps, first and last time column
FILES = [
    ("beijing_pm25/pollution.csv", "pm2.5", {}, 43_824, "h", 1, 2010, 2014),
    ("beijing_prsa_dongsi/PRSA_Data_Dongsi_20130301-20170228.csv", "TEMP", {}, 35_064, "h", 1, 2013, 2017),
    ("classic/airline-passengers.csv", "Passengers", {}, 144, "MS", 1, "1949-01", "1960-12"),
    ("classic/monthly-sunspots.csv", "Sunspots", {}, 2_820, "MS", 1, "1749-01", "1983-12"),
    ("classic/daily-min-temperatures.csv", "Temp", {}, 3_650, "D", 3, "1981-01-01", "1990-12-31"),
    ("classic/co2-concentration.csv", "CO2", {}, 741, "MS", 4, "1958-03-01", "2020-04-01"),
    ("delhi_climate/DailyDelhiClimateTrain.csv", "meantemp", {}, 1_462, "D", 1, "01-01-2013", "01-01-2017"),
    ("dtu_lyngby/dtu_hourly_2015_2018.csv", "ghi_wm2", {}, 26_304, "h", 1, "2015-04-01 00:00", "2018-03-31 23:00"),
    ("dtu_lyngby/dtu_1min_2017_06.csv", "GHI", {}, 43_200, "min", 1, "2017-06-01 00:00:00", "2017-06-30 23:59:00"),
    ("ett/ETTh1.csv", "OT", {}, 17_420, "h", 1, "2016-07-01 00:00:00", "2018-06-26 19:00:00"),
    ("ett/ETTm1.csv.gz", "OT", {}, 69_680, "15min", 1, "2016-07-01 00:00:00", "2018-06-26 19:45:00"),
    ("hi_seas_solar/SolarPrediction.csv", "Radiation", {}, 32_684, "5min", 309, 1_472_724_000, 1_483_264_500),
    (
        *("jena_weather_2020/weather.csv.gz", "SWDR (W/m\ufffd)", {"duplicates": "first"}, 52_695, "10min", 2),
        *("2020-01-01 00:10:00", "2021-01-01 00:00:00"),
    ),
    (
        *("opsd_france/fr_load_solar_60min.csv", "FR_solar_generation_actual", {}, 43_824, "h", 1),
        *("2014-12-31T23:00:00Z", "2019-12-31T22:00:00Z"),
    ),
    (
        *("opsd_france/fr_weather_60min.csv", "FR_temperature", {}, 43_824, "h", 1),
        *("2015-01-01T00:00:00Z", "2019-12-31T23:00:00Z"),
    ),
    ("opsd_germany_daily/opsd_germany_daily.csv", "Wind", {}, 4_383, "D", 1, "1/1/2006", "12/31/2017"),
    (
        *("pjm_load/DOM_hourly.csv", "DOM_MW", {"duplicates": "first"}, 116_185, "h", 24),
        *("2005-05-01 01:00:00", "2018-08-03 00:00:00"),
    ),
    (
        *("pjm_load/DEOK_hourly.csv", "DEOK_MW", {"duplicates": "first"}, 57_735, "h", 10),
        *("2012-01-01 01:00:00", "2018-08-03 00:00:00"),
    ),
    ("seattle_weather/seattle-weather.csv", "wind", {}, 1_461, "D", 1, "2012-01-01", "2015-12-31"),
    ("stocks/sp500_daily_2000_2020.csv", "close", {}, 5_105, "trading", 1, "2000-01-03", "2020-04-17"),
    ("stocks/AAPL_2015_2017.csv", "AAPL.Close", {}, 506, "trading", 1, "2015-02-17", "2017-02-16"),
    ("stocks/AAPL_2017_2022.csv", "Close", {}, 1_258, "trading", 1, "2017-09-07", "2022-09-06"),
    ("stocks/ETH-USD_2022.csv", "Close", {}, 365, "D", 1, "2022-01-01", "2022-12-31"),
    ("stocks/vega_stocks_monthly.csv", "price", {"series_id": "symbol"}, 560, "MS", 5, "Jan 1 2000", "Mar 1 2010"),
    ("tmy3_greensboro/723170TYA.CSV", "GHI (W/m^2)", {}, 8_760, "h", 12, "04/01/1980", "09/30/2003"),
    ("wind_turbine_turkey/T1.csv", "Wind Speed (m/s)", {}, 50_530, "10min", 33, "01 01 2018 00:00", "31 12 2018 23:50"),
]


def data_file(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.mark.parametrize("case", FILES, ids=[case[0] for case in FILES])
def test_a_real_file_is_read_with_defaults(case: tuple[str, str, dict[str, str], int, str, int, str, str]) -> None:
    name, target, options, rows, freq, stretches, first, last = case
    table = read([data_file(name)], ReadOptions())
    frame, _, _ = build(table, Schema((target,), **options), ReadOptions())  # type: ignore[arg-type]
    assert len(frame.time) == rows
    assert frame.freq.alias == freq
    assert frame.breaks.sum() == stretches
    written = next(iter(frame.clock.write(frame.time).values()))
    assert (written[0], written[-1]) == (first, last)


def test_real_timestamps_are_written_back() -> None:
    table = read([data_file("wind_turbine_turkey/T1.csv")], ReadOptions())
    frame, _, _ = build(table, Schema(("Wind Speed (m/s)",)), ReadOptions())
    assert frame.clock.write(frame.time)["Date/Time"] == table.texts("Date/Time")


@pytest.mark.parametrize("name", ["sysid_cascaded_tanks/dataBenchmark.csv", "sysid_gas_furnace/gasrate_co2.csv"])
def test_records_without_a_clock_say_so(name: str) -> None:
    table = read([data_file(name)], ReadOptions())
    target = table.columns[-2]
    with pytest.raises(DataError, match="--no-time"):
        build(table, Schema((target,)), ReadOptions())
    frame, _, _ = build(table, Schema((target,)), ReadOptions(no_time=True))
    assert len(frame.time) == table.n_rows


def test_cold_reading_imports_little() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from tsforecast.options import ReadOptions; from tsforecast.data.read import read;"
        "from tsforecast.data.build import Schema, build;"
        f"build(read([{str(data_file('ett/ETTh1.csv'))!r}], ReadOptions()), Schema(('OT',)), ReadOptions());"
        "print([m for m in ('pandas', 'scipy', 'torch', 'pyarrow.compute') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
