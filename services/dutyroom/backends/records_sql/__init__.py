"""The records: everything that a person or an auditor relies on, in SQLite or PostgreSQL."""

from dutyroom.backends.records_sql.records import SqlRecords, open_records

__all__ = ["SqlRecords", "open_records"]
