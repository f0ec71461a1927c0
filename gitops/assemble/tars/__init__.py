"""Layer tars: read once, by one reader; whatever else wants to know what a tar holds asks it.

reader.py     a tar -> `Contents`: the tree that a container engine would unpack, or why there is none
headers.py    the headers of all writers, as most readers understand them
attributes.py extended attributes, and which of them a box's file has
names.py      paths of members, and where links lead, inside of the root
canonical.py  `Contents` -> a tar that every reader understands alike, for mkfs.erofs
erofs.py      what an EROFS image holds, by our own reading
compare.py    whether an image holds what was read
stack.py      several layers over each other, in memory
"""

from gitops.assemble.tars.stack import entries_of, extract, files_of, folder_for_link, tree_of

__all__ = ["entries_of", "extract", "files_of", "folder_for_link", "tree_of"]
