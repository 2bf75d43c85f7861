"""Reckons the slots of cron expressions around every change of clocks from 2000 to 2037, without
Lavoro, croner or chrono: with Python's zoneinfo and python-dateutil. Prints a line per time zone:
its name, how many changes it has, and a digest of the slots within 26 hours of each.

    python3 -m venv target/slots
    target/slots/bin/pip install tzdata==2025.2 python-dateutil==2.9.0.post0
    PYTHONTZPATH= target/slots/bin/python tests/tools/slots.py > tests/core/slots.txt

The version of tzdata is that of the crate chrono-tz: 2025b.
"""

import sys
import zoneinfo
from datetime import datetime, timedelta, timezone

from dateutil import tz as dateutil_tz

UTC = timezone.utc
STEP = timedelta(hours=12)
WINDOW = timedelta(hours=26)

# Expression, whether it counts in real time, and its times of day; with None, the hours.
EXPRESSIONS = [
    (False, [(2, 30)]),  # 30 2 * * *
    (False, [(0, 0)]),  # 0 0 * * *
    (False, [(hour, 15) for hour in range(0, 24, 2)]),  # 15 */2 * * *
    (True, [(hour, minute) for hour in range(24) for minute in (0, 30)]),  # */30 * * * *
    (True, [(hour, minute) for hour in range(7) for minute in (0, 30)]),  # */30 0-6 * * *
    (True, [(hour, 45) for hour in range(24)]),  # 45 * * * *
]


def offset(zone, at):
    return at.astimezone(zone).utcoffset()


def changes(zone):
    at, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
    before = offset(zone, at)
    while at < end:
        after = offset(zone, at + STEP)
        if after != before:
            low, high = at, at + STEP
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                if offset(zone, middle) == before:
                    low = middle
                else:
                    high = middle
            yield high
        at, before = at + STEP, after


def fixed(zone, times, change):
    """Wall-clock times, each once: at the change if it skips them, else the first time."""
    first = (change - WINDOW).astimezone(zone).date() - timedelta(days=2)
    found = set()
    for day in range(8):
        date = first + timedelta(days=day)
        for hour, minute in times:
            local = datetime(date.year, date.month, date.day, hour, minute, tzinfo=zone, fold=0)
            if dateutil_tz.datetime_exists(local):
                at = local.astimezone(UTC)
            else:
                # The only gap near enough is this change.
                at = change
            found.add(at)
    return found


def real(zone, times, change):
    """Every instant at which the wall clock shows one of the times."""
    times = set(times)
    at, end = change - WINDOW, change + WINDOW
    at -= timedelta(minutes=at.minute % 5, seconds=at.second)
    while at <= end:
        local = at.astimezone(zone)
        if (local.hour, local.minute) in times and local.second == 0:
            yield at
        at += timedelta(minutes=5)


def main():
    for name in sys.stdin.read().split():
        zone = zoneinfo.ZoneInfo(name)
        digest, count = 0xCBF29CE484222325, 0
        for change in changes(zone):
            count += 1
            for in_real_time, times in EXPRESSIONS:
                slots = (real if in_real_time else fixed)(zone, times, change)
                for slot in sorted(slots):
                    if change - WINDOW < slot <= change + WINDOW:
                        digest = (digest ^ int(slot.timestamp())) * 0x100000001B3 % (1 << 64)
        print(name, count, f"{digest:016x}", flush=True)


main()
