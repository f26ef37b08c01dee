"""What ensembudget's speed is measured against, all of it our own code, each in a process of its own."""
