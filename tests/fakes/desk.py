"""Whoever acts on a board, as the board sees them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ecapipe.events import Subject
from ecapipe.login.callbacks import PasteReply


@dataclass
class Desk:
    """Takes down what people do. Only an address fits a login, and no browser can be opened unless `opens`."""

    seconds: float = 1500.0
    opens: bool = True
    done: list[str] = field(default_factory=list)

    def paste(self, text: str) -> PasteReply:
        self.done.append(text)
        fits = text.startswith("https://")
        return PasteReply(("URL accepted.",) if fits else ("That fits nothing.",), refused=not fits)

    def open(self, subject: Subject) -> bool:
        self.done.append(f"open {subject}")
        return self.opens

    def retry(self, subject: Subject) -> bool:
        self.done.append(f"retry {subject}")
        return True

    def finish(self) -> None:
        self.done.append("finish")

    def left(self) -> float:
        return self.seconds
