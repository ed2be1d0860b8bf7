"""Environment variables: what they choose, and the credentials they carry."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePath

from ecapipe.adapters import reading
from ecapipe.adapters.storage import files
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unreadable_file, usage_error
from ecapipe.project import reserved_variables
from ecapipe.secret import Secret, spare

_OWN = "ECAPIPE_"
_FILE_SUFFIX = "_FILE"
"""As in the images of Docker's library: NAME_FILE holds the path of a file that holds the value of NAME."""
_LARGEST = 64 * 1024
"""Bytes that are read of such a file."""


class Environment:
    """The variables as they were at the start. Those of the process itself are never changed.

    Every child process is given an environment of its own: `for_git` for git, `for_programs` for any other. What may
    hold a credential is in neither: ecapipe's own variables, those that a project or an org file names, and the
    ``…_FILE`` of each.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values: Mapping[str, str] = dict(environ)
        self._known = frozenset(each for name in self._values for each in (name, name.removesuffix(_FILE_SUFFIX)))
        self._withheld: set[str] = set()
        self._contents: dict[str, Secret | EcapipeError | None] = {}
        self._trees: list[str] = []

    def get(self, name: str) -> str | None:
        """The value of `name`; None when it is unset or empty."""
        return self._values.get(name) or None

    @property
    def names(self) -> frozenset[str]:
        """The variables that are set, be they empty."""
        return frozenset(self._values)

    def take(self, name: str) -> str | None:
        """The value of a variable that a project or an org file names; no child process inherits it from now on.

        None for a reserved one, which stays what it is for everybody.
        """
        if reserved_variables.reserved(name):
            return None
        # In upper case: to Windows, and so to a child process there, all spellings are one variable.
        self._withheld.add(name.upper())
        # A name that is set is no secret that stands there by mistake.
        if name in self._values:
            spare(name)
        return self._values.get(name)

    def for_programs(self) -> dict[str, str]:
        """What programs of the user's are given: the variables, without what may hold a credential."""
        return self._with_path(
            {name: value for name, value in self._values.items() if not self._withholds(name.upper())}
        )

    def for_git(self) -> dict[str, str]:
        """What git is given, whatever any project says: what it needs to know of machine and user."""
        return self._with_path(
            {name: value for name, value in self._values.items() if reserved_variables.of_git(name)}
        )

    def program(self, *names: str, chosen: str = "") -> str | None:
        """The program whose absolute path the variable `chosen` holds, else the first on the PATH that is called so.

        Only absolute folders of PATH are searched, and none of the tree around the current folder, nor of those in
        `pass_over`: whoever wrote a tree does not choose what is run.
        """
        paths = [os.path.join(folder, name) for folder in self._folders() for name in names]
        if path := self.get(chosen):
            paths = [path]
        return next(filter(_is_program, paths), None)

    def pass_over(self, paths: Iterable[str]) -> None:
        """Take no program from the trees around `paths`, which somebody is about to look at."""
        for path in paths:
            with suppress(OSError):  # the current folder was removed
                # As it is and as it is spelled: a link may lead from one tree to another.
                for spelling in (os.path.realpath(path), os.path.abspath(path)):
                    self._trees.append(os.path.realpath(_tree(spelling) or path))

    def _folders(self) -> list[str]:
        """The folders of PATH that programs are taken from."""
        trees = {*self._trees}
        with suppress(OSError):  # it was removed
            trees.update(filter(None, (_tree(os.path.realpath(os.curdir)),)))
        folders = (self.get("PATH") or "").split(os.pathsep)
        return [folder for folder in folders if os.path.isabs(folder) and not _inside(folder, trees)]

    def _with_path(self, variables: dict[str, str]) -> dict[str, str]:
        """The `variables`, with PATH reduced to `_folders`, or without it: an empty one means the current folder."""
        path = os.pathsep.join(self._folders())
        reduced = dict(variables)
        # Windows spells it Path, and takes it in any case.
        for name in variables:
            if name.upper() == "PATH" and path:
                reduced[name] = path
            elif name.upper() == "PATH":
                del reduced[name]
        return reduced

    def credential(self, name: str) -> Secret | None:
        """The value of `name`, else the content of the file that ``name_FILE`` names, without surrounding space.

        No child process inherits them from now on; a reserved name has no value. Raises `EcapipeError`
        (UnreadableFile).
        """
        # Thousands of apps ask, and mostly in vain.
        if name not in self._known or reserved_variables.reserved(name):
            return None
        self._withheld.add(name.upper())
        if value := (self.get(name) or "").strip():
            if not value.isprintable():  # bytes that are no text, or a line break in the middle
                raise EcapipeError(usage_error(f"{name} is not plain text on one line.", "ecapipe run"))
            return Secret(value)
        path = self.get(name + _FILE_SUFFIX)
        # SSL_CERT_FILE, for one, is no file with the value of SSL_CERT.
        if path is None or reserved_variables.reserved(name + _FILE_SUFFIX):
            return None
        return self._content(path, name + _FILE_SUFFIX)

    def _content(self, path: str, variable: str) -> Secret | None:
        """As `_read`, but once: a pipe gives what it has to the first who asks."""
        if variable not in self._contents:
            try:
                self._contents[variable] = _read(path, variable)
            except EcapipeError as error:
                self._contents[variable] = error
        content = self._contents[variable]
        if isinstance(content, EcapipeError):
            raise EcapipeError(content.problem)
        return content

    def _withholds(self, name: str) -> bool:
        if reserved_variables.reserved(name):
            return False
        return name.startswith(_OWN) or not self._withheld.isdisjoint((name, name.removesuffix(_FILE_SUFFIX)))

    def is_ci(self) -> bool:
        """The test of `sf`: CI, CONTINUOUS_INTEGRATION or any CI_* variable, unless CI says no."""
        if (self._values.get("CI") or "").lower() in ("0", "false"):
            return False
        names = self._values.keys()
        return bool(
            self.get("CI") or self.get("CONTINUOUS_INTEGRATION") or any(name.startswith("CI_") for name in names)
        )


def _read(path: str, variable: str) -> Secret | None:
    """The content of the file that `variable` names; raises `EcapipeError` (UnreadableFile)."""
    try:
        # With or without the mark that editors of Windows put at the beginning.
        content = reading.read(path, _LARGEST, pipes=True)[:_LARGEST].decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        # By name: what stands in the variable may be the secret itself, put there by mistake.
        problem = unreadable_file(f"the file specified by {variable}", reason)
        raise EcapipeError(replace(problem, message=f"T{problem.message[1:]}", file=None)) from None
    return Secret(content) if content else None


def _is_program(path: str) -> bool:
    return os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK)


def _tree(path: str) -> str | None:
    """The whole repository around an absolute path, else the project; None without them."""
    # A repository goes first: its author wrote what lies around the project as well.
    if repository := files.whole_repository(path):
        return repository
    around = (PurePath(path), *PurePath(path).parents)
    return next((str(folder) for folder in around if os.path.lexists(folder / "sfdx-project.json")), None)


def _inside(folder: str, trees: set[str]) -> bool:
    """Whether a folder lies in one of the trees, or is named through it: a link there may lead anywhere."""
    real, spelled = PurePath(os.path.realpath(folder)), PurePath(os.path.abspath(folder))
    ways = (real, *real.parents, *map(os.path.realpath, (spelled, *spelled.parents)))
    return not trees.isdisjoint(map(str, ways))


def process() -> Environment:
    """The environment of this process."""
    return Environment(os.environ)
