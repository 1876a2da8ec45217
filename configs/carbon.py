"""Carbon dioxide that a kilowatt-hour of electricity brings with it, by country.

The table gives grams of CO2 equivalents over the life of the plants, newest year known: Our World in Data (2024),
"Carbon intensity of electricity generation", after Ember and the Energy Institute, CC BY 4.0.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

WORLD = (480.0, "world average of 2023, Ember's Global Electricity Review 2024")
"""What is taken where no country is named."""


def carbon_intensity(country: str | None) -> tuple[float, str]:
    """Return grams per kilowatt-hour and where the figure comes from."""
    if country is None:
        return WORLD
    grams, year = table()[country]
    return grams, f"{country} in {year}, Our World in Data"


@cache
def table() -> dict[str, tuple[float, int]]:
    """Return grams per kilowatt-hour and the year for each country, by its code of three letters (ISO 3166)."""
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        return {
            row["country"]: (float(row["grams_per_kilowatt_hour"]), int(row["year"])) for row in csv.DictReader(file)
        }
