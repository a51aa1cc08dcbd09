"""What goes into the image: the worker and the program it forks. Both also serve the process backend, as plain files."""
