"""Tags of packages as `linuxkit pkg show-tag` prints them: ORG/IMAGE:TAG, by what Git has committed.

buildfile (what build.yml says) and repository (what Git says) -> show (the word); `template` fills in `tag:`.
"""
