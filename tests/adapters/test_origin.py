"""What CI systems tell of the run that they start."""

from __future__ import annotations

import pytest

from ecapipe.adapters import origin
from ecapipe.adapters.environment import Environment
from ecapipe.events import Origin


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_SHA": "c0ffee",
                "GITHUB_REF_NAME": "7/merge",
                "GITHUB_HEAD_REF": "fix",
            },
            Origin("c0ffee", "fix", None, "GitHub Actions"),
        ),
        (
            {"GITLAB_CI": "true", "CI_COMMIT_REF_NAME": "main", "GITLAB_USER_LOGIN": "ada"},
            Origin(None, "main", "ada", "GitLab CI"),
        ),
        ({"TF_BUILD": "True", "BUILD_SOURCEVERSION": "c0"}, Origin("c0", None, None, "Azure Pipelines")),
        ({"JENKINS_URL": "https://ci.test", "GIT_COMMIT": "c0"}, Origin("c0", None, None, "Jenkins")),
        (
            {"BITBUCKET_BUILD_NUMBER": "1", "BITBUCKET_BRANCH": "main"},
            Origin(None, "main", None, "Bitbucket Pipelines"),
        ),
        ({"CIRCLECI": "true", "CIRCLE_USERNAME": "ada"}, Origin(None, None, "ada", "CircleCI")),
        ({"GITHUB_SHA": "c0ffee", "GIT_COMMIT": "c0ffee"}, None),
    ],
)
def test_each_system_is_known_by_its_variable(variables: dict[str, str], expected: Origin | None) -> None:
    assert origin.of(Environment(variables)) == expected


def test_what_it_tells_is_one_line_of_a_bounded_length_without_secrets() -> None:
    token = "00D000000000001!AQ" + "x" * 40
    told = origin.of(Environment({"CIRCLECI": "1", "CIRCLE_BRANCH": f"a\x1b[31m\n{token}", "CIRCLE_SHA1": "c" * 999}))
    assert told is not None
    assert told.branch == "a [31m [REDACTED]"
    assert told.commit == "c" * 200
