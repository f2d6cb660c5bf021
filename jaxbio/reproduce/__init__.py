"""Published tables, re-run: a file for each paper, and what judges ours beside theirs."""
