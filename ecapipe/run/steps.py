"""The steps of an app: locate its settings file, check its credentials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ecapipe.credentials import resolution, sources
from ecapipe.credentials.resolution import Resolution
from ecapipe.credentials.settings_file import settings_problem
from ecapipe.credentials.sources import Chain
from ecapipe.login.tracker import SkipStage, StageWork
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.orgs.org import Org, same_id
from ecapipe.problems.credentials import consumer_key_missing, consumer_secret_missing
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.project import settings_not_retrieved
from ecapipe.project.apps import App
from ecapipe.project.discovery import refuse_rivals


def locate(
    app: App,
    *,
    named: bool,
    orgs: Sequence[Org],
    work: StageWork,
    chain: Chain = (),
    supplied: bool = False,
    logins_fail: bool = False,
) -> None:
    """Find the app's settings file, or say why there is none.

    An app that has none for a good reason is skipped unless it was named. If nothing in the run succeeds that is a
    failure after all, unless `logins_fail`: each of its logins fails with it anyway. `supplied`: its key and secret
    come from elsewhere, so that it can do without the file.
    """
    if app.settings:
        work.facts["settingsFile"] = app.settings.path
        refuse_rivals(app)
        if app.settings.ignored:
            work.facts["forceignored"] = True
        _warn_of_other_org(app, orgs, work)
        return
    if supplied:
        work.pass_over(f"{app.name} has no global OAuth settings file here: its key and secret come from elsewhere.")
        return
    problem = settings_problem(app, orgs, chain)
    # A file that should be here, and was not retrieved, is missing whether or not somebody named the app.
    if named or problem.kind is settings_not_retrieved:
        raise EcapipeError(problem)
    if logins_fail:
        raise SkipStage(problem.message)
    raise SkipStage(problem.message, problem)


def _warn_of_other_org(app: App, orgs: Sequence[Org], work: StageWork) -> None:
    """The app in another org, even of the same name, has another key and secret."""
    for org in orgs:
        if app.link_org and org.org_id and not same_id(app.link_org, org.org_id):
            work.warn(
                f"The oauthLink of {app.name} names org {app.link_org}, not {org.name} ({org.org_id}): the files "
                "were retrieved from another org, or copied."
            )


def has_credentials_from_outside(
    app: App, orgs: Sequence[Org], chain: Chain, needs_no_secret: Callable[[Org | None], bool]
) -> bool:
    """Whether `app` has no settings file, and yet what a login needs: from outside, for one of `orgs` at least, be it
    from a source that cannot be read."""
    if app.settings:
        return False
    # Nobody is asked only to find out whether there is an answer.
    resolutions = _resolve_each(app, orgs, sources.without_terminal_prompt(chain), needs_no_secret)
    return any(each.key.source and not _lacks_credentials(each) for each in resolutions)


def _resolve_each(
    app: App, orgs: Sequence[Org], chain: Chain, needs_no_secret: Callable[[Org | None], bool]
) -> list[Resolution]:
    """For each org, or for none in particular if there are no orgs."""
    return [
        resolution.resolve(app, org, chain, allowed_flows, needs_no_secret=needs_no_secret(org))
        for org in orgs or (None,)
    ]


def _lacks_credentials(resolved: Resolution) -> bool:
    """Whether no source has the key or the secret, rather than one that cannot be read."""
    return resolved.problem is not None and resolved.problem.kind in (consumer_key_missing, consumer_secret_missing)


def missing_in_org(app: App, org: Org, chain: Chain, *, named: bool) -> Problem | None:
    """Why an app has no settings file in an org that it was `named` for, though elsewhere it may lack it."""
    if app.settings or not named:
        return None
    problem = settings_problem(app, (org,), chain)
    if problem.kind is settings_not_retrieved:
        return None
    return problem


def resolve_credentials(
    app: App,
    orgs: Sequence[Org],
    chain: Chain,
    work: StageWork,
    *,
    needs_no_secret: Callable[[Org | None], bool] = lambda org: False,
) -> list[Resolution]:
    """Key and secret for each org (or for none in particular, if there are no orgs). `needs_no_secret`: whether a
    login there goes without one.

    Raises `EcapipeError` if no org can be served; if some cannot, that is a warning here and their failure later.
    """
    if app.settings is None:
        # A question on the terminal completes what a file lacks; where the file is missing, nobody is asked.
        chain = sources.without_terminal_prompt(chain)
    resolutions = _resolve_each(app, orgs, chain, needs_no_secret)
    if app.settings is None and orgs:
        resolutions = [_of_missing_file(app, org, each, chain) for org, each in zip(orgs, resolutions, strict=True)]
    problems = [each.problem for each in resolutions if each.problem]
    if len(problems) == len(resolutions):
        raise EcapipeError(problems[0])
    _warn_of_doubts(orgs, resolutions, work)
    work.facts |= {"consumerKey": resolutions[0].key.source, "consumerSecret": resolutions[0].secret.source}
    if places := sorted({each.read_from for each in resolutions if each.read_from}):
        work.facts["consumerSecretReadFrom"] = places
        work.note("hint", f"The consumer secret of {app.name} was read from {', '.join(places)}.")
    return resolutions


def _of_missing_file(app: App, org: Org, resolved: Resolution, chain: Chain) -> Resolution:
    """The same, but where no source has anything, the missing settings file is the problem."""
    if _lacks_credentials(resolved):
        return replace(resolved, outcome=settings_problem(app, (org,), chain))
    return resolved


def _warn_of_doubts(orgs: Sequence[Org], resolutions: Sequence[Resolution], work: StageWork) -> None:
    """Each warning or problem once, with the orgs that it is about unless these are all."""
    if not orgs and resolutions[0].warning:
        work.warn(resolutions[0].warning)
    names_by_sentence: dict[str, list[str]] = {}
    for org, each in zip(orgs, resolutions, strict=False):
        if sentence := each.warning or (each.problem and each.problem.message):
            names_by_sentence.setdefault(sentence, []).append(org.name)
    for sentence, names in names_by_sentence.items():
        if len(names) == len(orgs):
            work.warn(sentence)
        else:
            work.warn(f"In {_enumerate(names)}: {sentence}")


def _enumerate(names: Sequence[str], most: int = 10) -> str:
    text = ", ".join(names[:most])
    if len(names) > most:
        return f"{text} and {len(names) - most} more"
    return text
