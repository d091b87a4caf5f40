"""PDFs and pictures that visitors attach, read by a child process that may fail alone."""
