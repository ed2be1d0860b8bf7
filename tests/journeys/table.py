"""The journeys, by group: a command line each, which every group travels in this order, from a new home.

`{uat}` and the like stand for addresses of the group's orgs, and `{a,b}` for one line with each. Before a line may
stand in brackets how it is travelled, then environment variables; after it, behind ``<<<``, what is piped in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from check.test_every_rule import CASES

from ecapipe.check.rules.registry import RULES
from ecapipe.cli.help import COMMANDS
from ecapipe.emulator.faults import Fault
from ecapipe.problems.catalogue import CATALOGUE


@dataclass(frozen=True)
class Journey:
    """A command line, and how it is travelled.

    `how`: within this process if it is empty; ``process``: as one of its own; ``person``: with somebody who signs in
    at the link on standard error; ``sort``: what several logins tell at the same time has no order; ``acme``: from
    the folder of that project.
    """

    line: str
    how: frozenset[str] = frozenset()
    typed: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Journeys that start from one home, with these orgs; `faults` are what goes wrong in some of them."""

    journeys: tuple[Journey, ...]
    orgs: tuple[str, ...] = ()
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)


_LINE = re.compile(r"(?:\[(?P<how>[a-z ]+)\] )?(?P<variables>(?:[A-Z_]+=\S* )*)(?P<line>.*?)(?: <<<(?P<typed>.*))?")


def journeys(text: str) -> tuple[Journey, ...]:
    return tuple(_read(line) for written in text.strip().splitlines() for line in _expanded(written))


def _expanded(line: str) -> Iterator[str]:
    choice = re.search(r"\{([^{}]*,[^{}]*)\}", line)
    if choice is None:
        yield line
        return
    for one in choice[1].split(","):
        yield from _expanded(line[: choice.start()] + one + line[choice.end() :])


def _read(line: str) -> Journey:
    found = _LINE.fullmatch(line)
    assert found, line
    variables = dict(each.split("=", 1) for each in found["variables"].split())
    typed = "" if found["typed"] is None else f"{found['typed'].strip()}\n"
    return Journey(found["line"], frozenset((found["how"] or "").split()), typed, variables)


EVERY = [f"{name} {child}".rstrip() for name, entry in COMMANDS.items() for child in entry.children or ("",)]
TOPICS = [name for name, entry in COMMANDS.items() if entry.children]

HELP = (
    Journey(""),
    *journeys("\n".join(["-h", "--help", "--version", *(f"{each} {{-h,--help}}" for each in TOPICS + EVERY)])),
)

USAGE = journeys("""
bogus{, --json}
app
app bogus
run --bogus{, --json}
run --emulater
run --flow device
run --until hand
run --wait {soon,0}
run --scopes api,web
run --board-port 0
run --board-port 8765 {--no-board,--emulator,--no-prompt}
run superfluous
run --emulator --target-org dev
run --hand-over sfdx
run --hand-over sf {--revoke,--print-token value -p,--until token,--emulator,--dpop}
run --revoke --until token
run --set-default
run --retrieve {--dry-run,--emulator,--metadata-dir .}
run --print-token value{, --json}
run --concise --verbose
run --shard {3/2,x}
run --concurrency 0
run --settle -1
run --save --store nowhere
run --store file
run --write-back
run --report {pdf=a.pdf,json}
run --secret-from vault
run --callback fax
run -b lynx
run --jwt-key-file nowhere.pem
run -d named --resume no-such-run
run --resume{, nowhere.json}
run --shard 1/2 --resume
run -d named/nowhere
run -d named{, --json}
run -d named -n Biling -o dev{, --json}
run -d named -o uatt{, --json}
run -d named -o https://evil.example{, --json}
run -d named -o http://dev.my.salesforce.com
run -d named -o https://dev.my.salesforce.com{.evil.example,/?a=b}
run -d named -o https://user:pw@dev.my.salesforce.com
run -d named -o dev.lightning.force.com
run -d named -o https://login.salesforce.com --dry-run
run -d named -f {nowhere.csv,bad.csv,bad.json,evil.csv}
run -d named -f orgs.csv --dry-run
run -d named -f orgs.json --dry-run --json
run -d named --all-orgs --dry-run
run -d named -o dev --dry-run --flow {jwt,client-credentials}
run -d named -o dev --no-prompt
run
app list{, --json}
app check
run -d broken
app check -d broken{, --json}
run -d empty{, --json}
app check -d empty
app list -d empty{, --json}
app check -d named -n billing
app check --for war
app check --fail-on never
app check -d named {--since HEAD,--staged,--history,-o uatt,--update-baseline --staged,--project-config-from HEAD}
app probe -d named
app probe -d named -o https://evil.example
app probe -d named -o uatt --json
app rotate -d named -o dev{, --deliver "vault put x", --deliver consumerSecret=x, --promote --abort, --force}
app rotate -d named -n Billing -o dev --deliver "nowhere {{field}}"{, --json}
app rotate -d named -n Billing -o dev --dry-run{, --json}
app rotate -d named -n Billing -o dev --end-previous
app rotate -d named --write-back --resume nothing
app protect -d named --rules semgrep
app set-secret
app set-secret Biling -d named
app set-secret Billing -d named --store file
app forget-secret{, Nobody}
login list{, --json}
login display{, --json}
login token{, --json, --proof GET, --proof GET nonsense}
login refresh -n Nobody
login logout{, --all, -n Nobody -o dev --json}
COLUMNS=120 runs list{, --json}
runs show{, nothing, --json}
report merge{, nowhere.json, bad.json}
manifest{, -d named -n Bill}
emulator
emulator start --port 70000
emulator start -d named --faults {nowhere.json,bad.json}
explain {NoSuchThing,consumer-secret-mising,NoSuchThing --json}
--show-completion tcsh
--install-completion
SF_CONTENT_TYPE=JSON run --bogus
SF_LOG_LEVEL=loud app list -d named
SF_TARGET_ORG=uat run -d named --dry-run
[process] run --bogus
[process] --version
[process] run -d named -o uatt
""")

