"""A trained ensemble as files: its card, its graph, one format a file, and the loader."""
