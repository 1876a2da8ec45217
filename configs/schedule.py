"""When a deployment of the pipeline runs by itself."""

from __future__ import annotations

from zoneinfo import available_timezones

from pydantic import ConfigDict, Field, field_validator

from configs.base import Config, nearest


class ScheduleConfig(Config):
    """The hours of the nightly deployment, which is off until it is switched on in Prefect."""

    model_config = ConfigDict(title="Schedule")

    cron: str = Field(default="0 3 * * *", pattern=r"^\s*(\S+\s+){4}\S+\s*$")
    """Minute, hour, day of the month, month, day of the week."""
    timezone: str = "UTC"
    """Where that is meant: a name of the tz database such as Europe/Berlin."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in (known := available_timezones()):
            raise ValueError(f"unknown timezone {name!r}{nearest(name, known)}")
        return name