EXPLAIN = journeys(f"""
explain{{, --concise, --verbose, --json}}
explain {{ConsumerSecretMissing --json,secret-staged --json}}
explain {{{",".join((*CATALOGUE, *RULES))}}}
--show-completion {{bash,zsh,fish,powershell}}
""")

LOOKING = journeys("""
app list -d {sample,many,linked}{, --concise, --verbose, --json}
app check -d {sample,linked}{, --concise, --verbose, --json}
manifest -d {sample,many,linked}{, --concise, --verbose, --json}
app check -d many --for {login,deploy,commit}{, --concise --fail-on note, --verbose --fail-on warning}
app check -d many --for {login,commit} --json
app check -d {many,empty,sample/mcp} --for mcp
app check -d sample/mcp --for mcp --json --fail-on note
app check -d many --for commit --concise --report gitlab=many.json
app check -d many --for commit --concise --report html=many.html
app check -d many --for commit --concise --report json=many.json
app check -d many --for commit --concise --report junit=many.xml
app check -d many --for commit --concise --report markdown=many.md
app check -d many --for commit --concise --report sarif=many.sarif
app check -d linked --report gitlab=a.json --report junit=deep/er/a.xml --report html=a.html --concise
app check -d sample --for commit --report markdown=clean.md --report junit=clean.xml
app check -d sample --no-project-config
app check -d empty --report json=none.json
app check -d named -n Biling --report junit=usage.xml
app check -d many -n Portal
app check -d many -n Portal -n Billing --json
app list -d many -n Portal --json
app list -d many -d sample
app check -d many -d sample
app list --metadata-dir mdapi
app check --metadata-dir mdapi --json
app list -d linked --credentials-dir source --json
app check -d linked --credentials-dir source
app check -d many --staged --for commit
app check -d many --since {HEAD,nowhere}
app check -d many --project-config-from {HEAD,nowhere,HEAD --no-project-config,HEAD --update-baseline}
app check -d many --history --for commit
app check -d many --for deploy -o {uat,https://evil.example}
GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=summary.md app check -d many --concise
ECAPIPE_CLIENT_SECRET_PORTAL=MADEUP0SECRET app {list,check} -d many
app check -d many --for commit --update-baseline
app check -d sample --for deploy --update-baseline
app check -d sample --for deploy --report junit=accepted.xml
app check -d sample --for commit --update-baseline --json
manifest -d many -n Billing
manifest -d sample/force-app
[process] app check -d sample --for commit
""")

PROTECTING = journeys("""
app protect -d bare --dry-run{, --json, --concise, --forceignore --verbose}
app protect -d bare --replace-with-env --dry-run{, --json}
app protect -d bare
app protect -d bare{, --json, --forceignore}
app protect -d tracked{, --json, -n Portal}
app protect -d tracked --replace-with-env
app protect -d tracked --replace-with-env -p
app protect -d tracked --replace-with-env -p
app check -d tracked
app list -d tracked --json
app protect -d bare --rules {gitleaks,detect-secrets}
app protect -d linked --credentials-dir source
app protect -d empty
app protect -d bare -n Bill
""")

