"""The cursor language: a profile's list of fields reads bytes into a document."""
