"""The embedded store of readings: one SQLite file a site. See docs/decisions/readings-layout.md."""

from dutyroom.backends.readings_embedded.store import EmbeddedReadingStore

__all__ = ["EmbeddedReadingStore"]
