"""What users call, one verb a module."""