EMULATOR = journeys("""
run -d sample -n Nightly_Reports --emulator{, --json, --verbose}
run -d sample -n Billing_Sync --emulator
run -d sample -n Field_Mobile --emulator --concise
run -d sample -n Partner_Portal --emulator --verbose
[sort] run -d sample --emulator{, --concise}
run -d sample --emulator --json
run -d sample --emulator --dry-run{, --json, --probe}
run -d sample --emulator --concise -n Nightly_Reports --report {gitlab,html,json,junit,markdown,sarif}=sample.report
app probe -d sample --emulator{, --json, --concise, --strict --verbose}
app probe -d many --emulator {--verbose,--json}
[process sort] run -d sample --emulator
""")

BATCH = "-n Batch -o dev={dev} -o uat={uat} -o prod={prod} --concurrency 1"

RUNNING = journeys(f"""
run -d acme -n Batch -o uat={{uat}}{{, --json, --concise, --verbose}}
run -d acme -n Batch -o {{uat}}
run -d acme -n Batch -o uat={{uat}} --print-token {{header,value --no-prompt}}
run -d acme -n Batch -o uat={{uat}} --dpop{{, --json, --dry-run, --print-token header}}
run -d acme -n Batch -o uat={{uat}} --revoke --verbose
run -d acme -n Batch -o uat={{uat}} --scopes 'api nonsense'
run -d acme -n Batch -o uat={{uat}} --no-journal --json
run -d acme -n Robot -o uat={{uat}} --until {{discover,locate,check,authorize,token,verify}}
run -d acme -n Batch -n Robot -o uat={{uat}} --concurrency 1
run -d acme -n Robot -o uat={{uat}} --report {{gitlab,html,json,junit,markdown,sarif}}=robot.report --concise
run -d acme {BATCH}{{, --json, --concise, --verbose --no-journal, --dry-run, --dry-run --json, --dry-run --verbose}}
run -d acme -o uat={{uat}} --dry-run --no-prompt{{, --json}}
run -d acme -n Batch -f {{orgs.csv,orgs.json --json}} --concurrency 1
run -d acme -n Paster -o uat={{uat}} --no-prompt{{, --json}}
run -d acme -n Batch -n Paster -o uat={{uat}} --no-prompt --concurrency 1
run -d acme -n Batch -o uat={{uat}} --flow web --no-prompt
run -d acme -n Paster -o uat={{uat}} --flow client-credentials
run -d acme -n Batch -o uat={{uat}} --flow jwt --jwt-key-file key.pem --username a@b.example
run -d acme -n Batch -o uat={{uat}} --username other@acme.example
run -d many -o uat={{uat}} --no-prompt --json
run -d many -o uat={{uat}} --no-prompt --concurrency 1 --report markdown=many.md --report junit=many.xml
run -d many -o uat={{uat}} --no-prompt --concurrency 1 --report html=many.html --report gitlab=many.json --concise
run -d many -o uat={{uat}} --no-prompt --concurrency 1 --report sarif=many.sarif --concise
[person] run -d acme -n Paster -o uat={{uat}} --callback paste -b none{{, --json, --scopes api --verbose}}
ECAPIPE_CLIENT_SECRET_BATCH=WRONG0MADEUP run -d acme -n Batch -o uat={{uat}}{{, --json}}
ECAPIPE_CLIENT_ID_BATCH=3MVG9WRONG run -d acme -n Batch -o uat={{uat}}
run -d acme -n Batch -o uat={{uat}} --secret-from environment
GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=summary.md run -d acme -n Batch -o uat={{uat}}
ECAPIPE_LOG_LEVEL=info run -d acme -n Batch -o uat={{uat}}
SF_TARGET_ORG=uat run -d acme -n Batch
run -d acme -n Batch
[process] run -d acme -n Batch -o uat={{uat}}
""")

RESUMING = journeys(f"""
run -d acme {BATCH}
COLUMNS=120 runs list{{, --concise, --verbose, --json}}
runs show{{, --concise, --verbose, --json}}
run --resume
run --resume --json
run -d acme {BATCH} --resume{{, --verbose}}
COLUMNS=120 runs list
runs show
run -d acme {BATCH} -n Robot --report json=first.json
run -d acme {BATCH} -n Robot --resume first.json
run -d acme {BATCH} -n Robot --resume first.json --json --no-journal
run -d acme {BATCH} -n Robot --shard 1/2 --report json=one.json
run -d acme {BATCH} -n Robot --shard 2/2 --report json=two.json
report merge one.json two.json{{, --json, --concise --report html=all.html --report junit=all.xml}}
report merge one.json{{, --json}}
report merge two.json --report markdown=part.md --verbose
report merge one.json first.json
report merge orgs.csv
report merge one.json bad.json --json
run -d acme -n Batch -o uat={{uat}} --resume
run -d many --resume
run --resume 2000
""")

