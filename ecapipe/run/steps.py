"""The steps of an app: locate its settings file, check its credentials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ecapipe.credentials import resolution, sources
from ecapipe.credentials.resolution import Resolution
from ecapipe.credentials.settings_file import settings_problem
from ecapipe.credentials.sources import Chain
from ecapipe.login.tracker import SkipStage, StageWork
from ecapipe.orgs.org import Org, same_id
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import App
from ecapipe.project.discovery import refuse_rivals


def locate(
    app: App, *, named: bool, orgs: Sequence[Org], work: StageWork, supplied: bool = False, told: bool = False
) -> None:
    """Find the app's settings file, or say why there is none.

    An app that has none for a good reason is skipped unless it was named. If nothing succeeds that is a failure after
    all, unless each of its logins has `told` of one. `has_credentials_from_outside`: it can do without the file.
    """
    if app.settings:
        work.facts["settingsFile"] = app.settings.path
        refuse_rivals(app)
        if app.settings.ignored:
            work.facts["forceignored"] = True
        for org in orgs:
            if app.link_org and org.org_id and not same_id(app.link_org, org.org_id):
                work.warn(
                    f"The oauthLink of {app.name} names org {app.link_org}, not {org.name} ({org.org_id}): the files "
                    "were retrieved from another org, or copied."
                )
        return
    if supplied:
        work.pass_over(f"{app.name} has no global OAuth settings file here: its key and secret come from elsewhere.")
        return
    problem = settings_problem(app, orgs)
    if named or problem.name == "SettingsNotRetrieved":
        raise EcapipeError(problem)
    raise SkipStage(problem.message, None if told else problem)


def has_credentials_from_outside(
    app: App, orgs: Sequence[Org], chain: Chain, spared: Callable[[Org | None], bool]
) -> bool:
    """Whether `app` has no settings file, and yet what a login needs: from outside, for one of `orgs` at least, be it
    from a source that cannot be read."""
    if app.settings:
        return False
    chain = sources.unprompted(chain)
    found = [resolution.resolve(app, org, chain, spared=spared(org)) for org in orgs or (None,)]
    return any(each.key.source and not _lacks_credentials(each) for each in found)


def _lacks_credentials(resolved: Resolution) -> bool:
    """Whether no source has the key or the secret, rather than one that cannot be read."""
    return resolved.problem is not None and resolved.problem.name in ("ConsumerKeyMissing", "ConsumerSecretMissing")


def missing_in_org(app: App, org: Org, named: bool) -> Problem | None:
    """Why an app has no settings file in an org that it was `named` for, though elsewhere it may lack it."""
    problem = None if app.settings or not named else settings_problem(app, (org,))
    return None if problem is None or problem.name == "SettingsNotRetrieved" else problem


def resolve_credentials(
    app: App,
    orgs: Sequence[Org],
    chain: Chain,
    work: StageWork,
    *,
    spared: Callable[[Org | None], bool] = lambda org: False,
) -> list[Resolution]:
    """Key and secret for each org (or for none in particular, if there are no orgs). `spared`: whether a login there
    needs no secret.

    Raises `EcapipeError` if no org can be served; if some cannot, that is a warning here and their failure later.
    """
    chain = chain if app.settings else sources.unprompted(chain)
    proven = [resolution.resolve(app, org, chain, spared=spared(org)) for org in orgs or (None,)]
    if app.settings is None and orgs:  # where nothing is supplied, it is the file that is missing
        pairs = zip(orgs, proven, strict=True)
        proven = [
            replace(each, outcome=settings_problem(app, (org,))) if _lacks_credentials(each) else each
            for org, each in pairs
        ]
    lacking = [each.problem for each in proven if each.problem]
    if len(lacking) == len(proven):
        raise EcapipeError(lacking[0])
    said: dict[str, list[str]] = {}
    for org, each in zip(orgs, proven, strict=False):
        if sentence := each.warning or (each.problem and each.problem.message):
            said.setdefault(sentence, []).append(org.name)
    if not orgs and proven[0].warning:
        work.warn(proven[0].warning)
    for sentence, names in said.items():
        work.warn(sentence if len(names) == len(orgs) else f"In {_some(names)}: {sentence}")
    work.facts |= {"consumerKey": proven[0].key.source, "consumerSecret": proven[0].secret.source}
    return proven


def _some(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
