"""The journeys: command lines by group, as data. `{uat}` and the like stand for addresses of a group's orgs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gate.test_every_rule import CASES

from ecapipe.cli.help import COMMANDS
from ecapipe.emulator import Fault
from ecapipe.findings import RULES
from ecapipe.problems import CATALOGUE


@dataclass(frozen=True)
class Journey:
    """A command line, and how it is travelled.

    `by`: within this process, as one of its own, or with a person who signs in at every link on standard error.
    `typed` is piped in; `sort`: lines that several logins tell at the same time have no order.
    """

    line: str
    by: Literal["inside", "process", "person"] = "inside"
    typed: str = ""
    sort: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Journeys that one home sees, one after the other, with these orgs. Of some orgs a fault is all that is known."""

    journeys: tuple[Journey | str, ...]
    orgs: tuple[str, ...] = ()
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)


TOKEN, USERINFO, INTROSPECT = (f"/services/oauth2/{end}" for end in ("token", "userinfo", "introspect"))
EVERY = tuple(
    " ".join(("ecapipe", name, child)).split()[1:]
    for name, each in COMMANDS.items()
    for child in each.children or ("",)
)
TOPICS = tuple([name] for name, each in COMMANDS.items() if each.children)

HELP = (
    "",
    "-h",
    "--help",
    "--version",
    *(" ".join((*words, flag)) for words in (*TOPICS, *EVERY) for flag in ("-h", "--help")),
)

USAGE = (
    "bogus", "bogus --json", "app", "app bogus", "run --bogus", "run --bogus --json", "run --emulater", "run --flow device",
    "run --until hand", "run --wait soon", "run --wait 0", "run --scopes api,web", "run --board-port 0",
    "run --board-port 8765 --no-board", "run --board-port 8765 --emulator", "run --board-port 8765 --no-prompt",
    "run superfluous", "run --emulator --target-org dev", "run --hand-over sfdx", "run --hand-over sf --revoke",
    "run --hand-over sf --print-token value -p", "run --hand-over sf --until token", "run --revoke --until token",
    "run --hand-over sf --emulator", "run --set-default", "run --retrieve --dry-run", "run --retrieve --emulator",
    "run --retrieve --metadata-dir .", "run -d named -o dev -o uat --retrieve", "run --print-token value",
    "run --print-token value --json", "run --concise --verbose", "run --shard 3/2", "run --shard x", "run --concurrency 0",
    "run --settle -1", "run --save --store nowhere", "run --store file", "run --write-back", "run --report pdf=a.pdf",
    "run --report json", "run --secret-from vault", "run --callback fax", "run -b lynx", "run --jwt-key-file nowhere.pem",
    "run -d named --resume no-such-run", "run --resume", "run --resume nowhere.json", "run --shard 1/2 --resume",
    "run -d named/nowhere", "run -d named", "run -d named --json", "run -d named -n Biling -o dev",
    "run -d named -n Biling -o dev --json", "run -d named -o uatt", "run -d named -o uatt --json",
    "run -d named -o https://evil.example", "run -d named -o https://evil.example --json",
    "run -d named -o http://dev.my.salesforce.com", "run -d named -o https://dev.my.salesforce.com.evil.example",
    "run -d named -o https://dev.my.salesforce.com/?a=b", "run -d named -o https://user:pw@dev.my.salesforce.com",
    "run -d named -o dev.lightning.force.com", "run -d named -o https://login.salesforce.com --dry-run",
    "run -d named -f nowhere.csv", "run -d named -f bad.csv", "run -d named -f bad.json", "run -d named -f evil.csv",
    "run -d named -f orgs.csv --dry-run", "run -d named -f orgs.json --dry-run --json", "run -d named --all-orgs --dry-run",
    "run -d named -o dev --dry-run --flow jwt", "run -d named -o dev --dry-run --flow client-credentials",
    "run -d named -o dev --no-prompt", "run", "app list", "app check", "app list --json", "run -d broken", "app check -d broken",
    "app check -d broken --json", "run -d empty", "run -d empty --json", "app check -d empty", "app list -d empty",
    "app list -d empty --json", "app check -d named -n billing", "app check --for war", "app check --fail-on never",
    "app check -d named --since HEAD", "app check -d named --staged", "app check -d named --history", "app check -d named -o uatt",
    "app check -d named --update-baseline --staged", "app probe -d named", "app probe -d named -o https://evil.example",
    "app probe -d named -o uatt --json", "app protect -d named --rules semgrep", "app set-secret", "app set-secret Biling -d named",
    "app set-secret Billing -d named --store file", "app forget-secret", "app forget-secret Nobody", "login list", "login list --json",
    "login display", "login display --json", "login token", "login token --json", "login refresh -n Nobody", "login logout",
    "login logout --all", "login logout -n Nobody -o dev --json", "runs list", "runs list --json", "runs show", "runs show nothing",
    "runs show --json", "report merge", "report merge nowhere.json", "report merge bad.json", "manifest", "manifest -d named -n Bill",
    "emulator", "emulator start --port 70000", "emulator start -d named --faults nowhere.json", "emulator start -d named --faults bad.json",
    "explain NoSuchThing", "explain consumer-secret-mising", "explain NoSuchThing --json", "--show-completion tcsh",
    "--install-completion", Journey("run --bogus", variables={"SF_CONTENT_TYPE": "JSON"}),
    Journey("app list -d named", variables={"SF_LOG_LEVEL": "loud"}),
    Journey("run -d named --dry-run", variables={"SF_TARGET_ORG": "uat"}), Journey("run --bogus", "process"),
    Journey("--version", "process"), Journey("run -d named -o uatt", "process"),
)  # fmt: skip

