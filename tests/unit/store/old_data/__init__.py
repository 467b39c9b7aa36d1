"""A data directory as commit 8c88dc2 left it when it was killed, as text.

``scf.sql`` is the database, ``journal.jsonl`` what was not in it yet, ``packages`` makes the zips.
``write`` made all of it, with the code of that commit.
"""
