"""What a fleet repo may say: strict YAML, typed models, overlays fleet > role > box, LinuxKit's files, packages.

yaml -> schema, explain -> overlay -> repo; `linuxkit`, `packages` and `compose` read what is not our own format;
`system_files` is what every box gets, `origins` where each value comes from.
"""

from gitops.model.loading.lazy import lazily

NAMES = ("judge_fleet", "key_mistakes", "load_fleet", "load_policy", "rule_warnings")
# LinuxKit's own files are read without a fleet repo.
__getattr__ = lazily(__name__, dict.fromkeys(NAMES, "repo"))
