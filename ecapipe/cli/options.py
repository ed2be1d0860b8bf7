"""Options that several commands share, worded once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Protocol, TypeVar, dataclass_transform

import typer

from ecapipe.adapters.composition import SOURCES
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import files
from ecapipe.cli.session import CommandSession
from ecapipe.oauth.flows import registry
from ecapipe.orgs import org_file
from ecapipe.orgs.hosts import require_hosts
from ecapipe.orgs.org_file import OrgFile
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import USAGE, EcapipeError
from ecapipe.project.discovery import ProjectSelection
from ecapipe.render.listings import Length
from ecapipe.render.reports import FORMATS
from ecapipe.secret import Secret

if TYPE_CHECKING:
    from ecapipe.oauth.dpop import TokenType

_FORMATS: Final = tuple(FORMATS)
Declared = TypeVar("Declared")

SourceDirs = Annotated[
    list[str] | None,
    typer.Option(
        "--source-dir",
        "-d",
        metavar="DIR",
        help="Folder or file to search; the project is the nearest one at or above it. Repeatable. Default: the "
        "current folder.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", "-n", metavar="APP", help="App to use (exact developer name). Repeatable."),
]
NoProjectConfig = Annotated[
    bool,
    typer.Option(
        "--no-project-config",
        help="Ignore the project's plugins.ecapipe, replacements and orgs. For code you don't trust.",
    ),
]
ReportFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="FORMAT=PATH",
        help=f"Also write a report: {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}. Repeatable.",
    ),
]


class StoreChoice(StrEnum):
    """Where secrets are kept, in the words of ``--store``."""

    keyring = "keyring"
    file = "file"


StoreIn = Annotated[
    StoreChoice | None,
    typer.Option(
        "--store",
        metavar="|".join(StoreChoice),
        help="Place to save secrets in: the system's keyring (default), or unencrypted files that only you can read.",
    ),
]
TargetOrgs = Annotated[
    list[str] | None,
    typer.Option(
        "--target-org",
        "-o",
        metavar="ORG",
        help="Org to use: an alias, a My Domain URL or host, or ALIAS=URL. Repeatable.",
    ),
]
OrgFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--file", "-f", metavar="FILE", help="CSV or JSON file that lists orgs. Repeatable. See DESCRIPTION."
    ),
]
AllOrgs = Annotated[
    bool, typer.Option("--all-orgs", help="Use all orgs in plugins.ecapipe.orgs of sfdx-project.json.")
]
AllowHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="HOST",
        help="Additional host to accept as an org (all ports, or HOST:PORT). Repeatable.",
    ),
]
SecretSource = StrEnum("SecretSource", {source.name: source.name for source in SOURCES})  # type: ignore[misc]  # made of the sources
SecretsFrom = Annotated[
    list[SecretSource] | None,
    typer.Option(
        "--secret-from",
        metavar="|".join(SecretSource),
        help="Read consumer secrets only from this source. Repeatable.",
    ),
]


def store_place(store: StoreChoice | None) -> Literal["keyring", "file"]:
    """Where to keep secrets: in the keyring, unless ``--store`` says otherwise."""
    return "file" if store is StoreChoice.file else "keyring"


class TokenForm(StrEnum):
    """How an access token is printed."""

    value = "value"
    header = "header"


def token_line(token: Secret, form: TokenForm, type: TokenType) -> str:
    """The one line that holds an access token: what the command is for."""
    if form is TokenForm.header:
        return f"Authorization: {type} {token.reveal()}"
    return token.reveal()


def proof_line(proof: Secret) -> str:
    """The header that goes with the token in one request."""
    return f"DPoP: {proof.reveal()}"


# Nothing compares or prints flags, and what dataclass would generate for that is time at every start.
@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def command_flags(declared: type[Declared]) -> type[Declared]:
    """Make a frozen dataclass of the flags of a command; the order of its fields is their order in the help."""
    return dataclass(frozen=True, kw_only=True, eq=False, repr=False, match_args=False)(declared)


@command_flags
class CommonFlags:
    """What every command takes; `ecapipe.cli.commands.with_flags` fills it, and what the command adds."""

    LAST: ClassVar[tuple[str, ...]] = (
        "concise", "verbose", "no_progress", "no_prompt", "no_project_config", "json",
    )  # fmt: skip
    """The fields that the help ends with: a command's own come before them."""

    concise: Annotated[bool, typer.Option("--concise", help="Print less.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", help="Print all details.")] = False
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Don't show progress.")] = False
    no_prompt: Annotated[bool, typer.Option("--no-prompt", "-p", help="Don't prompt. This command never does.")] = (
        False
    )
    no_project_config: Annotated[
        bool,
        typer.Option("--no-project-config", help="Ignore plugins.ecapipe. This command never reads it."),
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False

    @property
    def length(self) -> Length:
        """How much to print."""
        if self.concise:
            return "concise"
        return "verbose" if self.verbose else "usual"

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        """A sentence for each value and each combination that makes no sense, the most telling first."""
        if self.concise and self.verbose:
            yield "--concise can't be used with --verbose."


@command_flags
class TreeFlags(CommonFlags):
    """For commands that read projects."""

    source_dir: SourceDirs = None
    metadata_dir: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata-dir", metavar="DIR", help="Folder in metadata format, or a retrieved zip file. Repeatable."
        ),
    ] = None
    credentials_dir: Annotated[
        list[str] | None,
        typer.Option(
            "--credentials-dir",
            metavar="DIR",
            help="Project of the source org, which supplies key and secret for linked and packaged apps. Repeatable.",
        ),
    ] = None
    no_project_config: NoProjectConfig = False

    def select_project(self, environment: Environment, names: list[str] | None) -> ProjectSelection:
        """The trees, and of their apps those in `names`; all of them without names."""
        return select_project(
            environment, self.source_dir, self.metadata_dir, self.credentials_dir, names, self.no_project_config
        )