EXPLAIN = (
    "explain", "explain --concise", "explain --verbose", "explain --json", "explain json-schema",
    "explain ConsumerSecretMissing --json", "explain secret-staged --json",
    *(f"explain {name}" for name in (*CATALOGUE, *RULES)), *(f"--show-completion {shell}" for shell in ("bash", "zsh", "fish", "powershell")),
)  # fmt: skip

LOOKING = (
    *(f"{command} -d {tree}{form}"
      for command in ("app list", "app check", "manifest")
      for tree in ("sample", "many", "linked")
      for form in ("", " --concise", " --verbose", " --json")),
    *(f"app check -d many --for {purpose}{form}"
      for purpose in ("login", "deploy", "commit")
      for form in ("", " --json", " --concise --fail-on note", " --verbose --fail-on warning")),
    *(f"app check -d many --for commit --report {form}=report.{form}"
      for form in ("gitlab", "html", "json", "junit", "markdown", "sarif")),
    "app check -d linked --report gitlab=a.json --report junit=deep/er/a.xml --report html=a.html --concise",
    "app check -d sample --for commit --report markdown=clean.md --report junit=clean.xml", "app check -d sample --no-project-config",
    "app check -d empty --report sarif=none.sarif", "app check -d named -n Biling --report junit=usage.xml",
    "app check -d many -n Portal", "app check -d many -n Portal -n Billing --json", "app list -d many -n Portal --json",
    "app list -d many -d sample", "app check -d many -d sample", "app list --metadata-dir mdapi", "app check --metadata-dir mdapi --json",
    "app list -d linked --credentials-dir source --json", "app check -d linked --credentials-dir source",
    "app check -d many --staged --for commit", "app check -d many --since HEAD", "app check -d many --since nowhere",
    "app check -d many --history --for commit", "app check -d many --for deploy -o uat", "app check -d many --for deploy -o https://evil.example",
    Journey("app check -d many --for commit", variables={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "summary.md"}),
    Journey("app list -d many", variables={"ECAPIPE_CLIENT_SECRET_PORTAL": "MADEUP0SECRET"}),
    Journey("app check -d many", variables={"ECAPIPE_CLIENT_SECRET_PORTAL": "MADEUP0SECRET"}),
    "app check -d many --for commit --update-baseline", "app check -d many --for commit", "app check -d many --for commit --json",
    "app check -d many --for deploy --update-baseline --json", "manifest -d many -n Billing", "manifest -d sample/force-app",
    Journey("app check -d sample --for commit", "process"),
)  # fmt: skip

PROTECTING = (
    "app protect -d bare --dry-run", "app protect -d bare --dry-run --json", "app protect -d bare --dry-run --concise",
    "app protect -d bare --dry-run --forceignore --verbose", "app protect -d bare --replace-with-env --dry-run",
    "app protect -d bare --replace-with-env --dry-run --json", "app protect -d bare", "app protect -d bare", "app protect -d bare --json",
    "app protect -d bare --forceignore", "app protect -d tracked", "app protect -d tracked --json", "app protect -d tracked -n Portal",
    "app protect -d tracked --replace-with-env", "app protect -d tracked --replace-with-env -p", "app protect -d tracked --replace-with-env -p",
    "app check -d tracked", "app list -d tracked --json", "app protect -d bare --rules gitleaks", "app protect -d bare --rules detect-secrets",
    "app protect -d linked --credentials-dir source", "app protect -d empty", "app protect -d bare -n Bill",
)  # fmt: skip

