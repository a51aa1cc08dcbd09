"""What goes into the image: the worker and the program it forks; the process backend uses the same two files."""
