"""The console: one sign-in, one look, one origin; composes the dashboards that the services bring.

A service brings `services/<name>/dashboard.py` with

    PAGES: list[Page]               # `Page(path, title, icon, build, roles)`; `build(desk)` is a coroutine function
    PERSON_PANELS: list[Panel]      # of the page about one person: `Panel(title, build)`; `build(desk, person_id)`

made of what `libs/common/dashboard.py` holds (`listing`, `table`, `facts`, `section` …) and of NiceGUI, and of nothing
else. `desk.rest` speaks to the page's own service with the signed-in user's token and raises `Refused`, whose text is a
sentence for the user. Refusals that a page does not catch are shown in its place.
"""
