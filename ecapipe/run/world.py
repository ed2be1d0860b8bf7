"""Everything outside, as a handful of fields that the adapters fill, and tests replace."""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ecapipe.credentials import sources
from ecapipe.credentials.sources import Chain, Scope, Source
from ecapipe.events import Tell, untold

if TYPE_CHECKING:  # the world is described in words of modules that most commands do without
    from ecapipe.check.git import Git
    from ecapipe.events import Clock
    from ecapipe.login.callbacks import CallbackListener, LineReader
    from ecapipe.login.salesforce_cli import SalesforceCli
    from ecapipe.oauth.dpop import ProofKeys
    from ecapipe.oauth.messages import Send
    from ecapipe.oauth.signing import KeyReader
    from ecapipe.project.edits import Change
    from ecapipe.project.replacements import Substitute
    from ecapipe.project.tree import ProjectTree
    from ecapipe.run.board import BoardActions, BoardPage
    from ecapipe.saved.store import SecretStore
    from ecapipe.secret import Secret


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside.

    `person`: somebody can be asked to sign in; `local_browser`: on this very machine; `stand_in`: `open` signs in
    by itself, so that nobody needs to see its links.
    """

    tree: ProjectTree
    tracked: Callable[[str, Sequence[str]], frozenset[str]]
    """The paths, among those given relative to a root, that git tracks; empty where git cannot tell."""
    git: Callable[[str], Git | None]
    """The repository around an absolute path, or None. Raises `EcapipeError` (GitUnavailable)."""
    index: Callable[[], ProjectTree]
    """The tree as the next commit would have it: git's index, and the disk for what is not in it."""
    write: Callable[[str, str, bytes], None]
    """Puts a file of a project in place, by root and path, all or nothing; makes its folders. Raises `EcapipeError`
    (UnwritableFile)."""
    private_folder: Callable[[], AbstractContextManager[str]]
    """A folder that nobody else can look into, removed with its content when the context ends. Raises `EcapipeError`
    (StateDirectoryUnusable)."""
    amend: Callable[[Change], None]
    """Changes a file of a project, all or nothing; raises `EcapipeError` (UnwritableFile)."""
    send: Send
    environ: Callable[[str], str | None]
    """Any variable of the environment."""
    withhold: Callable[[str], str | None]
    """The same for one that a project or an org file names: no child process inherits it from then on. None for one
    that programs need."""
    substitute: Substitute
    """Replaces what a regular expression of a project matches; None if that takes too long."""
    variable: Callable[[str], Secret | None]
    """One credential variable of the environment, or the content of the file that its ``…_FILE`` names; None where
    there is nothing in it."""
    variable_names: Collection[str]
    """The variables of the environment that are set, be they empty."""
    ask: Callable[[str], Secret | None] | None
    """A hidden question on the terminal; None where there is none to ask on."""
    sources: Sequence[Source[World]]
    """All that key and secret may come from, in order."""
    keys: KeyReader
    proof_keys: ProofKeys
    certificate_end: Callable[[str], str | None]
    """The last day, in ISO 8601, of a certificate (PEM, or its base64); None for what is none."""
    open: Callable[[str], bool] | None
    """Shows a URL in a browser, False if that failed; None when URLs are only printed."""
    listen: CallbackListener
    lines: LineReader
    store: SecretStore
    sf: SalesforceCli
    person: bool
    local_browser: bool
    browser_doubt: str | None
    clock: Clock
    random_bytes: Callable[[int], bytes]
    stand_in: bool = False
    board: Callable[[BoardActions], AbstractContextManager[BoardPage]] | None = None
    """Opens the page for signing in to several orgs; None where there is none. Events reach it by another way."""
    interrupts: Callable[[Callable[[], None]], AbstractContextManager[object]] = nullcontext
    """While the context lasts, an interrupt calls the function, at any moment of the main thread, and is over."""
    browsers: Callable[[str], Callable[[str], bool] | None] | None = None
    """What `open` is for a browser that an org names; None where one was chosen for all orgs."""
    ready: Callable[[], None] = lambda: None
    """Begins to load what sending needs, and comes back at once: a moment that whoever signs in need not wait for."""
    close_connections: Callable[[], None] = lambda: None
    """Closes the connections of the thread that calls it."""
    tell: Tell = untold
    """Shows how far long work is."""
    nonces: MutableMapping[str, str] = field(default_factory=dict)
    """The last nonce of each origin, for proofs."""

    def chain(self, scope: Scope) -> Chain:
        """The sources of key and secret that a command may use, none of which is read yet."""
        return sources.chain(self.sources, self, scope)

    def staged(self) -> World:
        """The same world, with the tree as the next commit would have it."""
        return replace(self, tree=self.index())
