"""Writes holidays.csv, the public holidays of Canada and the United States, from the Python package `holidays`.

    pip install holidays && python make_holidays.py > holidays.csv

A line is one holiday: country, subdivisions that have it (none: the country's own law), name, and its dates. A date is
the day that the law names, not the day on which a holiday that falls on a weekend is observed.
"""

from collections import defaultdict

import holidays

YEARS = range(2020, 2036)
LANGUAGES = {"CA": "en_CA", "US": "en_US"}


def named(country, subdivision=None):
    calendar = holidays.country_holidays(
        country, subdiv=subdivision, years=YEARS, observed=False, language=LANGUAGES[country]
    )
    return {(date, name) for date in calendar for name in calendar.get_list(date)}


print(f"# Made by make_holidays.py with holidays {holidays.__version__}")
for country in LANGUAGES:
    everywhere = named(country)
    where = {each: set() for each in everywhere}
    for subdivision in sorted(getattr(holidays, country).subdivisions):
        for each in named(country, subdivision) - everywhere:
            where.setdefault(each, set()).add(subdivision)
    lines = defaultdict(list)
    for (date, name), subdivisions in where.items():
        lines[name, " ".join(sorted(subdivisions))].append(date.isoformat())
    for (name, subdivisions), dates in sorted(lines.items(), key=lambda line: (min(line[1]), line[0])):
        print(country, subdivisions, name, " ".join(sorted(dates)), sep=";")