BATCH = "-n Batch -o dev={dev} -o uat={uat} -o prod={prod} --concurrency 1"
FORMATS = ("gitlab", "html", "json", "junit", "markdown", "sarif")

RUNNING = (
    "run -d acme -n Batch -o uat={uat}", "run -d acme -n Batch -o uat={uat} --json", "run -d acme -n Batch -o uat={uat} --concise",
    "run -d acme -n Batch -o uat={uat} --verbose", "run -d acme -n Batch -o {uat}", "run -d acme -n Batch -o uat={uat} --print-token header",
    "run -d acme -n Batch -o uat={uat} --print-token value --no-prompt", "run -d acme -n Batch -o uat={uat} --revoke --verbose",
    "run -d acme -n Batch -o uat={uat} --scopes 'api nonsense'", "run -d acme -n Batch -o uat={uat} --no-journal --json",
    *(f"run -d acme -n Batch -n Robot -o uat={{uat}} --until {stage} --concurrency 1"
      for stage in ("discover", "locate", "check", "authorize", "token", "verify")),
    *(f"run -d acme -n Robot -o uat={{uat}} --report {form}=run.{form} --concise" for form in FORMATS),
    f"run -d acme {BATCH}", f"run -d acme {BATCH} --json", f"run -d acme {BATCH} --concise", f"run -d acme {BATCH} --verbose --no-journal",
    f"run -d acme {BATCH} --dry-run", f"run -d acme {BATCH} --dry-run --json", f"run -d acme {BATCH} --dry-run --verbose",
    "run -d acme -o uat={uat} --dry-run --no-prompt", "run -d acme -o uat={uat} --dry-run --no-prompt --json",
    "run -d acme -n Batch -f orgs.csv --concurrency 1", "run -d acme -n Batch -f orgs.json --concurrency 1 --json",
    "run -d acme -n Paster -o uat={uat} --no-prompt", "run -d acme -n Paster -o uat={uat} --no-prompt --json",
    "run -d acme -n Batch -n Paster -o uat={uat} --no-prompt --concurrency 1",
    "run -d acme -n Batch -o uat={uat} --flow web --no-prompt", "run -d acme -n Paster -o uat={uat} --flow client-credentials",
    "run -d acme -n Batch -o uat={uat} --flow jwt --jwt-key-file key.pem --username a@b.example",
    "run -d acme -n Batch -o uat={uat} --username other@acme.example", "run -d many -o uat={uat} --no-prompt --json",
    "run -d many -o uat={uat} --no-prompt --concurrency 1 --report markdown=many.md --report junit=many.xml --report sarif=many.sarif",
    "run -d many -o uat={uat} --no-prompt --concurrency 1 --report html=many.html --report gitlab=many.json --concise",
    Journey("run -d acme -n Paster -o uat={uat} --callback paste -b none", "person"),
    Journey("run -d acme -n Paster -o uat={uat} --callback paste -b none --json", "person"),
    Journey("run -d acme -n Paster -o uat={uat} --callback paste -b none --scopes api --verbose", "person"),
    Journey("run -d acme -n Batch -o uat={uat}", variables={"ECAPIPE_CLIENT_SECRET_BATCH": "WRONG0MADEUP"}),
    Journey("run -d acme -n Batch -o uat={uat} --json", variables={"ECAPIPE_CLIENT_SECRET_BATCH": "WRONG0MADEUP"}),
    Journey("run -d acme -n Batch -o uat={uat}", variables={"ECAPIPE_CLIENT_ID_BATCH": "3MVG9WRONG"}),
    Journey("run -d acme -n Batch -o uat={uat} --secret-from environment"),
    Journey("run -d acme -n Batch -o uat={uat}", variables={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "summary.md"}),
    Journey("run -d acme -n Batch -o uat={uat}", variables={"ECAPIPE_LOG_LEVEL": "info"}),
    Journey("run -d acme -n Batch", variables={"SF_TARGET_ORG": "uat"}), "run -d acme -n Batch", Journey("run -d acme -n Batch -o uat={uat}", "process"),
)  # fmt: skip

