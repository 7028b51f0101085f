"""What was inspected and what people said of it: one SQLite file, and copies of the images beside it.

    history.sqlite         entries, marks, settings; schema by the revisions in `migrations`
    history/ab/abcd….png   the image as it was read, named by its SHA-256, shared by all entries of that image
    history/ab/abcd….thumb.jpg

Several threads and several programs may use one history at the same time. Knows neither torch nor the page.
"""

from panda_core.history.database import HistoryError
from panda_core.history.export import Exported, export_marked
from panda_core.history.recording import Seen, intact, present
from panda_core.history.records import Entry, Mark, Order, Page, Query, Settings, Source, Statistics
from panda_core.history.store import History

__all__ = [
    "Entry",
    "Exported",
    "History",
    "HistoryError",
    "Mark",
    "Order",
    "Page",
    "Query",
    "Seen",
    "Settings",
    "Source",
    "Statistics",
    "export_marked",
    "intact",
    "present",
]
