"""Mutants of bench/mutants/mutate.py that do the same as what they replace, or differ where nobody sees it: why."""

NO_CLOCK = "the very moment, which no clock hits"
BOTH_KINDS = "both kinds are taken, in the other order, into a set"
DOWNLOAD = "python-tuf makes no difference between the errors of a download but for 403 and 404"
NO_RULES = "without rules and limits nobody asks what changed"
REST = "what is left of the table is too short for a signature"

ALIKE = {
    "toweros_agent/rules.py:keep": {
        "sequence > running -> sequence >= running": "the running one stays anyway",
        "sequence < running -> sequence <= running": "the running one is not among them",
    },
    "toweros_agent/rules.py:rollback": {"0 -> 1": "the newest of no entries: nothing is compared with it"},
    "toweros_agent/history.py:History.problem": {
        "time.monotonic() - self._found < TOLD -> time.monotonic() - self._found <= TOLD": NO_CLOCK,
    },
    "toweros_agent/history.py:History.ends_itself": {
        "time.monotonic() < deadlines.give_up(before) -> time.monotonic() <= deadlines.give_up(before)": NO_CLOCK,
    },
    "toweros_agent/history.py:History.look_back": {"0 -> 1 (2)": "nothing waits, so nobody looks at this place"},
    "toweros_agent/history.py:History.prove_time": {"0 -> 1": "a second after 1970 proves as little"},
    "host/disk.py:sync_folder": {
        "os.O_RDONLY | os.O_DIRECTORY -> os.O_RDONLY & os.O_DIRECTORY": "a folder can be opened as a file is, to read",
    },
    "host/memory.py:Memory.encode": {"1 -> 2": "how far the text is indented"},
    "health/counters.py:fattest": {
        "0 -> 1": "what cannot be counted beside what runs nothing: neither is a fork bomb",
    },
    "offer/trust.py:Trust.offer": {"updater.refresh() -> pass": "python-tuf does it before the first question"},
    "offer/trust.py:Trust._clock": {"now - theirs < AHEAD -> now - theirs <= AHEAD": NO_CLOCK},
    "rollout/steering.py:resume": {"1 -> 2": "one word is said, and a change that is made twice says the same again"},
    "rollout/status.py:fleet_status": {
        "len(_statuses) > len(known) -> len(_statuses) >= len(known)": "as many: they are the same",
    },
    "offer/repository.py:_fetcher": {
        "raise DownloadLengthMismatchError(str(error)) from error -> pass": DOWNLOAD,
        "413 -> 414": DOWNLOAD,
    },
    "firmware/authenticode.py:_signatures": {
        "len(table) > 8 -> len(table) >= 8": REST,
        "8 -> 9": REST,
    },
    "firmware/authenticode.py:_proves": {"2 -> 3": "what is wrapped has a type and a content, and no third member"},
    "trust/rules.py:_within": {"1 -> 2": "only what is before the first slash is looked at"},
    "trust/releases.py:version": {
        "1 -> 2 (3)": "a word comes after every number, whatever its rank is called",
        "0 -> 1 (5)": "all words have the same number, whichever that is",
    },
    "trust/releases.py:eligible": {
        "if (name in annotated) == kind -> if not (name in annotated) == kind": BOTH_KINDS,
        "(name in annotated) == kind -> (name in annotated) != kind": BOTH_KINDS,
        "name in annotated -> name not in annotated": BOTH_KINDS,
    },
    "trust/objects.py:read": {"False -> True": "the digest is the same where it may be computed"},
    "trust/judge.py:Judge.accept": {
        "revision.time > time.time() + AHEAD -> revision.time >= time.time() + AHEAD": NO_CLOCK,
    },
    "trust/judge.py:Judge._check_lockout": {"line.after > time.time() -> line.after >= time.time()": NO_CLOCK},
    "trust/signers.py:_Question._ask": {
        "self.policy.threshold > 1 -> self.policy.threshold >= 1": "of one nobody asks which people it is",
    },
    "trust/signers.py:_Question._step": {"return set() -> return None": NO_RULES},
    "trust/signers.py:_Question._own_changes": {"return set() -> return None": NO_RULES},
    "trust/signatures.py:names": {
        "raise SourceError(f'{name} is signed by an unknown key', hint=STAYS, reason=Reason.unknown -> pass":
            "gpg, which is asked then, says the same",
    },
    "trust/openpgp.py:_verdict": {
        "'GOODSIG' not in words or len(valid) != 1 -> 'GOODSIG' not in words and len(valid) != 1":
            "of a good signature gpg says both, of any other neither",
        "raise SourceError(f'{name} is signed by an unknown key', hint=STAYS, reason=Reason.unknown -> pass":
            "gpg knows no key that is not of a key file",
    },
    "rollout/windows.py:Window.parse": {"ends < begins -> ends <= begins": "a window without a minute was refused"},
    "rollout/windows.py:Calendar.opens": {"time > now -> time >= now": "it is not open now"},
    "rollout/windows.py:Calendar._beginnings": {
        "moved > now -> moved >= now": "it is not open now",
        "1 -> 2": "a day more is looked at, which is over",
        "3600 -> 3601": "a second later it is open, too, and the whole hour is among them",
    },
}  # fmt: skip
"""Module and function -> change (of several alike ones, the number) -> why nobody notices."""
