"""The commands of `python -m activate`: their arguments, output and exit codes."""
