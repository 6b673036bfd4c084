"""Quantities, their canonical unit and how other units convert to it."""
