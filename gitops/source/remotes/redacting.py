"""URLs as they may be shown.

In: any text. Out: the same, without what somebody proves himself with. Pure.

    redact("https://user:secret@host/x")    # https://host/x
"""

import re


def redact(text: str) -> str:
    """A text whose URLs have lost user, password, query and fragment. Too much is cut rather than too little: a
    password may hold a slash that nobody escaped, and then a path with an `@` looks the same."""
    cut = re.sub(r"(?<=://)\S*@", "", text)
    cut = re.sub(r"(://[^\s?#]*)[?#]\S*|\?\S*", r"\1", cut)
    return re.sub(r"(?<![^\s'\"(])[^\s/:@'\"(]+:[^\s]*@", "", cut)  # user:password@host:path
