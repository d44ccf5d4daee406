"""Undo and redo: frozen projects, swapped. No command needs an inverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .project import Project

MOST_STEPS = 500


@dataclass(frozen=True)
class Command:
    """One thing a user did.

    Attributes:
        title: What the menu says after "Undo": "gain of bass".
        apply: From the project before to the project after.
        merge: Commands in a row with the same key make one step ("" never merges): a fader being dragged.
        beside: It makes nothing that was undone pointless: it says what to look at or what to ask for next, or comes by
            itself.
    """

    title: str
    apply: Callable[[Project], Project]
    merge: str = ""
    beside: bool = False


@dataclass
class _Step:
    title: str
    before: Project
    after: Project
    merge: str


class History:
    """The project as it is, and the way here and back.

    Args:
        project: Where it begins.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._done: list[_Step] = []
        self._undone: list[_Step] = []

    @property
    def project(self) -> Project:
        """The project as it is."""
        return self._project

    def do(self, command: Command) -> bool:
        """Apply a command; False if it changed nothing.

        What was undone can be redone after one that is `beside`: it comes about there as well, so that redoing brings
        back a stem and leaves the region of now. A step of the same kind that was undone has nothing left to redo.
        """
        before, after = self._project, command.apply(self._project)
        if after == before:
            return False
        if command.beside:  # before all else: where it fails there, nothing has been done
            self._change(self._undone, command.apply)
            self._undone = [step for step in self._undone if step.before != step.after]
        else:
            self._undone.clear()
        last = self._done[-1] if self._done else None
        if last is not None and command.merge and last.merge == command.merge:
            last.after = after
            if after == last.before:  # back where it began: nothing to take back
                self._done.pop()
        else:
            self._done = [*self._done[-MOST_STEPS + 1 :], _Step(command.title, before, after, command.merge)]
        self._project = after
        return True

    def end_merging(self) -> None:
        """What comes next is a step of its own: the mouse was released."""
        if self._done:
            self._done[-1].merge = ""

    def undo(self) -> None:
        """Go one step back, if there is one. What comes next joins neither that step nor the one before it."""
        if self._done:
            self.end_merging()
            step = self._done.pop()
            self.end_merging()
            self._undone.append(step)
            self._project = step.before

    def redo(self) -> None:
        """Go one step forward again, if there is one."""
        if self._undone:
            step = self._undone.pop()
            self._done.append(step)
            self._project = step.after

    @property
    def ahead(self) -> list[Project]:
        """What redoing would lead to, the nearest first."""
        return [step.after for step in reversed(self._undone)]

    @property
    def projects(self) -> list[Project]:
        """The project as it is, and all that undoing and redoing would lead to, each once."""
        steps = [*self._done, *self._undone]
        found = [self._project, *(project for step in steps for project in (step.before, step.after))]
        return list({id(project): project for project in found}.values())

    @property
    def merging(self) -> bool:
        """Whether the last step may still grow: a mouse button is down, somebody types."""
        return bool(self._done and self._done[-1].merge)

    @property
    def undo_title(self) -> str:
        """Title of what `undo` takes back; "" if there is nothing."""
        return self._done[-1].title if self._done else ""

    @property
    def redo_title(self) -> str:
        """Title of what `redo` does again; "" if there is nothing."""
        return self._undone[-1].title if self._undone else ""

    def amend(self, change: Callable[[Project], Project]) -> None:
        """Change the project and every step alike: a better version of a take replaces its draft, also in the past."""
        now = _Step("", self._project, self._project, "")
        self._change([*self._done, *self._undone, now], change)
        self._project = now.after

    @staticmethod
    def _change(steps: list[_Step], change: Callable[[Project], Project]) -> None:
        """Change the projects of steps, each once."""
        known: dict[int, Project] = {}

        def changed(project: Project) -> Project:
            if id(project) not in known:
                known[id(project)] = change(project)
            return known[id(project)]

        kept = [(step.before, step.after) for step in steps]  # keeps their ids in use
        new = [(changed(before), changed(after)) for before, after in kept]  # all of them, or none where one fails
        for step, (before, after) in zip(steps, new, strict=True):
            step.before, step.after = before, after
