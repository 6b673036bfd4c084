"""Puts the parts together: which backend behind which flow. Nothing decides anything here."""
