"""Prints escape sequences, turned text and bytes that are not UTF-8."""

import os

os.write(1, b"\x1b[2J\x1b]0;title\x07\x1b]52;c;cm0gLXJm\x07 \xff\xfe \xc3( \x9b31m \xe2\x80\xaeabc\r\x08\x00\n")
