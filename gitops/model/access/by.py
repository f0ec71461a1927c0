"""Who does something, and from where. Pure.

Rules: `named` is what somebody calls himself beside the name that was proven; both are told.

    By("root", "cli", "192.0.2.7", named="ada").act("box.hold", "site-7", "the mast is open", now)
"""

from dataclasses import dataclass

from gitops.model.access.act import Act


@dataclass(frozen=True)
class By:
    """`who`: proven by a login, a token or the system; `how`: `account`, `oidc`, `token`, `cli`."""

    who: str
    how: str
    address: str = ""
    named: str = ""

    @property
    def name(self) -> str:
        """As others see it."""
        return self.named or self.who

    def act(self, what: str, subject: str, reason: str, now: int) -> Act:
        """What is about to be done."""
        said = f"as {self.named}: {reason}" if self.named not in ("", self.who) else reason
        return Act(now, self.who, self.how, self.address, what, subject, said)