@command_flags
class ProjectFlags(TreeFlags):
    """For commands about the apps of projects."""

    name: Names = None


def select_project(
    environment: Environment,
    source_dirs: list[str] | None = None,
    metadata_dirs: list[str] | None = None,
    credentials_dirs: list[str] | None = None,
    names: list[str] | None = None,
    no_project_config: bool = False,
) -> ProjectSelection:
    """The folders and apps that the shared options name, and whether the project's settings are trusted."""
    environment.pass_over((*(source_dirs or ()), *(metadata_dirs or ()), *(credentials_dirs or ())))
    trusted = not no_project_config and environment.get("ECAPIPE_NO_PROJECT_CONFIG") != "1"
    return ProjectSelection(
        directories=tuple(source_dirs or ()),
        names=tuple(names or ()),
        trusted=trusted,
        metadata_dirs=tuple(metadata_dirs or ()),
        credentials_dirs=tuple(credentials_dirs or ()),
    )


class OrgFlags(Protocol):
    """The flags of a command that goes to orgs, or speaks of them."""

    @property
    def target_org(self) -> list[str] | None: ...

    @property
    def file(self) -> list[str] | None: ...

    @property
    def all_orgs(self) -> bool: ...

    @property
    def allow_host(self) -> list[str] | None: ...


def select_orgs(environment: Environment, flags: OrgFlags, username: str | None = None) -> OrgSelection:
    """The orgs that the shared options name; raises `EcapipeError` as `read_org_file`."""
    batches = [read_org_file(file) for file in flags.file or ()]
    batch = OrgFile.joined(batches) if len(batches) > 1 else next(iter(batches), None)
    environment.pass_over(batch.source_dirs if batch else ())
    return OrgSelection(
        names=tuple(flags.target_org or ()),
        default=environment.get("SF_TARGET_ORG"),
        allowed=allowed_hosts(environment, flags.allow_host or ()),
        username=username,
        batch=batch,
        every=flags.all_orgs,
    )


def read_org_file(path: str) -> OrgFile:
    """The orgs that a file lists; raises `EcapipeError` (SourceDirNotFound, UnreadableFile), exit code 2."""
    try:
        return org_file.parse(files.read(path, org_file.LARGEST, "--file"), path, registry.CHOICES)
    except EcapipeError as error:
        # A file that the command line names is a mistake in the command line, whatever is wrong with it.
        raise EcapipeError(replace(error.problem, exit_code=USAGE)) from None


def allowed_hosts(environment: Environment, hosts: Iterable[str] = ()) -> tuple[str, ...]:
    """Hosts accepted as orgs besides Salesforce's: `hosts`, and those of the variable. Raises `EcapipeError`
    (InvalidAllowedHost)."""
    of_variable = re.split(r"[\s,]+", environment.get("ECAPIPE_ALLOWED_HOSTS") or "")
    return require_hosts(hosts, "--allow-host") + require_hosts(filter(None, of_variable), "ECAPIPE_ALLOWED_HOSTS")


def secret_sources(choices: Iterable[SecretSource] | None) -> frozenset[str]:
    """Where secrets may come from: `choices`; none: all sources that need not be named."""
    return frozenset(source.value for source in choices or ())


def sources_in_orgs() -> list[str]:
    """The names of the sources that ask an org."""
    return [source.name for source in SOURCES if source.asks == "org"]
