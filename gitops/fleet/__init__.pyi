from gitops.fleet.repo import judge_fleet as judge_fleet
from gitops.fleet.repo import key_mistakes as key_mistakes
from gitops.fleet.repo import load_fleet as load_fleet
from gitops.fleet.repo import load_policy as load_policy
from gitops.fleet.repo import rule_warnings as rule_warnings
