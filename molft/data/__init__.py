"""Rows to batches: tables, labels, splits, packed graphs on disk and in memory."""
