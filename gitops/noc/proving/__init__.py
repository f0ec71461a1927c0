"""A second witness at a site: what the origin offers is built here again, of the commit that it names, and compared.

making      one release again: the commit judged, its packages built, the release assembled
comparing   part by part: what is signed, and what we made
inside      where two parts differ: the file inside of a layer or an initrd, a word of an addon
prover      the boxes of a site, one after the other, and what came of it
own         layers that we made need not be fetched
"""