EMULATOR = (
    "run -d sample -n Nightly_Reports --emulator", "run -d sample -n Nightly_Reports --emulator --json",
    "run -d sample -n Nightly_Reports --emulator --verbose", "run -d sample -n Billing_Sync --emulator",
    "run -d sample -n Field_Mobile --emulator --concise", "run -d sample -n Partner_Portal --emulator --verbose",
    Journey("run -d sample --emulator", sort=True), Journey("run -d sample --emulator --concise", sort=True),
    "run -d sample --emulator --json", "run -d sample --emulator --dry-run", "run -d sample --emulator --dry-run --json",
    *(f"run -d sample --emulator --concise -n Nightly_Reports --report {form}=sample.{form}" for form in FORMATS),
    "app probe -d sample --emulator", "app probe -d sample --emulator --json", "app probe -d sample --emulator --concise",
    "app probe -d many --emulator --verbose", "app probe -d many --emulator --json",
    Journey("run -d sample --emulator", "process", sort=True),
)  # fmt: skip

RESUMING = (
    f"run -d acme {BATCH}", "runs list", "runs list --concise", "runs list --verbose", "runs list --json", "runs show",
    "runs show --concise", "runs show --verbose", "runs show --json", "run --resume", "run --resume --json", "run --resume --json",
    f"run -d acme {BATCH} --resume", f"run -d acme {BATCH} --resume --verbose", "runs list", "runs show",
    f"run -d acme {BATCH} -n Robot --report json=first.json", f"run -d acme {BATCH} -n Robot --resume first.json",
    f"run -d acme {BATCH} -n Robot --resume first.json --json --no-journal", f"run -d acme {BATCH} -n Robot --shard 1/2 --report json=one.json",
    f"run -d acme {BATCH} -n Robot --shard 2/2 --report json=two.json --json", "report merge one.json two.json",
    "report merge one.json two.json --json", "report merge one.json two.json --concise --report html=all.html --report junit=all.xml",
    "report merge one.json", "report merge one.json --json", "report merge two.json --report markdown=part.md --verbose",
    "report merge one.json first.json", "report merge orgs.csv", "report merge one.json bad.json --json",
    "run -d acme -n Batch -o uat={uat} --resume", "run -d many --resume", "run --resume 2000",
)  # fmt: skip

