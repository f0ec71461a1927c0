"""Facts of Git: the remote, the bare clone, commits, trees and their bounds. Nothing in here believes anybody."""
