"""Dutyroom: reads, decides, shows and bills for a property's engineering duty room."""

__version__ = "0.1.0"