LOGINS = (
    "run -d acme -n Batch -o uat={uat} --save --store file", "run -d acme -n Batch -o dev={dev} --save --store file --json",
    Journey("run -d acme -n Paster -o uat={uat} --callback paste -b none --save --store file"),
    Journey("run -d acme -n Lasting -o uat={uat} --callback paste -b none --save --store file", "person"),
    Journey("run -d acme -n Lasting -o dev={dev} --callback paste -b none --save --store file --json", "person"),
    "login list", "login list --concise", "login list --verbose", "login list --json", "login list -o uat", "login list -n Batch --json",
    "login display", "login display -n Batch", "login display -n Batch -o uat", "login display -n Batch -o uat --json",
    "login display -n Batch -o uat --verbose", "login display -n Batch -o uat --concise", "login display -n Batch -o uat --verify",
    "login display -n Lasting -o uat --verify --json", "login display -o uatt", "login display -n Bach --json",
    "login token -n Batch -o uat", "login token -n Batch -o uat --header", "login token -n Lasting -o uat --no-prompt", "login token -n Batch -o uat --json",
    "login refresh -n Batch -o uat", "login refresh -n Batch -o uat --json", "login refresh -n Lasting -o uat", "login refresh -n Lasting -o dev --json",
    "login refresh -n Lasting -o uat --verbose", "doctor --storage", "doctor --storage --json",
    "login logout", "login logout -n Batch -o uat", "login logout -n Lasting -o uat --json", "login logout -n Lasting -o uat",
    "login logout --all", "login logout --all --json", "login list",
    Journey("app set-secret Robot -d secretless --store file", "process", "MADEUP0SECRET0OF0NOBODY\n"),
    Journey("app set-secret Robot -d secretless --store file --json", "process", "{secret}\n"),
    Journey("app set-secret Robot -d secretless --store file --verbose", "process", "{secret}\n"),
    Journey("app set-secret Robot -d secretless --store file", "process", "\n"),
    "app list -d secretless", "app check -d secretless --json", "run -d secretless -o uat={uat}", "run -d secretless -o uat={uat} --json",
    "app probe -d secretless -o uat={uat}", "run -d secretless -o uat={uat} --secret-from file", "doctor --storage",
    "app forget-secret Robot", "app forget-secret Robot", "app forget-secret Robot --json", "run -d secretless -o uat={uat}",
    "app probe -d secretless -o uat={uat} --verbose", "app probe -d acme -n Robot -n Batch -o uat={uat} -o dev={dev}",
    "app probe -d acme -n Robot -n Batch -f orgs.csv --json",
    Journey("run -d acme -n Batch -o uat={uat} --save", variables={"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}),
    Journey("run -d acme -n Batch -o uat={uat} --save --json", variables={"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}),
    Journey("doctor", "process", variables={"PATH": "tools", "DISPLAY": ":0"}), Journey("doctor --json", "process", variables={"PATH": "tools", "DISPLAY": ":0"}),
    Journey("doctor --verbose", "process", variables={"PATH": "nothing"}), Journey("doctor --concise", "process", variables={"PATH": "nothing"}),
)  # fmt: skip

SICK: Mapping[str, tuple[Fault, ...]] = {
    "down": (Fault(TOKEN, {"status": 503, "html": True}),),
    "refuses": (Fault(TOKEN, {"status": 400, "body": {"error": "invalid_client", "error_description": "invalid client credentials"}}),),
    "blocked": (Fault(TOKEN, {"status": 400, "body": {"error": "invalid_grant", "error_description": "ip restricted"}}),),
    "odd": (Fault(TOKEN, {"status": 400, "body": {"error": "something_new", "error_description": "nobody knows"}}),),
    "busy": (Fault(TOKEN, {"status": 503, "retryAfter": 1}, times=1),),
    "limited": (Fault(TOKEN, {"status": 429, "retryAfter": 1}, times=1),),
    "away": (Fault(TOKEN, {"redirect": "https://evil.example/"}),),
    "cut": (Fault(TOKEN, {"truncate": 20}),),
    "reset": (Fault(TOKEN, {"reset": True}),),
    "form": (Fault(TOKEN, {"form": True}),),
    "huge": (Fault(TOKEN, {"huge": 3_000_000}),),
    "typed": (Fault(TOKEN, {"wrongContentType": "text/html"}),),
    "other": (Fault(TOKEN, {"wrongOrg": True}), Fault(USERINFO, {"wrongOrg": True})),
    "person": (Fault(USERINFO, {"wrongUser": True}),),
    "locked": (Fault(USERINFO, {"status": 403, "body": {"error": "forbidden"}}),),
    "mute": (Fault(INTROSPECT, {"status": 500}), Fault(TOKEN, {"status": 404})),
}  # fmt: skip

FAILING = (
    *(f"run -d acme -n Batch -o {org}={{{org}}}{form}" for org in SICK for form in ("", " --json")),
    *(f"app probe -d acme -n Batch -o {org}={{{org}}}" for org in ("mute", "down")),
    "run -d acme -n Batch -o refuses={refuses} -o fine={fine} -o odd={odd} --concurrency 1 --verbose",
    "run -d acme -n Batch -o refuses={refuses} -o fine={fine} -o odd={odd} --concurrency 1 --json --report junit=sick.xml --report html=sick.html",
    "run -d acme -n Batch -o odd={odd} -o fine={fine} --concurrency 1 --report markdown=sick.md --report sarif=sick.sarif --report gitlab=g.json",
    "run --resume", "runs show", "run -d acme -n Batch -o odd={odd} --settle 0.02", "run -d acme -n Batch -o nobody=http://localhost:{nobody}",
    "run -d acme -n Batch -o nobody=http://localhost:{nobody} --json",
)  # fmt: skip

RULE_BY_RULE = tuple(
    Journey(
        " ".join(
            (f"app check -d rules/{rule} --for {purpose}", form,
             "--history" if case.gate.history else "", f"-o {case.gate.target}" if case.gate.target else "")
        ).strip(),
        variables=case.variables,
    )
    for rule, case in CASES.items()
    for purpose, form in (("login", "--concise"), ("deploy", ""), ("commit", "--verbose"))
)  # fmt: skip

GROUPS: Mapping[str, Group] = {
    "help": Group(HELP),
    "usage": Group(USAGE),
    "explain": Group(EXPLAIN),
    "rules": Group(RULE_BY_RULE),
    "looking": Group(LOOKING),
    "protecting": Group(PROTECTING),
    "emulator": Group(EMULATOR),
    "running": Group(RUNNING, ("dev", "uat", "prod")),
    "resuming": Group(RESUMING, ("dev", "uat", "prod"), {"uat": (Fault(TOKEN, {"status": 400}, times=1),)}),
    "logins": Group(LOGINS, ("dev", "uat")),
    "failing": Group(FAILING, ("fine", *SICK), SICK),
}