LOGINS = journeys("""
run -d acme -n Batch -o uat={uat} --save --store file
run -d acme -n Batch -o dev={dev} --save --store file --json
run -d acme -n Paster -o uat={uat} --callback paste -b none --save --store file
[person] run -d acme -n Lasting -o uat={uat} --callback paste -b none --save --store file
[person] run -d acme -n Lasting -o dev={dev} --callback paste -b none --save --store file --json
login list{, --concise, --verbose, --json, -o uat, -n Batch --json}
login display{, -n Batch, -o uatt, -n Bach --json}
login display -n Batch -o uat{, --json, --verbose, --concise, --verify}
login display -n Lasting -o uat --verify --json
login token -n Batch -o uat{, --header, --json}
login token -n Batch -o uat --proof GET https://acme.my.salesforce.com/services/data
login token -n Lasting -o uat --no-prompt
login refresh -n Batch -o uat{, --json}
login refresh --all
login refresh -n Lasting -o {uat,dev --json,uat --verbose}
doctor --storage{, --json}
login logout
login logout -n Batch -o uat
login logout -n Lasting -o uat --json
login logout -n Lasting -o uat
login logout --all{, --json}
login list
run -d acme -n Robot -o uat={uat} --dpop --save --store file
login display -n Robot --verify{, --json}
login token -n Robot{, --header, --proof GET https://acme.my.salesforce.com/services/data}
login {refresh,logout} -n Robot
[process] app set-secret Robot -d secretless --store file <<< MADEUP0SECRET0OF0NOBODY
[process] app set-secret Robot -d secretless --store file{, --json, --verbose} <<< {secret}
[process] app set-secret Robot -d secretless --store file <<<
app list -d secretless
app check -d secretless --json
run -d secretless -o uat={uat}{, --json}
app probe -d secretless -o uat={uat}
run -d secretless -o uat={uat} --secret-from file
doctor --storage
app forget-secret Robot
app forget-secret Robot{, --json}
run -d secretless -o uat={uat}
app probe -d secretless -o uat={uat} --verbose
app probe -d acme -n Robot -n Batch -o uat={uat} -o dev={dev}
app probe -d acme -n Robot -n Batch -f orgs.csv --json
PYTHON_KEYRING_BACKEND=keyring.backends.fail.Keyring run -d acme -n Batch -o uat={uat} --save{, --json}
[process acme] PATH=tools DISPLAY=:0 doctor{, --json}
[process acme] PATH=nothing doctor {--verbose,--concise}
""")

TOKEN, USERINFO, INTROSPECT = (f"/services/oauth2/{end}" for end in ("token", "userinfo", "introspect"))


def _refusal(error: str, description: str) -> Fault:
    return Fault(TOKEN, {"status": 400, "body": {"error": error, "error_description": description}})


SICK: Mapping[str, tuple[Fault, ...]] = {
    "down": (Fault(TOKEN, {"status": 503, "html": True}),),
    "refuses": (_refusal("invalid_client", "invalid client credentials"),),
    "blocked": (_refusal("invalid_grant", "ip restricted"),),
    "odd": (_refusal("something_new", "nobody knows"),),
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
}
MIXED = "run -d acme -n Batch -o refuses={refuses} -o fine={fine} -o odd={odd} --concurrency 1"

FAILING = journeys(
    "\n".join(f"run -d acme -n Batch -o {org}={{{org}}}{{, --json}}" for org in SICK)
    + f"""
app probe -d acme -n Batch -o mute={{mute}}
app probe -d acme -n Batch -o down={{down}}
{MIXED} --verbose
{MIXED} --json --report junit=sick.xml --report html=sick.html
{MIXED} --report markdown=sick.md --report sarif=sick.sarif --report gitlab=sick.json
run --resume
runs show
run -d acme -n Batch -o odd={{odd}} --settle 0.02
run -d acme -n Batch -o nobody=http://localhost:{{nobody}}{{, --json}}
"""
)

RULE_BY_RULE = tuple(
    Journey(f"app check -d rules/{rule} --for {purpose}{history}{config}{target}{form}", variables=case.variables)
    for rule, case in CASES.items()
    for history in (" --history" if case.gate.history else "",)
    for config in (f" --project-config-from {case.gate.config_from}" if case.gate.config_from else "",)
    for target in (f" -o {case.gate.target}" if case.gate.target else "",)
    for purpose, form in (
        (("mcp", ""),)
        if rule.startswith("mcp-")
        else (("login", " --concise"), ("deploy", ""), ("commit", " --verbose"))
    )
)

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
