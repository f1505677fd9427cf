"""Reports and documents as files: what there is, what it is asked with, how it is written."""
